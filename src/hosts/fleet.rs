//! The relays that share a store, and what the other relays know about hosts.
//!
//! Each relay writes what it knows, and reads once per minute what the others have written
//! since.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Host, Key, MOST_HOSTS, Moment, Pulse, Saved, State, Table};
use crate::base::clock::UnixSeconds;

/// Maximum number of rows in one query.
const PAGE: usize = 500;
/// Seconds without a sign of life after which a relay counts as gone; it writes once a
/// minute.
const GONE: u64 = 150;
/// How far back each query overlaps the previous one, in seconds: writes may have been in
/// progress, or slow.
const OVERLAP: u64 = 90;
/// Number of rounds after which everything is read again, so that deleted rows disappear.
const ROUNDS: u32 = 60;

/// State of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It reports that it is running.
    Running,
    /// It has been stopped in an orderly way.
    Stopped,
    /// It has not reported for a while, and did not report that it stopped.
    Gone,
}

impl Life {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Running, Self::Stopped, Self::Gone];

    /// The name in tables and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
        }
    }
}

/// A relay that shares the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name (`--relay-name`).
    pub name: String,
    /// When it was started, by its own clock.
    pub started: UnixSeconds,
    /// Seconds since it last wrote, by the store's clock; so the clocks of relays need not
    /// agree.
    pub age: u64,
    /// Whether it reported that it stopped.
    pub is_stopped: bool,
}

impl Peer {
    /// Its state, from the age of its last report.
    #[must_use]
    pub const fn life(&self) -> Life {
        match (self.is_stopped, self.age <= GONE) {
            (true, _) => Life::Stopped,
            (false, true) => Life::Running,
            (false, false) => Life::Gone,
        }
    }
}

/// A query about the other relays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inquiry {
    /// Only hosts after this one, of this relay; for paging.
    pub after: Option<(Key, String)>,
    /// Only rows written since this time, by the store's clock.
    pub since: UnixSeconds,
    /// Maximum number of rows.
    pub count: usize,
}

/// The store's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// The current time, by the store's clock.
    pub now: UnixSeconds,
    /// All relays, including this one.
    pub relays: Vec<Peer>,
    /// Hosts of other relays, each with the relay's name.
    pub hosts: Vec<Host>,
    /// The last host, if there may be more.
    pub last: Option<(Key, String)>,
}

/// The relays, and the hosts that others know.
#[derive(Clone, Debug)]
pub struct Fleet {
    own: String,
    relays: Vec<Peer>,
    /// When the store returned this, by the clock of this relay.
    met: UnixSeconds,
    /// For each host, the rows of the other relays that know it.
    others: HashMap<Key, Vec<Host>>,
    rows: usize,
    /// A complete new set being read, which will replace the old one.
    fresh: Option<HashMap<Key, Vec<Host>>>,
    next: Inquiry,
    /// Where the next round starts.
    since: UnixSeconds,
    rounds: u32,
}

impl Fleet {
    /// `own` is this relay's name.
    #[must_use]
    pub fn new(own: String) -> Self {
        let mut fleet = Self {
            own,
            relays: Vec::new(),
            met: UnixSeconds::default(),
            others: HashMap::new(),
            rows: 0,
            fresh: None,
            next: Inquiry::default(),
            since: UnixSeconds::default(),
            rounds: 0,
        };
        fleet.begin();
        fleet
    }

    /// This relay's name.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The next query.
    #[must_use]
    pub fn inquiry(&self) -> Inquiry {
        self.next.clone()
    }

    fn begin(&mut self) {
        let is_whole = self.rounds.is_multiple_of(ROUNDS);
        self.rounds = self.rounds.wrapping_add(1);
        self.fresh = is_whole.then(HashMap::new);
        self.rows = if is_whole { 0 } else { self.rows };
        self.next = Inquiry {
            after: None,
            since: if is_whole {
                UnixSeconds::default()
            } else {
                self.since
            },
            count: PAGE,
        };
    }

