//! The store of a single relay: an SQLite database in the state folder.

mod beside;
mod bookmarks;
mod damage;
mod files;
mod hosts;
mod known;
mod salvage;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::bookmark::{Key, Stored};
use crate::hosts::{Changes, Saved};
use crate::store::{Change, Condition, Error, Owner, Stamp, Store, Usage};
use bookmarks::Read;
use damage::Damage;
use files::{Files, Missing, private_file};
use schema::{check_version, version};

pub use beside::{Checkpoints, Reader};
pub use hosts::{Forgotten, Old, forget_hosts, read_hosts};
pub use known::{Known, kept_aside, known};

/// How long to wait for another program that holds the database. The writer blocks in the
/// meantime, so it is short; a failed turn can be retried.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// Bookmarks and hosts in `wecrelay.db` in the state folder.
///
/// In WAL mode with `synchronous=NORMAL`: a power failure may lose the last commits, which
/// makes sources repeat batches, but never damages the rest.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    file: PathBuf,
    turn: Turn,
    damage: Damage,
    /// How often the files were replaced, for the other connections.
    replaced: Arc<AtomicU64>,
    /// Number of pages in the write-ahead log after the last commit, for checkpoints.
    pages: Arc<AtomicU64>,
    /// Why the files are not those of the folder, if that could not be repaired.
    gone: Option<String>,
    /// Locked as long as the database is open. The last field, so that it is released last.
    files: Files,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// No changes yet.
    Clean,
    /// A transaction is open.
    Open,
    /// A change failed; SQLite may have rolled back the ones before it.
    Failed,
}

