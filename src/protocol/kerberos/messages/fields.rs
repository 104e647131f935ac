//! The field types of Kerberos messages, as tolerant as real implementations require.

use std::fmt;

use der::{
    Decode, DecodeValue, Encode, EncodeValue, Error, ErrorKind, FixedTag, Header, Length, Reader,
    Tag, TagNumber, Writer,
};
use zeroize::Zeroizing;

/// `[APPLICATION N]` around a value; explicit, as all tags of RFC 4120.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application<const N: u32, T>(
    /// The tagged value.
    pub T,
);

impl<const N: u32, T> FixedTag for Application<N, T> {
    const TAG: Tag = Tag::Application {
        constructed: true,
        number: TagNumber(N),
    };
}

impl<'a, const N: u32, T: Decode<'a, Error = Error>> DecodeValue<'a> for Application<N, T> {
    type Error = Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> Result<Self, Error> {
        T::decode(reader).map(Self)
    }
}

impl<const N: u32, T: Encode> EncodeValue for Application<N, T> {
    fn value_len(&self) -> Result<Length, Error> {
        self.0.encoded_len()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> Result<(), Error> {
        self.0.encode(writer)
    }
}

/// An INTEGER of at most 64 bits, minimal or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(
    /// The value, sign included.
    pub i64,
);

impl Number {
    /// The value as 32 unsigned bits, because some implementations encode sequence numbers
    /// as signed.
    #[must_use]
    pub fn to_u32(self) -> u32 {
        u32::try_from(self.0.rem_euclid(1 << 32)).unwrap_or_default()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FixedTag for Number {
    const TAG: Tag = Tag::Integer;
}

impl<'a> DecodeValue<'a> for Number {
    type Error = Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> Result<Self, Error> {
        let length = usize::try_from(header.length())?;
        let mut bytes = [0; 8];
        let Some(used) = bytes.get_mut(..length).filter(|used| !used.is_empty()) else {
            return Err(reader.error(ErrorKind::Length { tag: Self::TAG }));
        };
        reader.read_into(used)?;
        let fill: i64 = if used.first().is_some_and(|first| first & 0x80 != 0) {
            -1
        } else {
            0
        };
        let push = |sum: i64, byte: &u8| sum << 8 | i64::from(*byte);
        Ok(Self(used.iter().fold(fill, push)))
    }
}

impl EncodeValue for Number {
    fn value_len(&self) -> Result<Length, Error> {
        self.0.value_len()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> Result<(), Error> {
        self.0.encode_value(writer)
    }
}

/// KerberosFlags: a BIT STRING of which only the first 32 bits are used (RFC 4120 5.2.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(
    /// Bit 0 of the specification is the most significant.
    pub u32,
);

impl Flags {
    /// Whether any of these bits is set.
    #[must_use]
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

impl FixedTag for Flags {
    const TAG: Tag = Tag::BitString;
}

impl<'a> DecodeValue<'a> for Flags {
    type Error = Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> Result<Self, Error> {
        let bytes = reader.read_vec(header.length())?;
        let (_unused, bits) = bytes
            .split_first()
            .ok_or_else(|| reader.error(ErrorKind::Length { tag: Self::TAG }))?;
        let mut first = [0; 4];
        first
            .iter_mut()
            .zip(bits)
            .for_each(|(slot, byte)| *slot = *byte);
        Ok(Self(u32::from_be_bytes(first)))
    }
}

impl EncodeValue for Flags {
    fn value_len(&self) -> Result<Length, Error> {
        Ok(Length::new(5))
    }

    fn encode_value(&self, writer: &mut impl Writer) -> Result<(), Error> {
        writer.write_byte(0)?;
        writer.write(&self.0.to_be_bytes())
    }
}

/// KerberosString: a GeneralString, in practice UTF-8 (RFC 4120 5.2.1; Windows does not
/// restrict it to ASCII).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(
    /// The text; invalid UTF-8 is replaced.
    pub String,
);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FixedTag for Text {
    const TAG: Tag = Tag::GeneralString;
}

impl<'a> DecodeValue<'a> for Text {
    type Error = Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> Result<Self, Error> {
        let bytes = reader.read_vec(header.length())?;
        Ok(Self(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl EncodeValue for Text {
    fn value_len(&self) -> Result<Length, Error> {
        Length::try_from(self.0.len())
    }

    fn encode_value(&self, writer: &mut impl Writer) -> Result<(), Error> {
        writer.write(self.0.as_bytes())
    }
}

/// An OCTET STRING, which may contain a secret: wiped on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(
    /// Its bytes.
    pub Zeroizing<Vec<u8>>,
);

impl Octets {
    /// Copies these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Octets({} bytes)", self.0.len())
    }
}

impl FixedTag for Octets {
    const TAG: Tag = Tag::OctetString;
}

impl<'a> DecodeValue<'a> for Octets {
    type Error = Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> Result<Self, Error> {
        Ok(Self(Zeroizing::new(reader.read_vec(header.length())?)))
    }
}

impl EncodeValue for Octets {
    fn value_len(&self) -> Result<Length, Error> {
        Length::try_from(self.0.len())
    }

    fn encode_value(&self, writer: &mut impl Writer) -> Result<(), Error> {
        writer.write(&self.0)
    }
}
