//! Bookmarks: where a source stands in its logs, and the guard that decides
//! which of them may replace the one we hold.
//!
//! A source sends its bookmark with each batch and gets the stored one back
//! when it asks for its subscriptions again. A wrong one loses events, so
//! [`judge`] looks at each before it is stored. Pure: no clock, no files.

mod guard;
mod time;

use std::cmp::Ordering;
use std::fmt;

use uuid::Uuid;

use crate::xml::{self, Limits, Node};

pub use self::guard::{BatchFacts, Reason, Runs, Stored, Verdict, judge};
pub use self::time::event_time;

/// Longest bookmark taken, in bytes of UTF-8: a query names at most 256
/// channels, each takes about 150 bytes, and there is room for longer names.
pub const MAX_BOOKMARK_BYTES: usize = 64 * 1024;

/// Longest machine id taken, in bytes: DNS names end at 255.
pub const MAX_MACHINE_ID_BYTES: usize = 255;

/// Why a bookmark or the key of one was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bookmark is longer than [`MAX_BOOKMARK_BYTES`].
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Not well-formed XML, or XML with a DTD.
    Xml(xml::Error),
    /// The outermost element is not `BookmarkList`.
    NotABookmarkList {
        /// The name that stands there.
        name: String,
    },
    /// An anonymous source without a machine id cannot be told from others.
    NoMachineId,
    /// The machine id is longer than [`MAX_MACHINE_ID_BYTES`].
    MachineIdTooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => {
                write!(
                    f,
                    "bookmark of {length} bytes is longer than {MAX_BOOKMARK_BYTES}"
                )
            }
            Self::Xml(error) => write!(f, "bookmark: {error}"),
            Self::NotABookmarkList { name } => {
                write!(f, "bookmark begins with {name:?} and not with BookmarkList")
            }
            Self::NoMachineId => f.write_str("anonymous source names no machine id"),
            Self::MachineIdTooLong { length } => {
                write!(
                    f,
                    "machine id of {length} bytes is longer than {MAX_MACHINE_ID_BYTES}"
                )
            }
        }
    }
}

// No `source`: the text above says all, for logs that print only that.
impl std::error::Error for Error {}

/// A `BookmarkList` as a source sent it, and what the guard needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    xml: String,
    backward: bool,
    /// Sorted by channel without regard to case, each channel once.
    positions: Vec<(String, u64)>,
    current: Option<String>,
}

impl Bookmark {
    /// Reads a bookmark. What stands around the `BookmarkList` is dropped, the
    /// list itself is kept byte by byte. A `Bookmark` without a usable channel
    /// or record id stays in the XML and is left out of [`Self::positions`].
    ///
    /// ```
    /// use wecrelay::bookmark::Bookmark;
    /// let xml = r#"<BookmarkList><Bookmark Channel="X" RecordId="149161" IsCurrent="true"/></BookmarkList>"#;
    /// let bookmark = Bookmark::parse(xml).unwrap();
    /// assert_eq!(bookmark.position("x"), Some(149_161));
    /// assert_eq!(bookmark.xml(), xml);
    /// ```
    ///
    /// # Errors
    /// Too long, not well formed, with a DTD, or not a `BookmarkList`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BOOKMARK_BYTES {
            return Err(Error::TooLong { length: text.len() });
        }
        let document = xml::parse(text, &Limits::FILE).map_err(Error::Xml)?;
        let list = document.root_element();
        let name = list.tag_name().name();
        if name != "BookmarkList" {
            return Err(Error::NotABookmarkList {
                name: name.to_owned(),
            });
        }
        Ok(Self {
            xml: text.get(list.range()).unwrap_or_default().to_owned(),
            backward: is(list, "Direction", "backward"),
            positions: positions(list),
            current: current_channel(list),
        })
    }

    /// The list as the source sent it.
    #[must_use]
    pub fn xml(&self) -> &str {
        &self.xml
    }

    /// Whether it says `Direction="backward"`: it names the end of the log, not
    /// what was read.
    #[must_use]
    pub fn is_backward(&self) -> bool {
        self.backward
    }

    /// Channels with their record ids, sorted by channel.
    #[must_use]
    pub fn positions(&self) -> &[(String, u64)] {
        &self.positions
    }

    /// The record id of `channel`, compared without case.
    #[must_use]
    pub fn position(&self, channel: &str) -> Option<u64> {
        let order = |position: &(String, u64)| compare(&position.0, channel);
        let index = self.positions.binary_search_by(order).ok()?;
        self.positions.get(index).map(|position| position.1)
    }

    /// The channel of the event that was read last (`IsCurrent="true"`).
    #[must_use]
    pub fn current_channel(&self) -> Option<&str> {
        self.current.as_deref()
    }
}

