//! The part of the protobuf wire format that OTLP needs.

/// Wire types of protobuf.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// Maximum length of a varint in bytes.
const VARINT_MAX: usize = 10;

/// Appends a varint: seven bits a byte, lowest first.
pub fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

/// Length of a varint in bytes.
#[must_use]
pub fn varint_len(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    usize::try_from(bits.div_ceil(7)).unwrap_or(VARINT_MAX)
}

/// Total length of a field with `length` bytes of content. Valid for field numbers up to
/// 15, whose key is one byte.
#[must_use]
pub fn field_len(length: usize) -> usize {
    1 + varint_len(length) + length
}

/// Appends the header of a field with `length` bytes of content.
pub fn push_length(out: &mut Vec<u8>, field: u32, length: usize) {
    push_varint(out, u64::from(field << 3 | LENGTH));
    push_varint(out, u64::try_from(length).unwrap_or(0));
}

/// Appends a string, bytes, or an encoded message.
pub fn push_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    push_length(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a varint field.
pub fn push_integer(out: &mut Vec<u8>, field: u32, value: u64) {
    push_varint(out, u64::from(field << 3 | VARINT));
    push_varint(out, value);
}

/// Appends a `fixed64` field.
pub fn push_fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    push_varint(out, u64::from(field << 3 | FIXED64));
    out.extend_from_slice(&value.to_le_bytes());
}

/// The content of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A varint, such as an integer, enum, or bool.
    Integer(u64),
    /// Eight bytes, little-endian.
    Fixed64(u64),
    /// Four bytes, little-endian.
    Fixed32(u32),
    /// A string, bytes, or a message.
    Bytes(&'a [u8]),
}

/// Iterates over the fields of a message. An item of `None` means that the message is
/// malformed, and ends the iteration.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// From an encoded message.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(front)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..VARINT_MAX {
            let byte = *self.take(1)?.first()?;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * u32::try_from(place).unwrap_or(0);
            // The tenth byte has room for only one bit.
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = u32::try_from(self.varint()?).ok()?;
        let value = match tag & 7 {
            VARINT => Value::Integer(self.varint()?),
            FIXED64 => Value::Fixed64(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            FIXED32 => Value::Fixed32(u32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            // Groups are obsolete.
            _ => return None,
        };
        (tag >> 3 > 0).then_some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for value in [0, 1, 127, 128, 300, 1 << 32, u64::MAX] {
            let mut out = Vec::new();
            push_integer(&mut out, 3, value);
            if let Ok(size) = usize::try_from(value) {
                assert_eq!(out.len(), 1 + varint_len(size));
            }
            let fields: Vec<_> = Fields::new(&out).collect();
            assert_eq!(fields, [Some((3, Value::Integer(value)))]);
        }
        let mut out = Vec::new();
        push_fixed64(&mut out, 1, 7);
        push_bytes(&mut out, 16, b"text");
        let fields: Vec<_> = Fields::new(&out).collect();
        let expected = [(1, Value::Fixed64(7)), (16, Value::Bytes(b"text"))];
        assert_eq!(fields, expected.map(Some));
    }

    #[test]
    fn what_is_no_message_is_noticed() {
        let too_long = [
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
        ];
        let bad: [&[u8]; 7] = [
            b"\x08",
            b"\x0a\x05ab",
            b"\x09\x01",
            b"\x0b",
            b"\x00\x01",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            &too_long,
        ];
        for message in bad {
            let fields: Vec<_> = Fields::new(message).collect();
            assert_eq!(fields.last(), Some(&None), "{message:?}");
        }
    }
}
