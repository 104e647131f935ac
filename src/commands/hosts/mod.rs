//! `wecrelay hosts`: shows the known hosts, their states, and reasons.
//!
//! Reads the stored state, so that it works whether or not the relay is running.

mod select;
mod table;
mod text;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::database;
use super::terminal::{Meter, Paint};
use super::words::{count, plain};
use crate::base::clock::UnixSeconds;
use crate::cli::HostsOptions;
use crate::commands::{Failure, RUNNING, USAGE};
use crate::config;
use crate::hosts::{Host, Key, Life, Moment, Peer, Refusal, Saved, State};
use crate::server::Database;
use crate::store::postgres::{Settings, UrlError};
use crate::store::sqlite::{self, Old};
use crate::store::{self, KeptAside};
use crate::system::json::write_json;
use select::{Concerned, Filter};

/// Why `wecrelay hosts` fails.
#[derive(Debug)]
pub enum Error {
    /// The folder contains no state.
    NoState(PathBuf),
    /// The age of `--prune` is invalid.
    Age(String),
    /// The state folder cannot be read or written.
    Store(store::Error),
    /// The URL of `--store` is invalid.
    Url(UrlError),
    /// The database cannot be used.
    Database(database::Error),
    /// No relay has this name.
    NoRelay(String),
    /// The relay to forget is still running.
    Running(String),
    /// Standard output cannot be written.
    Print(io::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NoState(_)
            | Self::Age(_)
            | Self::Url(_)
            | Self::Database(_)
            | Self::NoRelay(_)
            | Self::Running(_) => USAGE,
            Self::Store(_) | Self::Print(_) => RUNNING,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoState(folder) => write!(
                f,
                "{} has no hosts: no relay of this version has run with it; name the relay's \
                 folder with --state, or the relays' database with --store",
                folder.display()
            ),
            Self::Age(text) => write!(
                f,
                "--prune {text:?}: an age is a number with s, m, h, d or w, such as 90d"
            ),
            Self::Store(error) => write!(f, "--state {error}"),
            Self::Url(error) => write!(f, "--store: {error}"),
            Self::Database(error) => write!(f, "--store: {error}"),
            Self::NoRelay(name) => write!(f, "--forget-relay {name}: no relay has that name"),
            Self::Running(name) => write!(f, "--forget-relay {name}: it is running; stop it first"),
            Self::Print(error) => write!(f, "cannot print: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// A host with its computed state.
#[derive(Clone, Debug, Serialize)]
struct View<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    events: u64,
    missing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept_aside: Vec<AsideView<'a>>,
    #[serde(flatten)]
    host: &'a Host,
}

/// A bookmark of a host that was kept aside instead of being used.
#[derive(Clone, Debug, Serialize)]
struct AsideView<'a> {
    /// The subscription's name, or its ID if the host no longer has the subscription.
    subscription: Cow<'a, str>,
    reason: String,
}

impl<'a> AsideView<'a> {
    fn new(host: &'a Host, aside: KeptAside) -> Self {
        let id = aside.key.subscription();
        let mut known = host.subscriptions.iter();
        let name = known.find(|s| s.id == id).map(|s| s.name.as_str().into());
        Self {
            subscription: name.unwrap_or_else(|| id.to_string().into()),
            reason: aside.reason,
        }
    }
}

impl<'a> View<'a> {
    fn new(host: &'a Host, at: Moment, asides: Vec<KeptAside>) -> Self {
        let asides = asides.into_iter();
        Self {
            state: host.state(at).name(),
            why: host.why(at),
            events: host.events(),
            missing: host.missing(),
            lag: host.lag(at.now),
            kept_aside: asides.map(|aside| AsideView::new(host, aside)).collect(),
            host,
        }
    }
}

/// Prints the hosts, or forgets some of them.
///
/// # Errors
/// There is no state or it cannot be read, the age is invalid, or standard output cannot be
/// written.
pub fn run(options: &HostsOptions) -> Result<(), Error> {
    let age = options.prune.as_deref();
    let age = age.map(|text| config::age(text).ok_or_else(|| Error::Age(text.to_owned())));
    let age = age.transpose()?;
    let variable = std::env::var_os("STATE_DIRECTORY");
    let folder = config::state(options.state.as_deref(), variable.as_deref());
    let now = now();
    if let (Some(url), Some(relay)) = (&options.store, &options.forget_relay) {
        return forget_relay(url, relay);
    }
    let (mut saved, asides) = read(options.store.as_deref(), &folder, now)?;
    let at = saved.pulse.moment(now);
    let filter = Filter::new(options);
    let chosen = saved.hosts.iter().filter(|host| filter.takes(host, at));
    if let Some(age) = age {
        let old = chosen.filter(|host| now.since(host.last_seen) > age);
        // Filters cannot be applied to bookmarks whose host is unknown.
        let is_all = filter.takes_all();
        let orphans = (options.with_bookmarks && is_all).then(|| now.saturating_sub(age));
        return prune(&folder, old, options.with_bookmarks, orphans);
    }
    let concerned = Concerned::new(&filter, chosen.clone());
    saved.refusals.retain(|refusal| concerned.takes(refusal));
    let mut asides = by_host(asides);
    let view = |host| View::new(host, at, asides.remove(&Key::of(host)).unwrap_or_default());
    let mut views: Vec<_> = chosen.map(view).collect();
    views.sort_unstable_by_key(|view| (&view.host.machine, &view.host.identity));
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = if options.json {
        print_json(&mut out, &saved, &views, now)
    } else {
        let paint = Paint::new(&io::stdout());
        text::print(&mut out, paint, &saved, &views, now)
    };
    match printed.and_then(|()| out.flush()) {
        // The reader closed the pipe, such as `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(Error::Print),
    }
}

/// Reads the stored hosts, and the bookmarks that were kept aside.
fn read(
    store: Option<&str>,
    folder: &Path,
    now: UnixSeconds,
) -> Result<(Saved, Vec<KeptAside>), Error> {
    if let Some(url) = store {
        let failed = |error| Error::Database(database::Error::Postgres(error));
        let mut meter = Meter::new();
        meter.show(|| "reading the database".to_owned());
        let mut database = open(url)?;
        let saved = database.gather(now).map_err(failed)?;
        return Ok((saved, database.kept_aside().map_err(failed)?));
    }
    let saved = sqlite::read_hosts(folder).map_err(Error::Store)?;
    let saved = saved.ok_or_else(|| Error::NoState(folder.to_owned()))?;
    Ok((saved, sqlite::kept_aside(folder).map_err(Error::Store)?))
}

fn by_host(asides: Vec<KeptAside>) -> HashMap<Key, Vec<KeptAside>> {
    let mut hosts: HashMap<Key, Vec<KeptAside>> = HashMap::new();
    for aside in asides {
        let key = Key::new(aside.key.identity(), aside.key.machine_id());
        hosts.entry(key).or_default().push(aside);
    }
    hosts
}

fn open(url: &str) -> Result<Database, Error> {
    let settings = Settings::parse(url).map_err(Error::Url)?;
    database::look(&settings).map_err(Error::Database)
}

fn forget_relay(url: &str, name: &str) -> Result<(), Error> {
    let failed = |error| Error::Database(database::Error::Postgres(error));
    let mut database = open(url)?;
    let relays = database.relays().map_err(failed)?;
    match relays.iter().find(|relay| relay.name == name) {
        None => return Err(Error::NoRelay(name.to_owned())),
        Some(relay) if relay.life() == Life::Running => {
            return Err(Error::Running(name.to_owned()));
        }
        Some(_) => database.forget_relay(name).map_err(failed)?,
    }
    writeln!(io::stdout(), "relay {} forgotten", plain(name)).map_err(Error::Print)
}

fn prune<'a>(
    folder: &Path,
    hosts: impl Iterator<Item = &'a Host>,
    with_bookmarks: bool,
    orphans: Option<UnixSeconds>,
) -> Result<(), Error> {
    let old = hosts.map(|host| Old {
        host,
        with_bookmarks,
    });
    let old: Vec<_> = old.collect();
    let forgotten = sqlite::forget_hosts(folder, &old, orphans).map_err(Error::Store)?;
    let bookmarks = if with_bookmarks {
        format!("with {}", count(forgotten.bookmarks, "bookmark"))
    } else {
        "bookmarks stay".to_owned()
    };
    let what = count(forgotten.hosts, "host");
    writeln!(io::stdout(), "{what} forgotten, {bookmarks}").map_err(Error::Print)
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    relay: Relay,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relays: Vec<Each<'a>>,
    states: serde_json::Map<String, serde_json::Value>,
    hosts: &'a [View<'a>],
    refusals: Vec<&'a Refusal>,
}