/// Whose bookmark it is: a subscription of a source.
///
/// An anonymous session has keys of its own, so that it can neither read nor
/// move what belongs to an authenticated source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    subscription: Uuid,
    identity: Option<String>,
    machine_id: String,
}

impl Key {
    /// The key of an authenticated source. Accounts, realms and names of hosts are
    /// compared without case, and a host may write its own in either.
    ///
    /// # Errors
    /// The machine id is too long.
    pub fn authenticated(
        subscription: Uuid,
        identity: &str,
        machine_id: &str,
    ) -> Result<Self, Error> {
        let machine_id = fold_machine_id(machine_id)?;
        Ok(Self {
            subscription,
            identity: Some(identity.to_lowercase()),
            machine_id,
        })
    }

    /// The key of a source without an identity: its claimed machine id is all
    /// there is.
    ///
    /// # Errors
    /// The machine id is empty or too long.
    pub fn anonymous(subscription: Uuid, machine_id: &str) -> Result<Self, Error> {
        let machine_id = fold_machine_id(machine_id)?;
        if machine_id.is_empty() {
            return Err(Error::NoMachineId);
        }
        Ok(Self {
            subscription,
            identity: None,
            machine_id,
        })
    }

    /// The subscription.
    #[must_use]
    pub fn subscription(&self) -> Uuid {
        self.subscription
    }

    /// The authenticated identity in lower case; `None` for an anonymous source.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The machine id, in lower case.
    #[must_use]
    pub fn machine_id(&self) -> &str {
        &self.machine_id
    }
}

/// The channels of a list; of one that stands there twice, the highest id.
fn positions(list: Node<'_, '_>) -> Vec<(String, u64)> {
    let mut positions: Vec<_> = list.children().filter_map(position).collect();
    positions.sort_by(|a, b| compare(&a.0, &b.0).then(b.1.cmp(&a.1)));
    positions.dedup_by(|later, kept| compare(&later.0, &kept.0) == Ordering::Equal);
    positions
}

fn position(node: Node<'_, '_>) -> Option<(String, u64)> {
    let channel = node.attribute("Channel").filter(|_| is_bookmark(node))?;
    let record_id = node.attribute("RecordId")?.trim().parse().ok()?;
    Some((channel.to_owned(), record_id))
}

fn current_channel(list: Node<'_, '_>) -> Option<String> {
    let mut bookmarks = list.children().filter(|node| is_bookmark(*node));
    let current = bookmarks.find(|node| is(*node, "IsCurrent", "true"))?;
    current.attribute("Channel").map(str::to_owned)
}

fn is_bookmark(node: Node<'_, '_>) -> bool {
    node.is_element() && node.tag_name().name() == "Bookmark"
}

fn is(node: Node<'_, '_>, attribute: &str, value: &str) -> bool {
    node.attribute(attribute)
        .is_some_and(|found| found.eq_ignore_ascii_case(value))
}

/// Order of channel names, which Windows compares without case.
fn compare(a: &str, b: &str) -> Ordering {
    let a = a.bytes().map(|b| b.to_ascii_lowercase());
    a.cmp(b.bytes().map(|b| b.to_ascii_lowercase()))
}

fn fold_machine_id(machine_id: &str) -> Result<String, Error> {
    let folded = machine_id.trim().to_lowercase();
    if folded.len() > MAX_MACHINE_ID_BYTES {
        return Err(Error::MachineIdTooLong {
            length: folded.len(),
        });
    }
    Ok(folded)
}

#[cfg(test)]
mod tests;
