//! The store of a single relay: one SQLite database in the state folder.

mod hosts;
mod known;
mod statements;

pub use hosts::{Old, forget_hosts, read_hosts};
pub use known::{Known, known};

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use crate::bookmark::{Bookmark, Key, Reason, Stored};
use crate::hosts::{Changes, Saved};
use crate::store::{Aside, Change, Entry, Error, Store};

use self::statements::{PUT_ASIDE, PUT_LATEST, RENAME, SELECT};

/// Version of the tables, kept in the database's `user_version`.
const SCHEMA_VERSION: i64 = 2;

/// How long to wait for another program that holds the database. The loop
/// stands still meanwhile, so it is short: a failed turn can be tried again.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

const SCHEMA: &str = "
    CREATE TABLE bookmark (
        subscription BLOB NOT NULL,
        authenticated INTEGER NOT NULL,
        identity TEXT NOT NULL,
        machine_id TEXT NOT NULL,
        latest TEXT,
        weak INTEGER NOT NULL DEFAULT 0,
        last_event INTEGER,
        previous TEXT,
        aside TEXT,
        aside_reason TEXT,
        updated INTEGER NOT NULL,
        PRIMARY KEY (subscription, authenticated, identity, machine_id)
    ) STRICT, WITHOUT ROWID;";

/// Bookmarks and hosts in `wecrelay.db` in the state folder.
///
/// In WAL mode with `synchronous=NORMAL`: a power cut may take the last commits
/// with it, which makes sources repeat batches, and never damages the rest.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    file: PathBuf,
    turn: Turn,
    /// Held as long as the database is open; the last field, so released last.
    _lock: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing was changed yet.
    Clean,
    /// A transaction is open.
    Open,
    /// A change failed; SQLite may have rolled back those before it.
    Failed,
}

impl Sqlite {
    /// Opens the database in `folder`, and creates both where they are missing,
    /// for the relay's user only.
    ///
    /// # Errors
    /// Another relay uses the folder; it cannot be created or written; the
    /// database is damaged or written by a later version.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        create_folder(folder)?;
        let lock = lock(folder)?;
        let file = folder.join("wecrelay.db");
        private_file(&file)?;
        let connection = connect(&file).map_err(|error| explain(&file, error))?;
        check_version(&connection, &file)?;
        prepare(&connection).map_err(|error| explain(&file, error))?;
        Ok(Self {
            connection,
            file,
            turn: Turn::Clean,
            _lock: lock,
        })
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

    fn change(&mut self, key: &Key, change: Change<'_>, now: u64) -> Result<(), Error> {
        self.begin()?;
        let written = match change {
            Change::Latest(stored) => self.put_latest(key, stored, now),
            Change::Aside(bookmark, reason) => self.put_aside(key, bookmark, reason, now),
        };
        written.map(drop).map_err(|error| self.explain(error))
    }

    fn put_latest(&self, key: &Key, stored: &Stored, now: u64) -> rusqlite::Result<usize> {
        let (subscription, authenticated, identity, machine_id) = columns(key);
        self.connection.prepare_cached(PUT_LATEST)?.execute(params![
            subscription,
            authenticated,
            identity,
            machine_id,
            stored.bookmark.xml(),
            stored.weak,
            stored.last_event.map(to_sql),
            to_sql(now),
        ])
    }

    fn put_aside(
        &self,
        key: &Key,
        bookmark: &Bookmark,
        reason: &Reason,
        now: u64,
    ) -> rusqlite::Result<usize> {
        let (subscription, authenticated, identity, machine_id) = columns(key);
        self.connection.prepare_cached(PUT_ASIDE)?.execute(params![
            subscription,
            authenticated,
            identity,
            machine_id,
            bookmark.xml(),
            reason.to_string(),
            to_sql(now),
        ])
    }

    fn move_row(&self, from: &Key, to: &Key) -> rusqlite::Result<usize> {
        let (from, to) = (columns(from), columns(to));
        self.connection.prepare_cached(RENAME)?.execute(params![
            from.0, from.1, from.2, from.3, to.0, to.1, to.2, to.3
        ])
    }

    fn select<T>(
        &self,
        key: &Key,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let parameters = columns(key);
        let mut statement = self
            .connection
            .prepare_cached(SELECT)
            .map_err(|error| self.explain(error))?;
        statement
            .query_row(parameters, read)
            .optional()
            .map_err(|error| self.explain(error))
    }

