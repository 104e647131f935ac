//! Two connections beside the one that writes: one reads, and one moves changes from the
//! write-ahead log into the database. Neither waits for a commit, nor does a commit wait
//! for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::bookmarks::{self, Read};
use super::connect;
use crate::bookmark::Key;
use crate::store::{Found, Lookup};

/// Number of pages in the write-ahead log from which on a checkpoint is made: SQLite's own
/// default.
const MUCH: u64 = 1000;

/// An additional connection to a database whose files may be replaced.
#[derive(Debug)]
struct Beside {
    file: PathBuf,
    replaced: Arc<AtomicU64>,
    open: Option<(u64, Connection)>,
}

impl Beside {
    fn new(file: &Path, replaced: &Arc<AtomicU64>) -> Self {
        Self {
            file: file.to_owned(),
            replaced: Arc::clone(replaced),
            open: None,
        }
    }

    /// A connection to the current files.
    fn connection(&mut self) -> rusqlite::Result<&Connection> {
        let now = self.replaced.load(Ordering::Acquire);
        let connection = match self.open.take() {
            Some((opened, connection)) if opened == now => connection,
            _ => open(&self.file)?,
        };
        Ok(&self.open.insert((now, connection)).1)
    }
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(file)?;
    // The files beside the database belong to the store.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Reads bookmarks.
#[derive(Debug)]
pub struct Reader(Beside);

impl Reader {
    pub(super) fn new(file: &Path, replaced: &Arc<AtomicU64>) -> Self {
        Self(Beside::new(file, replaced))
    }

    /// The rows; `None` after any problem, which the store itself must see.
    pub fn read(&mut self, lookups: &[Lookup]) -> Option<Vec<Found>> {
        let found = self.try_read(lookups);
        if found.is_none() {
            self.0.open = None;
        }
        found
    }

    fn try_read(&mut self, lookups: &[Lookup]) -> Option<Vec<Found>> {
        let before = self.0.replaced.load(Ordering::Acquire);
        let connection = self.0.connection().ok()?;
        // One snapshot for all of them, and one lock.
        let view = connection.unchecked_transaction().ok()?;
        let found = lookups.iter().map(|lookup| find(&view, lookup));
        let found = found.collect::<Option<Vec<_>>>()?;
        drop(view);
        (self.0.replaced.load(Ordering::Acquire) == before).then_some(found)
    }
}

fn find(connection: &Connection, lookup: &Lookup) -> Option<Found> {
    let mut found = Found::default();
    let keys = std::iter::once(&lookup.key).chain(&lookup.former);
    for key in keys {
        if let Some(stored) = read(connection, key)? {
            found.stored = Some(stored);
            found.former = (*key != lookup.key).then(|| key.clone());
            break;
        }
    }
    Some(found)
}

/// The outer `None` means that it cannot be read.
fn read(connection: &Connection, key: &Key) -> Option<Option<crate::bookmark::Stored>> {
    match bookmarks::read(connection, key) {
        Ok(Read::Stored(stored)) => Some(Some(stored)),
        Ok(Read::None) => Some(None),
        Ok(Read::Damaged(_)) | Err(_) => None,
    }
}

/// Moves changes from the log into the database.
#[derive(Debug)]
pub struct Checkpoints {
    beside: Beside,
    /// Number of pages in the log after the last commit. The size of its file says little, since
    /// SQLite writes it again from the front.
    pages: Arc<AtomicU64>,
}

impl Checkpoints {
    pub(super) fn new(file: &Path, replaced: &Arc<AtomicU64>, pages: &Arc<AtomicU64>) -> Self {
        Self {
            beside: Beside::new(file, replaced),
            pages: Arc::clone(pages),
        }
    }

    /// Does so if the log is long. A failure is retried the next time, and by the store
    /// itself when it is closed.
    pub fn run(&mut self) {
        if self.pages.load(Ordering::Relaxed) < MUCH {
            return;
        }
        let done = self.beside.connection().and_then(|connection| {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
        });
        if let Err(error) = done {
            log::debug!("{}: no checkpoint: {error}", self.beside.file.display());
            self.beside.open = None;
        }
    }
}
