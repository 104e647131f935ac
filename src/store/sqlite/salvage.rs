//! Rewrites a damaged database from what can be read.
//!
//! A damaged page hides its rows, and everything after it when a table is read in order. So
//! tables are read from both ends, and in between by the keys that the other table has.
#![expect(
    clippy::disallowed_methods,
    reason = "the files of a database beside SQLite"
)]

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::files::{private_file, refused};
use super::{connect, explain, schema};
use crate::store::Error;

/// A table, and the columns of its key.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
}

const BOOKMARKS: Table = Table {
    name: "bookmark",
    key: &["subscription", "authenticated", "identity", "machine_id"],
};
const HOSTS: Table = Table {
    name: "host",
    key: &["authenticated", "identity", "machine"],
};

/// What is wrong with a database; `None` if nothing is.
pub(super) fn check(connection: &Connection) -> Option<String> {
    let check = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    // The first fault is enough.
    match connection.query_row("PRAGMA quick_check(1)", (), check) {
        Ok(answer) if answer == "ok" => None,
        // Such as "*** in database main ***", then the fault.
        Ok(answer) => Some(answer.lines().last().unwrap_or_default().trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Replaces a database by what can be read of it, and keeps the damaged one beside it.
/// Returns the path of the latter, and the number of bookmarks that are left.
pub(super) fn rewrite(damaged: Connection, file: &Path) -> Result<(PathBuf, usize), Error> {
    let (new, aside) = (beside(file, "new"), beside(file, "damaged"));
    remove(&new)?;
    drop(private_file(&new)?);
    let count = copy(&damaged, &new).map_err(|error| explain(&new, error))?;
    // What is in its log must be in its file, because nothing may be left beside the new
    // one.
    let _ = checkpoint(&damaged);
    drop(damaged);
    remove(&aside)?;
    fs::hard_link(file, &aside)
        .or_else(|_| fs::copy(file, &aside).map(drop))
        .map_err(|error| refused(&aside, error))?;
    remove_beside(file)?;
    fs::rename(&new, file).map_err(|error| refused(file, error))?;
    Ok((aside, count))
}

fn beside(file: &Path, what: &str) -> PathBuf {
    file.with_extension(format!("db.{what}"))
}

/// Writes the whole log into the database's own file.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    let is_busy = |row: &rusqlite::Row<'_>| row.get::<_, bool>(0);
    if connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), is_busy)? {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Err(rusqlite::Error::SqliteFailure(busy, None))
    } else {
        Ok(())
    }
}

/// Deletes the files that SQLite keeps beside a database that is closed or no longer used.
pub(super) fn remove_beside(file: &Path) -> Result<(), Error> {
    ["wecrelay.db-wal", "wecrelay.db-shm"]
        .iter()
        .try_for_each(|name| remove(&file.with_file_name(name)))
}

pub(super) fn remove(file: &Path) -> Result<(), Error> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(refused(file, error)),
        _ => Ok(()),
    }
}

fn copy(damaged: &Connection, new: &Path) -> rusqlite::Result<usize> {
    let mut new = connect(new)?;
    schema::prepare(&new)?;
    // A single file, complete when it is closed.
    new.pragma_update(None, "journal_mode", "delete")?;
    let turn = new.transaction()?;
    HOSTS.copy(damaged, &turn)?;
    let is_whole = BOOKMARKS.copy(damaged, &turn)?;
    if !is_whole {
        find_between(damaged, &turn)?;
    }
    for name in ["refusal", "relay"] {
        let table = Table { name, key: &[] };
        table.scan(damaged, &turn, "")?;
    }
    let count = "SELECT count(*) FROM bookmark";
    let count: i64 = turn.query_row(count, (), |row| row.get(0))?;
    turn.commit()?;
    Ok(usize::try_from(count).unwrap_or_default())
}

impl Table {
    /// Copies a table; returns whether all of it could be read in order.
    fn copy(&self, from: &Connection, to: &Connection) -> rusqlite::Result<bool> {
        let order = |way: &str| {
            let columns: Vec<_> = self.key.iter().map(|c| format!("{c} {way}")).collect();
            format!("ORDER BY {}", columns.join(", "))
        };
        let is_whole = self.scan(from, to, &order("ASC"))?;
        if !is_whole {
            self.scan(from, to, &order("DESC"))?;
        }
        Ok(is_whole)
    }

    /// Copies rows until one cannot be read; returns whether there was no such row.
    fn scan(&self, from: &Connection, to: &Connection, order: &str) -> rusqlite::Result<bool> {
        let names = self.columns(to)?;
        let query = format!("SELECT {} FROM {} {order}", names.join(", "), self.name);
        let Ok(mut statement) = from.prepare(&query) else {
            return Ok(false);
        };
        let Ok(mut rows) = statement.query(()) else {
            return Ok(false);
        };
        let mut insert = to.prepare(&self.insert(&names))?;
        loop {
            let Ok(row) = rows.next() else {
                return Ok(false);
            };
            let Some(row) = row else {
                return Ok(true);
            };
            let values: Result<Vec<Value>, _> = (0..names.len()).map(|i| row.get(i)).collect();
            if let Ok(values) = values {
                insert.execute(params_from_iter(values))?;
            }
        }
    }

    fn columns(&self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        let query = format!("SELECT name FROM pragma_table_info('{}')", self.name);
        let mut statement = connection.prepare(&query)?;
        let names = statement.query_map((), |row| row.get(0))?;
        names.collect()
    }

    fn insert(&self, names: &[String]) -> String {
        let places = vec!["?"; names.len()].join(", ");
        let (name, names) = (self.name, names.join(", "));
        format!("INSERT OR IGNORE INTO {name} ({names}) VALUES ({places})")
    }
}

/// Looks up the bookmarks of all known hosts, each by its key.
fn find_between(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    let names = BOOKMARKS.columns(to)?;
    let query = format!(
        "SELECT {} FROM bookmark WHERE subscription = ?1 AND authenticated = ?2 \
         AND identity = ?3 AND machine_id = ?4",
        names.join(", ")
    );
    let keys = "SELECT s.subscription, h.authenticated, h.identity, h.machine \
                FROM host h, (SELECT DISTINCT subscription FROM bookmark) s";
    let mut keys = to.prepare(keys)?;
    let mut keys = keys.query(())?;
    let mut found: Vec<Vec<Value>> = Vec::new();
    let mut lookup = from.prepare(&query)?;
    while let Some(key) = keys.next()? {
        let key: Vec<Value> = (0..4).map(|i| key.get(i)).collect::<Result<_, _>>()?;
        let read = |row: &rusqlite::Row<'_>| (0..names.len()).map(|i| row.get(i)).collect();
        found.extend(lookup.query_row(params_from_iter(key), read).ok());
    }
    let mut insert = to.prepare(&BOOKMARKS.insert(&names))?;
    for values in found {
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}
