//! Records and batches of records (format version 2, magic 2, since Kafka 0.11).
//!
//! A queued *record* is already in wire format, except for what depends on its place in a
//! batch: key, value, and headers with their lengths. So forming a batch copies it only
//! once.

use super::wire::{
    put_i16, put_i32, put_i64, put_length, put_varint, put_varlong, take_varint, varint_length,
};
use super::{Compression, Error};

/// Size in bytes of a batch before its records.
pub const BATCH_OVERHEAD: usize = 61;
/// Maximum number of bytes that a batch adds to a record: length, attributes, and two
/// deltas.
pub const RECORD_OVERHEAD: usize = 16;
/// Offset from which the length of a batch counts.
const AFTER_LENGTH: usize = 12;
/// Offset of the batch's checksum, and of the bytes that it covers.
const CHECKSUM: usize = 17;
const CHECKED: usize = 21;

/// The identity of an idempotent producer, assigned by the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerId {
    /// Producer id, which the cluster assigns (KIP-98).
    pub id: i64,
    /// Producer epoch: brokers reject older ones of the same id.
    pub epoch: i16,
}

/// The position of a batch in a producer's sequence for a partition. Brokers use it to
/// discard repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The producer whose sequence numbers these are.
    pub producer: ProducerId,
    /// Sequence number of the first record.
    pub sequence: i32,
}

impl Place {
    /// The position after `count` records. Sequence numbers wrap around after `i32::MAX` to
    /// 0, as in the Java client.
    #[must_use]
    pub fn after(self, count: usize) -> Self {
        let next = i64::from(self.sequence) + i64::try_from(count).unwrap_or(0);
        let sequence = i32::try_from(next & i64::from(i32::MAX)).unwrap_or(0);
        Self { sequence, ..self }
    }
}

/// Appends a record in queue format; `write` appends its value.
///
/// ```
/// use wecrelay::protocol::kafka::{push_record, record_parts};
/// let mut record = Vec::new();
/// push_record(&mut record, b"ws1", &[("channel", b"System")], |out| out.extend(b"text"));
/// assert_eq!(record_parts(&record), Some((b"ws1".as_slice(), b"text".as_slice())));
/// ```
pub fn push_record<T>(
    out: &mut Vec<u8>,
    key: &[u8],
    headers: &[(&str, &[u8])],
    write: impl FnOnce(&mut Vec<u8>) -> T,
) -> T {
    put_varint(out, key.len());
    out.extend_from_slice(key);
    let start = out.len();
    // Most values have 64 to 8191 bytes, so their two-byte length is reserved and they are
    // not moved.
    out.extend_from_slice(&[0; 2]);
    let begin = out.len();
    let result = write(out);
    let length = out.len().saturating_sub(begin);
    let mut prefix = Vec::new();
    put_varint(&mut prefix, length);
    match out.get_mut(start..begin) {
        Some(place) if place.len() == prefix.len() => place.copy_from_slice(&prefix),
        _ => drop(out.splice(start..begin, prefix)),
    }
    put_varint(out, headers.len());
    for (name, value) in headers {
        put_varint(out, name.len());
        out.extend_from_slice(name.as_bytes());
        put_varint(out, value.len());
        out.extend_from_slice(value);
    }
    result
}

/// Key and value of a queued record; `None` if it is malformed.
#[must_use]
pub fn record_parts(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, value, _) = split(record)?;
    Some((key, value))
}

/// The value of a queued record's header; `None` if it has no such header.
#[must_use]
pub fn record_header<'a>(record: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (_, _, rest) = split(record)?;
    let (count, mut rest) = take_varint(rest)?;
    for _ in 0..count {
        let (key, after) = take_bytes(rest)?;
        let (value, after) = take_bytes(after)?;
        if key == name.as_bytes() {
            return Some(value);
        }
        rest = after;
    }
    None
}

fn split(record: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key, rest) = take_bytes(record)?;
    let (value, rest) = take_bytes(rest)?;
    Some((key, value, rest))
}

fn take_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take_varint(bytes)?;
    rest.split_at_checked(length)
}

/// A batch under construction.
#[derive(Debug)]
pub struct Batch {
    compression: Compression,
    /// Milliseconds since 1970.
    time: i64,
    /// The batch, with room at the front for its header.
    bytes: Vec<u8>,
    count: usize,
}

impl Batch {
    /// An empty batch. All its records have this time, in milliseconds since 1970.
    #[must_use]
    pub fn new(compression: Compression, time: i64) -> Self {
        Self {
            compression,
            time,
            bytes: vec![0; BATCH_OVERHEAD],
            count: 0,
        }
    }

