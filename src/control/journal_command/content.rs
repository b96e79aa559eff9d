//! What a record says: its bytes as a stage or the cold plane meant them.

use super::fields::Kind;
use super::text::{Value, Writer};
use super::words::Words;
use crate::backtest::{Blob, InstanceStart};
use crate::control::instants::rfc3339;
use crate::journal::{BLOB_KIND, BYTES_VERSION, JournalStage, Position, RECOVERED_TORN, Record, Stamp};
use crate::strategy::saved::{Left, SavedState};
use crate::types::{
    Binary, ClientOrderId, Event, GatewayMessage, Instrument, InstrumentId, Order, Price, Quantity, ReportKind,
    RiskCommand, Side, StrategyId, Timestamp,
};

/// The largest payload that is put together from its parts.
const BLOB_BYTES_MAX: usize = 1 << 30;

/// A record that was read, and what it says.
#[derive(Debug)]
pub(super) struct Decoded {
    /// Where it stands.
    pub(super) position: Position,
    /// What its stage said of it.
    pub(super) stamp: Stamp,
    /// What it says.
    pub(super) content: Content,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Content {
    /// An entry of a stage.
    Entry(Event),
    /// A payload of the cold plane, at its last part.
    Blob(Blob),
    /// A part of such a payload that is not its last, or one whose beginning was not read.
    Part {
        /// Parts that follow it.
        follow: u32,
        /// Its bytes.
        bytes: usize,
    },
    /// Recovery put a torn end aside.
    Torn {
        /// Its segment.
        segment: u64,
        /// Where it began.
        offset: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// Nothing that this program knows.
    Unknown {
        /// The record's kind.
        number: u16,
        /// The version of its bytes.
        version: u16,
        /// How many there are.
        bytes: usize,
    },
}

/// The parts of records that tables have columns for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// Which order it concerns.
    pub(super) client_order_id: Option<ClientOrderId>,
    /// In what.
    pub(super) instrument: Option<InstrumentId>,
    /// The limit price, or that of the fill.
    pub(super) price: Option<Price>,
    /// The order's quantity, or that of the fill.
    pub(super) quantity: Option<Quantity>,
    /// Buy or sell.
    pub(super) side: Option<Side>,
}

/// Reads records one after the other: payloads come in parts, and names with an engine start.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    blob: Vec<u8>,
    words: Words,
}

impl Decoder {
    /// What ids are called, as the newest engine start says that was read.
    pub(super) const fn words(&self) -> &Words {
        &self.words
    }

    /// Calls ids so from now on.
    pub(super) fn learn(&mut self, words: Words) {
        self.words = words;
    }

    /// Reads a record.
    pub(super) fn decode(&mut self, position: Position, record: &Record<'_>) -> Decoded {
        let stamp = record.entry;
        let is_known = stamp.version == BYTES_VERSION;
        let content = match (JournalStage::of(stamp.stage), stamp.kind) {
            (JournalStage::Risk | JournalStage::Shard(_) | JournalStage::Gateway(_), _) if is_known => {
                whole(record.payload).map(Content::Entry)
            }
            (JournalStage::Control, BLOB_KIND) if is_known => self.part(record.payload),
            (JournalStage::Journal, RECOVERED_TORN) => {
                whole(record.payload).map(|(segment, (offset, bytes))| Content::Torn { segment, offset, bytes })
            }
            _ => None,
        };
        let unknown = || Content::Unknown { number: stamp.kind, version: stamp.version, bytes: record.payload.len() };
        let content = content.unwrap_or_else(unknown);
        if let Content::Blob(Blob::Start(start)) = &content {
            self.words = Words::of(start);
        }
        Decoded { position, stamp, content }
    }

    fn part(&mut self, mut payload: &[u8]) -> Option<Content> {
        let follow = u32::take(&mut payload)?;
        let part = Content::Part { follow, bytes: payload.len() };
        if self.blob.len() + payload.len() > BLOB_BYTES_MAX {
            self.blob.clear();
        }
        self.blob.extend_from_slice(payload);
        if follow > 0 {
            return Some(part);
        }
        let bytes = std::mem::take(&mut self.blob);
        // Reading may have begun in the middle of it: then it is no payload, and said to be a part.
        Some(whole(&bytes).map_or(part, Content::Blob))
    }
}

