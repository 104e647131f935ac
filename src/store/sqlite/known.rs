//! What the state folder contains about bookmarks, read while a relay may use it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::bookmarks::key;
use super::{BUSY_TIMEOUT, check_version, explain};
use crate::bookmark::Stored;
use crate::store::{Error, KeptAside};

/// What the bookmarks of a subscription show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Number of hosts that have one.
    pub hosts: usize,
    /// Channels that occur in at least one of them, spelled as by a host.
    pub channels: Vec<String>,
}

/// Reads the bookmarks of a subscription; `None` if there is no database yet.
///
/// # Errors
/// The database cannot be read, or was written by a later version.
pub fn known(folder: &Path, subscription: Uuid) -> Result<Option<Known>, Error> {
    read(folder, |connection| gather(connection, subscription))
}

/// The bookmarks that were kept aside; empty if there is no database yet.
///
/// # Errors
/// The database cannot be read, or was written by a later version.
pub fn kept_aside(folder: &Path) -> Result<Vec<KeptAside>, Error> {
    Ok(read(folder, asides)?.unwrap_or_default())
}

/// Reads something; `None` where there is no database yet.
fn read<T>(
    folder: &Path,
    what: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<Option<T>, Error> {
    let file = folder.join("wecrelay.db");
    if !file.exists() {
        return Ok(None);
    }
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| explain(&file, error))?;
    check_version(&connection, &file)?;
    let read = what(&connection);
    read.map(Some).map_err(|error| explain(&file, error))
}

fn asides(connection: &Connection) -> rusqlite::Result<Vec<KeptAside>> {
    let query = "SELECT subscription, authenticated, identity, machine_id, aside_reason \
                 FROM bookmark WHERE aside IS NOT NULL";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query(())?;
    let mut asides = Vec::new();
    while let Some(row) = rows.next()? {
        // The relay itself reports damaged ones.
        if let Some(key) = key(row)? {
            let reason: Option<String> = row.get(4)?;
            let reason = reason.unwrap_or_default();
            asides.push(KeptAside { key, reason });
        }
    }
    Ok(asides)
}

fn gather(connection: &Connection, subscription: Uuid) -> rusqlite::Result<Known> {
    let mut known = Known::default();
    let query = "SELECT latest FROM bookmark WHERE subscription = ?1 AND latest IS NOT NULL";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([subscription.into_bytes()])?;
    while let Some(row) = rows.next()? {
        known.hosts += 1;
        let xml = row.get_ref(0)?.as_str().unwrap_or_default();
        // The relay itself reports damaged ones.
        let Ok(stored) = Stored::parse(xml, false) else {
            continue;
        };
        for held in stored.held() {
            let channel = &held.position.channel;
            if !known
                .channels
                .iter()
                .any(|c| c.eq_ignore_ascii_case(channel))
            {
                known.channels.push(channel.clone());
            }
        }
    }
    Ok(known)
}
