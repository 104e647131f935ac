//! The list of attributes in TargetInfo and in NTLMv2 responses (MS-NLMP 2.2.2.1).

use crate::base::clock::FileTime;
use crate::base::wire::{self, Reader};
use crate::protocol::ntlm::layout::{MAX_AV_PAIRS, ParseError};

/// Bit of the `Flags` pair: the AUTHENTICATE message contains a MIC.
pub const AV_MIC_PRESENT: u32 = 2;

/// One attribute. Text is UTF-16LE on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvPair {
    /// Id 1: NetBIOS name of the server.
    NbComputerName(String),
    /// Id 2: NetBIOS name of its domain, or its own name.
    NbDomainName(String),
    /// Id 3: fully qualified host name of the server.
    DnsComputerName(String),
    /// Id 4: DNS name of its domain.
    DnsDomainName(String),
    /// Id 5: DNS name of the forest.
    DnsTreeName(String),
    /// Id 6: flags set by the client; see [`AV_MIC_PRESENT`].
    Flags(u32),
    /// Id 7: the server's time. If it is present, clients use it and add a MIC.
    Timestamp(FileTime),
    /// Id 9: service principal name that the client wants to talk to.
    TargetName(String),
    /// Id 10: MD5 of the channel bindings; zeros mean none.
    ChannelBindings([u8; 16]),
    /// Any other id, with its unparsed value.
    Other(u16, Vec<u8>),
}

/// An ordered list of attributes, without its terminator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AvPairs(pub Vec<AvPair>);

impl AvPairs {
    /// Parses pairs up to the terminator and ignores what follows it.
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(data);
        let mut pairs = Vec::new();
        loop {
            let at = reader.offset();
            let (id, length) = (reader.u16()?, reader.u16()?);
            let value = reader.bytes(usize::from(length))?;
            if id == 0 {
                return Ok(Self(pairs));
            }
            if pairs.len() == MAX_AV_PAIRS {
                return Err(ParseError::TooManyPairs { offset: at });
            }
            pairs.push(AvPair::parse(id, value).ok_or(ParseError::Pair { id, offset: at })?);
        }
    }

    /// Appends the pairs and the terminator. Values over 65,535 bytes are truncated.
    pub fn emit(&self, out: &mut Vec<u8>) {
        for pair in &self.0 {
            pair.emit(out);
        }
        out.extend([0; 4]);
    }

    /// Value of the `Flags` pair, 0 if there is none.
    #[must_use]
    pub fn flags(&self) -> u32 {
        let flags = |pair: &AvPair| match pair {
            AvPair::Flags(flags) => Some(*flags),
            _ => None,
        };
        self.0.iter().find_map(flags).unwrap_or(0)
    }

    /// Value of the `Timestamp` pair; `None` if there is none.
    #[must_use]
    pub fn timestamp(&self) -> Option<FileTime> {
        self.0.iter().find_map(|pair| match pair {
            AvPair::Timestamp(time) => Some(*time),
            _ => None,
        })
    }

    /// Value of the `TargetName` pair; `None` if there is none.
    #[must_use]
    pub fn target_name(&self) -> Option<&str> {
        self.0.iter().find_map(|pair| match pair {
            AvPair::TargetName(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// MD5 of the channel bindings; `None` if the pair is missing or all zeros.
    #[must_use]
    pub fn channel_bindings(&self) -> Option<[u8; 16]> {
        self.0.iter().find_map(|pair| match pair {
            AvPair::ChannelBindings(hash) if *hash != [0; 16] => Some(*hash),
            _ => None,
        })
    }
}

impl AvPair {
    fn parse(id: u16, value: &[u8]) -> Option<Self> {
        let text = || {
            value
                .len()
                .is_multiple_of(2)
                .then(|| wire::from_utf16(value))
        };
        Some(match id {
            1 => Self::NbComputerName(text()?),
            2 => Self::NbDomainName(text()?),
            3 => Self::DnsComputerName(text()?),
            4 => Self::DnsDomainName(text()?),
            5 => Self::DnsTreeName(text()?),
            6 => Self::Flags(u32::from_le_bytes(value.try_into().ok()?)),
            7 => Self::Timestamp(FileTime::from_le_bytes(value.try_into().ok()?)),
            9 => Self::TargetName(text()?),
            10 => Self::ChannelBindings(value.try_into().ok()?),
            _ => Self::Other(id, value.to_vec()),
        })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::NbComputerName(name) => put(out, 1, &wire::utf16(name)),
            Self::NbDomainName(name) => put(out, 2, &wire::utf16(name)),
            Self::DnsComputerName(name) => put(out, 3, &wire::utf16(name)),
            Self::DnsDomainName(name) => put(out, 4, &wire::utf16(name)),
            Self::DnsTreeName(name) => put(out, 5, &wire::utf16(name)),
            Self::Flags(flags) => put(out, 6, &flags.to_le_bytes()),
            Self::Timestamp(time) => put(out, 7, &time.to_le_bytes()),
            Self::TargetName(name) => put(out, 9, &wire::utf16(name)),
            Self::ChannelBindings(hash) => put(out, 10, hash),
            Self::Other(id, value) => put(out, *id, value),
        }
    }
}

fn put(out: &mut Vec<u8>, id: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend(id.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(value.iter().take(usize::from(length)));
}
