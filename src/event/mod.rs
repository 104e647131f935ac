//! A Windows event: its facts and values, read from event XML.
//!
//! The XML is what the EvtRender function gives and sources forward, in the
//! namespace of Microsoft's event schema. [`parse`] takes one of two ways that
//! give equal results: a strict reader for exactly the shape Windows writes,
//! and a general XML reader for everything else. Input that is no XML is
//! repaired where the damage is of a known kind.

pub mod filter;

mod fast;
mod general;
mod remains;
mod repair;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use crate::base::wire::trim;
use crate::base::xml::{self, Limits};

pub use repair::{FORBIDDEN, and_forbidden};

/// Namespace of event XML.
pub const NAMESPACE: &str = "http://schemas.microsoft.com/win/2004/08/events/event";

/// Maximum size in bytes of a text to parse. A record of the event log has at most 64 kB,
/// its XML rarely more than 200 kB. Longer texts are forwarded as they are.
pub const MAX_TEXT: usize = 1 << 20;

/// How much markup an event may contain.
pub const LIMITS: Limits = Limits {
    // Real events have 3 to 10 levels.
    depth: 64,
    attributes: 64,
    // Real events have 1 or 2.
    namespaces: 32,
    // Real events have up to 400, or 1,000 if `Name` is counted. Each may become a value, which
    // takes up to a microsecond.
    nodes: 1536,
    bytes_per_node: 64,
    naming: "",
    reserved: MAX_TEXT,
};

/// One event. A text is empty if the event does not have it; texts of `System` and
/// `RenderingInfo` have no surrounding white space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// `Provider/@Name`.
    pub provider: Cow<'a, str>,
    /// `Provider/@Guid`, in braces, either case.
    pub provider_guid: Cow<'a, str>,
    /// `Provider/@EventSourceName`, of classic providers.
    pub event_source_name: Cow<'a, str>,
    /// `EventID`, decimal, 16 bits; with `qualifiers`, the 32 bits of classic events.
    pub event_id: Cow<'a, str>,
    /// `EventID/@Qualifiers`, the upper 16 bits of classic events.
    pub qualifiers: Cow<'a, str>,
    /// `Version`, decimal.
    pub version: Cow<'a, str>,
    /// `Level`, decimal: 0 always, 1 critical to 5 verbose, more by provider.
    pub level: Cow<'a, str>,
    /// `Task`, decimal.
    pub task: Cow<'a, str>,
    /// `Opcode`, decimal.
    pub opcode: Cow<'a, str>,
    /// `Keywords`, 64 bits in hex.
    pub keywords: Cow<'a, str>,
    /// `TimeCreated/@SystemTime`, UTC, as written by the source.
    pub time_created: Cow<'a, str>,
    /// `EventRecordID`, decimal, 64 bits, counts within its channel.
    pub record_id: Cow<'a, str>,
    /// `Correlation/@ActivityID`.
    pub activity_id: Cow<'a, str>,
    /// `Correlation/@RelatedActivityID`.
    pub related_activity_id: Cow<'a, str>,
    /// `Execution/@ProcessID`, decimal.
    pub process_id: Cow<'a, str>,
    /// `Execution/@ThreadID`, decimal.
    pub thread_id: Cow<'a, str>,
    /// `Channel`, the log that the event is in.
    pub channel: Cow<'a, str>,
    /// `Computer`; a claim of the source, or of a host whose events it collects.
    pub computer: Cow<'a, str>,
    /// `Security/@UserID`, a SID.
    pub user_id: Cow<'a, str>,
    /// Other facts of `System` by attribute or element name, such as `SessionID`.
    pub extra: Vec<Pair<'a>>,
    /// `EventData/@Name`.
    pub data_name: Cow<'a, str>,
    /// Name of the element inside `UserData`, which determines the meaning of the values.
    pub user_data_name: Cow<'a, str>,
    /// Values in order, repeated names included. Names are those of `EventData/Data`
    /// (`Data1`, `Data2`, ... by position where there is none) or of elements (`Binary`,
    /// the leaves of `UserData`); attributes of elements are named `Element_attribute`.
    pub data: Vec<Pair<'a>>,
    /// Texts in the source's language, if it rendered the event.
    pub rendering: Option<Rendering<'a>>,
    /// Set if the XML had to be repaired.
    pub repaired: Option<Repaired>,
}

/// A name and its value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// `RenderingInfo`: texts that the source found in its providers' resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendering<'a> {
    /// `@Culture`, such as `en-US`.
    pub culture: Cow<'a, str>,
    /// `Message`: many lines, white space as it came.
    pub message: Cow<'a, str>,
    /// `Level`, such as `Information`.
    pub level: Cow<'a, str>,
    /// `Task`.
    pub task: Cow<'a, str>,
    /// `Opcode`.
    pub opcode: Cow<'a, str>,
    /// `Channel`.
    pub channel: Cow<'a, str>,
    /// `Provider`.
    pub provider: Cow<'a, str>,
    /// `Keywords/Keyword`, those that are not empty.
    pub keywords: Vec<Cow<'a, str>>,
}

/// A repair of XML that could not be parsed as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What was wrong, for the message.
    pub reason: &'static str,
    /// The repaired XML.
    pub xml: String,
}

