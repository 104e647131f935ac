//! The PROXY protocol, versions 1 and 2: a header with which a load balancer states where a
//! connection comes from (HAProxy's `proxy-protocol.txt`, sections 2.1 and 2.2). It is read
//! before TLS and HTTP, and only from configured balancers, because anyone could send it.
//!
//! ```
//! use wecrelay::protocol::proxy::Header;
//! let text = b"PROXY TCP4 192.0.2.7 192.0.2.1 50123 5985\r\nPOST /wsman";
//! let header = Header::parse(text)?.unwrap();
//! assert_eq!(header.source, Some([192, 0, 2, 7].into()));
//! assert_eq!(&text[header.size..], b"POST /wsman");
//! # Ok::<(), wecrelay::protocol::proxy::Error>(())
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Maximum size of a header in bytes; addresses and what balancers add to them take less
/// than 1 KiB.
pub const MAX_HEADER: usize = 4096;

/// The first bytes of version 1.
const TEXT: &[u8] = b"PROXY ";
/// Maximum size of version 1 in bytes, line end included (section 2.1).
const MAX_TEXT: usize = 107;
/// The first bytes of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Size of signature, command, family, and length.
const BINARY: usize = 16;

/// What a balancer states about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The address that connected to the balancer; `None` if the connection is the
    /// balancer's own (a health check), or if it does not know.
    pub source: Option<IpAddr>,
    /// Size of the header in bytes.
    pub size: usize,
}

/// Why bytes are not a valid header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// They are something else.
    Absent,
    /// Version 1 that violates its grammar.
    Text,
    /// Version 2 with this unknown version and command byte.
    Command(u8),
    /// Version 2 with this unknown family and protocol byte.
    Family(u8),
    /// Version 2 that is too short for its addresses.
    Short {
        /// Declared length in bytes.
        found: usize,
        /// Length that the addresses need.
        least: usize,
    },
    /// Longer than [`MAX_HEADER`].
    TooLong(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no PROXY header, which is required from this address"),
            Self::Text => f.write_str("malformed PROXY header of version 1"),
            Self::Command(byte) => write!(f, "PROXY header of unknown command {byte:#04x}"),
            Self::Family(byte) => write!(f, "PROXY header of unknown family {byte:#04x}"),
            Self::Short { found, least } => {
                write!(
                    f,
                    "PROXY header with {found} bytes of {least} for addresses"
                )
            }
            Self::TooLong(size) => {
                write!(f, "PROXY header of {size} bytes, {MAX_HEADER} are allowed")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Whether the first bytes of a connection, as far as they have arrived, begin a header.
#[must_use]
pub fn is_start(bytes: &[u8]) -> bool {
    !bytes.is_empty() && (is_prefix(bytes, TEXT) || is_prefix(bytes, SIGNATURE))
}

fn is_prefix(bytes: &[u8], of: &[u8]) -> bool {
    bytes
        .iter()
        .zip(of)
        .all(|(byte, expected)| byte == expected)
}

impl Header {
    /// Parses the header at the front of `bytes`; `None` if more bytes are needed.
    ///
    /// # Errors
    /// Reported as soon as the bytes cannot become a header.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        match bytes {
            [] => Ok(None),
            _ if !is_start(bytes) => Err(Error::Absent),
            [b'P', ..] => text(bytes),
            _ => binary(bytes),
        }
    }
}

/// Version 1: `PROXY TCP4 SOURCE DESTINATION PORT PORT`, or `PROXY UNKNOWN` followed by
/// anything.
fn text(bytes: &[u8]) -> Result<Option<Header>, Error> {
    let searched = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', searched) else {
        return match searched.len() {
            MAX_TEXT => Err(Error::Text),
            _ => Ok(None),
        };
    };
    let line = searched.get(TEXT.len()..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").ok_or(Error::Text)?;
    let line = std::str::from_utf8(line).map_err(|_| Error::Text)?;
    let words: Vec<&str> = line.split(' ').collect();
    let source = match *words {
        ["TCP4", source, destination, from, to] => {
            addresses::<Ipv4Addr>([source, destination], [from, to]).map(IpAddr::V4)
        }
        ["TCP6", source, destination, from, to] => {
            addresses::<Ipv6Addr>([source, destination], [from, to]).map(IpAddr::V6)
        }
        ["UNKNOWN", ..] => return Ok(Some(header(None, end + 1))),
        _ => None,
    };
    let source = source.ok_or(Error::Text)?;
    Ok(Some(header(Some(source), end + 1)))
}

