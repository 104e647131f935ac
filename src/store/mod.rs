//! What the relay remembers: the bookmarks of its sources, and what is known about hosts.
//!
//! A [`Store`] collects the changes of one turn of the loop and makes them durable with one
//! [`Store::commit`]. Only then may the turn's batches be acknowledged. If anything fails
//! in a turn, all of it fails, and its batches are sent again. What cannot be read counts
//! as missing: a damaged row costs only that row. Nothing of the events themselves is
//! stored; see `docs/decisions/no-spool.md`.

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

/// Stores bookmarks; one transaction for each turn.
pub trait Store {
    /// The bookmark of `key`, including this turn's changes; `None` also if it is damaged.
    ///
    /// # Errors
    /// The store cannot be read.
    fn bookmark(&mut self, key: &Key) -> Result<Option<Stored>, Error>;

    /// How often the row of `key` was written; `None` if no other relay can write.
    ///
    /// # Errors
    /// The store cannot be read.
    fn generation(&mut self, _key: &Key) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// Adds a change to this turn.
    ///
    /// # Errors
    /// The change is impossible. Then the turn has failed: later changes and the commit
    /// return [`Error::TurnFailed`].
    fn put(&mut self, key: &Key, change: Change<'_>, stamp: Stamp) -> Result<(), Error>;

    /// Moves the row of `from` to `to`, whose own row is deleted, in this turn. Returns
    /// whether there was one.
    ///
    /// # Errors
    /// As for [`Store::put`].
    fn rename(&mut self, from: &Key, to: &Key) -> Result<bool, Error>;

    /// Makes the changes of this turn durable and ends the turn. Does nothing if there are
    /// none.
    ///
    /// # Errors
    /// None of the changes was made. The next turn may try again.
    fn commit(&mut self) -> Result<(), Error>;

    /// Discards the changes of this turn and ends it.
    fn rollback(&mut self);

    /// Saves what is known about hosts, between two turns and separate from them: a failure
    /// affects no batch.
    ///
    /// # Errors
    /// Nothing was saved.
    fn save_hosts(&mut self, changes: &Changes) -> Result<(), Error>;

    /// Loads what is known about hosts.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load_hosts(&mut self) -> Result<Saved, Error>;

    /// How much is stored for each owner.
    ///
    /// # Errors
    /// The store cannot be read.
    fn usage(&mut self) -> Result<Vec<(Owner, Usage)>, Error>;

    /// Up to `count` bookmarks after `after` in the order of the store, each with the
    /// [`Stamp::ran`] of its last change.
    ///
    /// # Errors
    /// The store cannot be read.
    fn walk(&mut self, after: Option<&Key>, count: usize) -> Result<Vec<(Key, u64)>, Error>;

    /// Deletes bookmarks, and marks others as in use at `ran`; between two turns.
    ///
    /// # Errors
    /// Nothing was changed.
    fn sift(&mut self, gone: &[Key], kept: &[Key], ran: u64) -> Result<(), Error>;

    /// The health of the store.
    fn condition(&self) -> Condition;
}

/// When and from where a change comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// By the wall clock, for people.
    pub wall: UnixSeconds,
    /// Total running time of relays with this state in seconds, by which ages are measured.
    pub ran: u64,
    /// The network that a source without identity counts for; see [`network`].
    pub network: Option<IpAddr>,
}

/// A change to a source's row.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A new bookmark; the one before it is kept as the previous one.
    Latest(&'a Stored),
    /// A bookmark of which the guard rejected something, and why. Kept only if the source
    /// has a bookmark.
    Aside(&'a Bookmark, &'a str),
}

/// The row of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The bookmark that the source gets back.
    pub latest: Option<Stored>,
    /// XML of the one before it.
    pub previous: Option<String>,
    /// The last one of which the guard rejected something.
    pub aside: Option<Aside>,
    /// When it last changed.
    pub stamp: Stamp,
}

/// A source whose last bookmark the guard rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAside {
    /// The owner of the bookmark.
    pub key: Key,
    /// Why, in words.
    pub reason: String,
}

/// A bookmark that the guard rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Its XML in canonical form.
    pub xml: String,
    /// Why, in words.
    pub reason: String,
}

/// Why the store cannot be opened or used. Every error names the file or folder.
#[derive(Debug)]
pub enum Error {
    /// The folder or a file in it cannot be created or opened.
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
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
    /// The database is damaged, or the file is not a database.
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
    /// The files that the relay has open are no longer those in its folder.
    Gone {
        /// The folder of `--state`.
        folder: PathBuf,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// Any other error of the database.
    Database {
        /// `wecrelay.db` in the folder of `--state`.
        file: PathBuf,
        /// The database's error.
        error: rusqlite::Error,
    },
    /// An error of the shared database.
    Postgres(postgres::Failure),
    /// An earlier change of this turn failed.
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
    /// Whether it concerns only one row, so that other changes are possible without it.
    #[must_use]
    pub fn is_of_one_row(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

// No `source`: the text above includes it, for logs that print only the text.
impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
