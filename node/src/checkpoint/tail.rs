//! The entries of the ledger as they came, on disk beside the checkpoints: what a node has folded since the oldest one it
//! keeps. A broker whose store was put back has lost them, and a node that was restarted since would know no more of them
//! than its last checkpoint does.
//!
//! One file from one state on: a new one begins with every checkpoint and every start, and what came before the oldest
//! checkpoint goes with it. Entries are written before the node tells anybody how far it is, so a process that is killed
//! loses none that a client holds an answer for; against a machine that loses power there are the other nodes, and the
//! broker, which syncs. Read back, entries are folded on top of a checkpoint before the stream is followed, and the stream
//! is held against the last of them.
//!
//! ```text
//! file:   magic, then records: length u32, digest u128 of what follows, stream sequence u64, stream time i64 (ms),
//!         encoding u8, length of the subject u16, subject, payload; integers little-endian
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};

use bytes::{Buf, BufMut, Bytes};
use pannier_protocol::{Encoding, Incarnation, StreamSequence, Timestamp};
use pannier_streams::consumer::Delivery;
use pannier_streams::stored::StoredDigest;

use super::folder::{Folder, FolderError, TailName, did};
use crate::limits::{TAIL_BYTES_MAX, TAIL_RECORD_BYTES_MAX};

const MAGIC: &[u8; 8] = b"PNTAIL1\n";
/// Length and digest.
const HEAD_BYTES: usize = 4 + 16;

/// Where entries are added.
pub(crate) struct Tail {
    folder: Folder,
    incarnation: Incarnation,
    /// `None`: there is none until the next checkpoint, since the disk did not take the last.
    file: Option<File>,
    buffer: Vec<u8>,
    /// Of this file.
    bytes: u64,
}

impl Tail {
    /// Nothing is kept before [`Tail::turn`].
    pub(crate) fn new(folder: Folder, incarnation: Incarnation) -> Self {
        Self { folder, incarnation, file: None, buffer: Vec::new(), bytes: 0 }
    }

    /// Begins a new file after the entry at `after`: the state there is this node's first, or about to be a checkpoint.
    /// What stands there of a life that this state does not continue is removed.
    pub(crate) fn turn(&mut self, after: StreamSequence) -> Result<(), FolderError> {
        self.flush()?;
        self.file = None;
        did("make", self.folder.path(), fs::create_dir_all(self.folder.path()))?;
        let incarnation = &self.incarnation;
        for name in self.folder.tails(incarnation)?.into_iter().filter(|name| name.after > after) {
            self.folder.remove_tail(&name)?;
        }
        let path = self.folder.tail(&TailName { incarnation: incarnation.clone(), after });
        let mut file = did("make", &path, File::create(&path))?;
        did("write", &path, file.write_all(MAGIC))?;
        (self.file, self.bytes) = (Some(file), 0);
        Ok(())
    }

    /// In memory until [`Tail::flush`].
    pub(crate) fn add(&mut self, delivery: &Delivery) {
        if self.file.is_none() {
            return;
        }
        let start = self.buffer.len();
        self.buffer.put_bytes(0, HEAD_BYTES);
        self.buffer.put_u64_le(delivery.stream_sequence.0);
        self.buffer.put_i64_le(delivery.stream_time.millis());
        self.buffer.put_u8(match delivery.encoding {
            None => 0,
            Some(Encoding::MessagePack) => 1,
            Some(Encoding::Json) => 2,
        });
        // A subject that is longer is none of ours, and its entry poison wherever it is read.
        let subject = &delivery.subject.as_bytes()[..delivery.subject.len().min(usize::from(u16::MAX))];
        self.buffer.put_u16_le(subject.len() as u16);
        self.buffer.put_slice(subject);
        self.buffer.put_slice(&delivery.payload);
        let record = &self.buffer[start + HEAD_BYTES..];
        let (length, digest) = (record.len() as u32, digest(record));
        let mut head = &mut self.buffer[start..start + HEAD_BYTES];
        head.put_u32_le(length);
        head.put_u128_le(digest);
    }