/// A value that takes up all of these bytes.
fn whole<T: Binary>(mut bytes: &[u8]) -> Option<T> {
    let value = T::take(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

impl Decoded {
    /// Writes it: for programs and tables flat, where it stands first.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.object(|writer| {
            writer.field("seq", &self.position.seq);
            writer.field("segment", &self.position.segment);
            writer.field("offset", &self.position.offset);
            writer.field("stage", &stage_name(self.stamp.stage));
            writer.field("stage_seq", &self.stamp.stage_seq);
            writer.field("at_ns", &self.stamp.mono_ns);
            writer.field("kind", &self.content.kind());
            self.content.fields(writer);
        });
    }

    /// What stands before the content in a line for people.
    pub(super) fn heading(&self) -> String {
        let (stage, sequence) = (stage_name(self.stamp.stage), self.stamp.stage_seq);
        let at = rfc3339(Timestamp::from_nanos(self.stamp.mono_ns));
        format!("{:>9} {stage:<9} {sequence:>9} {at} {:<12}", self.position.seq, self.content.kind())
    }

    /// Whether it concerns this order.
    pub(super) fn concerns(&self, order: ClientOrderId) -> bool {
        let replaces = self.content.order().map(|order| order.replaces);
        self.content.columns().client_order_id == Some(order) || replaces == Some(order)
    }
}

impl Content {
    const fn order(&self) -> Option<&Order> {
        match self {
            Self::Entry(Event::Approved { order, .. } | Event::Order { order, .. }) => Some(order),
            Self::Entry(Event::Intent { intent, .. }) => Some(&intent.order),
            _ => None,
        }
    }

    /// What tables have columns for.
    pub(super) fn columns(&self) -> Columns {
        let mut columns = match self {
            Self::Entry(event) => columns(event),
            _ => Columns::default(),
        };
        columns.client_order_id = columns.client_order_id.filter(|id| *id != ClientOrderId::NONE);
        columns.instrument = columns.instrument.filter(|id| *id != InstrumentId::NONE);
        columns.price = columns.price.filter(|price| *price != Price::ZERO);
        columns.quantity = columns.quantity.filter(|quantity| *quantity != Quantity::ZERO);
        columns
    }
}

fn columns(event: &Event) -> Columns {
    let none = Columns::default();
    match event {
        Event::Approved { order, .. } | Event::Order { order, .. } => columns_of(order),
        Event::Intent { intent, .. } => columns_of(&intent.order),
        Event::Cancel { intent, .. } | Event::Canceling(intent) | Event::OrderCancel(intent) => {
            Columns { client_order_id: Some(intent.client_order_id), instrument: Some(intent.instrument), ..none }
        }
        Event::Denied { client_order_id, .. } => Columns { client_order_id: Some(*client_order_id), ..none },
        Event::Gateway { message: GatewayMessage::Report(report), .. } => {
            let (price, quantity) = match report.kind {
                ReportKind::Fill => (report.last_price, report.last_quantity),
                _ => (report.order_price, report.order_quantity),
            };
            Columns {
                client_order_id: Some(report.client_order_id),
                instrument: Some(report.instrument),
                price: Some(price),
                quantity: Some(quantity),
                side: Some(report.side),
            }
        }
        Event::Update(update) => Columns {
            client_order_id: Some(update.client_order_id),
            instrument: Some(update.instrument),
            price: Some(update.price),
            quantity: Some(update.quantity),
            side: Some(update.side),
        },
        Event::Market { message, .. } => Columns { instrument: Some(message.instrument), ..none },
        Event::Mark { mark, .. } => Columns { instrument: Some(mark.instrument), ..none },
        Event::Command(RiskCommand::Volume { instrument, day_volume }) => {
            Columns { instrument: Some(*instrument), quantity: Some(*day_volume), ..none }
        }
        _ => none,
    }
}

fn columns_of(order: &Order) -> Columns {
    Columns {
        client_order_id: Some(order.client_order_id),
        instrument: Some(order.instrument),
        price: Some(order.price),
        quantity: Some(order.quantity),
        side: Some(order.side),
    }
}

