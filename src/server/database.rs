//! The database that relays share: two connections, each in its own thread, so that reads
//! do not wait for a commit.

mod line;

use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lanes::{Lanes, Replies, Way, spawn};
use crate::base::clock::UnixSeconds;
use crate::hosts::{self, Inquiry, Peer, Saved};
use crate::store::postgres::{Client, Failure, Kind, Request, Rows, Shared, tables};
use crate::store::{Answer, Condition, Done, Job, KeptAside, Ticket};
use crate::tls::DatabaseTls;
use line::Line;

/// How often to save changed hosts, each of them one row.
pub(super) const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Time limit for the last jobs when the relay ends.
const LAST: Duration = Duration::from_secs(10);

/// Creates clients of the database with the same settings; the argument is the current time.
pub type MakeClient = Box<dyn Fn(Instant) -> Client + Send>;

/// A prepared database, and the first connection to it.
pub struct Database {
    make: MakeClient,
    client: Client,
    line: Line,
    relay: String,
}

impl Database {
    /// Connects, and creates missing tables. `relay` is this relay's name among those that share
    /// the database. Blocks until the database answers.
    ///
    /// # Errors
    /// The database cannot be reached or used; the failure has the reason.
    pub fn open(
        make: MakeClient,
        tls: Option<DatabaseTls>,
        relay: String,
    ) -> Result<Self, Failure> {
        let mut database = Self::connected(make, tls, relay)?;
        database.prepare(true)?;
        Ok(database)
    }

    /// The same without creating tables, for commands that only read.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn look(
        make: MakeClient,
        tls: Option<DatabaseTls>,
        relay: String,
    ) -> Result<Self, Failure> {
        let mut database = Self::connected(make, tls, relay)?;
        database.prepare(false)?;
        Ok(database)
    }

    fn connected(
        make: MakeClient,
        tls: Option<DatabaseTls>,
        relay: String,
    ) -> Result<Self, Failure> {
        let client = make(Instant::now());
        let line = Line::new(tls.map(Arc::new))
            .map_err(|error| Failure::new(Kind::Other, "the event loop", error.to_string()))?;
        Ok(Self {
            make,
            client,
            line,
            relay,
        })
    }

    /// This relay's name among those that share the database.
    #[must_use]
    pub fn relay(&self) -> &str {
        &self.relay
    }

    fn prepare(&mut self, may_create: bool) -> Result<(), Failure> {
        let (request, read) = tables::is_there();
        let rows = self.ask(request)?;
        let is_there = read(&rows).unwrap_or(false);
        if !is_there && !may_create {
            return Err(self.failure(Kind::NoTables, "no relay has run with it"));
        }
        if !is_there {
            self.ask(tables::create())?;
        }
        let (request, read) = tables::version();
        let rows = self.ask(request)?;
        let known = tables::SCHEMA_VERSION;
        match read(&rows) {
            Ok(found) if found > known => {
                let says = format!(
                    "a later version of wecrelay created its tables (version {found}, supported: \
                     {known})"
                );
                Err(self.failure(Kind::Newer, says))
            }
            Ok(found) if found == known => Ok(()),
            _ => Err(self.failure(Kind::NoTables, "wecrelay_state has no version")),
        }
    }

    fn failure(&self, kind: Kind, says: impl Into<String>) -> Failure {
        Failure::new(kind, &self.client.name(), says)
    }

    /// Sends a request, and blocks until its rows or the first failure of the connection.
    fn ask(&mut self, request: Request) -> Result<Rows, Failure> {
        self.client.submit(Instant::now(), 0, request);
        loop {
            self.line.work(&mut self.client);
            if let Some((_, rows)) = self.client.poll_done() {
                return rows;
            }
            if let Some(trouble) = self.client.trouble() {
                return Err(trouble.clone());
            }
            self.line.wait(self.client.poll_timeout());
        }
    }

    /// Performs a job and blocks until it is done, as [`crate::store::perform`] does with a local
    /// store.
    ///
    /// # Errors
    /// The database cannot be reached or used.
    pub fn perform(&mut self, job: &Job) -> Result<Done, Failure> {
        let relay = self.relay.clone();
        self.perform_as(&relay, job)
    }

    fn perform_as(&mut self, relay: &str, job: &Job) -> Result<Done, Failure> {
        let rows = self.ask(tables::request(relay, job))?;
        tables::done(job, &rows, &mut 0).map_err(|_| self.unexpected())
    }

    fn unexpected(&self) -> Failure {
        let says = "rows that do not match wecrelay's tables";
        self.failure(Kind::NoTables, says)
    }

    /// The relays that share the database.
    ///
    /// # Errors
    /// The database cannot be reached or used.
    pub fn relays(&mut self) -> Result<Vec<Peer>, Failure> {
        match self.perform(&Job::Meet(Inquiry::default()))? {
            Done::Met(Ok(met)) => Ok(met.relays),
            _ => Ok(Vec::new()),
        }
    }

    /// What all relays know about hosts, combined.
    ///
    /// # Errors
    /// The database cannot be reached or used.
    pub fn gather(&mut self, now: UnixSeconds) -> Result<Saved, Failure> {
        let relays = self.relays()?;
        let mut each = Vec::with_capacity(relays.len());
        for relay in &relays {
            if let Done::HostsLoaded(Ok(saved)) = self.perform_as(&relay.name, &Job::LoadHosts)? {
                each.push((relay.name.clone(), saved));
            }
        }
        Ok(hosts::gather(relays, each, now))
    }

    /// The bookmarks that were set aside.
    ///
    /// # Errors
    /// The database cannot be reached or used.
    pub fn kept_aside(&mut self) -> Result<Vec<KeptAside>, Failure> {
        let (request, read) = tables::kept_aside();
        let rows = self.ask(request)?;
        read(&rows).map_err(|_| self.unexpected())
    }

    /// Removes a relay and what it knew about hosts.
    ///
    /// # Errors
    /// The database cannot be reached or used.
    pub fn forget_relay(&mut self, name: &str) -> Result<(), Failure> {
        self.ask(tables::forget_relay(name)).map(drop)
    }

    /// Starts a thread for each of two connections: one writes, one reads.
    pub(super) fn start(self, replies: &Replies) -> io::Result<(Lanes, Vec<JoinHandle<()>>)> {
        let tls = self.line.tls();
        let reader = (self.make)(Instant::now());
        let conditions = Arc::default();
        let (mut ways, mut threads) = (Vec::new(), Vec::new());
        for (name, client, line) in [
            ("store", self.client, self.line),
            ("store-read", reader, Line::new(tls)?),
        ] {
            let waker = Arc::new(line.waker()?);
            let (sender, jobs) = channel();
            let shared = Shared::new(client, self.relay.clone());
            let replies = Lane {
                number: ways.len(),
                conditions: Arc::clone(&conditions),
                replies: replies.clone(),
            };
            threads.push(spawn(name, move || serve(shared, line, &jobs, &replies))?);
            ways.push(Way::new(sender, Some(waker)));
        }
        let (Some(reads), Some(writes)) = (ways.pop(), ways.pop()) else {
            return Err(ErrorKind::Other.into());
        };
        Ok((Lanes::new(writes, reads), threads))
    }
}