    /// Hands what was added to the operating system, and says whether a checkpoint is due because there is so much of it;
    /// once a file. After a failure nothing is kept until the next checkpoint.
    pub(crate) fn flush(&mut self) -> Result<bool, FolderError> {
        let Some(file) = &mut self.file else { return Ok(false) };
        let (written, length) = (file.write_all(&self.buffer), self.buffer.len() as u64);
        self.buffer.clear();
        if let Err(error) = written {
            self.file = None;
            return did("write a tail into", self.folder.path(), Err(error));
        }
        let before = self.bytes;
        self.bytes += length;
        Ok(before < TAIL_BYTES_MAX && self.bytes >= TAIL_BYTES_MAX)
    }
}

/// Every entry after `after` that was kept without a gap, in order; how many there were. A torn end is where a process was
/// killed; anything else that cannot be read ends it as well, and is said.
pub(crate) fn read(
    folder: &Folder,
    incarnation: &Incarnation,
    after: StreamSequence,
    mut take: impl FnMut(Delivery) -> bool,
) -> Result<u64, FolderError> {
    let names = folder.tails(incarnation)?;
    let (mut last, mut count) = (after, 0);
    for (at, name) in names.iter().enumerate() {
        let end = names.get(at + 1).map(|next| next.after);
        if end.is_some_and(|end| end <= last) {
            continue;
        }
        if name.after > last {
            break;
        }
        let path = folder.tail(name);
        let mut file = BufReader::new(did("read", &path, File::open(&path))?);
        let mut magic = [0; MAGIC.len()];
        if file.read_exact(&mut magic).is_err() || magic != *MAGIC {
            tracing::warn!(%name, "a tail is none of this build's, going on without it");
            break;
        }
        while let Some(delivery) = did("read", &path, record(&mut file))? {
            let sequence = delivery.stream_sequence;
            // What is past the next file's state was given up when that began.
            if sequence <= last || end.is_some_and(|end| sequence > end) {
                continue;
            }
            if !take(delivery) {
                return Ok(count);
            }
            (last, count) = (sequence, count + 1);
        }
    }
    Ok(count)
}

/// `None`: the end, torn or not.
fn record(file: &mut impl Read) -> io::Result<Option<Delivery>> {
    let mut head = [0; HEAD_BYTES];
    if !filled(file, &mut head)? {
        return Ok(None);
    }
    let mut head = head.as_slice();
    let (length, digest_of) = (head.get_u32_le() as usize, head.get_u128_le());
    if length > TAIL_RECORD_BYTES_MAX {
        return Ok(None);
    }
    let mut record = vec![0; length];
    if !filled(file, &mut record)? || digest(&record) != digest_of {
        return Ok(None);
    }
    Ok(delivery(Bytes::from(record)))
}

fn delivery(mut record: Bytes) -> Option<Delivery> {
    let stream_sequence = StreamSequence(record.try_get_u64_le().ok()?);
    let stream_time = Timestamp::from_millis(record.try_get_i64_le().ok()?);
    let encoding = match record.try_get_u8().ok()? {
        1 => Some(Encoding::MessagePack),
        2 => Some(Encoding::Json),
        _ => None,
    };
    let length = usize::from(record.try_get_u16_le().ok()?);
    let subject = (record.len() >= length).then(|| record.split_to(length))?;
    let subject = std::str::from_utf8(&subject).ok()?.to_owned().into();
    Some(Delivery { subject, stream_sequence, stream_time, encoding, payload: record })
}