impl Kind for Content {
    fn kind(&self) -> &'static str {
        match self {
            Self::Entry(event) => event.kind(),
            Self::Blob(Blob::Start(_)) => "engine_start",
            Self::Blob(Blob::Limits(_)) => "limits",
            Self::Blob(Blob::Override(_)) => "override",
            Self::Blob(Blob::Left(_)) => "strategies_left",
            Self::Part { .. } => "part",
            Self::Torn { .. } => "torn_end",
            Self::Unknown { .. } => "unknown",
        }
    }

    fn fields(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Entry(event) => event.fields(writer),
            Self::Blob(Blob::Start(start)) => {
                writer.field("epoch", &start.config.epoch);
                writer.field("shards", &start.shard_count());
                writer.field("limits_version", &start.config.limits.version);
                writer.field("trading_state", &start.config.trading_state);
                writer.field("restored_orders", &start.facts.as_ref().map(|facts| facts.orders.len()));
                writer.field("venues", &start.names.venues);
                writer.field("strategies", &start.names.strategies);
                writer.field("instances", &start.shards.concat());
                writer.field("instruments", &start.config.instruments.iter().copied().collect::<Vec<_>>());
            }
            Self::Blob(Blob::Limits(limits)) => writer.field("version", &limits.version),
            Self::Blob(Blob::Override(entry)) => {
                writer.field("strategy", &entry.strategy);
                writer.field("instrument", &entry.instrument);
                writer.field("reason", &entry.reason);
                writer.field("orders_left", &entry.orders_left);
                writer.field("expires_ns", &entry.expires_ns);
                writer.field("requester", &entry.requester);
                writer.field("approver", &entry.approver);
            }
            Self::Blob(Blob::Left(left)) => writer.field("strategies", left),
            Self::Part { follow, bytes } => {
                writer.field("follow", follow);
                writer.field("bytes", bytes);
            }
            Self::Torn { segment, offset, bytes } => {
                writer.field("torn_segment", segment);
                writer.field("torn_offset", offset);
                writer.field("bytes", bytes);
            }
            Self::Unknown { number, version, bytes } => {
                writer.field("number", number);
                writer.field("version", version);
                writer.field("bytes", bytes);
            }
        }
    }
}

/// What an instance began with.
impl Value for InstanceStart {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.object(|writer| {
            writer.field("strategy", &self.id);
            writer.field("kind", &self.kind);
            writer.field("file_hash", &format!("{:032x}", u128::from_be_bytes(self.file_hash)));
            writer.field("params", &self.params);
            writer.field("is_resumed", &self.resumed.is_some());
        });
    }
}

/// What an instance left behind: of a state, its version and how long it is.
impl Value for (StrategyId, Left) {
    fn write(&self, writer: &mut Writer<'_>) {
        let (state, saved) = match &self.1 {
            Left::Saved(saved) => ("saved", Some(saved)),
            Left::Nothing => ("none", None),
            Left::InError => ("in_error", None),
        };
        writer.object(|writer| {
            writer.field("strategy", &self.0);
            writer.field("state", &state);
            writer.field("version", &saved.map(SavedState::version));
            writer.field("bytes", &saved.map(SavedState::bytes));
        });
    }
}

/// What it takes to read prices and quantities.
impl Value for Instrument {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.object(|writer| {
            writer.field("name", &self.id);
            writer.field("base", &self.base);
            writer.field("quote", &self.quote);
            writer.field("price_precision", &self.price_precision);
            writer.field("quantity_precision", &self.quantity_precision);
        });
    }
}

/// What a stage is called; its number where it has no name.
pub(super) fn stage_name(stage: u16) -> String {
    JournalStage::of(stage).to_string()
}

/// The stage of this name or number.
///
/// # Errors
/// What the names are.
pub(super) fn parse_stage(text: &str) -> Result<u16, String> {
    let stage = JournalStage::parse(text).map(JournalStage::number);
    stage
        .ok_or_else(|| "there is no such stage; name risk, shard-0, gateway-0, control, journal or a number".to_owned())
}

