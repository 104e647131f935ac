//! What is known about hosts, in separate tables; also read while a relay is running.
//!
//! A host is one JSON document under its key: its fields will change, and only `wecrelay
//! hosts`, which reads all of them, looks into it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bookmarks::{is_damage, key as bookmark_key};
use super::damage::Damage;
use super::{BUSY_TIMEOUT, bookmarks, check_version, explain, from_sql, to_sql, version};
use crate::base::clock::UnixSeconds;
use crate::bookmark;
use crate::hosts::{Changes, Host, Key, Pulse, Saved};
use crate::store::Error;

const PUT: &str = "
    INSERT INTO host (authenticated, identity, machine, last_seen, facts)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET last_seen = excluded.last_seen, facts = excluded.facts";

const FORGET: &str = "
    DELETE FROM host
    WHERE authenticated = ?1 AND identity = ?2 AND machine = ?3 AND last_seen < ?4";

/// Number of hosts to delete in one transaction, because a running relay waits in the
/// meantime.
const AT_ONCE: usize = 200;
/// The pause between two of them, for the relay.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn save(connection: &mut Connection, changes: &Changes) -> rusqlite::Result<()> {
    let turn = connection.transaction()?;
    for host in &changes.hosts {
        let key = Key::of(host);
        let (authenticated, identity, machine) = columns(&key);
        turn.prepare_cached(PUT)?.execute(params![
            authenticated,
            identity,
            machine,
            to_sql(host.last_seen.get()),
            json(host)?,
        ])?;
    }
    for key in &changes.forgotten {
        let (authenticated, identity, machine) = columns(key);
        let parameters = params![authenticated, identity, machine, i64::MAX];
        turn.prepare_cached(FORGET)?.execute(parameters)?;
    }
    if let Some(refusals) = &changes.refusals {
        turn.execute("DELETE FROM refusal", ())?;
        let mut insert = turn.prepare_cached("INSERT INTO refusal VALUES (?1)")?;
        for refusal in refusals {
            insert.execute([json(refusal)?])?;
        }
    }
    let Pulse {
        started,
        written,
        is_stopped,
        ran,
    } = changes.pulse;
    turn.execute("DELETE FROM relay", ())?;
    let pulse = params![
        to_sql(started.get()),
        to_sql(written.get()),
        is_stopped,
        to_sql(ran)
    ];
    let insert = "INSERT INTO relay (started, written, stopped, ran) VALUES (?1, ?2, ?3, ?4)";
    turn.prepare_cached(insert)?.execute(pulse)?;
    turn.commit()
}

pub(super) fn load(connection: &Connection, damage: &mut Damage) -> rusqlite::Result<Saved> {
    let ran = match version(connection)? {
        0..=2 => "0",
        _ => "ran",
    };
    let read = |row: &Row<'_>| {
        Ok(Pulse {
            started: UnixSeconds::new(from_sql(row.get(0)?)),
            written: UnixSeconds::new(from_sql(row.get(1)?)),
            is_stopped: row.get(2)?,
            ran: from_sql(row.get(3)?),
        })
    };
    let query = format!("SELECT started, written, stopped, {ran} FROM relay");
    let pulse = match connection.query_row(&query, (), read).optional() {
        Err(error) if is_damage(&error) => None,
        pulse => pulse?,
    };
    Ok(Saved {
        hosts: documents(connection, "SELECT facts FROM host", damage)?,
        refusals: documents(connection, "SELECT facts FROM refusal", damage)?,
        pulse: pulse.unwrap_or_default(),
        ..Saved::default()
    })
}

/// What is known about hosts; `None` if the folder has no database, or one of a version
/// without hosts.
///
/// # Errors
/// The database cannot be read, or was written by a later version.
pub fn read_hosts(folder: &Path) -> Result<Option<Saved>, Error> {
    let file = folder.join("wecrelay.db");
    if !is_there(&file)? {
        return Ok(None);
    }
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = open(&file, flags)?;
        // One snapshot of all tables, whatever is written in the meantime.
        let view = connection.transaction()?;
        if version(&view)? == 1 {
            return Ok(None);
        }
        load(&view, &mut Damage::default()).map(Some)
    };
    let checked = open(&file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    check_version(&checked.map_err(|error| explain(&file, error))?, &file)?;
    read().map_err(|error| explain(&file, error))
}

/// Whether there is a database; an error if it exists but cannot be opened.
fn is_there(file: &Path) -> Result<bool, Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "SQLite itself does not tell these apart"
    )]
    match std::fs::File::open(file) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Folder {
            path: file.to_owned(),
            error,
        }),
    }
}

