//! A journal written again, otherwise: as another program, or somebody who means ill, would have written it.

use gannet::backtest::Blob;
use gannet::journal::{
    BLOB_KIND, BYTES_VERSION, COLD_STAGE, Disk, FolderDisk, Log, LogConfig, PAYLOAD_BYTES_MAX, Reader, ScanOptions,
    Stamp, recover,
};
use gannet::types::{Binary, Event};
use std::path::Path;
use std::sync::Arc;

/// A record: what its stage said of it, and what it says.
pub enum Written {
    /// An entry of a stage.
    Entry(Stamp, Event),
    /// A payload of the cold plane.
    Blob(Stamp, Box<Blob>),
    /// Anything else.
    Other(Stamp, Vec<u8>),
}

/// Writes the journal of one engine start in `from` into `to`, each record as `edit` leaves it.
pub fn rewrite(from: &Path, to: &Path, mut edit: impl FnMut(&mut Written)) {
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::existing(from));
    let mut reader = Reader::open(disk, 0).unwrap().expect("a journal");
    let identity = reader.segment().identity;
    let disk = Arc::new(FolderDisk::create(to).unwrap());
    let recovered = recover(disk.as_ref(), disk.lock().unwrap(), &ScanOptions::default(), &mut |_, _| {}).unwrap();
    let config = LogConfig { segment_bytes: 64 << 20, ballast_bytes: 0, ..LogConfig::default() };
    let mut log = Log::open(disk, config, identity, recovered).unwrap();
    let (mut parts, mut part_count) = (Vec::new(), 0);
    while let Some((_, record)) = reader.next().unwrap() {
        let (stamp, mut payload) = (record.entry, record.payload);
        let mut written = match stamp.stage {
            COLD_STAGE if stamp.kind == BLOB_KIND => {
                let follow = u32::take(&mut payload).unwrap();
                parts.extend_from_slice(payload);
                if follow > 0 {
                    continue;
                }
                Written::Blob(stamp, Box::new(Blob::take(&mut std::mem::take(&mut parts).as_slice()).unwrap()))
            }
            0..COLD_STAGE if stamp.version == BYTES_VERSION => {
                Written::Entry(stamp, Event::take(&mut payload).unwrap())
            }
            _ => Written::Other(stamp, payload.to_vec()),
        };
        edit(&mut written);
        match written {
            Written::Entry(stamp, event) => {
                let mut bytes = Vec::new();
                event.put(&mut bytes);
                log.append(&stamp, &bytes).unwrap();
            }
            Written::Blob(stamp, blob) => {
                let mut bytes = Vec::new();
                blob.put(&mut bytes);
                let parts: Vec<&[u8]> = bytes.chunks(PAYLOAD_BYTES_MAX / 2).collect();
                for (part, follow) in parts.iter().zip((0..u32::try_from(parts.len()).unwrap()).rev()) {
                    let mut bytes = Vec::new();
                    follow.put(&mut bytes);
                    bytes.extend_from_slice(part);
                    part_count += 1;
                    log.append(&Stamp { stage_seq: part_count, ..stamp }, &bytes).unwrap();
                }
            }
            Written::Other(stamp, bytes) => _ = log.append(&stamp, &bytes).unwrap(),
        }
        if log.batch_bytes() > 1 << 20 {
            log.commit().unwrap();
        }
    }
    log.close().unwrap();
}