/// The order of this id.
///
/// # Errors
/// What an id looks like.
pub(super) fn parse_order(text: &str) -> Result<ClientOrderId, String> {
    let problem = "that is none of our order ids; they are gn and 16 hexadecimal digits, as in gn0000100000000001";
    ClientOrderId::parse(text.as_bytes()).ok_or_else(|| problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{COLD_STAGE, JOURNAL_STAGE, RISK_STAGE};
    use crate::risk::Override;
    use crate::types::{CancelIntent, DenialReason};

    fn record(stage: u16, kind: u16, payload: &[u8]) -> (Position, Record<'_>) {
        let entry = Stamp { stage, kind, version: BYTES_VERSION, ..Stamp::default() };
        (Position::default(), Record { seq: 1, entry, is_batch_end: true, payload })
    }

    fn part(follow: u32, bytes: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        follow.put(&mut payload);
        payload.extend_from_slice(bytes);
        payload
    }

    fn decode(decoder: &mut Decoder, stage: u16, kind: u16, payload: &[u8]) -> Content {
        let (position, record) = record(stage, kind, payload);
        decoder.decode(position, &record).content
    }

    #[test]
    fn payloads_are_put_together_from_their_parts() {
        let entry = Override {
            strategy: StrategyId(1),
            instrument: InstrumentId(2),
            reason: DenialReason::PriceCollar,
            orders_left: 3,
            expires_ns: Timestamp::from_nanos(4),
            requester: 0,
            approver: 1,
        };
        let mut bytes = Vec::new();
        Blob::Override(entry).put(&mut bytes);
        let (first, second) = bytes.split_at(5);
        let mut decoder = Decoder::default();
        let read = |decoder: &mut Decoder, payload: &[u8]| decode(decoder, COLD_STAGE, BLOB_KIND, payload).kind();
        assert_eq!(read(&mut decoder, &part(1, first)), "part");
        assert_eq!(read(&mut decoder, &part(0, second)), "override");
        // Begun in its middle: not guessed at. The next one is whole again.
        assert_eq!(read(&mut decoder, &part(0, second)), "part");
        assert_eq!(read(&mut decoder, &part(0, &bytes)), "override");
    }

    #[test]
    fn what_is_not_known_is_said_to_be_so() {
        let mut decoder = Decoder::default();
        assert_eq!(decode(&mut decoder, 9, 3, b"?").kind(), "unknown");
        assert_eq!(decode(&mut decoder, RISK_STAGE, 77, &[77]).kind(), "unknown");
        // More bytes than the entry has: another version's.
        assert_eq!(decode(&mut decoder, RISK_STAGE, 0, &[0]).kind(), "cycle");
        assert_eq!(decode(&mut decoder, RISK_STAGE, 0, &[0, 0]).kind(), "unknown");
        let torn: Vec<u8> = [1_u64, 8192, 20].into_iter().flat_map(u64::to_le_bytes).collect();
        assert!(matches!(
            decode(&mut decoder, JOURNAL_STAGE, RECOVERED_TORN, &torn),
            Content::Torn { segment: 1, offset: 8192, bytes: 20 }
        ));
    }

    #[test]
    fn orders_are_found_by_their_own_id_and_by_the_one_that_they_replace() {
        let (one, other) = (ClientOrderId(7), ClientOrderId(8));
        let order = Order { client_order_id: one, replaces: other, ..Order::default() };
        let event = Event::Approved { order, only_if_unfilled: false };
        let of =
            |event| Decoded { position: Position::default(), stamp: Stamp::default(), content: Content::Entry(event) };
        assert!(of(event).concerns(one) && of(event).concerns(other) && !of(event).concerns(ClientOrderId(9)));
        let intent = CancelIntent { client_order_id: one, ..CancelIntent::default() };
        assert!(of(Event::Canceling(intent)).concerns(one));
        assert!(!of(Event::Cycle).concerns(ClientOrderId::NONE));
        assert_eq!(of(event).content.columns().price, None, "a price of zero is none");
    }

    #[test]
    fn stages_and_orders_are_named_as_the_help_says() {
        assert_eq!(parse_stage("control"), Ok(COLD_STAGE));
        assert_eq!(parse_stage("3"), Ok(3));
        assert!(
            parse_stage("rsik").is_err_and(|problem| problem.contains("risk, shard-0, gateway-0, control, journal"))
        );
        assert!(parse_stage("256").is_err());
        assert_eq!(stage_name(JOURNAL_STAGE), "journal");
        assert_eq!((stage_name(3).as_str(), stage_name(200).as_str()), ("shard-2", "200"));
        assert!(parse_order("gn0000100000000001").is_ok());
        assert!(parse_order("17").is_err_and(|problem| problem.contains("hexadecimal")));
    }
}
