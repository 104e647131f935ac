//! Accepts connections: as many as there are file descriptors, less a reserve for outputs, the
//! state folder, reloads, and monitoring. Without that reserve, an output could not reconnect while
//! hosts occupy all descriptors.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Registry, Token};
use rustix::process::{Resource, getrlimit};

use crate::base::clock::Now;
use crate::collector::{Collector, Vacancy};
use crate::server::Listener;

/// Descriptors of each output: its connection, the next one, a name lookup, a file.
const OF_OUTPUT: usize = 4;
/// Descriptors of each process of `--ntlm-helper`: three pipes, and their other ends while
/// it starts.
const OF_HELPER: usize = 6;
/// Descriptors of a reload, which reads one file at a time, and of the state folder.
const OF_FILES: usize = 8;
/// Minimum number of connections, even if the limit is lower than the reserve.
const AT_LEAST: usize = 4;
/// Maximum number of connections accepted in one turn.
const SHARE: usize = 256;
/// How long there must be room before the end of a shortage is logged.
const CALM: Duration = Duration::from_secs(5);
/// How often a changed reason of a shortage may be logged.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Descriptors that connections of sources cannot use.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Reserve {
    /// Number that was open before the first connection.
    in_use: usize,
    kept: usize,
}

impl Reserve {
    pub(in crate::server) fn new(outputs: usize, helpers: usize, visitors: usize) -> Self {
        let kept = outputs * OF_OUTPUT + helpers * OF_HELPER + visitors + OF_FILES;
        let listed = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
        // One descriptor is that of the listing itself.
        let in_use = listed.map_or(0, |count| count.saturating_sub(1));
        Self { in_use, kept }
    }

    /// The number of connections for this limit of open files; `None` is no limit.
    fn room(self, limit: Option<u64>) -> usize {
        let limit = limit.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX));
        let room = limit.saturating_sub(self.in_use + self.kept);
        room.max(AT_LEAST)
    }
}

/// Whether connections cannot be accepted, and what was logged about it.
#[derive(Debug, Default)]
struct Trouble {
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    since: Instant,
    last: Instant,
    /// What was logged last, and when.
    said: String,
    said_at: Instant,
}

impl Trouble {
    /// Records that connections cannot be accepted now; returns what to log, if anything.
    fn note(&mut self, now: Now, what: &str) -> Option<String> {
        let now = now.monotonic;
        match &mut self.current {
            None => {
                self.current = Some(Current {
                    since: now,
                    last: now,
                    said: what.to_owned(),
                    said_at: now,
                });
                Some(what.to_owned())
            }
            Some(current) => {
                current.last = now;
                if current.said == what || now < current.said_at + SAID_EVERY {
                    return None;
                }
                current.said_at = now;
                current.said = what.to_owned();
                Some(what.to_owned())
            }
        }
    }

    /// If there has been room for [`CALM`], ends the shortage and returns how long it lasted.
    fn end(&mut self, now: Now) -> Option<Duration> {
        let current = self.current.as_ref()?;
        if now.monotonic < current.last + CALM {
            return None;
        }
        let lasted = current.last.duration_since(current.since);
        self.current = None;
        Some(lasted)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.current.as_ref().map(|current| current.last + CALM)
    }
}

/// The result of [`Doors::accept`].
pub(in crate::server) enum Accepted {
    /// A connection must be closed first to make room: close it, then call again.
    Room,
    /// A connection, its source address, and whether it uses TLS.
    Connection(TcpStream, IpAddr, bool),
}

/// The progress of a turn of accepting.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    listener: usize,
    /// How many connections were attempted at this listener.
    count: usize,
    /// Whether room was made for the next connection.
    has_room: bool,
}

/// The listeners, and whether there is room for connections.
#[derive(Debug)]
pub(in crate::server) struct Doors {
    listeners: Vec<Listener>,
    reserve: Reserve,
    trouble: Trouble,
    place: Place,
}

impl Doors {
    /// Registers the listeners with tokens from `first` on.
    ///
    /// # Errors
    /// A listener cannot be registered.
    pub(in crate::server) fn new(
        mut listeners: Vec<Listener>,
        registry: &Registry,
        first: usize,
        reserve: Reserve,
    ) -> io::Result<Self> {
        for (index, listener) in listeners.iter_mut().enumerate() {
            listener.register(registry, Token(first + index))?;
        }
        Ok(Self {
            listeners,
            reserve,
            trouble: Trouble::default(),
            place: Place::default(),
        })
    }

