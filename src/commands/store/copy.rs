//! `wecrelay store copy`: copies bookmarks and hosts from one store to another.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::Error;
use crate::base::clock::UnixSeconds;
use crate::cli::StoreCopyOptions;
use crate::commands::database;
use crate::commands::terminal::{Color, Meter, Paint};
use crate::commands::words::count;
use crate::hosts::{Changes, Host, Life, Pulse, Saved};
use crate::server::Database;
use crate::store::postgres::Settings;
use crate::store::sqlite::Sqlite;
use crate::store::{self, Done, Found, Job, Lookup, Stamp, Write, perform};

/// Number of rows that are copied at a time.
const AT_ONCE: usize = 500;

/// The source or the destination of a copy.
enum Side {
    Folder(Box<Sqlite>),
    Database(Box<Database>),
}

struct Named {
    name: String,
    side: Side,
}

impl Named {
    fn open(name: &str, relay: Option<&str>) -> Result<Self, Error> {
        let side = if Settings::is_url(name) {
            let settings = Settings::parse(name);
            let settings = settings.map_err(|error| Error::Url(name.to_owned(), error))?;
            let opened = database::open(&settings, relay);
            let opened = opened.map_err(|error| Error::Database(name.to_owned(), error))?;
            Side::Database(Box::new(opened))
        } else {
            let opened = Sqlite::open(Path::new(name));
            let opened = opened.map_err(|error| Error::Store(name.to_owned(), error))?;
            Side::Folder(Box::new(opened))
        };
        let name = name.to_owned();
        Ok(Self { name, side })
    }

    fn ask(&mut self, job: Job) -> Result<Done, Error> {
        let done = match &mut self.side {
            Side::Folder(store) => Ok(perform(&mut **store, 0, job).done),
            Side::Database(database) => database.perform(&job).map_err(store::Error::Postgres),
        };
        done.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: store::Error) -> Error {
        Error::Store(self.name.clone(), error)
    }

    /// Loads the stored hosts; from a database, those of all relays.
    fn load(&mut self) -> Result<Saved, Error> {
        if let Side::Database(database) = &mut self.side {
            let saved = database.gather(now()).map_err(store::Error::Postgres);
            return saved.map_err(|error| self.failed(error));
        }
        match self.ask(Job::LoadHosts)? {
            Done::HostsLoaded(saved) => saved.map_err(|error| self.failed(error)),
            _ => Ok(Saved::default()),
        }
    }

    /// Fails if a relay is using the database: it would continue to write during the copy.
    fn refuse_running(&mut self) -> Result<(), Error> {
        let Side::Database(database) = &mut self.side else {
            // Opening the folder has taken its lock, which excludes a running relay.
            return Ok(());
        };
        let relays = database.relays().map_err(store::Error::Postgres);
        let relays = relays.map_err(|error| self.failed(error))?;
        match relays.into_iter().find(|it| it.life() == Life::Running) {
            Some(relay) => Err(Error::Running(self.name.clone(), relay)),
            None => Ok(()),
        }
    }

    fn rows(&mut self) -> Result<u64, Error> {
        match self.ask(Job::Count)? {
            Done::Counted(usage) => {
                let usage = usage.map_err(|error| self.failed(error))?;
                Ok(usage.iter().map(|(_, usage)| usage.rows).sum())
            }
            _ => Ok(0),
        }
    }
}

/// Copies everything, and returns the report to print.
pub(super) fn run(options: &StoreCopyOptions) -> Result<String, Error> {
    let relay = options.relay_name.as_deref();
    let is_there = Path::new(&options.from).join("wecrelay.db").exists();
    if !Settings::is_url(&options.from) && !is_there {
        return Err(Error::NoState(options.from.clone().into()));
    }
    let mut from = Named::open(&options.from, relay)?;
    let mut to = Named::open(&options.to, relay)?;
    from.refuse_running()?;
    to.refuse_running()?;
    let there = to.rows()?;
    if there > 0 {
        return Err(Error::NotEmpty(options.to.clone(), there));
    }
    let (saved, known) = (from.load()?, to.load()?);
    // Ages are measured in running time, so the copy must not be behind either store.
    let ran = saved.pulse.ran.max(known.pulse.ran);
    let hosts = saved.hosts.len();
    let all = from.rows()?;
    let mut meter = Meter::new();
    meter.show(|| format!("copying {}", count(hosts, "host")));
    copy_hosts(saved, ran, &mut to)?;
    let bookmarks = copy_bookmarks(ran, &mut from, &mut to, |copied| {
        meter.show(|| format!("copied {copied} of {all} bookmarks"));
    })?;
    drop(meter);
    Ok(format!(
        "{} {} and {}\n",
        Paint::new(&io::stdout()).paint(Color::Green, "copied"),
        count(bookmarks, "bookmark"),
        count(hosts, "host")
    ))
}

fn copy_hosts(saved: Saved, ran: u64, to: &mut Named) -> Result<(), Error> {
    let mut changes = Changes {
        hosts: Vec::new(),
        forgotten: Vec::new(),
        refusals: Some(saved.refusals),
        relays_after: None,
        pulse: Pulse {
            ran,
            is_stopped: true,
            ..saved.pulse
        },
    };
    let hosts = saved.hosts.into_iter();
    let mut rest = hosts
        .map(|host| Host {
            relay: None,
            ..host
        })
        .peekable();
    loop {
        changes.hosts = rest.by_ref().take(AT_ONCE).collect();
        if let Done::HostsSaved(done) = to.ask(Job::SaveHosts(changes.clone()))? {
            done.map_err(|error| to.failed(error))?;
        }
        changes.refusals = None;
        if rest.peek().is_none() {
            return Ok(());
        }
    }
}

/// Copies all bookmarks. `note` is called with the number copied so far.
fn copy_bookmarks(
    ran: u64,
    from: &mut Named,
    to: &mut Named,
    mut note: impl FnMut(usize),
) -> Result<usize, Error> {
    let stamp = Stamp {
        wall: now(),
        ran,
        network: None,
    };
    let (mut after, mut copied) = (None, 0);
    loop {
        let Done::Walked(keys) = from.ask(Job::Walk(after.take(), AT_ONCE))? else {
            return Ok(copied);
        };
        let keys = keys.map_err(|error| from.failed(error))?;
        let is_last = keys.len() < AT_ONCE;
        after = keys.last().map(|(key, _)| key.clone());
        let lookups = keys.into_iter().map(|(key, _)| Lookup {
            key,
            former: Vec::new(),
        });
        let rows = rows_of(lookups.collect(), from)?;
        copied += rows.len();
        if !rows.is_empty()
            && let Done::Written(wrote) = to.ask(Job::Write(rows, stamp))?
        {
            wrote.map_err(|error| to.failed(error))?;
        }
        note(copied);
        if is_last {
            return Ok(copied);
        }
    }
}

/// Reads these bookmarks, and returns the rows to write.
fn rows_of(lookups: Vec<Lookup>, from: &mut Named) -> Result<Vec<Write>, Error> {
    let Done::Read(found) = from.ask(Job::Read(lookups.clone()))? else {
        return Ok(Vec::new());
    };
    let found = found.map_err(|error| from.failed(error))?;
    let write = |(lookup, found): (Lookup, Found)| {
        Some(Write {
            key: lookup.key,
            generation: 0,
            former: None,
            latest: Some(found.stored?),
            aside: None,
            network: None,
        })
    };
    Ok(lookups.into_iter().zip(found).filter_map(write).collect())
}

#[expect(clippy::disallowed_methods, reason = "a command, not the loop")]
fn now() -> UnixSeconds {
    SystemTime::now().into()
}
