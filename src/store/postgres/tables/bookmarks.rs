//! The rows of bookmarks.

use std::collections::HashSet;
use std::net::IpAddr;

use uuid::Uuid;

use super::super::request::{Row, Statement, Unexpected, Value};
use super::{columns, from_sql, key, statement, to_sql};
use crate::bookmark::{Key, Stored};
use crate::store::{Found, KeptAside, Lookup, Owner, Stamp, Usage, Write, Wrote};

const READ: &str = "\
    SELECT k.n, b.gen, b.latest \
    FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS k (s, a, i, m, n) \
    JOIN wecrelay_bookmark b ON b.subscription = k.s AND b.authenticated = k.a \
    AND b.identity = k.i AND b.machine = k.m";

// Compare and swap: a row that another relay has written since it was read is neither changed nor
// returned. Rows are locked in the order of the key, so that two relays never deadlock. A repeated
// batch must not displace the previous bookmark.
const WRITE: &str = "\
    INSERT INTO wecrelay_bookmark AS b (subscription, authenticated, identity, machine, \
    gen, latest, aside, aside_reason, network, updated, ran) \
    SELECT s, a, i, m, g + 1, l, d, r, w, $10, $11 \
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS n (s, a, i, m, g, l, d, r, w) \
    WHERE l IS NOT NULL OR g > 0 \
    ORDER BY s, a, i, m \
    ON CONFLICT (subscription, authenticated, identity, machine) DO UPDATE SET \
    gen = excluded.gen, \
    previous = CASE WHEN excluded.latest IS NULL OR excluded.latest = b.latest \
    THEN b.previous ELSE b.latest END, \
    latest = coalesce(excluded.latest, b.latest), \
    aside = coalesce(excluded.aside, b.aside), \
    aside_reason = coalesce(excluded.aside_reason, b.aside_reason), \
    network = coalesce(b.network, excluded.network), \
    updated = excluded.updated, ran = greatest(b.ran, excluded.ran) \
    WHERE b.gen = excluded.gen - 1 \
    RETURNING subscription, authenticated, identity, machine";

const FORGET: &str = "\
    DELETE FROM wecrelay_bookmark b USING unnest($1, $2, $3, $4) AS k (s, a, i, m) \
    WHERE b.subscription = k.s AND b.authenticated = k.a AND b.identity = k.i \
    AND b.machine = k.m";

// Except those that a relay has written in the meantime, or whose host another relay knows.
const FORGET_OLD: &str = "\
    DELETE FROM wecrelay_bookmark b USING unnest($1, $2, $3, $4) AS k (s, a, i, m) \
    WHERE b.subscription = k.s AND b.authenticated = k.a AND b.identity = k.i \
    AND b.machine = k.m AND b.ran < $5 - 60 \
    AND NOT EXISTS (SELECT 1 FROM wecrelay_host h WHERE h.authenticated = b.authenticated \
    AND h.identity = b.identity AND (h.machine = b.machine OR b.machine = ''))";

const KEEP: &str = "\
    UPDATE wecrelay_bookmark b SET ran = greatest(b.ran, $5) \
    FROM unnest($1, $2, $3, $4) AS k (s, a, i, m) \
    WHERE b.subscription = k.s AND b.authenticated = k.a AND b.identity = k.i \
    AND b.machine = k.m";

const COUNT: &str = "\
    SELECT authenticated, CASE WHEN authenticated THEN identity ELSE network END, \
    count(*), sum(length(latest))::bigint FROM wecrelay_bookmark GROUP BY 1, 2";

const WALK: &str = "\
    SELECT subscription, authenticated, identity, machine, ran FROM wecrelay_bookmark \
    WHERE (subscription, authenticated, identity, machine) > ($1, $2, $3, $4) \
    ORDER BY subscription, authenticated, identity, machine LIMIT $5";

const KEPT_ASIDE: &str = "\
    SELECT subscription, authenticated, identity, machine, aside_reason FROM wecrelay_bookmark \
    WHERE aside IS NOT NULL";

pub(super) fn kept_aside() -> Statement {
    statement(KEPT_ASIDE, vec![])
}

pub(super) fn asides(rows: &[Row]) -> Result<Vec<KeptAside>, Unexpected> {
    let mut asides = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(key) = key(row)? {
            let reason = row.text(4)?.unwrap_or_default().to_owned();
            asides.push(KeptAside { key, reason });
        }
    }
    Ok(asides)
}

/// The key of each lookup and its former keys, with the index of the lookup.
fn keys(lookups: &[Lookup]) -> impl Iterator<Item = (usize, &Key)> + Clone {
    lookups.iter().enumerate().flat_map(|(at, lookup)| {
        let all = std::iter::once(&lookup.key).chain(&lookup.former);
        all.map(move |key| (at, key))
    })
}

pub(super) fn read(lookups: &[Lookup]) -> Statement {
    statement(READ, columns(keys(lookups).map(|(_, key)| key)))
}