/// False where the file ends before.
fn filled(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn digest(record: &[u8]) -> u128 {
    StoredDigest::of("tail", record).0
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;
    use crate::config::Checkpoint;

    fn entry(sequence: u64) -> Delivery {
        Delivery {
            subject: "pna.v1.ledger.control".into(),
            stream_sequence: StreamSequence(sequence),
            stream_time: Timestamp::from_millis(1_000 + sequence as i64),
            encoding: Some(Encoding::Json),
            payload: Bytes::from(format!("payload {sequence}")),
        }
    }

    struct World {
        _folder: tempfile::TempDir,
        folder: Folder,
        incarnation: Incarnation,
    }

    impl World {
        fn new() -> Self {
            let own = tempfile::tempdir().unwrap();
            let config = Checkpoint { folder: own.path().to_owned(), ..Checkpoint::default() };
            let folder = Folder::of(&config).unwrap();
            Self { _folder: own, folder, incarnation: Incarnation::new("7f3a").unwrap() }
        }

        fn begin(&self, after: u64) -> Tail {
            let mut tail = Tail::new(self.folder.clone(), self.incarnation.clone());
            tail.turn(StreamSequence(after)).unwrap();
            tail
        }

        fn write(&self, tail: &mut Tail, sequences: impl IntoIterator<Item = u64>) {
            sequences.into_iter().for_each(|sequence| tail.add(&entry(sequence)));
            tail.flush().unwrap();
        }

        fn read(&self, after: u64) -> Vec<u64> {
            let mut found = Vec::new();
            let take = |delivery: Delivery| {
                let same = entry(delivery.stream_sequence.0);
                assert_eq!((&*delivery.subject, &delivery.payload), (&*same.subject, &same.payload));
                assert_eq!((delivery.stream_time, delivery.encoding), (same.stream_time, same.encoding));
                found.push(delivery.stream_sequence.0);
                true
            };
            let count = read(&self.folder, &self.incarnation, StreamSequence(after), take).unwrap();
            assert_eq!(count, found.len() as u64);
            found
        }
    }

    #[test]
    fn entries_are_read_back_from_any_state_that_they_follow() {
        let world = World::new();
        let mut tail = world.begin(3);
        world.write(&mut tail, [4, 5, 9]);
        tail.turn(StreamSequence(9)).unwrap();
        world.write(&mut tail, [10, 11]);
        assert_eq!(world.read(3), [4, 5, 9, 10, 11]);
        assert_eq!(world.read(5), [9, 10, 11]);
        assert_eq!(world.read(9), [10, 11]);
        assert_eq!(world.read(2), Vec::<u64>::new(), "what is between is not there");
        assert_eq!(world.read(11), Vec::<u64>::new());
    }

    #[test]
    fn a_torn_or_damaged_end_loses_no_more_than_itself() {
        let world = World::new();
        let mut tail = world.begin(0);
        world.write(&mut tail, 1..=3);
        let path = world.folder.tail(&world.folder.tails(&world.incarnation).unwrap()[0]);
        let whole = fs::read(&path).unwrap();
        for cut in 1..40 {
            OpenOptions::new().write(true).open(&path).unwrap().set_len((whole.len() - cut) as u64).unwrap();
            assert_eq!(world.read(0), [1, 2], "{cut} bytes less");
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&path, damaged).unwrap();
        assert_eq!(world.read(0), [1, 2]);
        fs::write(&path, b"PNTAIL9\n").unwrap();
        assert_eq!(world.read(0), Vec::<u64>::new());
    }

    #[test]
    fn what_another_state_continued_is_given_up() {
        let world = World::new();
        let mut tail = world.begin(0);
        world.write(&mut tail, 1..=5);
        tail.turn(StreamSequence(5)).unwrap();
        world.write(&mut tail, 6..=8);
        // Started from an older state: the ledger went on otherwise from there.
        let mut tail = world.begin(3);
        world.write(&mut tail, [4, 20]);
        assert_eq!(world.read(0), [1, 2, 3, 4, 20]);
        assert_eq!(world.read(3), [4, 20]);
    }
}
