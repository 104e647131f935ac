//! Events as syslog messages (RFC 5424), and how streams frame them.
//!
//! [`write_message`] writes one event as one `SYSLOG-MSG`. Its structured data has all data of the
//! event; [`MessageKind`] selects what `MSG` contains. [`framing`] delimits messages on a
//! transport.

pub mod framing;

mod civil;
mod cut;
mod escape;
mod facts;
mod json;
mod layout;
mod limits;
mod message;
mod msg;
mod named;
mod names;
mod own_log;
mod plain;
mod repeats;
mod rfc5424;
mod sample;
mod text;
mod timestamp;
mod truncate;
mod xml;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use crate::base::wire::push_number;
use crate::event::Event;

pub use cut::MIN_LENGTH;
pub use facts::repaired;
pub use message::Uid;
pub use named::EventName;
pub use own_log::{Line, Sender, write_own};
pub use rfc5424::{uid, write_body, write_message};
pub use sample::{sample, sample_of};

/// How events become messages; the same for all outputs of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The facility of messages.
    pub facility: FacilityRule,
    /// Private enterprise number in SD-IDs, such as 32473 in `event@32473` (RFC 5424 6.3.2).
    pub enterprise: u32,
    /// Whether `MSG` begins with the UTF-8 byte order mark, as RFC 5424 6.4 requires. Off by
    /// default, since many receivers show it as text.
    pub bom: bool,
    /// The relay's version, for `origin`.
    pub version: &'static str,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            facility: FacilityRule::Auto,
            // Reserved for documentation (RFC 5612).
            enterprise: 32473,
            bom: false,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Facts about the source and connection of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Address that the source connected from.
    pub address: IpAddr,
    /// `MachineID` that the source claims; empty if it claims none.
    pub machine_id: &'a str,
    /// The authenticated identity of the source; empty if anonymous.
    pub identity: &'a str,
    /// SID of the source's account in a domain; empty if unknown.
    pub account_sid: &'a str,
    /// Method of authentication, such as `ntlm` or `ntlm-anonymous`.
    pub auth: &'a str,
    /// Name of the subscription.
    pub subscription: &'a str,
    /// The authenticated host, if the event's Computer differs from it; else empty.
    pub computer_mismatch: &'a str,
    /// Whether U+FFFD in the event's text replaces characters that XML does not allow.
    pub repaired: bool,
    /// When the event was received.
    pub received: SystemTime,
}

/// The result of writing a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Number of bytes omitted because of [`Style::max`]; 0 for a whole message. Values that
    /// bounded structured data lacks are not counted, since `MSG` has them.
    pub truncated: usize,
}

/// The content of `MSG`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageKind {
    /// The rendered message, else provider, event id, and values on one line.
    #[default]
    Text,
    /// The event's XML on one line; an XML reader gets the same values from it.
    Xml,
    /// One JSON object with all data of the event.
    Json,
    /// One JSON object with the fields of Winlogbeat (Elastic Common Schema).
    Ecs,
    /// One flat JSON object with the fields of NXLog's `im_msvistalog`.
    Nxlog,
    /// The tab-separated fields of the Snare agent.
    Snare,
    /// ArcSight's Common Event Format.
    Cef,
    /// QRadar's Log Event Extended Format.
    Leef,
}

impl MessageKind {
    /// All kinds, by their names in settings.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("text", Self::Text),
        ("xml", Self::Xml),
        ("json", Self::Json),
        ("ecs", Self::Ecs),
        ("nxlog", Self::Nxlog),
        ("snare", Self::Snare),
        ("cef", Self::Cef),
        ("leef", Self::Leef),
    ];

    /// The kind with this name; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut known = Self::NAMES.iter();
        known.find_map(|(known, kind)| (*known == name).then_some(*kind))
    }

    /// Whether receivers expect the text that the host renders; the other kinds use it if
    /// it is present.
    #[must_use]
    pub fn needs_rendering(self) -> bool {
        matches!(self, Self::Text | Self::Ecs | Self::Nxlog | Self::Snare)
    }

    /// The default header: products that read Snare, CEF, and LEEF expect the older one.
    #[must_use]
    pub fn default_header(self) -> Header {
        match self {
            Self::Snare | Self::Cef | Self::Leef => Header::Rfc3164,
            Self::Text | Self::Xml | Self::Json | Self::Ecs | Self::Nxlog => Header::Rfc5424,
        }
    }

    /// The default amount of structured data: a layout of another product contains
    /// everything itself, and its parsers do not support structured data.
    #[must_use]
    pub fn default_data(self) -> StructuredData {
        match self {
            Self::Text | Self::Xml | Self::Json => StructuredData::Bounded,
            Self::Ecs | Self::Nxlog | Self::Snare | Self::Cef | Self::Leef => StructuredData::None,
        }
    }
}

/// What precedes `MSG`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID` and structured data.
    #[default]
    Rfc5424,
    /// `<PRI>Mmm dd hh:mm:ss HOSTNAME TAG: `, the time in UTC.
    Rfc3164,
    /// Nothing: the message consists of `MSG` alone.
    None,
}