/// The source address, if all four values are valid.
fn addresses<A: FromStr>(addresses: [&str; 2], ports: [&str; 2]) -> Option<A> {
    let is_port =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && u16::from_str(text).is_ok();
    let [source, destination] = addresses.map(|text| A::from_str(text).ok());
    source.filter(|_| destination.is_some() && ports.into_iter().all(is_port))
}

/// Version 2. The TLVs after the addresses (2.2.2) are skipped.
fn binary(bytes: &[u8]) -> Result<Option<Header>, Error> {
    let Some(head) = bytes.first_chunk::<BINARY>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let size = BINARY + length;
    if size > MAX_HEADER {
        return Err(Error::TooLong(size));
    }
    let Some(rest) = bytes.get(BINARY..size) else {
        return Ok(None);
    };
    let source = match command {
        // LOCAL: the balancer's own connection, whatever addresses follow.
        0x20 => None,
        0x21 => source(family, rest)?,
        _ => return Err(Error::Command(command)),
    };
    Ok(Some(header(source, size)))
}

fn source(family: u8, rest: &[u8]) -> Result<Option<IpAddr>, Error> {
    let short = |least| Error::Short {
        found: rest.len(),
        least,
    };
    match family {
        0x11 => {
            let block: &[u8; 12] = rest.first_chunk().ok_or(short(12))?;
            let [a, b, c, d, ..] = *block;
            Ok(Some([a, b, c, d].into()))
        }
        0x21 => {
            let block: &[u8; 36] = rest.first_chunk().ok_or(short(36))?;
            let source: Option<&[u8; 16]> = block.first_chunk();
            Ok(source.map(|source| IpAddr::from(*source)))
        }
        // No address, or that of a Unix socket, which identifies no host.
        0x00 | 0x31 => Ok(None),
        _ => Err(Error::Family(family)),
    }
}

