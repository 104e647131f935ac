//! What relays know about hosts. Each relay has its own rows, so that none overwrites what another
//! relay knows better.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::request::{Rows, Statement, Unexpected, Value};
use super::{SCHEMA_VERSION, from_sql, statement, to_sql};
use crate::base::clock::UnixSeconds;
use crate::hosts::{Changes, Key, Pulse, Saved};

const PUT: &str = "\
    INSERT INTO wecrelay_host (relay, authenticated, identity, machine, last_seen, saved, facts) \
    SELECT $1, a, i, m, s, extract(epoch FROM now())::bigint, f FROM unnest($2, $3, $4, $5, $6) AS n (a, i, m, s, f) \
    ON CONFLICT (authenticated, identity, machine, relay) \
    DO UPDATE SET last_seen = excluded.last_seen, saved = excluded.saved, facts = excluded.facts";

const FORGET: &str = "\
    DELETE FROM wecrelay_host h USING unnest($2, $3, $4) AS k (a, i, m) \
    WHERE h.relay = $1 AND h.authenticated = k.a AND h.identity = k.i AND h.machine = k.m";

const FORGET_REFUSALS: &str = "DELETE FROM wecrelay_refusal WHERE relay = $1";

const PUT_REFUSALS: &str = "\
    INSERT INTO wecrelay_refusal (relay, number, facts) \
    SELECT $1, n, f FROM unnest($2) WITH ORDINALITY AS r (f, n)";

// With what they knew: no other relay would ever delete it.
const FORGET_RELAYS: &str = "\
    WITH old AS (DELETE FROM wecrelay_relay \
    WHERE written < extract(epoch FROM now())::bigint - $1 RETURNING relay), \
    refusals AS (DELETE FROM wecrelay_refusal r USING old WHERE r.relay = old.relay) \
    DELETE FROM wecrelay_host h USING old WHERE h.relay = old.relay";

// By the database's clock, since the clocks of relays may differ.
const BEAT: &str = "\
    INSERT INTO wecrelay_relay (relay, started, written, stopped) \
    VALUES ($1, $2, extract(epoch FROM now())::bigint, $3) \
    ON CONFLICT (relay) DO UPDATE SET started = excluded.started, written = excluded.written, \
    stopped = excluded.stopped";

// Relays run at the same time, so the longest running time counts.
const RUN: &str = "UPDATE wecrelay_state SET ran = greatest(ran, $1) RETURNING ran";

const HOSTS: &str = "SELECT facts FROM wecrelay_host WHERE relay = $1";
const REFUSALS: &str = "SELECT facts FROM wecrelay_refusal WHERE relay = $1";
const RELAY: &str = "SELECT started, written, stopped FROM wecrelay_relay WHERE relay = $1";
const RAN: &str = "SELECT ran FROM wecrelay_state";

/// See [`super::forget_relay`].
pub(super) fn forget_relay(name: &str) -> Vec<Statement> {
    const ALL: [&str; 3] = [
        "DELETE FROM wecrelay_host WHERE relay = $1",
        FORGET_REFUSALS,
        "DELETE FROM wecrelay_relay WHERE relay = $1",
    ];
    let one = |text| statement(text, vec![Value::Text(name.to_owned())]);
    ALL.into_iter().map(one).collect()
}

// A newer relay may have replaced the tables in the meantime: then the division by zero fails the
// transaction, and nothing is written.
const GUARD: &str = "SELECT 1 / (CASE WHEN version > $1 THEN 0 ELSE 1 END) FROM wecrelay_state";

