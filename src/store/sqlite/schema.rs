//! The tables, and migrations from older versions.

use std::path::Path;

use rusqlite::Connection;

use super::explain;
use crate::store::Error;

/// Version of the tables, in the database's `user_version`.
pub(super) const SCHEMA_VERSION: i64 = 3;

/// Bookmarks, as in version 1.
const BOOKMARKS: &str = "
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

/// The tables that version 2 added.
const HOSTS: &str = "
    CREATE TABLE host (
        authenticated INTEGER NOT NULL,
        identity TEXT NOT NULL,
        machine TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        facts TEXT NOT NULL,
        PRIMARY KEY (authenticated, identity, machine)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE refusal (facts TEXT NOT NULL) STRICT;
    CREATE TABLE relay (
        started INTEGER NOT NULL,
        written INTEGER NOT NULL,
        stopped INTEGER NOT NULL
    ) STRICT;";

/// What version 3 added: ages in seconds of running time, which start at zero for existing
/// rows, and the owner of bookmarks without identity.
const AGES: &str = "
    ALTER TABLE bookmark ADD COLUMN ran INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE bookmark ADD COLUMN network TEXT;
    ALTER TABLE relay ADD COLUMN ran INTEGER NOT NULL DEFAULT 0;";

pub(super) fn check_version(connection: &Connection, file: &Path) -> Result<(), Error> {
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

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Creates missing tables.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    // Done by another connection; see Checkpoints. This sets the hook for commits, so it comes
    // before the store sets its own.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let missing: String = match version(connection)? {
        0 => format!("{BOOKMARKS} {} {AGES}", HOSTS),
        1 => format!("{} {AGES}", HOSTS),
        2 => AGES.to_owned(),
        _ => return Ok(()),
    };
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {missing} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    ))
}
