//! The rows of bookmarks.

use std::net::IpAddr;

use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{from_sql, to_sql};
use crate::bookmark::{Bookmark, Key, Stored};
use crate::store::{Owner, Stamp, Usage};

const SELECT: &str = "
    SELECT latest, weak FROM bookmark
    WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";

// A repeated batch must not displace the previous bookmark.
const PUT_LATEST: &str = "
    INSERT INTO bookmark
        (subscription, authenticated, identity, machine_id, latest, updated, ran, network)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT DO UPDATE SET
        previous = iif(latest IS NULL OR latest = excluded.latest, previous, latest),
        latest = excluded.latest, weak = 0, updated = excluded.updated, ran = excluded.ran,
        network = coalesce(network, excluded.network)";

const PUT_ASIDE: &str = "
    UPDATE bookmark SET aside = ?5, aside_reason = ?6, updated = ?7, ran = ?8
    WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";

const KEEP: &str = "
    UPDATE bookmark SET ran = ?5
    WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";

const RENAME: &str = "
    UPDATE OR REPLACE bookmark
    SET subscription = ?5, authenticated = ?6, identity = ?7, machine_id = ?8
    WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";

const FORGET: &str = "
    DELETE FROM bookmark
    WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";

const USAGE: &str = "
    SELECT authenticated, iif(authenticated, identity, network), count(*), sum(length(latest))
    FROM bookmark GROUP BY 1, 2";

const FIRST: &str = "
    SELECT subscription, authenticated, identity, machine_id, ran FROM bookmark
    ORDER BY subscription, authenticated, identity, machine_id LIMIT ?1";

const NEXT: &str = "
    SELECT subscription, authenticated, identity, machine_id, ran FROM bookmark
    WHERE (subscription, authenticated, identity, machine_id) > (?1, ?2, ?3, ?4)
    ORDER BY subscription, authenticated, identity, machine_id LIMIT ?5";

/// A row as it was read.
pub(super) enum Read {
    Stored(Stored),
    None,
    /// The row exists but cannot be parsed, for this reason.
    Damaged(String),
}

