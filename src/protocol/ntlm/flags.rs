//! The capabilities that NTLM negotiates.

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

/// The 32 bits of NegotiateFlags (MS-NLMP 2.2.2.5).
///
/// ```
/// use wecrelay::protocol::ntlm::messages::Flags;
/// let flags = Flags::from_bits(0x0000_0031);
/// assert!(flags.contains(Flags::SIGN | Flags::SEAL));
/// assert_eq!(flags.first_missing(Flags::SEAL | Flags::KEY_EXCH), Some(Flags::KEY_EXCH));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// Text is UTF-16LE; required outside TLS.
    pub const UNICODE: Self = Self(0x0000_0001);
    /// Text may be in the machine's code page, which is not known here.
    pub const OEM: Self = Self(0x0000_0002);
    /// The challenge must name its target.
    pub const REQUEST_TARGET: Self = Self(0x0000_0004);
    /// Messages are signed; required outside TLS.
    pub const SIGN: Self = Self(0x0000_0010);
    /// Messages are sealed; required outside TLS.
    pub const SEAL: Self = Self(0x0000_0020);
    /// Connectionless use, which is rejected.
    pub const DATAGRAM: Self = Self(0x0000_0040);
    /// Session keys derive from the LM hash; not granted.
    pub const LM_KEY: Self = Self(0x0000_0080);
    /// NTLM authentication, any version.
    pub const NTLM: Self = Self(0x0000_0200);
    /// A null session; only a client's AUTHENTICATE has it.
    pub const ANONYMOUS: Self = Self(0x0000_0800);
    /// NEGOTIATE contains a domain.
    pub const OEM_DOMAIN_SUPPLIED: Self = Self(0x0000_1000);
    /// NEGOTIATE contains a workstation.
    pub const OEM_WORKSTATION_SUPPLIED: Self = Self(0x0000_2000);
    /// Messages carry at least a dummy signature.
    pub const ALWAYS_SIGN: Self = Self(0x0000_8000);
    /// TargetName is that of a domain.
    pub const TARGET_TYPE_DOMAIN: Self = Self(0x0001_0000);
    /// TargetName is that of a server.
    pub const TARGET_TYPE_SERVER: Self = Self(0x0002_0000);
    /// TargetName is that of a share (unused since Windows 2000).
    pub const TARGET_TYPE_SHARE: Self = Self(0x0004_0000);
    /// Extended session security: separate keys for each direction, and a client challenge.
    /// Required.
    pub const ESS: Self = Self(0x0008_0000);
    /// Session keys derive from the LM response; rejected.
    pub const REQUEST_NON_NT_SESSION_KEY: Self = Self(0x0040_0000);
    /// The challenge contains TargetInfo.
    pub const TARGET_INFO: Self = Self(0x0080_0000);
    /// The version field is meaningful.
    pub const VERSION: Self = Self(0x0200_0000);
    /// 128-bit session keys; required outside TLS.
    pub const KEY_128: Self = Self(0x2000_0000);
    /// The client chooses the session key and sends it encrypted; required outside TLS.
    pub const KEY_EXCH: Self = Self(0x4000_0000);
    /// 56-bit session keys, too weak on their own.
    pub const KEY_56: Self = Self(0x8000_0000);

    /// From bits, whether they are known or not.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits as in messages.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `wanted` are set.
    #[must_use]
    pub const fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The lowest flag in `required` that is not set.
    #[must_use]
    pub fn first_missing(self, required: Self) -> Option<Self> {
        lowest(required & !self)
    }

    /// The lowest flag in `refused` that is set.
    #[must_use]
    pub fn first_present(self, refused: Self) -> Option<Self> {
        lowest(refused & self)
    }
}

fn lowest(flags: Flags) -> Option<Flags> {
    (flags.0 != 0).then(|| Flags(1 << flags.0.trailing_zeros()))
}

/// Names from MS-NLMP 2.2.2.5 of the flags that messages can mention.
const NAMES: [(Flags, &str); 9] = [
    (Flags::UNICODE, "NTLMSSP_NEGOTIATE_UNICODE"),
    (Flags::SIGN, "NTLMSSP_NEGOTIATE_SIGN"),
    (Flags::SEAL, "NTLMSSP_NEGOTIATE_SEAL"),
    (Flags::DATAGRAM, "NTLMSSP_NEGOTIATE_DATAGRAM"),
    (Flags::NTLM, "NTLMSSP_NEGOTIATE_NTLM"),
    (Flags::ESS, "NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY"),
    (
        Flags::REQUEST_NON_NT_SESSION_KEY,
        "NTLMSSP_REQUEST_NON_NT_SESSION_KEY",
    ),
    (Flags::KEY_128, "NTLMSSP_NEGOTIATE_128"),
    (Flags::KEY_EXCH, "NTLMSSP_NEGOTIATE_KEY_EXCH"),
];

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(flags, _)| flags == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#010x})", self.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}