/// Maps `::ffff:a.b.c.d` to `a.b.c.d`, as everywhere.
fn header(source: Option<IpAddr>, size: usize) -> Header {
    let source = source.map(|address| address.to_canonical());
    Header { source, size }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use super::*;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family, high, low], rest].concat()
    }

    /// Parses it cut at every byte, whole, and with something after it.
    #[track_caller]
    fn source_of(header: &[u8]) -> Option<IpAddr> {
        for cut in 0..header.len() {
            assert_eq!(Header::parse(&header[..cut]), Ok(None), "cut at {cut}");
        }
        let found = Header::parse(header).unwrap().unwrap();
        assert_eq!(found.size, header.len());
        let more = [header, b"POST \xff"].concat();
        assert_eq!(Header::parse(&more), Ok(Some(found)));
        found.source
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn text_names_the_source() {
        let cases = [
            ("TCP4 192.0.2.7 192.0.2.1 50123 5985", address("192.0.2.7")),
            // The examples of 2.1.
            (
                "TCP4 192.168.0.1 192.168.0.11 56324 443",
                address("192.168.0.1"),
            ),
            (
                "TCP4 255.255.255.255 255.255.255.255 65535 65535",
                address("255.255.255.255"),
            ),
            (
                "TCP6 2001:db8::7 2001:db8::1 0 65535",
                address("2001:db8::7"),
            ),
            ("TCP6 ::ffff:192.0.2.7 ::1 1 2", address("192.0.2.7")),
            ("UNKNOWN", None),
            ("UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535", None),
        ];
        for (words, expected) in cases {
            let header = format!("PROXY {words}\r\n");
            assert_eq!(source_of(header.as_bytes()), expected, "{words}");
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        let cases = [
            "TCP4 192.0.2.7 192.0.2.1 50123",
            "TCP4 192.0.2.7 192.0.2.1 50123 5985 1",
            "TCP4  192.0.2.7 192.0.2.1 50123 5985",
            "TCP4 2001:db8::7 2001:db8::1 1 2",
            "TCP6 192.0.2.7 192.0.2.1 1 2",
            "TCP4 192.0.2.7 name 1 2",
            "TCP4 192.0.2.7 192.0.2.1 +1 2",
            "TCP4 192.0.2.7 192.0.2.1 1 65536",
            "UDP4 192.0.2.7 192.0.2.1 1 2",
            "",
        ];
        for words in cases {
            let header = format!("PROXY {words}\r\n");
            assert_eq!(
                Header::parse(header.as_bytes()),
                Err(Error::Text),
                "{words}"
            );
        }
        let bare = b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n";
        assert_eq!(Header::parse(bare), Err(Error::Text));
    }

    #[test]
    fn text_has_its_longest_line() {
        let line = |size: usize| format!("{:x<1$}\r\n", "PROXY UNKNOWN ", size - 2);
        assert_eq!(source_of(line(MAX_TEXT).as_bytes()), None);
        assert_eq!(
            Header::parse(line(MAX_TEXT + 1).as_bytes()),
            Err(Error::Text)
        );
        assert_eq!(Header::parse(&[b'P'; 1]), Ok(None));
    }

    #[test]
    fn binary_names_the_source() {
        let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0xc3, 0xcb, 0x17, 0x61];
        assert_eq!(source_of(&binary(0x21, 0x11, &v4)), address("192.0.2.7"));
        // With a unique id behind the addresses.
        let more = [&v4[..], &[5, 0, 2, 1, 2]].concat();
        assert_eq!(source_of(&binary(0x21, 0x11, &more)), address("192.0.2.7"));
        let v6: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let block = [&v6.octets()[..], &[0; 20]].concat();
        assert_eq!(
            source_of(&binary(0x21, 0x21, &block)),
            address("2001:db8::7")
        );
        for (command, family, rest) in [
            (0x20, 0, &[][..]),
            (0x20, 0x11, &v4),
            (0x20, 0xee, &v4),
            (0x21, 0, &[]),
            (0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(source_of(&binary(command, family, rest)), None);
        }
    }

    #[test]
    fn malformed_binary_is_refused() {
        let found = |header: &[u8]| Header::parse(header);
        let [v4, v6] = [[0; 12].as_slice(), &[0; 36]];
        assert_eq!(found(&binary(0x11, 0x11, v4)), Err(Error::Command(0x11)));
        assert_eq!(found(&binary(0x22, 0x11, v4)), Err(Error::Command(0x22)));
        assert_eq!(found(&binary(0x21, 0x12, v4)), Err(Error::Family(0x12)));
        let short = |found, least| Err(Error::Short { found, least });
        assert_eq!(found(&binary(0x21, 0x11, &v4[1..])), short(11, 12));
        assert_eq!(found(&binary(0x21, 0x21, &v6[1..])), short(35, 36));
        let longest = vec![0; MAX_HEADER - BINARY];
        assert_eq!(source_of(&binary(0x20, 0, &longest)), None);
        let longer = vec![0; MAX_HEADER - BINARY + 1];
        assert_eq!(
            found(&binary(0x20, 0, &longer)[..BINARY]),
            Err(Error::TooLong(MAX_HEADER + 1))
        );
    }

    #[test]
    fn other_protocols_are_told_at_their_first_byte_that_differs() {
        for bytes in [
            &b"POST /"[..],
            b"PROXX",
            b"\x16\x03\x01",
            b"\r\n\r\n\r",
            b"GET",
        ] {
            assert_eq!(Header::parse(bytes), Err(Error::Absent));
            assert!(!is_start(bytes));
        }
        assert!(!is_start(b""));
    }
}