/// One of the two connections, and the conditions of both, since one may fail while the other
/// works.
struct Lane {
    number: usize,
    conditions: Arc<Mutex<[Condition; 2]>>,
    replies: Replies,
}

impl Lane {
    /// Sends an answer with the combined condition of both connections. Returns false if the loop
    /// has ended.
    fn send(&self, mut answer: Answer) -> bool {
        if let Some(own) = &mut answer.condition
            && let Ok(mut all) = self.conditions.lock()
        {
            if let Some(known) = all.get_mut(self.number) {
                known.clone_from(own);
            }
            let [writes, reads] = &*all;
            *own = Condition {
                trouble: writes.trouble.clone().or_else(|| reads.trouble.clone()),
                notice: writes.notice.clone().or_else(|| reads.notice.clone()),
                damaged: writes.damaged + reads.damaged,
            };
        }
        self.replies.send(answer)
    }
}

fn serve(mut shared: Shared, mut line: Line, jobs: &Receiver<(Ticket, Job)>, replies: &Lane) {
    let mut end = None;
    loop {
        let now = Instant::now();
        loop {
            match jobs.try_recv() {
                Ok((ticket, job)) => shared.submit(now, ticket, job),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    end.get_or_insert(now + LAST);
                    break;
                }
            }
        }
        line.work(shared.client());
        shared.go_on(now);
        line.work(shared.client());
        while let Some(answer) = shared.poll_answer() {
            if !replies.send(answer) {
                return;
            }
        }
        if end.is_some_and(|end| shared.is_idle() || now >= end) {
            return;
        }
        let due = shared.client().poll_timeout();
        line.wait(due.into_iter().chain(end).min());
    }
}