    /// Handles an event of a listener: connections may be waiting.
    pub(in crate::server) fn note_ready(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.note_ready();
        }
    }

    /// Whether there may be something to accept now.
    pub(in crate::server) fn is_ready(&self) -> bool {
        self.listeners.iter().any(Listener::is_ready)
    }

    /// Whether connections cannot be accepted.
    pub(in crate::server) fn is_crowded(&self) -> bool {
        self.trouble.current.is_some()
    }

    /// When to resume accepting, or to log that it has resumed.
    pub(in crate::server) fn poll_timeout(&self) -> Option<Instant> {
        if self.listeners.is_empty() {
            return None;
        }
        let paused = self.listeners.iter().filter_map(Listener::resumes_at);
        paused.chain(self.trouble.poll_timeout()).min()
    }

    /// Stops accepting.
    pub(in crate::server) fn close(&mut self) {
        self.listeners.clear();
    }

    /// Tells the collector the number of connections for the current limit of open files, which may
    /// have been changed.
    pub(in crate::server) fn measure_room(&self, collector: &mut Collector) {
        let room = self.reserve.room(getrlimit(Resource::Nofile).current);
        collector.set_connection_room(room);
    }

    /// Begins a turn: [`Doors::accept`] must then be called until it returns `None`.
    pub(in crate::server) fn begin(&mut self, collector: &mut Collector) {
        self.place = Place::default();
        if self.is_crowded() {
            self.measure_room(collector);
        }
    }

    /// The next connection, up to 256 from each listener per turn; `None` ends the turn.
    pub(in crate::server) fn accept(
        &mut self,
        now: Now,
        collector: &mut Collector,
    ) -> Option<Accepted> {
        while self.place.listener < self.listeners.len() {
            let accepted = self.accept_here(now, collector);
            if accepted.is_some() {
                return accepted;
            }
            self.place = Place {
                listener: self.place.listener + 1,
                ..Place::default()
            };
        }
        if let Some(lasted) = self.trouble.end(now) {
            let seconds = lasted.as_secs();
            log::info!("there is room for connections again after {seconds} s");
        }
        None
    }

    fn accept_here(&mut self, now: Now, collector: &mut Collector) -> Option<Accepted> {
        let listener = self.listeners.get_mut(self.place.listener)?;
        let is_secure = listener.is_secure();
        if !std::mem::take(&mut self.place.has_room) {
            if self.place.count >= SHARE || !listener.may_accept(now) {
                return None;
            }
            self.place.count += 1;
            match collector.make_room(now, is_secure) {
                Vacancy::Free => {}
                Vacancy::Made => {
                    // Closed at once, so that its descriptor is free for the new connection.
                    self.place.has_room = true;
                    self.note_full(now, collector);
                    return Some(Accepted::Room);
                }
                Vacancy::Full => {
                    listener.wait(now);
                    self.note_full(now, collector);
                    return None;
                }
            }
        }
        match listener.accept() {
            Ok(found) => found.map(|(stream, from)| Accepted::Connection(stream, from, is_secure)),
            Err(error) => {
                listener.wait(now);
                let why = format!("connections cannot be accepted: {error}; hosts wait");
                self.tell_trouble(now, &why);
                self.measure_room(collector);
                None
            }
        }
    }

    fn note_full(&mut self, now: Now, collector: &Collector) {
        let room = collector.connection_room();
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        let why = format!(
            "the limit of {room} connections is reached: the oldest unauthenticated ones are \
             closed for new ones, or these wait (limit of open files: {limit}, some reserved for \
             outputs, files and monitoring; raise it with LimitNOFILE= in the unit)"
        );
        self.tell_trouble(now, &why);
    }

    fn tell_trouble(&mut self, now: Now, why: &str) {
        if let Some(why) = self.trouble.note(now, why) {
            log::error!("{why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_whatever_the_limit() {
        let reserve = Reserve {
            in_use: 20,
            kept: 30,
        };
        assert_eq!(reserve.room(Some(64)), 14);
        assert_eq!(reserve.room(Some(54)), 4);
        assert_eq!(reserve.room(Some(10)), AT_LEAST);
        assert_eq!(reserve.room(None), usize::MAX - 50);
        let one = Reserve::new(1, 0, 16);
        assert_eq!(Reserve::new(2, 0, 16).kept, one.kept + OF_OUTPUT);
        assert_eq!(Reserve::new(1, 2, 16).kept, one.kept + 2 * OF_HELPER);
        assert!(one.in_use >= 3, "standard streams: {}", one.in_use);
    }

    #[test]
    fn trouble_is_told_when_it_begins_changes_and_ends() {
        let start = crate::server::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut trouble = Trouble::default();
        assert_eq!(trouble.end(at(0)), None);
        assert_eq!(trouble.note(at(0), "a").as_deref(), Some("a"));
        assert_eq!(trouble.note(at(60), "a"), None);
        assert_eq!(trouble.note(at(61), "b").as_deref(), Some("b"));
        assert_eq!(trouble.note(at(62), "a"), None, "told too lately");
        assert_eq!(trouble.note(at(71), "a").as_deref(), Some("a"));
        assert_eq!(trouble.end(at(75)), None);
        assert_eq!(trouble.end(at(76)), Some(Duration::from_secs(71)));
        assert!(trouble.current.is_none() && trouble.end(at(100)).is_none());
        assert_eq!(trouble.note(at(101), "a").as_deref(), Some("a"));
    }
}