pub(super) fn read(connection: &Connection, key: &Key) -> rusqlite::Result<Read> {
    let parts = columns(key);
    let row = |row: &Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, bool>(1)?));
    let mut statement = connection.prepare_cached(SELECT)?;
    let (text, is_weak) = match statement.query_row(parts, row).optional() {
        Ok(Some((Some(text), is_weak))) => (text, is_weak),
        Ok(_) => return Ok(Read::None),
        Err(error) if is_damage(&error) => return Ok(Read::Damaged(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(match Stored::parse(&text, is_weak) {
        Ok(stored) => Read::Stored(stored),
        Err(error) => Read::Damaged(error.to_string()),
    })
}

/// Whether an error is about what is stored, and not about reading it.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    ) || error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

pub(super) fn put_latest(
    connection: &Connection,
    key: &Key,
    stored: &Stored,
    stamp: Stamp,
) -> rusqlite::Result<usize> {
    let (subscription, authenticated, identity, machine_id) = columns(key);
    let network = stamp.network.filter(|_| !authenticated);
    connection.prepare_cached(PUT_LATEST)?.execute(params![
        subscription,
        authenticated,
        identity,
        machine_id,
        stored.to_xml(),
        to_sql(stamp.wall.get()),
        to_sql(stamp.ran),
        network.map(|network| network.to_string()),
    ])
}

pub(super) fn put_aside(
    connection: &Connection,
    key: &Key,
    (bookmark, reason): (&Bookmark, &str),
    stamp: Stamp,
) -> rusqlite::Result<usize> {
    let (subscription, authenticated, identity, machine_id) = columns(key);
    connection.prepare_cached(PUT_ASIDE)?.execute(params![
        subscription,
        authenticated,
        identity,
        machine_id,
        bookmark.to_xml(),
        reason,
        to_sql(stamp.wall.get()),
        to_sql(stamp.ran),
    ])
}

pub(super) fn rename(connection: &Connection, from: &Key, to: &Key) -> rusqlite::Result<usize> {
    let (from, to) = (columns(from), columns(to));
    connection.prepare_cached(RENAME)?.execute(params![
        from.0, from.1, from.2, from.3, to.0, to.1, to.2, to.3
    ])
}

pub(super) fn usage(connection: &Connection) -> rusqlite::Result<Vec<(Owner, Usage)>> {
    let mut statement = connection.prepare(USAGE)?;
    let rows = statement.query_map((), |row| {
        let name: Option<String> = row.get(1)?;
        let owner = if row.get(0)? {
            Owner::Identity(name.unwrap_or_default())
        } else {
            Owner::Network(name.and_then(|name| name.parse::<IpAddr>().ok()))
        };
        let usage = Usage {
            rows: from_sql(row.get(2)?),
            bytes: from_sql(row.get::<_, Option<i64>>(3)?.unwrap_or(0)),
        };
        Ok((owner, usage))
    })?;
    rows.collect()
}

pub(super) fn walk(
    connection: &Connection,
    after: Option<&Key>,
    count: usize,
) -> rusqlite::Result<Vec<(Key, u64)>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(after.map_or(FIRST, |_| NEXT))?;
    let mut rows = match after.map(columns) {
        None => statement.query([count])?,
        Some((subscription, authenticated, identity, machine_id)) => statement.query(params![
            subscription,
            authenticated,
            identity,
            machine_id,
            count
        ])?,
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = key(row)? {
            found.push((key, from_sql(row.get(4)?)));
        }
    }
    Ok(found)
}

/// The key of a row; `None` if it is not a valid key.
pub(super) fn key(row: &Row<'_>) -> rusqlite::Result<Option<Key>> {
    let subscription = Uuid::from_bytes(column(row, 0)?);
    let (identity, machine_id): (String, String) = (column(row, 2)?, column(row, 3)?);
    let key = if column(row, 1)? {
        Key::authenticated(subscription, &identity, &machine_id)
    } else {
        Key::anonymous(subscription, &machine_id)
    };
    Ok(key.ok())
}

fn column<T: FromSql>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    row.get(index)
}

pub(super) fn sift(
    connection: &mut Connection,
    gone: &[Key],
    kept: &[Key],
    ran: u64,
) -> rusqlite::Result<()> {
    let turn = connection.transaction()?;
    for key in gone {
        turn.prepare_cached(FORGET)?.execute(columns(key))?;
    }
    for key in kept {
        let (subscription, authenticated, identity, machine_id) = columns(key);
        turn.prepare_cached(KEEP)?.execute(params![
            subscription,
            authenticated,
            identity,
            machine_id,
            to_sql(ran)
        ])?;
    }
    turn.commit()
}

/// The columns of the primary key.
pub(super) fn columns(key: &Key) -> ([u8; 16], bool, &str, &str) {
    let identity = key.identity();
    let subscription = key.subscription().into_bytes();
    (
        subscription,
        identity.is_some(),
        identity.unwrap_or_default(),
        key.machine_id(),
    )
}

#[cfg(test)]
pub(super) fn entry(connection: &Connection, key: &Key) -> Option<crate::store::Entry> {
    use crate::base::clock::UnixSeconds;
    use crate::store::{Aside, Entry};
    let query = "SELECT latest, previous, aside, aside_reason, updated, ran, network FROM bookmark \
        WHERE subscription = ?1 AND authenticated = ?2 AND identity = ?3 AND machine_id = ?4";
    let read = |row: &Row<'_>| {
        let text = |at: usize| row.get::<_, Option<String>>(at).unwrap();
        Ok(Entry {
            latest: text(0).map(|xml| Stored::parse(&xml, false).unwrap()),
            previous: text(1),
            aside: text(2)
                .zip(text(3))
                .map(|(xml, reason)| Aside { xml, reason }),
            stamp: Stamp {
                wall: UnixSeconds::new(from_sql(row.get(4)?)),
                ran: from_sql(row.get(5)?),
                network: text(6).map(|network| network.parse().unwrap()),
            },
        })
    };
    connection
        .query_row(query, columns(key), read)
        .optional()
        .unwrap()
}