    fn stored(&self, key: &Key, latest: Latest) -> Result<Option<Stored>, Error> {
        let Some(xml) = latest.xml else {
            return Ok(None);
        };
        let bookmark = Bookmark::parse(&xml).map_err(|error| Error::Bookmark {
            file: self.file.clone(),
            machine_id: key.machine_id().to_owned(),
            error,
        })?;
        Ok(Some(Stored {
            bookmark,
            weak: latest.weak,
            last_event: latest.last_event,
        }))
    }

    fn explain(&self, error: rusqlite::Error) -> Error {
        explain(&self.file, error)
    }
}

impl Store for Sqlite {
    fn bookmark(&mut self, key: &Key) -> Result<Option<Stored>, Error> {
        match self.select(key, read_latest)? {
            Some(latest) => self.stored(key, latest),
            None => Ok(None),
        }
    }

    fn entry(&mut self, key: &Key) -> Result<Option<Entry>, Error> {
        let Some((latest, entry)) =
            self.select(key, |row| Ok((read_latest(row)?, read_entry(row)?)))?
        else {
            return Ok(None);
        };
        Ok(Some(Entry {
            latest: self.stored(key, latest)?,
            ..entry
        }))
    }

    fn put(&mut self, key: &Key, change: Change<'_>, now: u64) -> Result<(), Error> {
        let changed = self.change(key, change, now);
        if changed.is_err() {
            self.turn = Turn::Failed;
        }
        changed
    }

    fn rename(&mut self, from: &Key, to: &Key) -> Result<bool, Error> {
        // Most have nothing under an old name, and a look needs no transaction.
        if self.select(from, |_| Ok(()))?.is_none() {
            return Ok(false);
        }
        let moved = self.begin().and_then(|()| {
            let moved = self.move_row(from, to);
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
        committed
    }

    fn rollback(&mut self) {
        self.turn = Turn::Clean;
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.run("ROLLBACK") {
            log::error!("cannot roll back: {error}");
        }
    }

    fn save_hosts(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        if self.turn != Turn::Clean {
            return Err(Error::TurnFailed);
        }
        hosts::save(&mut self.connection, changes).map_err(|error| explain(&self.file, error))
    }

    fn load_hosts(&mut self) -> Result<Saved, Error> {
        hosts::load(&self.connection).map_err(|error| self.explain(error))
    }
}

/// The columns that the loop needs for each batch.
struct Latest {
    xml: Option<String>,
    weak: bool,
    last_event: Option<u64>,
}

fn read_latest(row: &Row<'_>) -> rusqlite::Result<Latest> {
    Ok(Latest {
        xml: row.get("latest")?,
        weak: row.get("weak")?,
        last_event: row.get::<_, Option<i64>>("last_event")?.map(from_sql),
    })
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (xml, reason): (Option<String>, Option<String>) =
        (row.get("aside")?, row.get("aside_reason")?);
    Ok(Entry {
        latest: None,
        previous: row.get("previous")?,
        aside: xml.map(|xml| Aside {
            xml,
            reason: reason.unwrap_or_default(),
        }),
        updated: from_sql(row.get("updated")?),
    })
}

fn create_folder(folder: &Path) -> Result<(), Error> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.map_err(|error| Error::Folder {
        path: folder.to_owned(),
        error,
    })
}

/// Takes the lock that keeps a second relay out, until the file is dropped.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("wecrelay.lock");
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::Folder { path, error }),
    }
}

/// Opens or creates a file that only the relay's user can read. SQLite gives
/// its other files the same mode.
fn private_file(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map_err(|error| refused(path, error))
}

fn refused(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => Error::Full {
            file: path.to_owned(),
        },
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly {
            file: path.to_owned(),
        },
        _ => Error::Folder {
            path: path.to_owned(),
            error,
        },
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    // Without SQLITE_OPEN_URI: a folder may be called "file:".
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn check_version(connection: &Connection, file: &Path) -> Result<(), Error> {
    let found = version(connection).map_err(|error| explain(file, error))?;
    if found > SCHEMA_VERSION {
        let file = file.to_owned();
        return Err(Error::Newer {
            file,
            found,
            known: SCHEMA_VERSION,
        });
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    let missing: String = match version(connection)? {
        0 => format!("{SCHEMA} {}", hosts::SCHEMA),
        1 => hosts::SCHEMA.to_owned(),
        _ => return Ok(()),
    };
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {missing} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    ))
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

/// The columns of the primary key.
fn columns(key: &Key) -> ([u8; 16], bool, &str, &str) {
    let identity = key.identity();
    let subscription = key.subscription().into_bytes();
    (
        subscription,
        identity.is_some(),
        identity.unwrap_or_default(),
        key.machine_id(),
    )
}

/// SQLite's integers have a sign; times end far below it.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
impl Sqlite {
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