/// Saves hosts. The last statement returns the total running time of relays.
pub(super) fn save(relay: &str, changes: &Changes) -> Vec<Statement> {
    let relay = || Value::Text(relay.to_owned());
    let known = Value::Int(to_sql(SCHEMA_VERSION));
    let mut statements = vec![statement(GUARD, vec![known])];
    if !changes.hosts.is_empty() {
        let keys: Vec<_> = changes.hosts.iter().map(Key::of).collect();
        let mut values = vec![relay()];
        values.extend(columns(keys.iter()));
        let seen = changes
            .hosts
            .iter()
            .map(|host| to_sql(host.last_seen.get()));
        values.push(Value::Ints(seen.collect()));
        values.push(documents(&changes.hosts));
        statements.push(statement(PUT, values));
    }
    if !changes.forgotten.is_empty() {
        let mut values = vec![relay()];
        values.extend(columns(changes.forgotten.iter()));
        statements.push(statement(FORGET, values));
    }
    if let Some(refusals) = &changes.refusals {
        statements.push(statement(FORGET_REFUSALS, vec![relay()]));
        statements.push(statement(PUT_REFUSALS, vec![relay(), documents(refusals)]));
    }
    if let Some(age) = changes.relays_after {
        statements.push(statement(FORGET_RELAYS, vec![Value::Int(to_sql(age))]));
    }
    let Pulse {
        started,
        is_stopped,
        ran,
        ..
    } = changes.pulse;
    let pulse = vec![
        relay(),
        Value::Int(to_sql(started.get())),
        Value::Bool(is_stopped),
    ];
    statements.push(statement(BEAT, pulse));
    statements.push(statement(RUN, vec![Value::Int(to_sql(ran))]));
    statements
}

/// The columns of the hosts' keys, as one array for each column.
fn columns<'k>(keys: impl Iterator<Item = &'k Key> + Clone) -> Vec<Value> {
    let identity = |key: &Key| Some(key.identity().unwrap_or_default().to_owned());
    vec![
        Value::Bools(keys.clone().map(|key| key.identity().is_some()).collect()),
        Value::Texts(keys.clone().map(identity).collect()),
        Value::Texts(keys.map(|key| Some(key.machine().to_owned())).collect()),
    ]
}

/// Omits zero characters, which PostgreSQL cannot store and hosts do not use.
fn documents<T: Serialize>(documents: &[T]) -> Value {
    let text = |document: &T| {
        let text = serde_json::to_string(document).unwrap_or_default();
        Some(text.replace("\\u0000", ""))
    };
    Value::Texts(documents.iter().map(text).collect())
}

pub(super) fn ran(rows: &Rows) -> Result<u64, Unexpected> {
    let row = rows.last().and_then(|rows| rows.first());
    Ok(from_sql(row.ok_or(Unexpected)?.int(0)?))
}

pub(super) fn load(relay: &str) -> Vec<Statement> {
    let own = |text| statement(text, vec![Value::Text(relay.to_owned())]);
    vec![
        own(HOSTS),
        own(REFUSALS),
        own(RELAY),
        statement(RAN, vec![]),
    ]
}

pub(super) fn loaded(rows: &Rows, damaged: &mut u64) -> Result<Saved, Unexpected> {
    let [hosts, refusals, relay, _] = rows.as_slice() else {
        return Err(Unexpected);
    };
    let mut pulse = Pulse {
        ran: ran(rows)?,
        ..Pulse::default()
    };
    if let Some(row) = relay.first() {
        pulse.started = UnixSeconds::new(from_sql(row.int(0)?));
        pulse.written = UnixSeconds::new(from_sql(row.int(1)?));
        pulse.is_stopped = row.bool(2)?;
    }
    Ok(Saved {
        hosts: parsed(hosts, damaged)?,
        refusals: parsed(refusals, damaged)?,
        pulse,
        ..Saved::default()
    })
}

/// The documents that can be parsed. What a damaged one contained is recorded again when its
/// host connects.
fn parsed<T: DeserializeOwned>(
    rows: &[super::super::request::Row],
    damaged: &mut u64,
) -> Result<Vec<T>, Unexpected> {
    let mut documents = Vec::with_capacity(rows.len());
    for row in rows {
        match serde_json::from_str(row.text(0)?.unwrap_or_default()) {
            Ok(document) => documents.push(document),
            Err(error) => {
                *damaged += 1;
                log::warn!("a stored host cannot be read: {error}");
            }
        }
    }
    Ok(documents)
}
