//! The tables in the database: converts jobs to statements, and rows to answers.

mod bookmarks;
mod fleet;
mod hosts;
mod schema;

use uuid::Uuid;

use super::request::{Request, Row, Rows, Statement, Unexpected, Value};
use crate::bookmark::Key;
use crate::store::{Done, Job, KeptAside};

pub use schema::{Question, SCHEMA_VERSION, create, is_there, schema, version};

/// The request for a job. `relay` is this relay's name.
#[must_use]
pub fn request(relay: &str, job: &Job) -> Request {
    Request::Statements(match job {
        Job::Read(lookups) => vec![bookmarks::read(lookups)],
        Job::Write(rows, stamp) => bookmarks::write(rows, *stamp),
        Job::SaveHosts(changes) => hosts::save(relay, changes),
        Job::LoadHosts => hosts::load(relay),
        Job::Meet(inquiry) => fleet::meet(relay, inquiry),
        Job::Count => vec![bookmarks::count()],
        Job::Walk(after, count) => vec![bookmarks::walk(after.as_ref(), *count)],
        Job::Sift(gone, kept, ran) => bookmarks::sift(gone, kept, *ran),
    })
}

/// Converts the rows of a job's request to its answer; adds rows that cannot be parsed to
/// `damaged`.
///
/// # Errors
/// The rows do not match wecrelay's tables.
pub fn done(job: &Job, rows: &Rows, damaged: &mut u64) -> Result<Done, Unexpected> {
    let first = rows.first().ok_or(Unexpected)?;
    Ok(match job {
        Job::Read(lookups) => Done::Read(Ok(bookmarks::found(lookups, first, damaged)?)),
        Job::Write(writes, _) => Done::Written(Ok(bookmarks::wrote(writes, first)?)),
        Job::SaveHosts(_) => Done::HostsSaved(Ok(hosts::ran(rows)?)),
        Job::LoadHosts => Done::HostsLoaded(Ok(hosts::loaded(rows, damaged)?)),
        Job::Meet(inquiry) => Done::Met(Ok(fleet::met(inquiry, rows, damaged)?)),
        Job::Count => Done::Counted(Ok(bookmarks::counted(first)?)),
        Job::Walk(..) => Done::Walked(Ok(bookmarks::walked(first)?)),
        Job::Sift(..) => Done::Sifted(Ok(())),
    })
}

/// Queries the bookmarks that were kept aside.
#[must_use]
pub fn kept_aside() -> Question<Vec<KeptAside>> {
    let read = |rows: &Rows| bookmarks::asides(rows.first().ok_or(Unexpected)?);
    (Request::Statements(vec![bookmarks::kept_aside()]), read)
}

/// Deletes a relay and what it knew about hosts.
#[must_use]
pub fn forget_relay(name: &str) -> Request {
    Request::Statements(hosts::forget_relay(name))
}

fn statement(text: &'static str, values: Vec<Value>) -> Statement {
    Statement { text, values }
}

/// The columns of the keys, as one array for each column.
fn columns<'k>(keys: impl Iterator<Item = &'k Key> + Clone) -> Vec<Value> {
    let identity = |key: &Key| Some(key.identity().unwrap_or_default().to_owned());
    let machine = |key: &Key| Some(key.machine_id().to_owned());
    vec![
        Value::Uuids(keys.clone().map(Key::subscription).collect()),
        Value::Bools(keys.clone().map(|key| key.identity().is_some()).collect()),
        Value::Texts(keys.clone().map(identity).collect()),
        Value::Texts(keys.map(machine).collect()),
    ]
}

/// The key in the first four columns; `None` if it is not a valid key.
fn key(row: &Row) -> Result<Option<Key>, Unexpected> {
    let (subscription, is_authenticated): (Uuid, bool) = (row.uuid(0)?, row.bool(1)?);
    let identity = row.text(2)?.ok_or(Unexpected)?;
    let machine = row.text(3)?.ok_or(Unexpected)?;
    let key = if is_authenticated {
        Key::authenticated(subscription, identity, machine)
    } else {
        Key::anonymous(subscription, machine)
    };
    Ok(key.ok())
}

/// PostgreSQL's integers are signed; times are far below their maximum.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
