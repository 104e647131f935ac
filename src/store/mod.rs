//! What the relay remembers: the bookmarks of its sources, and what is known of hosts.
//!
//! A [`Store`] takes the changes of one turn of the loop and makes them last
//! with one [`Store::commit`]. Only then may the turn's batches be acknowledged.
//! Whatever fails in a turn fails all of it: its batches are sent again.

mod memory;

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use self::memory::Memory;

use crate::bookmark::{self, BatchFacts, Bookmark, Key, Reason, Stored, Verdict, judge};
use crate::hosts::{Changes, Saved};

/// Keeps bookmarks; one transaction a turn.
pub trait Store {
    /// The bookmark of `key`, as this turn has left it.
    ///
    /// # Errors
    /// The store cannot be read, or holds what is no bookmark.
    fn bookmark(&mut self, key: &Key) -> Result<Option<Stored>, Error>;

    /// All that is known of `key`, as this turn has left it.
    ///
    /// # Errors
    /// The store cannot be read, or holds what is no bookmark.
    fn entry(&mut self, key: &Key) -> Result<Option<Entry>, Error>;

    /// Adds a change to this turn; `now` in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// The change cannot be made. The turn has failed then: later changes and
    /// the commit are refused with [`Error::TurnFailed`].
    fn put(&mut self, key: &Key, change: Change<'_>, now: u64) -> Result<(), Error>;

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
    fn save_hosts(&mut self, changes: &Changes<'_>) -> Result<(), Error>;

    /// What is known of hosts.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load_hosts(&mut self) -> Result<Saved, Error>;
}

/// A change to what is kept of a source.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A new bookmark; the one before is kept as the previous one.
    Latest(&'a Stored),
    /// A bookmark that the guard did not let through.
    Aside(&'a Bookmark, &'a Reason),
}

/// What is kept of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The bookmark that the source gets back.
    pub latest: Option<Stored>,
    /// XML of the one before.
    pub previous: Option<String>,
    /// The last one that the guard did not let through.
    pub aside: Option<Aside>,
    /// When it last changed, in seconds since 1970-01-01 UTC.
    pub updated: u64,
}

/// A bookmark that the guard did not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// The XML as the source sent it.
    pub xml: String,
    /// Why, in words.
    pub reason: String,
}

/// The bookmark of a source: its own, else the one under a name that an earlier version had
/// for it. Only looks.
///
/// # Errors
/// Those of [`Store::bookmark`].
pub fn find(
    store: &mut dyn Store,
    key: &Key,
    former: impl IntoIterator<Item = Key>,
) -> Result<Option<Stored>, Error> {
    let mut found = store.bookmark(key)?;
    for former in former {
        if found.is_none() {
            found = store.bookmark(&former)?;
        }
    }
    Ok(found)
}

/// Judges the bookmark of a delivered batch and puts it where it belongs. The
/// caller logs [`Verdict::KeepAside`]. Answers what was stored before, too. What stands under
/// a `former` name of the source is its own from then on.
///
/// # Errors
/// Those of [`Store::bookmark`], [`Store::rename`] and [`Store::put`].
pub fn record(
    store: &mut dyn Store,
    key: &Key,
    former: impl FnOnce() -> Vec<Key>,
    incoming: Bookmark,
    facts: &BatchFacts,
    now: u64,
) -> Result<(Verdict, Option<Stored>), Error> {
    let mut stored = store.bookmark(key)?;
    if stored.is_none() {
        for former in former() {
            if store.rename(&former, key)? {
                stored = store.bookmark(key)?;
                break;
            }
        }
    }
    let verdict = judge(stored.as_ref(), &incoming, facts);
    if let Verdict::KeepAside(reason) = &verdict {
        store.put(key, Change::Aside(&incoming, reason), now)?;
    } else {
        let latest = Stored::new(incoming, facts, stored.as_ref());
        store.put(key, Change::Latest(&latest), now)?;
    }
    Ok((verdict, stored))
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
        /// The folder.
        folder: PathBuf,
    },
    /// A later wecrelay wrote the database.
    Newer {
        /// The database.
        file: PathBuf,
        /// Version of its tables.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// No space left for the database.
    Full {
        /// The database.
        file: PathBuf,
    },
    /// The database cannot be written.
    ReadOnly {
        /// The database.
        file: PathBuf,
    },
    /// The database is damaged, or none at all.
    Corrupt {
        /// The database.
        file: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Another program holds the database.
    Busy {
        /// The database.
        file: PathBuf,
    },
    /// A stored bookmark cannot be read.
    Bookmark {
        /// The database.
        file: PathBuf,
        /// The machine it belongs to.
        machine_id: String,
        /// What is wrong.
        error: bookmark::Error,
    },
    /// Anything else that the database says.
    Database {
        /// The database.
        file: PathBuf,
        /// What it says.
        error: rusqlite::Error,
    },
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
                "another wecrelay uses the state folder {}; stop it, or give this one a folder of its own with --state",
                folder.display()
            ),
            Self::Newer { file, found, known } => write!(
                f,
                "{} was written by a later wecrelay (version {found} of its tables, known here: {known}); \
                 use that one, or another folder with --state",
                file.display()
            ),
            Self::Full { file } => write!(f, "no space left for {}", file.display()),
            Self::ReadOnly { file } => write!(f, "{} cannot be written", file.display()),
            Self::Corrupt { file, detail } => write!(
                f,
                "{} is damaged ({detail}); restore it, or move it away: sources without a bookmark \
                 begin again as their subscription says",
                file.display()
            ),
            Self::Busy { file } => write!(f, "another program holds {}", file.display()),
            Self::Bookmark {
                file,
                machine_id,
                error,
            } => {
                write!(
                    f,
                    "{} holds a bad bookmark of {machine_id:?}: {error}",
                    file.display()
                )
            }
            Self::Database { file, error } => write!(f, "{}: {error}", file.display()),
            Self::TurnFailed => f.write_str("an earlier change of this turn failed"),
        }
    }
}

// No `source`: the text above says all, for logs that print only that.
impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