impl Sqlite {
    /// Opens the database in `folder`, and creates both if missing, for the relay's user
    /// only. A damaged one is rewritten from what can be read.
    ///
    /// # Errors
    /// Another relay uses the folder; it cannot be created or written; the file is not a
    /// database, or that of a later version.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let mut files = Files::lock(folder)?;
        let file = files.database();
        let mut connection = start(&file)?;
        let mut damage = Damage::default();
        if let Some(fault) = salvage::check(&connection) {
            connection = damage.mend(&fault, connection, &file)?;
        }
        files.remember();
        let mut store = Self {
            connection,
            file,
            turn: Turn::Clean,
            damage,
            replaced: Arc::default(),
            pages: Arc::default(),
            gone: None,
            files,
        };
        store.watch_log()?;
        Ok(store)
    }

    /// A connection for reading on another thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(&self.file, &self.replaced)
    }

    /// A connection for checkpoints on another thread.
    #[must_use]
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(&self.file, &self.replaced, &self.pages)
    }

    /// The connection is a new one.
    fn note_replaced(&mut self) -> Result<(), Error> {
        self.replaced.fetch_add(1, Ordering::Release);
        self.watch_log()
    }

    fn watch_log(&mut self) -> Result<(), Error> {
        let pages = Arc::clone(&self.pages);
        let note = move |_: &mut _, count| {
            pages.store(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        let watched = self.connection.wal_hook(Some(note));
        watched.map_err(|error| self.explain(error))
    }

    fn begin(&mut self) -> Result<(), Error> {
        match self.turn {
            Turn::Failed => Err(Error::TurnFailed),
            Turn::Open => Ok(()),
            Turn::Clean => self.run("BEGIN IMMEDIATE").map(|()| self.turn = Turn::Open),
        }
    }

    fn run(&self, statement: &str) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare_cached(statement)
            .map_err(|error| self.explain(error))?;
        statement
            .execute(())
            .map(drop)
            .map_err(|error| self.explain(error))
    }

    fn change(&mut self, key: &Key, change: Change<'_>, stamp: Stamp) -> Result<(), Error> {
        self.begin()?;
        let written = match change {
            Change::Latest(stored) => bookmarks::put_latest(&self.connection, key, stored, stamp),
            Change::Aside(bookmark, reason) => {
                bookmarks::put_aside(&self.connection, key, (bookmark, reason), stamp)
            }
        };
        written.map(drop).map_err(|error| self.explain(error))
    }

    fn explain(&self, error: rusqlite::Error) -> Error {
        explain(&self.file, error)
    }

    /// Between two turns: rewrites a database in which a damaged page was found.
    fn mend(&mut self) {
        let Some(fault) = self.damage.take_fault() else {
            return;
        };
        let Ok(none) = Connection::open_in_memory() else {
            return;
        };
        let damaged = std::mem::replace(&mut self.connection, none);
        let mended = self.damage.mend(&fault, damaged, &self.file);
        let replaced = mended.and_then(|connection| {
            self.connection = connection;
            self.files.remember();
            self.note_replaced()
        });
        if let Err(error) = replaced {
            log::error!("{error}");
        }
    }

    /// Between two turns: ensures that the files written are those that the next start will
    /// find.
    fn look_after_files(&mut self) -> Result<(), Error> {
        let Some(missing) = self.files.missing() else {
            if self.gone.take().is_some() {
                log::info!("the state folder is complete again");
            }
            return Ok(());
        };
        match self.restore(missing) {
            Ok(()) => {
                log::error!(
                    "{} was deleted while the relay runs, and has been written again from memory: \
                     stop the relay before you delete its state",
                    match missing {
                        Missing::Lock => "the lock file of the state folder",
                        _ => "the state folder or a file in it",
                    }
                );
                self.gone = None;
                Ok(())
            }
            Err(error) => {
                let detail = format!("it was deleted or replaced while the relay runs: {error}");
                self.gone = Some(detail.clone());
                let folder = self.files.folder().to_owned();
                Err(Error::Gone { folder, detail })
            }
        }
    }

    fn restore(&mut self, missing: Missing) -> Result<(), Error> {
        match missing {
            Missing::Lock => return self.files.lock_again(),
            Missing::Replaced => {
                // The files beside it belong to the open database, and must not become part of the
                // other database.
                self.files.forget_beside()?;
                let folder = self.files.folder().to_owned();
                let detail = format!(
                    "{} is not the file that the relay has open; restart the relay",
                    self.file.display()
                );
                return Err(Error::Gone { folder, detail });
            }
            Missing::Beside => {
                salvage::checkpoint(&self.connection).map_err(|error| self.explain(error))?;
            }
            Missing::Database => {
                self.files = self.files.again()?;
                self.write_anew()?;
            }
        }
        self.reopen()
    }

    /// Writes the content of the open database to a new file of its name.
    fn write_anew(&self) -> Result<(), Error> {
        let new = self.file.with_file_name("wecrelay.db.new");
        salvage::remove(&new)?;
        drop(private_file(&new)?);
        let name = new.to_string_lossy();
        self.connection
            .execute("VACUUM INTO ?1", [&*name])
            .map_err(|error| explain(&new, error))?;
        salvage::remove_beside(&self.file)?;
        files::replace(&new, &self.file)
    }

    /// Replaces the open file by the one in the folder.
    fn reopen(&mut self) -> Result<(), Error> {
        let none = Connection::open_in_memory().map_err(|error| self.explain(error))?;
        // Closed first: SQLite deletes the files beside a database by name when it closes
        // it, though not those of one that was moved, and would take them for part of the
        // new one.
        drop(std::mem::replace(&mut self.connection, none));
        salvage::remove_beside(&self.file)?;
        self.connection = start(&self.file)?;
        self.files.remember();
        self.note_replaced()
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // Nobody makes checkpoints after it.
        self.pages.store(0, Ordering::Relaxed);
    }
}

