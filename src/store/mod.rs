//! What the relay remembers: the bookmarks of its sources, and what is known of hosts.
//!
//! A [`Store`] takes the changes of one turn of the loop and makes them last
//! with one [`Store::commit`]. Only then may the turn's batches be acknowledged.
//! Whatever fails in a turn fails all of it: its batches are sent again. What cannot be read
//! is none: one damaged row costs that row.

mod condition;
mod job;
mod memory;
pub mod postgres;
mod room;
pub mod sqlite;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::base::clock::UnixSeconds;
use crate::bookmark::{Bookmark, Key, Stored};
use crate::hosts::{Changes, Saved};

pub use self::condition::Condition;
pub use self::job::{Answer, Done, Found, Job, Lookup, Ticket, Write, Wrote, perform};
pub use self::memory::Memory;
pub use self::room::{
    OF_ALL, OF_IDENTITY, OF_NETWORK, Owner, Room, Usage, WITHOUT_EVENTS, network,
};

/// Keeps bookmarks; one transaction a turn.
pub trait Store {
    /// The bookmark of `key`, as this turn has left it; `None` too where it is damaged.
    ///
    /// # Errors
    /// The store cannot be read.
    fn bookmark(&mut self, key: &Key) -> Result<Option<Stored>, Error>;

    /// How often the row of `key` was written; `None` where nobody else can write.
    ///
    /// # Errors
    /// The store cannot be read.
    fn generation(&mut self, _key: &Key) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// Adds a change to this turn.
    ///
    /// # Errors
    /// The change cannot be made. The turn has failed then: later changes and
    /// the commit are refused with [`Error::TurnFailed`].
    fn put(&mut self, key: &Key, change: Change<'_>, stamp: Stamp) -> Result<(), Error>;

    /// Gives `to` all that is kept of `from`, in this turn; that of `to` is forgotten.
    /// Answers whether anything was there.
    ///
    /// # Errors
    /// As for [`Store::put`].
    fn rename(&mut self, from: &Key, to: &Key) -> Result<bool, Error>;

    /// Makes the changes of this turn last and ends the turn. Does nothing
    /// where nothing was changed.
    ///
    /// # Errors
    /// None of the changes was made. The next turn can try again.
    fn commit(&mut self) -> Result<(), Error>;

    /// Forgets the changes of this turn and ends it.
    fn rollback(&mut self);

    /// Makes what is known of hosts last, between two turns and apart from them: where it
    /// fails, no batch is touched.
    ///
    /// # Errors
    /// None of it was stored.
    fn save_hosts(&mut self, changes: &Changes) -> Result<(), Error>;

    /// What is known of hosts.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load_hosts(&mut self) -> Result<Saved, Error>;

    /// How much of what is stored belongs to whom.
    ///
    /// # Errors
    /// The store cannot be read.
    fn usage(&mut self) -> Result<Vec<(Owner, Usage)>, Error>;

    /// Up to `count` bookmarks behind `after` in the order of the store, each with the
    /// [`Stamp::ran`] of its last change.
    ///
    /// # Errors
    /// The store cannot be read.
    fn walk(&mut self, after: Option<&Key>, count: usize) -> Result<Vec<(Key, u64)>, Error>;

    /// Forgets bookmarks, and says of others that they are in use as of `ran`; between two
    /// turns.
    ///
    /// # Errors
    /// None of it was done.
    fn sift(&mut self, gone: &[Key], kept: &[Key], ran: u64) -> Result<(), Error>;

    /// How it is.
    fn condition(&self) -> Condition;
}

/// When and from where a change comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// By the clock of the wall, for people.
    pub wall: UnixSeconds,
    /// Seconds that relays have run with this state: what ages are counted in.
    pub ran: u64,
    /// The network that answers for a source without identity, see [`network`].
    pub network: Option<IpAddr>,
}

/// A change to what is kept of a source.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A new bookmark; the one before is kept as the previous one.
    Latest(&'a Stored),
    /// A bookmark of which the guard let something not through, and why. Kept where the
    /// source has a bookmark.
    Aside(&'a Bookmark, &'a str),
}

/// What is kept of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What the source gets back.
    pub latest: Option<Stored>,
    /// XML of the one before.
    pub previous: Option<String>,
    /// The last one of which the guard let something not through.
    pub aside: Option<Aside>,
    /// When it last changed.
    pub stamp: Stamp,
}

/// That the last bookmark of a source was not let through by the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAside {
    /// Whose bookmark it is.
    pub key: Key,
    /// Why, in words.
    pub reason: String,
}

/// A bookmark that the guard did not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Its XML in canonical form.
    pub xml: String,
    /// Why, in words.
    pub reason: String,
}

/// Why the store cannot be opened or used. Each names the file or folder.
#[derive(Debug)]
pub enum Error {
    /// The folder or a file in it cannot be created or opened.
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another relay uses the folder.
    Locked {
        /// The folder of `--state`.
        folder: PathBuf,
    },
    /// A later wecrelay wrote the database.
    Newer {
        /// `wecrelay.db` in the folder of `--state`.
        file: PathBuf,
        /// Version of its tables.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// No space left for the database.
    Full {
        /// `wecrelay.db` in the folder of `--state`.
        file: PathBuf,
    },
    /// The database cannot be written.
    ReadOnly {
        /// `wecrelay.db` in the folder of `--state`.
        file: PathBuf,
    },
    /// The database is damaged, or none at all.
    Corrupt {
        /// `wecrelay.db` in the folder of `--state`.
        file: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Another program holds the database.
    Busy {
        /// `wecrelay.db` in the folder of `--state`.
        file: PathBuf,
    },
    /// The files that the relay writes are not those in its folder any more.
    Gone {
        /// The folder of `--state`.
        folder: PathBuf,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// Anything else that the database says.
    Database {
        /// `wecrelay.db` in the folder of `--state`.
        file: PathBuf,
        /// What it says.
        error: rusqlite::Error,
    },
    /// The database that relays share.
    Postgres(postgres::Failure),
    /// Something in this turn failed before.
    TurnFailed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, error } => {
                write!(f, "cannot use {}: {error}", path.display())?;
                if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str(
                        "; run this as root, or as the user of the relay (sudo -u wecrelay)",
                    )?;
                }
                Ok(())
            }
            Self::Locked { folder } => write!(
                f,
                "another relay is using the state folder {}; stop it, or use another folder with \
                 --state",
                folder.display()
            ),
            Self::Newer { file, found, known } => write!(
                f,
                "{} was written by a later version of wecrelay (tables of version {found}, \
                 supported: {known}); use that version, or another folder with --state",
                file.display()
            ),
            Self::Full { file } => write!(f, "no space left for {}", file.display()),
            Self::ReadOnly { file } => write!(f, "{} cannot be written", file.display()),
            Self::Corrupt { file, detail } => write!(
                f,
                "{} is damaged ({detail}); restore it, or move it away: hosts without a bookmark \
                 start over as their subscription specifies",
                file.display()
            ),
            Self::Busy { file } => write!(f, "another program has locked {}", file.display()),
            Self::Gone { folder, detail } => {
                write!(f, "state folder {}: {detail}", folder.display())
            }
            Self::Database { file, error } => write!(f, "{}: {error}", file.display()),
            Self::Postgres(failure) => write!(f, "{failure}"),
            Self::TurnFailed => f.write_str("an earlier change of this turn failed"),
        }
    }
}

impl Error {
    /// Whether it is of one row only: other changes can be made without it.
    #[must_use]
    pub fn is_of_one_row(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

// No `source`: the text above says all, for logs that print only that.
impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