    /// Handles an answer; returns whether there is more to ask now.
    pub fn take(&mut self, now: UnixSeconds, met: Met) -> bool {
        if self.next.after.is_none() {
            // As of the first page: what is written in the meantime comes with the next
            // round.
            self.since = met.now.saturating_sub(OVERLAP);
            self.relays = met.relays;
            self.met = now;
        }
        let table = self.fresh.as_mut().unwrap_or(&mut self.others);
        for host in met.hosts {
            let rows = table.entry(Key::of(&host)).or_default();
            match rows.iter_mut().find(|row| row.relay == host.relay) {
                Some(row) => *row = host,
                None if self.rows < MOST_HOSTS => {
                    self.rows += 1;
                    rows.push(host);
                }
                None => {}
            }
        }
        if met.last.is_some() {
            self.next.after = met.last;
            return true;
        }
        if let Some(fresh) = self.fresh.take() {
            self.others = fresh;
        }
        self.begin();
        false
    }

    /// The store could not be read: a complete new round begins later.
    pub fn put_back(&mut self) {
        self.rounds = 0;
        self.begin();
    }

    /// The relays in their current state.
    pub fn relays(&self, now: UnixSeconds) -> impl Iterator<Item = Peer> {
        let passed = now.since(self.met);
        self.relays.iter().map(move |relay| {
            // This relay is running, whenever that was written.
            let is_own = relay.name == self.own;
            Peer {
                age: if is_own { 0 } else { relay.age + passed },
                is_stopped: relay.is_stopped && !is_own,
                ..relay.clone()
            }
        })
    }

    /// Number of relays in each state.
    #[must_use]
    pub fn by_life(&self, now: UnixSeconds) -> Vec<(&'static str, usize)> {
        let lives: Vec<_> = self.relays(now).map(|relay| relay.life()).collect();
        let count = |life: &Life| lives.iter().filter(|it| *it == life).count();
        Life::ALL
            .iter()
            .map(|life| (life.name(), count(life)))
            .collect()
    }

    /// Whether another relay has heard of a host since this time.
    #[must_use]
    pub fn has_heard(&self, key: &Key, since: UnixSeconds) -> bool {
        let rows = self.others.get(key).into_iter().flatten();
        let heard = rows.flat_map(|row| &row.subscriptions);
        heard.filter_map(super::Followed::last_heard).max() >= Some(since)
    }
}

/// The hosts as all relays together know them.
#[derive(Clone, Copy, Debug)]
pub struct Overview<'a> {
    own: &'a Table,
    /// `None` if no relay shares the store.
    fleet: Option<&'a Fleet>,
}

impl<'a> Overview<'a> {
    pub(crate) const fn new(own: &'a Table, fleet: Option<&'a Fleet>) -> Self {
        Self { own, fleet }
    }

    /// The reference time for states. Hosts get a period of grace only after a start of all
    /// relays.
    #[must_use]
    pub fn moment(&self, now: UnixSeconds) -> Moment {
        let relays = self.fleet.into_iter().flat_map(|fleet| fleet.relays(now));
        let running = relays.filter(|relay| relay.life() == Life::Running);
        let started = running.map(|relay| relay.started).min();
        let own = self.own.up_since();
        Moment {
            now,
            up_since: started.map_or(own, |started| started.min(own)),
        }
    }