/// Why a text is not an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// More than [`MAX_TEXT`] bytes.
    TooLong {
        /// Length in bytes of UTF-8.
        length: usize,
    },
    /// XML, but its root is another element.
    NotAnEvent,
    /// Long names of elements with many attributes, each of which repeats that name.
    LongNames {
        /// Most bytes that these may have in all.
        most: usize,
    },
    /// No well-formed XML, and of no known damage; or over one of [`LIMITS`].
    Xml(xml::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => {
                write!(f, "{length} bytes, at most {MAX_TEXT} are allowed")
            }
            Self::NotAnEvent => f.write_str("root element is not Event"),
            Self::LongNames { most } => {
                write!(f, "more than {most} bytes of names of attributes")
            }
            // What is wrong with it is all that matters here.
            Self::Xml(xml::Error::Malformed(error)) => error.fmt(f),
            Self::Xml(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Xml(error) => Some(error),
            Self::TooLong { .. } | Self::NotAnEvent | Self::LongNames { .. } => None,
        }
    }
}

/// A text that is not an event, to be forwarded as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Why it could not be parsed.
    pub reason: Error,
    /// The content of its `System` element, if that is complete; otherwise empty.
    pub system: Box<Event<'static>>,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Malformed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// Reads one event.
///
/// Two kinds of damage that Windows does are repaired, and noted in
/// [`Event::repaired`]: characters that XML forbids become U+FFFD, and an event
/// cut off within `RenderingInfo` loses that part.
///
/// ```
/// let xml = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>\
///            <System><EventID>4624</EventID></System></Event>";
/// assert_eq!(wecrelay::event::parse(xml)?.event_id, "4624");
/// # Ok::<(), wecrelay::event::Malformed>(())
/// ```
///
/// # Errors
/// [`Malformed`] when the text, also after repair, is no XML with the root `Event`,
/// or is over a limit. The text should be forwarded as it is then.
pub fn parse(xml: &str) -> Result<Event<'_>, Malformed> {
    parse_into(xml, &mut Room::default())
}

/// Like [`parse`], for many events one after another.
///
/// # Errors
/// As for [`parse`].
pub fn parse_into<'a>(xml: &'a str, room: &mut Room) -> Result<Event<'a>, Malformed> {
    read(xml, room).map_err(|reason| Malformed {
        reason,
        system: Box::new(remains::system(xml)),
    })
}

fn read<'a>(xml: &'a str, room: &mut Room) -> Result<Event<'a>, Error> {
    if xml.len() > MAX_TEXT {
        let length = xml.len();
        return Err(Error::TooLong { length });
    }
    if let Some(event) = fast::read(xml, room) {
        return Ok(event);
    }
    repair::read(xml)
}

/// Memory for the values of an event, from the one before it: the largest block that an event
/// needs.
#[derive(Debug, Default)]
pub struct Room(Vec<Pair<'static>>);

impl Room {
    /// Takes back the memory of an event.
    pub fn reuse(&mut self, event: Event<'_>) {
        let mut values = event.data;
        values.clear();
        // Collecting an empty vector into one of the same layout keeps its memory.
        self.0 = values.into_iter().map(|_| Pair::default()).collect();
    }

    fn take<'a>(&mut self) -> Vec<Pair<'a>> {
        std::mem::take(&mut self.0)
    }
}

impl Event<'_> {
    /// Whether this is event 111 of the forwarder itself: the bookmark with which a source
    /// starts a subscription, not an event of a log.
    #[must_use]
    pub fn is_bookmark_event(&self) -> bool {
        self.event_id == "111" && self.provider == "Microsoft-Windows-EventForwarder"
    }

    /// `Keywords` as a number; `None` if it is not one.
    #[must_use]
    pub fn keyword_bits(&self) -> Option<u64> {
        let digits = self.keywords.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok()
    }

    /// Copies all texts, so that the event outlives its XML.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event {
            provider: owned(self.provider),
            provider_guid: owned(self.provider_guid),
            event_source_name: owned(self.event_source_name),
            event_id: owned(self.event_id),
            qualifiers: owned(self.qualifiers),
            version: owned(self.version),
            level: owned(self.level),
            task: owned(self.task),
            opcode: owned(self.opcode),
            keywords: owned(self.keywords),
            time_created: owned(self.time_created),
            record_id: owned(self.record_id),
            activity_id: owned(self.activity_id),
            related_activity_id: owned(self.related_activity_id),
            process_id: owned(self.process_id),
            thread_id: owned(self.thread_id),
            channel: owned(self.channel),
            computer: owned(self.computer),
            user_id: owned(self.user_id),
            extra: owned_pairs(self.extra),
            data_name: owned(self.data_name),
            user_data_name: owned(self.user_data_name),
            data: owned_pairs(self.data),
            rendering: self.rendering.map(Rendering::into_owned),
            repaired: self.repaired,
        }
    }
}

impl Rendering<'_> {
    /// Copies all texts.
    #[must_use]
    pub fn into_owned(self) -> Rendering<'static> {
        Rendering {
            culture: owned(self.culture),
            message: owned(self.message),
            level: owned(self.level),
            task: owned(self.task),
            opcode: owned(self.opcode),
            channel: owned(self.channel),
            provider: owned(self.provider),
            keywords: self.keywords.into_iter().map(owned).collect(),
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

fn owned_pairs(pairs: Vec<Pair<'_>>) -> Vec<Pair<'static>> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (owned(name), owned(value)))
        .collect()
}

/// Names of `Data` without one, by position from 0; the rest are made.
const UNNAMED: [&str; 24] = [
    "Data1", "Data2", "Data3", "Data4", "Data5", "Data6", "Data7", "Data8", "Data9", "Data10",
    "Data11", "Data12", "Data13", "Data14", "Data15", "Data16", "Data17", "Data18", "Data19",
    "Data20", "Data21", "Data22", "Data23", "Data24",
];

/// The name for the `Data` element at this position, from 0, that has none.
fn unnamed(position: usize) -> Cow<'static, str> {
    match UNNAMED.get(position) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("Data{}", position.saturating_add(1))),
    }
}

/// Strips white space, as XML defines it, from both ends.
#[inline]
fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) if trim(&text).len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    }
}