    /// Size in bytes so far, before compression.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it contains no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a record in queue format.
    pub fn push(&mut self, record: &[u8]) {
        let number = self.count;
        let length = 2 + varint_length(number) + record.len();
        put_varint(&mut self.bytes, length);
        // No attributes and a time delta of 0.
        self.bytes.extend_from_slice(&[0, 0]);
        put_varlong(&mut self.bytes, i64::try_from(number).unwrap_or(0));
        self.bytes.extend_from_slice(record);
        self.count += 1;
    }

    /// Completes the batch for sending. `place` is the position of its first record; `None`
    /// without an idempotent producer.
    ///
    /// # Errors
    /// [`Error::Compression`].
    pub fn finish(self, place: Option<Place>) -> Result<Vec<u8>, Error> {
        let mut batch = match self.compression {
            Compression::None => self.bytes,
            compression => {
                let records = self.bytes.get(BATCH_OVERHEAD..).unwrap_or_default();
                let mut batch = vec![0; BATCH_OVERHEAD];
                compression.compress(records, &mut batch)?;
                batch
            }
        };
        let mut head = Vec::with_capacity(BATCH_OVERHEAD);
        put_i64(&mut head, 0);
        put_length(&mut head, batch.len().saturating_sub(AFTER_LENGTH));
        put_i32(&mut head, -1);
        head.push(2);
        put_i32(&mut head, 0);
        put_i16(&mut head, self.compression.attribute());
        put_length(&mut head, self.count.saturating_sub(1));
        put_i64(&mut head, self.time);
        put_i64(&mut head, self.time);
        let unknown = Place {
            producer: ProducerId { id: -1, epoch: -1 },
            sequence: -1,
        };
        let place = place.unwrap_or(unknown);
        put_i64(&mut head, place.producer.id);
        put_i16(&mut head, place.producer.epoch);
        put_i32(&mut head, place.sequence);
        put_length(&mut head, self.count);
        if let Some(room) = batch.get_mut(..BATCH_OVERHEAD) {
            room.copy_from_slice(&head);
        }
        let checked = batch.get(CHECKED..).unwrap_or_default();
        let checksum = crc32c::crc32c(checked).to_be_bytes();
        if let Some(room) = batch.get_mut(CHECKSUM..CHECKED) {
            room.copy_from_slice(&checksum);
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_the_bytes_of_the_specification() {
        let mut record = Vec::new();
        push_record(&mut record, b"k", &[], |out| out.extend(b"v"));
        assert_eq!(record, [2, b'k', 2, b'v', 0]);
        let mut batch = Batch::new(Compression::None, 0x0102);
        batch.push(&record);
        batch.push(&record);
        let producer = ProducerId { id: 7, epoch: 1 };
        let place = Place {
            producer,
            sequence: 5,
        };
        let bytes = batch.finish(Some(place)).unwrap();
        let mut expected = Vec::new();
        expected.extend([0; 8]);
        expected.extend([0, 0, 0, 67]);
        expected.extend([0xff; 4]);
        expected.push(2);
        expected.extend_from_slice(&bytes[17..21]);
        expected.extend([0, 0, 0, 0, 0, 1]);
        expected.extend([0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 2]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 5, 0, 0, 0, 2]);
        expected.extend([16, 0, 0, 0, 2, b'k', 2, b'v', 0]);
        expected.extend([16, 0, 0, 2, 2, b'k', 2, b'v', 0]);
        assert_eq!(bytes, expected);
        assert_eq!(bytes[17..21], crc32c::crc32c(&bytes[21..]).to_be_bytes());
    }

    #[test]
    fn long_and_short_values_and_headers_are_read_back() {
        for length in [0, 1, 63, 64, 8191, 8192, 2_000_000] {
            let value = vec![b'x'; length];
            let mut record = Vec::new();
            push_record(&mut record, b"host", &[("a", b"1"), ("b", b"")], |out| {
                out.extend_from_slice(&value);
            });
            let parts = record_parts(&record).unwrap();
            assert_eq!(parts, (b"host".as_slice(), value.as_slice()), "{length}");
            assert_eq!(record_header(&record, "a"), Some(b"1".as_slice()));
            assert_eq!(record_header(&record, "b"), Some(b"".as_slice()));
            assert_eq!(record_header(&record, "c"), None);
            for end in 0..record.len().min(100) {
                assert_eq!(record_header(&record[..end], "b"), None);
            }
        }
    }

    #[test]
    fn sequence_numbers_start_over() {
        let producer = ProducerId { id: 1, epoch: 0 };
        let place = Place {
            producer,
            sequence: i32::MAX - 1,
        };
        assert_eq!(place.after(1).sequence, i32::MAX);
        assert_eq!(place.after(2).sequence, 0);
        assert_eq!(place.after(5).sequence, 3);
    }
}