    fn others(&self, key: &Key) -> &'a [Host] {
        let rows = self.fleet.and_then(|fleet| fleet.others.get(key));
        rows.map_or(&[], Vec::as_slice)
    }

    /// Hosts that only other relays know.
    fn strangers(&self) -> impl Iterator<Item = &'a [Host]> {
        let own = self.own;
        let others = self.fleet.into_iter().flat_map(|fleet| &fleet.others);
        others
            .filter(move |(key, _)| own.get(key).is_none())
            .map(|(_, rows)| rows.as_slice())
    }

    /// All hosts, in no particular order. One without [`Host::relay`] was last seen by this
    /// relay.
    pub fn hosts(&self) -> impl Iterator<Item = Cow<'a, Host>> {
        let this = *self;
        let own = self.own.iter().map(move |host| {
            let others = match this.fleet {
                Some(_) => this.others(&Key::of(host)),
                None => &[],
            };
            merged(host, others)
        });
        let strangers = self.strangers();
        own.chain(strangers.filter_map(|rows| {
            let (first, rest) = rows.split_first()?;
            Some(merged(first, rest))
        }))
    }

    /// Number of hosts in each state, counting those last seen by this relay. So the
    /// numbers of all relays add up; hosts of relays that are not running are counted by
    /// the first one that is.
    #[must_use]
    pub fn by_state(&self, at: Moment) -> Vec<(&'static str, usize)> {
        let Some(fleet) = self.fleet else {
            return self.own.by_state(at);
        };
        let running: Vec<_> = fleet
            .relays(at.now)
            .filter(|relay| relay.life() == Life::Running)
            .map(|relay| relay.name)
            .collect();
        let is_deputy = running.iter().min().is_none_or(|first| *first == fleet.own);
        let is_ours = |relay: Option<&String>| match relay {
            None => true,
            Some(relay) => is_deputy && !running.contains(relay),
        };
        let mut counts = HashMap::new();
        let mut count = |rows: &mut dyn Iterator<Item = &Host>| {
            let (mut last, mut state) = (None::<&Host>, None);
            for row in rows {
                // The state of its liveliest subscription, at any relay.
                state = state.into_iter().chain([row.state(at)]).min();
                last = match last {
                    Some(last) if last.last_seen >= row.last_seen => Some(last),
                    _ => Some(row),
                };
            }
            if let (Some(last), Some(state)) = (last, state)
                && is_ours(last.relay.as_ref())
            {
                *counts.entry(state).or_insert(0) += 1;
            }
        };
        for host in self.own.iter() {
            let others = self.others(&Key::of(host));
            count(&mut std::iter::once(host).chain(others));
        }
        for rows in self.strangers() {
            count(&mut rows.iter());
        }
        let count = |state: State| (state.name(), counts.get(&state).copied().unwrap_or(0));
        State::ALL.into_iter().map(count).collect()
    }
}

fn merged<'a>(host: &'a Host, others: &'a [Host]) -> Cow<'a, Host> {
    let mut merged = Cow::Borrowed(host);
    for other in others {
        merged.to_mut().merge(other);
    }
    merged
}

/// Merges what all relays have stored, as of `now` by the clock of this relay.
#[must_use]
pub fn gather(relays: Vec<Peer>, each: Vec<(String, Saved)>, now: UnixSeconds) -> Saved {
    let mut hosts: HashMap<Key, Host> = HashMap::new();
    let mut all = Saved::default();
    let lives: HashMap<_, _> = relays
        .iter()
        .map(|it| (it.name.as_str(), it.life()))
        .collect();
    for (name, saved) in each {
        let is_running = lives.get(name.as_str()) == Some(&Life::Running);
        all.pulse = joined(all.pulse, saved.pulse, is_running.then_some(now));
        all.refusals.extend(saved.refusals);
        for mut host in saved.hosts {
            host.relay = Some(name.clone());
            match hosts.get_mut(&Key::of(&host)) {
                Some(known) => known.merge(&host),
                None => {
                    hosts.insert(Key::of(&host), host);
                }
            }
        }
    }
    all.hosts = hosts.into_values().collect();
    all.relays = relays;
    all
}

/// Merges the relays into one, which runs since the start of the first running one, or
/// stopped with the last one.
fn joined(all: Pulse, one: Pulse, runs: Option<UnixSeconds>) -> Pulse {
    let one = Pulse {
        written: runs.unwrap_or(one.written),
        is_stopped: runs.is_none(),
        ..one
    };
    let ran = all.ran.max(one.ran);
    let is_first = all.written.get() == 0;
    let joined = match (all.is_stopped, one.is_stopped) {
        _ if is_first => one,
        (false, true) => all,
        (true, false) => one,
        (false, false) if one.started < all.started => one,
        (true, true) if one.written > all.written => one,
        _ => all,
    };
    Pulse { ran, ..joined }
}

#[cfg(test)]
mod tests;
