//! Sections of records, cut into frames of bounded size.
//!
//! ```text
//! "PNRCHKPT" version:u32   then frames:
//! section:u8 kind:u8 0:u16  plain:u32 packed:u32  checksum:u64  packed bytes
//! ```
//!
//! Little-endian. A frame of kind 0 holds LZ4 of a piece of its section's records (`length:u32 bytes`, which may go on in
//! the next frame); its checksum is XXH3-64 of the packed bytes, seeded with section, kind and both lengths. A frame of
//! kind 1 ends its section with rows, bytes and XXH3-64 of all of them. A record is one MessagePack value. What reads
//! frames needs them in no larger piece than they come in, so they can be sent as they are.

use serde::Serialize;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::head::FORMAT_VERSION;
use crate::limits::CHECKPOINT_FRAME_BYTES;

pub(super) const MAGIC: &[u8; 8] = b"PNRCHKPT";
pub(super) const FRAME_HEAD_BYTES: usize = 20;
/// Magic and version.
pub(super) const PREFIX_BYTES: usize = 12;

/// A part of a checkpoint; they come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Section {
    Head = 1,
    Ids = 2,
    Fold = 3,
    Statuses = 4,
    Chains = 5,
    Stock = 6,
    Promises = 7,
    Orders = 8,
    Catalog = 9,
    Prices = 10,
    /// Has no records: what ends with it is whole.
    End = 11,
}

impl Section {
    pub const ALL: [Self; 11] = [
        Self::Head,
        Self::Ids,
        Self::Fold,
        Self::Statuses,
        Self::Chains,
        Self::Stock,
        Self::Promises,
        Self::Orders,
        Self::Catalog,
        Self::Prices,
        Self::End,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Ids => "ids",
            Self::Fold => "fold",
            Self::Statuses => "statuses",
            Self::Chains => "chains",
            Self::Stock => "stock",
            Self::Promises => "promises",
            Self::Orders => "orders",
            Self::Catalog => "catalog",
            Self::Prices => "prices",
            Self::End => "end",
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|section| *section as u8 == number)
    }
}

/// What takes the bytes takes no more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what takes the checkpoint ended")]
pub struct SinkClosed;

pub(super) type Sink<'s> = dyn FnMut(&[u8]) -> Result<(), SinkClosed> + 's;

/// Checksum of a frame's content and of what its head says.
pub(super) fn checksum(section: u8, kind: u8, plain: u32, packed: &[u8]) -> u64 {
    let seed = (u64::from(section) << 40) | (u64::from(kind) << 32) | u64::from(plain);
    xxh3_64_with_seed(packed, seed)
}

/// Packs records into frames.
pub(super) struct FrameWriter<'s> {
    sink: &'s mut Sink<'s>,
    section: Section,
    buffer: Vec<u8>,
    record: Vec<u8>,
    hash: Xxh3,
    rows: u64,
    bytes: u64,
    /// Of the sections that ended.
    rows_total: u64,
}

impl<'s> FrameWriter<'s> {
    pub(super) fn begin(sink: &'s mut Sink<'s>) -> Result<Self, SinkClosed> {
        let mut prefix = MAGIC.to_vec();
        prefix.extend(FORMAT_VERSION.to_le_bytes());
        sink(&prefix)?;
        let buffer = Vec::with_capacity(CHECKPOINT_FRAME_BYTES);
        let (record, hash) = (Vec::new(), Xxh3::new());
        Ok(Self { sink, section: Section::Head, buffer, record, hash, rows: 0, bytes: 0, rows_total: 0 })
    }

    /// Of `section`, which is the one at hand. `rows` is what it counts as.
    pub(super) fn record<T: Serialize>(&mut self, value: &T, rows: u64) -> Result<(), SinkClosed> {
        self.record.clear();
        let mut serializer = rmp_serde::Serializer::new(&mut self.record).with_struct_map();
        let written = value.serialize(&mut serializer);
        self.put(written.is_ok(), rows)
    }

    /// The same without the names of fields: for rows, of which there are many.
    pub(super) fn compact<T: Serialize>(&mut self, value: &T, rows: u64) -> Result<(), SinkClosed> {
        self.record.clear();
        let written = value.serialize(&mut rmp_serde::Serializer::new(&mut self.record));
        self.put(written.is_ok(), rows)
    }

    fn put(&mut self, written: bool, rows: u64) -> Result<(), SinkClosed> {
        assert!(written, "state serializes into memory without failing");
        let length = u32::try_from(self.record.len()).expect("records are bounded by what messages are");
        let record = std::mem::take(&mut self.record);
        self.rows += rows;
        self.bytes += record.len() as u64 + 4;
        self.fill(&length.to_le_bytes())?;
        self.fill(&record)?;
        self.record = record;
        Ok(())
    }

    fn fill(&mut self, mut bytes: &[u8]) -> Result<(), SinkClosed> {
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let room = CHECKPOINT_FRAME_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == CHECKPOINT_FRAME_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkClosed> {
        let plain = self.buffer.len() as u32;
        let packed = lz4_flex::block::compress(&self.buffer);
        self.buffer.clear();
        self.frame(0, plain, &packed)
    }

    fn frame(&mut self, kind: u8, plain: u32, packed: &[u8]) -> Result<(), SinkClosed> {
        let section = self.section as u8;
        let mut frame = Vec::with_capacity(FRAME_HEAD_BYTES + packed.len());
        frame.extend([section, kind, 0, 0]);
        frame.extend(plain.to_le_bytes());
        frame.extend((packed.len() as u32).to_le_bytes());
        frame.extend(checksum(section, kind, plain, packed).to_le_bytes());
        frame.extend(packed);
        (self.sink)(&frame)
    }

    pub(super) fn rows_total(&self) -> u64 {
        self.rows_total
    }

    /// Ends the section at hand and begins the next.
    pub(super) fn end(&mut self, next: Section) -> Result<(), SinkClosed> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        let mut sums = Vec::with_capacity(24);
        for number in [self.rows, self.bytes, self.hash.digest()] {
            sums.extend(number.to_le_bytes());
        }
        self.frame(1, sums.len() as u32, &sums)?;
        self.rows_total += self.rows;
        (self.section, self.rows, self.bytes) = (next, 0, 0);
        self.hash.reset();
        Ok(())
    }
}
