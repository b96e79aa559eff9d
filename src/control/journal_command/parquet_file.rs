//! Records as a Parquet file.

use super::content::{Decoded, stage_name};
use super::fields::Kind;
use super::text::{Style, Writer};
use super::words::Words;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::io::Write;
use std::sync::Arc;

/// The columns, in the order in which they are written.
const SCHEMA: &str = "
message record {
    required int64 seq (INTEGER(64,false));
    required binary stage (UTF8);
    required int64 stage_seq (INTEGER(64,false));
    required int64 at_ns (TIMESTAMP(NANOS,true));
    required binary kind (UTF8);
    optional binary client_order_id (UTF8);
    optional binary instrument (UTF8);
    optional int64 price;
    optional int64 quantity;
    optional binary side (UTF8);
    required binary content (JSON);
}";
/// Rows that are held before they are written: memory against what a reader can skip.
const GROUP_ROWS: usize = 65_536;

/// A file that is being written.
pub(super) struct ParquetFile<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Rows,
}

/// Rows that wait, column by column.
#[derive(Default)]
struct Rows {
    count: usize,
    seq: Vec<i64>,
    stage: Vec<ByteArray>,
    stage_seq: Vec<i64>,
    at_ns: Vec<i64>,
    kind: Vec<ByteArray>,
    client_order_id: Sparse<ByteArray>,
    instrument: Sparse<ByteArray>,
    price: Sparse<i64>,
    quantity: Sparse<i64>,
    side: Sparse<ByteArray>,
    content: Vec<ByteArray>,
}

/// A column that not every row has a value in: the values, and for each row whether there is one.
#[derive(Default)]
struct Sparse<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Sparse<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text)
}

/// Counts above what 63 bits hold keep their bits: the column says that it has no sign.
const fn bits(count: u64) -> i64 {
    i64::from_ne_bytes(count.to_ne_bytes())
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file.
    pub(super) fn begin(out: W) -> Result<Self, String> {
        let schema = parse_message_type(SCHEMA).map_err(|error| error.to_string())?;
        let content = ColumnPath::from("content");
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // No two are alike, and nobody searches by the least of them.
            .set_column_dictionary_enabled(content.clone(), false)
            .set_column_statistics_enabled(content, EnabledStatistics::None)
            .set_created_by(concat!("gannet ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties));
        Ok(Self { writer: writer.map_err(|error| error.to_string())?, rows: Rows::default() })
    }

    /// Adds a record.
    pub(super) fn row(&mut self, decoded: &Decoded, words: &Words) -> Result<(), String> {
        self.rows.push(decoded, words);
        if self.rows.count < GROUP_ROWS { Ok(()) } else { self.write_group() }
    }

    /// Ends the file.
    pub(super) fn end(mut self) -> Result<(), String> {
        if self.rows.count > 0 {
            self.write_group()?;
        }
        let mut out = self.writer.into_inner().map_err(|error| error.to_string())?;
        out.flush().map_err(|error| error.to_string())
    }

    fn write_group(&mut self) -> Result<(), String> {
        let rows = std::mem::take(&mut self.rows);
        let mut write = || {
            let mut group = self.writer.next_row_group()?;
            rows.write(&mut group)?;
            group.close().map(drop)
        };
        write().map_err(|error: ParquetError| error.to_string())
    }
}

impl Rows {
    fn push(&mut self, decoded: &Decoded, words: &Words) {
        let columns = decoded.content.columns();
        let mut writer = Writer::new(Style::Json, words);
        decoded.write(&mut writer);
        self.count += 1;
        self.seq.push(bits(decoded.position.seq));
        self.stage.push(text(&stage_name(decoded.stamp.stage)));
        self.stage_seq.push(bits(decoded.stamp.stage_seq));
        self.at_ns.push(i64::try_from(decoded.stamp.mono_ns).unwrap_or(i64::MAX));
        self.kind.push(text(decoded.content.kind()));
        self.client_order_id.push(columns.client_order_id.map(|id| text(&id.to_string())));
        self.instrument.push(columns.instrument.and_then(|id| words.instrument(id)).map(|name| text(&name)));
        self.price.push(columns.price.map(|price| price.0));
        self.quantity.push(columns.quantity.map(|quantity| quantity.0));
        self.side.push(columns.side.map(|side| text(&format!("{side:?}"))));
        self.content.push(ByteArray::from(writer.finish().into_bytes()));
    }

    fn write<W: Write + Send>(&self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
        column::<W, Int64Type>(group, &self.seq, None)?;
        column::<W, ByteArrayType>(group, &self.stage, None)?;
        column::<W, Int64Type>(group, &self.stage_seq, None)?;
        column::<W, Int64Type>(group, &self.at_ns, None)?;
        column::<W, ByteArrayType>(group, &self.kind, None)?;
        sparse::<W, ByteArrayType>(group, &self.client_order_id)?;
        sparse::<W, ByteArrayType>(group, &self.instrument)?;
        sparse::<W, Int64Type>(group, &self.price)?;
        sparse::<W, Int64Type>(group, &self.quantity)?;
        sparse::<W, ByteArrayType>(group, &self.side)?;
        column::<W, ByteArrayType>(group, &self.content, None)
    }
}

fn sparse<W: Write + Send, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    sparse: &Sparse<T::T>,
) -> Result<(), ParquetError> {
    column::<W, T>(group, &sparse.values, Some(&sparse.levels))
}

fn column<W: Write + Send, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let lacking = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(lacking)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}