impl Store for Sqlite {
    fn bookmark(&mut self, key: &Key) -> Result<Option<Stored>, Error> {
        match bookmarks::read(&self.connection, key) {
            Ok(Read::Stored(stored)) => Ok(Some(stored)),
            Ok(Read::None) => Ok(None),
            Ok(Read::Damaged(why)) => {
                self.damage.note_row(key, &why);
                Ok(None)
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    fn put(&mut self, key: &Key, change: Change<'_>, stamp: Stamp) -> Result<(), Error> {
        let changed = self.change(key, change, stamp);
        if let Err(error) = &changed {
            self.turn = Turn::Failed;
            if let Error::Corrupt { detail, .. } = error {
                self.damage.note_page(key, detail);
            }
        }
        changed
    }

    fn rename(&mut self, from: &Key, to: &Key) -> Result<bool, Error> {
        // Most hosts have nothing under a former key, and reading needs no transaction.
        let is_there = match bookmarks::read(&self.connection, from) {
            Ok(Read::Stored(_)) => true,
            Ok(Read::None | Read::Damaged(_)) => false,
            Err(error) => return Err(self.explain(error)),
        };
        if !is_there {
            return Ok(false);
        }
        let moved = self.begin().and_then(|()| {
            let moved = bookmarks::rename(&self.connection, from, to);
            moved.map_err(|error| self.explain(error))
        });
        if moved.is_err() {
            self.turn = Turn::Failed;
        }
        moved.map(|count| count > 0)
    }

    fn commit(&mut self) -> Result<(), Error> {
        let committed = match self.turn {
            Turn::Clean => return Ok(()),
            Turn::Open => self.run("COMMIT"),
            Turn::Failed => Err(Error::TurnFailed),
        };
        self.rollback();
        // What is committed to files that nobody will find again is not stored.
        committed.and_then(|()| self.look_after_files())
    }

    fn rollback(&mut self) {
        self.turn = Turn::Clean;
        if !self.connection.is_autocommit()
            && let Err(error) = self.run("ROLLBACK")
        {
            log::error!("cannot roll back: {error}");
        }
        self.mend();
    }

    fn save_hosts(&mut self, changes: &Changes) -> Result<(), Error> {
        if self.turn != Turn::Clean {
            return Err(Error::TurnFailed);
        }
        let saved = hosts::save(&mut self.connection, changes);
        self.look_after_files()?;
        saved.map_err(|error| explain(&self.file, error))
    }

    fn load_hosts(&mut self) -> Result<Saved, Error> {
        hosts::load(&self.connection, &mut self.damage).map_err(|error| self.explain(error))
    }

    fn usage(&mut self) -> Result<Vec<(Owner, Usage)>, Error> {
        bookmarks::usage(&self.connection).map_err(|error| self.explain(error))
    }

    fn walk(&mut self, after: Option<&Key>, count: usize) -> Result<Vec<(Key, u64)>, Error> {
        bookmarks::walk(&self.connection, after, count).map_err(|error| self.explain(error))
    }

    fn sift(&mut self, gone: &[Key], kept: &[Key], ran: u64) -> Result<(), Error> {
        if self.turn != Turn::Clean {
            return Err(Error::TurnFailed);
        }
        let sifted = bookmarks::sift(&mut self.connection, gone, kept, ran);
        sifted.map_err(|error| explain(&self.file, error))
    }

    fn condition(&self) -> Condition {
        Condition {
            damaged: self.damage.rows(),
            notice: self.damage.notice(),
            trouble: self
                .gone
                .as_ref()
                .map(|gone| format!("state folder: {gone}")),
        }
    }
}

/// Opens the database and creates missing tables.
fn start(file: &Path) -> Result<Connection, Error> {
    drop(private_file(file)?);
    let connection = connect(file).map_err(|error| explain(file, error))?;
    check_version(&connection, file)?;
    schema::prepare(&connection).map_err(|error| explain(file, error))?;
    // The files beside the database exist after the first read.
    let read = connection.query_row("SELECT count(*) FROM relay", (), |row| row.get::<_, i64>(0));
    match read {
        Err(error) if !bookmarks::is_damage(&error) => Err(explain(file, error)),
        _ => Ok(connection),
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    // Without SQLITE_OPEN_URI, because a folder may be named "file:".
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn explain(file: &Path, error: rusqlite::Error) -> Error {
    let file = file.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full { file },
        Some(ErrorCode::ReadOnly) => Error::ReadOnly { file },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt {
            file,
            detail: error.to_string(),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy { file },
        _ => Error::Database { file, error },
    }
}

/// SQLite's integers are signed; times are far below their maximum.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
impl Sqlite {
    /// Lets what is in memory of the file go, so that it is read again.
    fn forget_pages(&self) {
        self.connection
            .execute_batch("PRAGMA shrink_memory")
            .unwrap();
    }

    /// All that is kept of `key`.
    pub(super) fn entry(&self, key: &Key) -> Option<crate::store::Entry> {
        bookmarks::entry(&self.connection, key)
    }

    /// Lets the database grow to this many pages and no further: a full disk.
    pub(super) fn limit_pages(&self, pages: u32) {
        let limited = self.connection.pragma_update(None, "max_page_count", pages);
        limited.unwrap();
    }

    /// Refuses all changes, as a disk does that was mounted again read-only.
    pub(super) fn pretend_read_only(&self, on: bool) {
        self.connection
            .pragma_update(None, "query_only", on)
            .unwrap();
    }
}

#[cfg(test)]
mod tests;
