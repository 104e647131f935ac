//! The definitions of the tables.

use super::super::request::{Request, Row, Rows, Unexpected};
use super::{from_sql, statement};

/// A request, and a function that parses its answer.
pub type Question<T> = (Request, fn(&Rows) -> Result<T, Unexpected>);

/// Version of the tables, stored in `wecrelay_state`.
pub const SCHEMA_VERSION: u64 = 1;

/// Collation "C" compares texts byte by byte, whatever the database's default is.
const TABLES: &str = r#"CREATE TABLE IF NOT EXISTS wecrelay_bookmark (
    subscription uuid NOT NULL,
    authenticated boolean NOT NULL,
    identity text COLLATE "C" NOT NULL,
    machine text COLLATE "C" NOT NULL,
    gen bigint NOT NULL,
    latest text,
    previous text,
    aside text,
    aside_reason text,
    updated bigint NOT NULL,
    ran bigint NOT NULL,
    network text,
    PRIMARY KEY (subscription, authenticated, identity, machine)
);
CREATE TABLE IF NOT EXISTS wecrelay_host (
    relay text COLLATE "C" NOT NULL,
    authenticated boolean NOT NULL,
    identity text COLLATE "C" NOT NULL,
    machine text COLLATE "C" NOT NULL,
    last_seen bigint NOT NULL,
    saved bigint NOT NULL,
    facts text NOT NULL,
    PRIMARY KEY (authenticated, identity, machine, relay)
);
CREATE TABLE IF NOT EXISTS wecrelay_refusal (
    relay text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    facts text NOT NULL,
    PRIMARY KEY (relay, number)
);
CREATE TABLE IF NOT EXISTS wecrelay_relay (
    relay text COLLATE "C" PRIMARY KEY,
    started bigint NOT NULL,
    written bigint NOT NULL,
    stopped boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS wecrelay_state (
    singleton boolean PRIMARY KEY CHECK (singleton),
    version bigint NOT NULL,
    ran bigint NOT NULL
);
INSERT INTO wecrelay_state (singleton, version, ran) VALUES (true, 1, 0) ON CONFLICT DO NOTHING;
"#;

/// The privileges that an account needs if it does not create the tables.
const RIGHTS: &str = "GRANT SELECT, INSERT, UPDATE, DELETE ON wecrelay_bookmark, wecrelay_host, \
                      wecrelay_refusal, wecrelay_relay, wecrelay_state TO wecrelay;\n";

/// A script for administrators who create the tables themselves: all statements, and the privileges
/// for the account `wecrelay`.
#[must_use]
pub fn schema() -> String {
    format!(
        "-- The tables of wecrelay, version {SCHEMA_VERSION}: run this as their owner, with psql.\n\
         BEGIN;\n{TABLES}COMMIT;\n\n\
         -- The least rights of the account that relays use, here \"wecrelay\".\n{RIGHTS}"
    )
}

/// Creates missing tables. An advisory lock makes relays that start at once wait for each other.
#[must_use]
pub fn create() -> Request {
    // Any number that other programs do not use: "wecrelay" in ASCII.
    const LOCK: i64 = 0x7765_6372_656c_6179;
    Request::Script(format!("SELECT pg_advisory_xact_lock({LOCK}); {TABLES}"))
}

fn one(text: &'static str) -> Request {
    Request::Statements(vec![statement(text, vec![])])
}

/// Queries whether the tables exist.
#[must_use]
pub fn is_there() -> Question<bool> {
    let request = one("SELECT to_regclass('wecrelay_state') IS NOT NULL");
    (request, |rows| first(rows)?.bool(0))
}

/// Queries the version of the tables.
#[must_use]
pub fn version() -> Question<u64> {
    let request = one("SELECT version FROM wecrelay_state");
    (request, |rows| Ok(from_sql(first(rows)?.int(0)?)))
}

fn first(rows: &Rows) -> Result<&Row, Unexpected> {
    rows.first().and_then(|rows| rows.first()).ok_or(Unexpected)
}
