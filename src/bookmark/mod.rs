//! Bookmarks: a source's positions in its logs, and the guard that decides which of them
//! may replace the stored ones.
//!
//! A source sends its bookmark with each batch, and receives the stored one when it asks
//! for its subscriptions again. A wrong one loses events, so [`judge`] examines each of its
//! channels before it is stored. Positions are stored, not the source's text. Pure: no
//! clock, no files.

mod facts;
mod fast;
mod guard;
mod list;
mod position;
mod stored;
mod time;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use crate::base::hashing::Carried;

pub use self::facts::{BatchFacts, Runs};
pub use self::guard::{FORWARDED_EVENTS, Judgement, Reason, Rules, judge};
pub use self::list::Bookmark;
pub use self::position::Position;
pub use self::stored::{Held, Stored};
pub use self::time::event_time;

/// Maximum size of a bookmark in bytes of UTF-8. A query names at most 256 channels, of
/// about 150 bytes each; this leaves room for longer names.
pub const MAX_BOOKMARK_BYTES: usize = 64 * 1024;

/// Maximum number of channels in a bookmark: Windows accepts no query with more.
pub const MAX_CHANNELS: usize = 256;

/// Maximum length of a channel's name in characters: Windows accepts no longer ones.
pub const MAX_CHANNEL_CHARS: usize = 255;

/// Maximum length of a machine id in bytes: that of a DNS name.
pub const MAX_MACHINE_ID_BYTES: usize = 255;

/// Why a bookmark or a key was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bookmark is longer than [`MAX_BOOKMARK_BYTES`].
    TooLong {
        /// Its size in bytes.
        length: usize,
    },
    /// Not well-formed XML, or XML with a DTD.
    Xml(crate::base::xml::Error),
    /// The root element is not `BookmarkList`.
    NotABookmarkList {
        /// The name of the root element.
        name: String,
    },
    /// More than [`MAX_CHANNELS`] channels.
    TooManyChannels {
        /// Number of channels.
        count: usize,
    },
    /// The name of a channel is longer than [`MAX_CHANNEL_CHARS`].
    ChannelTooLong {
        /// Its length in characters.
        length: usize,
    },
    /// A source without identity and without a machine id cannot be distinguished from
    /// others.
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
            Self::TooManyChannels { count } => {
                write!(f, "bookmark of {count} channels, more than {MAX_CHANNELS}")
            }
            Self::ChannelTooLong { length } => write!(
                f,
                "bookmark names a channel of {length} characters, more than {MAX_CHANNEL_CHARS}"
            ),
            Self::NoMachineId => f.write_str("an anonymous host sent no machine ID"),
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

/// The owner of a bookmark: a source, and one of its subscriptions.
///
/// Sources without identity have separate keys, so they can neither read nor change what
/// belongs to an authenticated source.
///
/// Shared, because each batch passes its key from hand to hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Parts {
    subscription: Uuid,
    identity: Option<Box<str>>,
    machine_id: Box<str>,
    /// The hash of all three.
    hash: Carried,
}

impl Hash for Parts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl Key {
    /// The key of an authenticated source. Accounts, realms, and host names are compared
    /// ignoring case, and a host may spell its own in either case.
    ///
    /// # Errors
    /// The machine id is too long.
    pub fn authenticated(
        subscription: Uuid,
        identity: &str,
        machine_id: &str,
    ) -> Result<Self, Error> {
        let machine_id = fold_machine_id(machine_id)?;
        let identity = Some(identity.to_lowercase());
        Ok(Self::new(subscription, identity, machine_id))
    }

    /// The key of a source without identity, for which there is only its claimed machine
    /// id.
    ///
    /// # Errors
    /// The machine id is empty or too long.
    pub fn anonymous(subscription: Uuid, machine_id: &str) -> Result<Self, Error> {
        let machine_id = fold_machine_id(machine_id)?;
        if machine_id.is_empty() {
            return Err(Error::NoMachineId);
        }
        Ok(Self::new(subscription, None, machine_id))
    }

    fn new(subscription: Uuid, identity: Option<String>, machine_id: String) -> Self {
        let hash = Carried::of(&(subscription, &identity, &machine_id));
        Self(Arc::new(Parts {
            subscription,
            identity: identity.map(String::into_boxed_str),
            machine_id: machine_id.into_boxed_str(),
            hash,
        }))
    }

    /// The id of the subscription.
    #[must_use]
    pub fn subscription(&self) -> Uuid {
        self.0.subscription
    }

    /// The proved identity in lower case; `None` for a source without one.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.0.identity.as_deref()
    }

    /// The machine id in lower case.
    #[must_use]
    pub fn machine_id(&self) -> &str {
        &self.0.machine_id
    }
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