impl Header {
    /// The header with this name; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "rfc5424" => Some(Self::Rfc5424),
            "rfc3164" => Some(Self::Rfc3164),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// The form of messages for an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// The content of `MSG`.
    pub message: MessageKind,
    /// What precedes it.
    pub header: Header,
    /// How control characters are handled.
    pub control: ControlCharacters,
    /// How control characters are escaped in values and `MSG`.
    pub escape: Escape,
    /// How much structured data is allowed.
    pub data: StructuredData,
    /// Whether the element `data@`, the event's values, is omitted.
    pub without_values: bool,
    /// Maximum length of a message in bytes; longer ones are truncated. Less than [`MIN_LENGTH`]
    /// counts as [`MIN_LENGTH`]; `None` is no limit.
    pub max: Option<usize>,
}

/// How control characters in values and `MSG` are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlCharacters {
    /// They stay unchanged.
    #[default]
    Keep,
    /// They become visible, for receivers that end a message at a line end:
    ///
    /// | character | becomes |
    /// |---|---|
    /// | LF | `\n` |
    /// | CR | `\r` |
    /// | tab | `\t` |
    /// | other C0, DEL, C1 | `\u0000` and so on |
    /// | backslash | `\\` |
    ///
    /// In structured data each of these backslashes is doubled, as RFC 5424 6.3.3 requires, so
    /// receivers parse the same `\n`. In XML the characters become references, such as `&#10;`, and
    /// in JSON its own escapes.
    Escape,
}

/// How control characters are escaped in values and `MSG`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// Escapes can be reversed, and line ends that the framing allows stay unchanged.
    #[default]
    Reversible,
    /// The escapes of version 0.1: CR LF becomes `\n`, and backslashes of the event are not escaped
    /// (except as structured data requires); XML, and the values in `MSG` of an event without
    /// rendered text, are one line with every framing.
    Version01,
}

/// How much structured data is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StructuredData {
    /// What rsyslog and syslog-ng accept: values under 32,000 bytes, in total under 65,000
    /// bytes, at most 240 parameters.
    #[default]
    Bounded,
    /// All data of the event, without limits.
    Whole,
    /// None, written as `-`.
    None,
}

/// How the facility of a message is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FacilityRule {
    /// `authpriv` for the Security channel, `user` for others.
    #[default]
    Auto,
    /// Always this one.
    Fixed(Facility),
}

impl FacilityRule {
    /// The facility of an event; `None` for one that could not be parsed.
    #[must_use]
    pub fn facility(self, event: Option<&Event<'_>>) -> Facility {
        match self {
            Self::Fixed(facility) => facility,
            Self::Auto if event.is_some_and(|event| event.channel == "Security") => {
                Facility::AUTHPRIV
            }
            Self::Auto => Facility::USER,
        }
    }
}

/// Syslog facility, 0 to 23 (RFC 5424 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// Names by number, as in syslog.conf(5).
    pub const NAMES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2",
        "local3", "local4", "local5", "local6", "local7",
    ];
    /// User-level messages.
    pub const USER: Self = Self(1);
    /// System daemons.
    pub const DAEMON: Self = Self(3);
    /// Security and authorization messages with restricted access.
    pub const AUTHPRIV: Self = Self(10);

    /// The facility with this name (`kern` to `local7`, any case) or number (0 to 23), else `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::NAMES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name));
        let code = match named {
            Some(code) => u8::try_from(code).ok()?,
            None if name.bytes().all(|byte| byte.is_ascii_digit()) => name.parse().ok()?,
            None => return None,
        };
        (usize::from(code) < Self::NAMES.len()).then_some(Self(code))
    }

    /// The number, 0 to 23.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.get(usize::from(self.0)).unwrap_or(&"user"))
    }
}

/// The severities (RFC 5424 6.2.1) that events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// 2: critical conditions.
    Critical,
    /// 3: error conditions.
    Error,
    /// 4: warning conditions.
    Warning,
    /// 5: normal but significant conditions.
    Notice,
    /// 6: informational messages.
    Informational,
    /// 7: debug-level messages.
    Debug,
}

/// Bit of `Keywords` on audit failure events.
const AUDIT_FAILURE: u64 = 0x0010_0000_0000_0000;
/// Bit of `Keywords` on audit success events.
const AUDIT_SUCCESS: u64 = 0x0020_0000_0000_0000;

impl Severity {
    /// The severity of an event: by `Level`, and for level 0, which audit events have, by
    /// `Keywords`. `Informational` if these do not determine it.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Self {
        match &*event.level {
            "0" => Self::of_keywords(event.keyword_bits().unwrap_or(0)),
            "1" => Self::Critical,
            "2" => Self::Error,
            "3" => Self::Warning,
            "5" => Self::Debug,
            _ => Self::Informational,
        }
    }

    fn of_keywords(bits: u64) -> Self {
        if bits & AUDIT_FAILURE != 0 {
            Self::Warning
        } else if bits & AUDIT_SUCCESS != 0 {
            Self::Notice
        } else {
            Self::Informational
        }
    }

    /// The number, 0 to 7.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Informational => 6,
            Self::Debug => 7,
        }
    }
}
