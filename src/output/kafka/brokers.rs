//! The connections to brokers: which are needed, and which one gets requests for the leaders.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::BrokerId;
use super::connection::Connection;
use crate::base::clock::Now;
use crate::output::Task;
use crate::protocol::kafka::{Error, Metadata};

/// How often leaders are requested although nothing is wrong; the default of other clients.
const METADATA_AGE: Duration = Duration::from_secs(300);
/// First pause before leaders are requested again; doubles while that does not help.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Maximum pause before leaders, or a producer id, are requested again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Maximum number of brokers to connect to. Beyond it, partitions wait for a leader.
const CONNECTIONS_MAX: usize = 256;
/// Maximum number of brokers in an answer that are examined; far more than any cluster has.
const BROKERS_MAX: usize = 4096;
/// Maximum length of a host name in bytes (RFC 1035 2.3.4).
const HOST_MAX: usize = 255;

/// When leaders are requested.
#[derive(Debug)]
struct Asking {
    due: Instant,
    asked: Option<usize>,
    pause: Duration,
    /// Index of the connection to try next for it.
    next: usize,
}

/// All known brokers.
#[derive(Debug)]
pub(super) struct Brokers {
    connections: Vec<Connection>,
    asking: Asking,
    tasks: Vec<(BrokerId, Task)>,
}

impl Brokers {
    pub(super) fn new(seeds: &[(String, u16)], now: Now) -> Self {
        let seeds = seeds.iter();
        Self {
            connections: seeds
                .map(|(host, port)| Connection::new(host, *port))
                .collect(),
            asking: Asking {
                due: now.monotonic,
                asked: None,
                pause: FIRST_PAUSE,
                next: 0,
            },
            tasks: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Connection> {
        self.connections.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Connection> {
        self.connections.get_mut(index)
    }

    pub(super) fn push_task(&mut self, id: BrokerId, task: Option<Task>) {
        self.tasks.extend(task.map(|task| (id, task)));
    }

    pub(super) fn take_tasks(&mut self) -> Vec<(BrokerId, Task)> {
        std::mem::take(&mut self.tasks)
    }

    /// Whether the broker of some partition is up, and whether all are.
    pub(super) fn leaders_up(&self) -> (bool, bool) {
        let leaders = || self.connections.iter().filter(|c| c.is_leader);
        (
            leaders().any(Connection::is_up),
            leaders().all(Connection::is_up),
        )
    }

    /// When something is due, apart from requests on the connection of [`Brokers::up`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let wants_any = self.wants_contact();
        let connections = self.connections.iter();
        let wanted = connections.filter(|c| !c.is_at_rest() || c.is_leader || wants_any);
        let wanted = wanted.filter_map(Connection::poll_timeout);
        let is_first = wants_any && self.connections.iter().any(Connection::is_idle);
        let may_ask = self.asking.asked.is_none() && self.up().is_some();
        wanted
            .chain((is_first || may_ask).then_some(self.asking.due))
            .min()
    }

    /// Handles a metadata answer, complete or not: sets when leaders are requested next.
    pub(super) fn note_metadata(&mut self, now: Now, is_whole: bool) {
        self.asking.asked = None;
        if is_whole {
            self.asking.pause = FIRST_PAUSE;
            self.asking.due = now.monotonic + METADATA_AGE;
        } else {
            self.asking.due = now.monotonic + self.asking.pause;
            self.asking.pause = (self.asking.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A connection is gone, so leaders may have moved.
    pub(super) fn note_gone(&mut self, now: Now, index: usize) {
        self.asking.asked = self.asking.asked.filter(|asked| *asked != index);
        self.ask_soon(now);
    }

    /// Requests leaders on this connection, if it is time. An error is the reason to close
    /// it.
    pub(super) fn ask(&mut self, now: Now, index: usize, topic: &str) -> Result<(), Error> {
        if self.asking.asked.is_some() || self.asking.due > now.monotonic {
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        connection.ask_metadata(now, topic)?;
        self.asking.asked = Some(index);
        Ok(())
    }

    /// Ends all pauses, so that everything that failed may be retried now.
    pub(super) fn end_pauses(&mut self, now: Now) {
        self.connections.iter_mut().for_each(|c| c.end_pause(now));
    }

    /// Maps node ids to the connections of the brokers that lead partitions now. Each
    /// broker is looked up only once, because a topic may have far more partitions.
    pub(super) fn set_leaders(&mut self, found: &Metadata) -> HashMap<i32, usize> {
        self.connections
            .iter_mut()
            .for_each(|c| c.is_leader = false);
        let led: HashSet<i32> = found.partitions.iter().map(|p| p.leader).collect();
        let leaders = found.brokers.iter().filter(|b| led.contains(&b.id));
        leaders
            .take(BROKERS_MAX)
            .filter_map(|b| Some((b.id, self.leader(&b.host, b.port)?)))
            .collect()
    }

    /// The connection to a broker that leads a partition.
    fn leader(&mut self, host: &str, port: i32) -> Option<usize> {
        let index = self.connection_to(host, port)?;
        self.connections.get_mut(index)?.is_leader = true;
        Some(index)
    }

    pub(super) fn up(&self) -> Option<usize> {
        self.connections.iter().position(Connection::is_up)
    }

    /// Whether a connection to any broker is needed.
    fn wants_contact(&self) -> bool {
        self.connections.iter().all(Connection::is_at_rest)
    }

    pub(super) fn ask_soon(&mut self, now: Now) {
        self.asking.due = self.asking.due.min(now.monotonic + self.asking.pause);
    }

    fn connection_to(&mut self, host: &str, port: i32) -> Option<usize> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
        if host.is_empty() || host.len() > HOST_MAX {
            return None;
        }
        let place = (host, port);
        if let Some(known) = self.connections.iter().position(|c| c.place() == place) {
            return Some(known);
        }
        if self.connections.len() < CONNECTIONS_MAX {
            self.connections.push(Connection::new(host, port));
            return Some(self.connections.len() - 1);
        }
        let is_free = |c: &Connection| c.is_at_rest() && !c.is_leader;
        let free = self.connections.iter().position(is_free)?;
        *self.connections.get_mut(free)? = Connection::new(host, port);
        Some(free)
    }

    /// Connects to all leaders, or to any broker if none is known or reachable.
    pub(super) fn connect(&mut self, now: Now) {
        for (index, connection) in self.connections.iter_mut().enumerate() {
            if connection.is_leader && connection.may_begin(now) {
                let task = connection.begin(now);
                self.tasks.extend(task.map(|task| (BrokerId(index), task)));
            }
        }
        if !self.wants_contact() {
            return;
        }
        let count = self.connections.len();
        for _ in 0..count {
            let index = self.asking.next.checked_rem(count).unwrap_or(0);
            self.asking.next = index + 1;
            if let Some(connection) = self.connections.get_mut(index)
                && connection.may_begin(now)
            {
                let task = connection.begin(now);
                self.tasks.extend(task.map(|task| (BrokerId(index), task)));
                return;
            }
        }
    }
}