pub(super) fn found(
    lookups: &[Lookup],
    rows: &[Row],
    damaged: &mut u64,
) -> Result<Vec<Found>, Unexpected> {
    let keys: Vec<_> = keys(lookups).collect();
    let mut found = vec![Found::default(); lookups.len()];
    let mut numbered = Vec::with_capacity(rows.len());
    for row in rows {
        numbered.push((row.int(0)?, row));
    }
    // A lookup's key precedes its former keys, and the first row counts.
    numbered.sort_by_key(|(number, _)| *number);
    for (number, row) in numbered {
        let index = usize::try_from(number - 1).map_err(|_| Unexpected)?;
        let (at, key) = keys.get(index).ok_or(Unexpected)?;
        let (Some(found), Some(lookup)) = (found.get_mut(*at), lookups.get(*at)) else {
            return Err(Unexpected);
        };
        let is_own = **key == lookup.key;
        if is_own {
            found.generation = from_sql(row.int(1)?);
        }
        if found.stored.is_some() {
            continue;
        }
        match row.text(2)?.map(|text| Stored::parse(text, false)) {
            Some(Ok(stored)) => {
                found.stored = Some(stored);
                found.former = (!is_own).then(|| (*key).clone());
            }
            Some(Err(error)) => {
                *damaged += 1;
                log::warn!("the bookmark of {key:?} cannot be read and is ignored: {error}");
            }
            None => {}
        }
    }
    Ok(found)
}

pub(super) fn write(rows: &[Write], stamp: Stamp) -> Vec<Statement> {
    let texts =
        |text: &dyn Fn(&Write) -> Option<String>| Value::Texts(rows.iter().map(text).collect());
    let generations = rows.iter().map(|row| to_sql(row.generation));
    let mut values = columns(rows.iter().map(|row| &row.key));
    values.extend([
        Value::Ints(generations.collect()),
        texts(&|row| row.latest.as_ref().map(Stored::to_xml)),
        texts(&|row| row.aside.as_ref().map(|(bookmark, _)| bookmark.to_xml())),
        texts(&|row| row.aside.as_ref().map(|(_, reason)| reason.clone())),
        texts(&|row| row.network.map(|network| network.to_string())),
        Value::Int(to_sql(stamp.wall.get())),
        Value::Int(to_sql(stamp.ran)),
    ]);
    let mut statements = vec![statement(WRITE, values)];
    let former: Vec<_> = rows.iter().filter_map(|row| row.former.as_ref()).collect();
    if !former.is_empty() {
        statements.push(statement(FORGET, columns(former.into_iter())));
    }
    statements
}

pub(super) fn wrote(writes: &[Write], rows: &[Row]) -> Result<Vec<Wrote>, Unexpected> {
    let mut came_back = HashSet::new();
    for row in rows {
        came_back.extend(key(row)?);
    }
    let wrote = writes.iter().map(|write| {
        // What is only kept aside is kept where there is a bookmark.
        let is_nothing = write.latest.is_none() && write.generation == 0;
        if is_nothing || came_back.contains(&write.key) {
            Wrote::Done
        } else {
            Wrote::Conflict
        }
    });
    Ok(wrote.collect())
}

pub(super) fn count() -> Statement {
    statement(COUNT, vec![])
}

pub(super) fn counted(rows: &[Row]) -> Result<Vec<(Owner, Usage)>, Unexpected> {
    let one = |row: &Row| {
        let name = row.text(1)?;
        let owner = if row.bool(0)? {
            Owner::Identity(name.unwrap_or_default().to_owned())
        } else {
            Owner::Network(name.and_then(|name| name.parse::<IpAddr>().ok()))
        };
        let usage = Usage {
            rows: from_sql(row.int(2)?),
            bytes: from_sql(row.int(3)?),
        };
        Ok((owner, usage))
    };
    rows.iter().map(one).collect()
}

pub(super) fn walk(after: Option<&Key>, count: usize) -> Statement {
    // Before all others: no source has an empty machine id and no identity.
    let (uuid, is_authenticated, identity, machine) = match after {
        None => (Uuid::nil(), false, "", ""),
        Some(key) => (
            key.subscription(),
            key.identity().is_some(),
            key.identity().unwrap_or_default(),
            key.machine_id(),
        ),
    };
    let values = vec![
        Value::Uuid(uuid),
        Value::Bool(is_authenticated),
        Value::Text(identity.to_owned()),
        Value::Text(machine.to_owned()),
        Value::Int(i64::try_from(count).unwrap_or(i64::MAX)),
    ];
    statement(WALK, values)
}

pub(super) fn walked(rows: &[Row]) -> Result<Vec<(Key, u64)>, Unexpected> {
    let mut walked = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(key) = key(row)? {
            walked.push((key, from_sql(row.int(4)?)));
        }
    }
    Ok(walked)
}

pub(super) fn sift(gone: &[Key], kept: &[Key], ran: u64) -> Vec<Statement> {
    let with = |text, keys: &[Key]| {
        let mut values = columns(keys.iter());
        values.push(Value::Int(to_sql(ran)));
        statement(text, values)
    };
    vec![with(FORGET_OLD, gone), with(KEEP, kept)]
}
