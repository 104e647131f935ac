//! The relays that share the tables, and what other relays know about hosts.

use super::super::request::{Row, Rows, Statement, Unexpected, Value};
use super::{from_sql, statement, to_sql};
use crate::base::clock::UnixSeconds;
use crate::hosts::{Host, Inquiry, Key, Met, Peer};

const RELAYS: &str = "\
    SELECT relay, started, stopped, extract(epoch FROM now())::bigint - written \
    FROM wecrelay_relay ORDER BY relay";

const NOW: &str = "SELECT extract(epoch FROM now())::bigint";

// In the order of the primary key, page by page.
const HOSTS: &str = "\
    SELECT authenticated, identity, machine, relay, facts FROM wecrelay_host \
    WHERE (authenticated, identity, machine, relay) > ($1, $2, $3, $4) \
    AND relay <> $5 AND saved >= $6 \
    ORDER BY authenticated, identity, machine, relay LIMIT $7";

pub(super) fn meet(relay: &str, inquiry: &Inquiry) -> Vec<Statement> {
    // Precedes all rows, since no relay has an empty name.
    let none = (Key::new(None, ""), String::new());
    let (key, after) = inquiry.after.as_ref().unwrap_or(&none);
    let values = vec![
        Value::Bool(key.identity().is_some()),
        Value::Text(key.identity().unwrap_or_default().to_owned()),
        Value::Text(key.machine().to_owned()),
        Value::Text(after.clone()),
        Value::Text(relay.to_owned()),
        Value::Int(to_sql(inquiry.since.get())),
        Value::Int(i64::try_from(inquiry.count).unwrap_or(i64::MAX)),
    ];
    vec![
        statement(HOSTS, values),
        statement(RELAYS, vec![]),
        statement(NOW, vec![]),
    ]
}

pub(super) fn met(inquiry: &Inquiry, rows: &Rows, damaged: &mut u64) -> Result<Met, Unexpected> {
    let [hosts, relays, now] = rows.as_slice() else {
        return Err(Unexpected);
    };
    let is_full = inquiry.count > 0 && hosts.len() >= inquiry.count;
    let last = hosts.last().filter(|_| is_full).map(place).transpose()?;
    let mut met = Met {
        now: UnixSeconds::new(from_sql(now.first().ok_or(Unexpected)?.int(0)?)),
        last,
        ..Met::default()
    };
    for row in relays {
        met.relays.push(Peer {
            name: row.text(0)?.unwrap_or_default().to_owned(),
            started: UnixSeconds::new(from_sql(row.int(1)?)),
            is_stopped: row.bool(2)?,
            age: from_sql(row.int(3)?),
        });
    }
    for row in hosts {
        match serde_json::from_str::<Host>(row.text(4)?.unwrap_or_default()) {
            Ok(host) => met.hosts.push(Host {
                relay: row.text(3)?.map(str::to_owned),
                ..host
            }),
            // Its own relay logs a warning.
            Err(error) => {
                *damaged += 1;
                log::debug!("a host of another relay cannot be read: {error}");
            }
        }
    }
    Ok(met)
}

fn place(row: &Row) -> Result<(Key, String), Unexpected> {
    let identity = row.text(1)?.filter(|_| row.bool(0).unwrap_or(false));
    let machine = row.text(2)?.unwrap_or_default().to_owned();
    let key = Key::stored(identity.map(str::to_owned), machine);
    Ok((key, row.text(3)?.unwrap_or_default().to_owned()))
}