/// A host to forget.
#[derive(Clone, Copy, Debug)]
pub struct Old<'a> {
    /// The host as it was read.
    pub host: &'a Host,
    /// Whether its bookmarks are deleted as well.
    pub with_bookmarks: bool,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Hosts.
    pub hosts: usize,
    /// Number of bookmarks, of all subscriptions that ever existed.
    pub bookmarks: usize,
}

/// Deletes hosts, except those seen since they were read. `orphans`: also deletes bookmarks
/// without a host that have not changed since that time.
///
/// # Errors
/// The database cannot be written; some may have been deleted already.
pub fn forget_hosts(
    folder: &Path,
    old: &[Old<'_>],
    orphans: Option<UnixSeconds>,
) -> Result<Forgotten, Error> {
    let file: PathBuf = folder.join("wecrelay.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(&file, flags).map_err(|error| explain(&file, error))?;
    let explain = |error| explain(&file, error);
    check_version(&connection, &file)?;
    let bookmarks = old.iter().filter(|old| old.with_bookmarks);
    let gone: HashSet<_> = bookmarks.map(|old| Key::of(old.host)).collect();
    let mut kept = HashSet::new();
    let mut forgotten = Forgotten::default();
    for some in old.chunks(AT_ONCE) {
        forgotten.hosts += forget(&mut connection, some, &mut kept).map_err(explain)?;
        pause();
    }
    if gone.is_empty() && orphans.is_none() {
        return Ok(forgotten);
    }
    let keys = keys_of(&connection, &gone, &kept, orphans).map_err(explain)?;
    for some in keys.chunks(AT_ONCE) {
        bookmarks::sift(&mut connection, some, &[], 0).map_err(explain)?;
        forgotten.bookmarks += some.len();
        pause();
    }
    Ok(forgotten)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that leaves room for a relay"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Returns how many were deleted; `kept` receives those seen in the meantime.
fn forget(
    connection: &mut Connection,
    old: &[Old<'_>],
    kept: &mut HashSet<Key>,
) -> rusqlite::Result<usize> {
    let turn = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut count = 0;
    for Old { host, .. } in old {
        let key = Key::of(host);
        let (authenticated, identity, machine) = columns(&key);
        let until = to_sql(host.last_seen.saturating_add(1).get());
        let parameters = params![authenticated, identity, machine, until];
        match turn.prepare_cached(FORGET)?.execute(parameters)? {
            0 => drop(kept.insert(key)),
            gone => count += gone,
        }
    }
    turn.commit()?;
    Ok(count)
}

/// The keys of the bookmarks to delete: of deleted hosts, and of none at all.
fn keys_of(
    connection: &Connection,
    gone: &HashSet<Key>,
    kept: &HashSet<Key>,
    orphans: Option<UnixSeconds>,
) -> rusqlite::Result<Vec<bookmark::Key>> {
    let query = "SELECT subscription, authenticated, identity, machine_id, updated, \
                 EXISTS (SELECT 1 FROM host h WHERE h.authenticated = b.authenticated \
                 AND h.identity = b.identity AND h.machine = b.machine_id) FROM bookmark b";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query(())?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(key) = bookmark_key(row)? else {
            continue;
        };
        let host = Key::new(key.identity(), key.machine_id());
        let updated = UnixSeconds::new(from_sql(row.get(4)?));
        let is_orphan = !row.get(5)? && orphans.is_some_and(|until| updated <= until);
        if !kept.contains(&host) && (gone.contains(&host) || is_orphan) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn open(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, flags)?;
    // Unlike the relay, this command may wait five seconds.
    connection.busy_timeout(BUSY_TIMEOUT * 50)?;
    Ok(connection)
}

/// The documents that can be parsed. What a damaged one contained is recorded again when its
/// host connects.
fn documents<T: DeserializeOwned>(
    connection: &Connection,
    query: &str,
    damage: &mut Damage,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query(())?;
    let mut documents = Vec::new();
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(documents),
            Err(error) if is_damage(&error) => {
                damage.note_host(&error.to_string());
                return Ok(documents);
            }
            Err(error) => return Err(error),
        };
        let text = row.get_ref(0)?.as_bytes();
        let document = text
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_slice(text).map_err(|error| error.to_string()));
        match document {
            Ok(document) => documents.push(document),
            Err(error) => damage.note_host(&error),
        }
    }
}

fn json(document: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(document)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// The columns of the primary key.
fn columns(key: &Key) -> (bool, &str, &str) {
    let identity = key.identity();
    (
        identity.is_some(),
        identity.unwrap_or_default(),
        key.machine(),
    )
}