/// One of several relays that share a database.
#[derive(Debug, Serialize)]
struct Each<'a> {
    name: &'a str,
    state: &'static str,
    started: UnixSeconds,
    /// Seconds since it last wrote to the database.
    age: u64,
}

impl<'a> From<&'a Peer> for Each<'a> {
    fn from(relay: &'a Peer) -> Self {
        Self {
            name: &relay.name,
            state: relay.life().name(),
            started: relay.started,
            age: relay.age,
        }
    }
}

#[derive(Debug, Serialize)]
struct Relay {
    running: bool,
    started: UnixSeconds,
    written: UnixSeconds,
}

fn print_json(
    out: &mut impl Write,
    saved: &Saved,
    hosts: &[View<'_>],
    now: UnixSeconds,
) -> io::Result<()> {
    let states = counts(hosts);
    let states = states.map(|(state, count)| (state.to_owned(), count.into()));
    let document = Document {
        relay: Relay {
            running: saved.pulse.is_beating(now),
            started: saved.pulse.started,
            written: saved.pulse.written,
        },
        relays: saved.relays.iter().map(Each::from).collect(),
        states: states.collect(),
        hosts,
        refusals: latest(&saved.refusals),
    };
    write_json(&mut *out, &document)?;
    writeln!(out)
}

/// The number of hosts in each state.
fn counts(hosts: &[View<'_>]) -> impl Iterator<Item = (&'static str, usize)> {
    let names = State::ALL.into_iter().map(State::name);
    let count = |name| (name, hosts.iter().filter(|view| view.state == name).count());
    names.map(count)
}

/// The refusals, latest first.
fn latest(refusals: &[Refusal]) -> Vec<&Refusal> {
    let mut refusals: Vec<_> = refusals.iter().collect();
    refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.last));
    refusals
}

#[expect(clippy::disallowed_methods, reason = "a command, not the loop")]
fn now() -> UnixSeconds {
    SystemTime::now().into()
}
