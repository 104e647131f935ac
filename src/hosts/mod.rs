//! The hosts that are known: who, from where, by which method, what they send and since
//! when not; and who was refused. Sans-IO: the caller says what has happened and when, and
//! stores what has changed.
//!
//! A host is found by what was proved and what is claimed, as its bookmarks are, so that
//! nobody moves the record of another. All is bounded: a batch costs one look-up.

mod cause;
mod explain;
mod fleet;
mod merge;
mod record;
mod refusals;
mod reports;
mod saved;
mod state;
mod times;

pub use cause::cause;
pub use explain::Cause;
pub use fleet::{Fleet, Inquiry, Life, Met, Overview, Peer, gather};
pub use record::{Clones, Ended, Followed, Gaps, Host, Refused, Reported};
pub use refusals::{MOST_REFUSALS, Refusal};
pub use reports::{CHANNEL, Report};
pub use saved::{Changes, Pulse, Saved};
pub use state::{Moment, State};

use crate::base::clock::{FileTime, UnixSeconds};
use crate::bookmark::{BatchFacts, Stored};
use record::{follow, shorten};
use refusals::Refusals;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

/// Most hosts that are kept. At the bound, those that were not heard of for longest go.
pub const MOST_HOSTS: usize = 200_000;

/// What a host is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Who it proved to be, in lower case; `None` for a null session.
    pub identity: Option<String>,
    /// What it calls itself, in lower case.
    pub machine: String,
}

impl Key {
    /// The key of a host by its names, which Windows compares without case.
    #[must_use]
    pub fn new(identity: Option<&str>, machine: &str) -> Self {
        Self {
            identity: identity.map(str::to_lowercase),
            machine: machine.trim().to_lowercase(),
        }
    }

    /// The key of a host.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self::new(host.identity.as_deref(), &host.machine)
    }
}

/// Who sends a message, as the table keeps it.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Who it proved to be; `None` for a null session.
    pub identity: Option<String>,
    /// What it calls itself.
    pub machine: String,
    /// Where it comes from.
    pub address: IpAddr,
    /// How it was authenticated.
    pub method: &'static str,
    /// The SID of its account in a domain.
    pub sid: Option<String>,
    /// Names by which earlier versions knew it.
    pub former: Rc<[String]>,
}

/// A subscription as far as the table needs it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The subscription.
    pub id: Uuid,
    /// Its name.
    pub name: &'a str,
    /// Its heartbeat interval in seconds.
    pub heartbeat: u32,
}

#[derive(Clone, Debug)]
struct Row {
    host: Host,
    is_dirty: bool,
}

/// The hosts, and what of them has changed since it was stored.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: HashMap<Rc<Key>, Row>,
    dirty: VecDeque<Rc<Key>>,
    refusals: Refusals,
    /// Keys that hosts have left for new ones, and that are still stored.
    left: Vec<Rc<Key>>,
    up_since: UnixSeconds,
    /// Seconds that relays have run with this state.
    ran: u64,
    is_crowded: bool,
}

impl Table {
    /// An empty table of a relay that starts now.
    #[must_use]
    pub fn new(now: UnixSeconds) -> Self {
        Self {
            up_since: now,
            ..Self::default()
        }
    }

    /// Takes what was stored.
    pub fn load(&mut self, saved: Saved) {
        let now = self.up_since;
        for mut host in saved.hosts {
            // Of a clock that was ahead.
            host.each_time(|time| *time = now.min(*time));
            host.relay = None;
            let is_dirty = false;
            let key = Rc::new(Key::of(&host));
            self.rows.insert(key, Row { host, is_dirty });
        }
        self.refusals.load(saved.refusals);
        self.ran = saved.pulse.ran;
    }

    /// Since when the relay runs.
    #[must_use]
    pub fn up_since(&self) -> UnixSeconds {
        self.up_since
    }

    /// How many hosts are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All hosts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        self.rows.values().map(|row| &row.host)
    }

    /// One host.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Host> {
        self.rows.get(key).map(|row| &row.host)
    }

    /// Who was refused lately, in no order.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.iter()
    }

    /// The moment at which to ask how hosts are.
    #[must_use]
    pub fn moment(&self, now: UnixSeconds) -> Moment {
        let up_since = self.up_since;
        Moment { now, up_since }
    }

    /// How many hosts are in which state.
    #[must_use]
    pub fn by_state(&self, at: Moment) -> Vec<(&'static str, usize)> {
        let mut counts = HashMap::new();
        for host in self.iter() {
            *counts.entry(host.state(at)).or_insert(0) += 1;
        }
        let count = |state: State| (state.name(), counts.get(&state).copied().unwrap_or(0));
        State::ALL.into_iter().map(count).collect()
    }

    /// A host was given subscriptions. Something should come within `patience`.
    /// Answers whether it is new.
    pub fn note_enumerated(
        &mut self,
        now: UnixSeconds,
        sender: &Sender,
        offered: &[Asked<'_>],
        patience: Duration,
    ) -> bool {
        let before = self.rows.len();
        let patience = u32::try_from(patience.as_secs()).unwrap_or(u32::MAX);
        self.change(now, sender, |host| {
            host.last_enumerate = Some(now);
            host.refused = None;
            // Those that are not offered any more go, so that the list has an end.
            host.subscriptions
                .retain(|s| offered.iter().any(|asked| asked.id == s.id));
            for asked in offered {
                let followed = follow(host, asked);
                if followed.offered.is_none() {
                    followed.offered = Some(now);
                    followed.patience = patience;
                }
            }
        });
        self.rows.len() > before
    }

    /// No subscription is for a host. Answers whether that is news.
    pub fn note_refused(&mut self, now: UnixSeconds, sender: &Sender, reason: &str) -> bool {
        let mut is_news = false;
        self.change(now, sender, |host| {
            host.last_enumerate = Some(now);
            is_news = host.refused.is_none();
            let count = host.refused.as_ref().map_or(0, |refused| refused.count) + 1;
            let reason = shorten(reason);
            host.refused = Some(Box::new(Refused {
                at: now,
                count,
                reason,
            }));
        });
        is_news
    }

    /// A host has sent a heartbeat.
    pub fn note_heartbeat(&mut self, now: UnixSeconds, sender: &Sender, asked: &Asked<'_>) {
        self.change(now, sender, |host| {
            let followed = follow(host, asked);
            followed.last_heartbeat = Some(now);
            followed.offered = None;
        });
    }

    /// A host has sent events, which are not acknowledged yet.
    pub fn note_events(
        &mut self,
        now: UnixSeconds,
        sender: &Sender,
        asked: &Asked<'_>,
    ) -> Option<Rc<Key>> {
        self.change(now, sender, |host| {
            let followed = follow(host, asked);
            followed.first_event.get_or_insert(now);
            followed.last_event = Some(now);
            followed.offered = None;
        })
    }

    /// Events of a host were acknowledged. `before`: its bookmark before them; `whole`: the
    /// channels that the subscription asks for whole.
    pub fn note_acknowledged(
        &mut self,
        now: UnixSeconds,
        key: &Rc<Key>,
        subscription: Uuid,
        (events, facts): (u64, &BatchFacts),
        (before, whole): (Option<&Stored>, &[String]),
    ) {
        let Some(row) = self.rows.get_mut(key) else {
            return;
        };
        // A bookmark of event 111 names the end of the log, not what was read.
        let channels = facts.channels().map(|(channel, runs)| {
            let before = before.and_then(|before| before.read_up_to(channel));
            let whole = whole.iter().find(|name| name.eq_ignore_ascii_case(channel));
            (runs, before, whole.cloned())
        });
        if let Some(followed) = row.host.followed(subscription) {
            followed.note_acknowledged(now, events, channels);
        }
        self.set_dirty(key);
    }

    /// A host ended a subscription.
    pub fn note_ended(
        &mut self,
        now: UnixSeconds,
        sender: &Sender,
        subscription: Option<&Asked<'_>>,
        (code, text): (Option<u32>, &str),
    ) {
        let text = shorten(text);
        self.change(now, sender, |host| {
            let followed = match subscription {
                Some(asked) => Some(follow(host, asked)),
                // It did not say which: that of which there was the least doubt.
                None => host.subscriptions.first_mut(),
            };
            if let Some(followed) = followed {
                let end = Ended {
                    at: now,
                    code,
                    text,
                };
                followed.end = Some(Box::new(end));
            }
        });
    }

    /// Two hosts have one name.
    pub fn note_clones(&mut self, key: &Rc<Key>, at: UnixSeconds, addresses: [IpAddr; 2]) {
        if let Some(row) = self.rows.get_mut(key) {
            row.host.clones = Some(Clones { at, addresses });
            self.set_dirty(key);
        }
    }

    /// A host says how its forwarding goes.
    pub fn note_report(&mut self, key: &Rc<Key>, report: &Report<'_>) {
        if let Some(row) = self.rows.get_mut(key) {
            row.host.take_report(report);
            self.set_dirty(key);
        }
    }

    /// A request was refused.
    pub fn note_refusal(&mut self, refusal: Refusal) {
        self.refusals.note(refusal);
    }

    /// Other subscriptions may let those in that were refused; if not, it is news again.
    pub fn forget_refused(&mut self) {
        for row in self.rows.values_mut() {
            row.host.refused = None;
        }
    }

    /// Makes room, if there was none for a new host. Answers the keys to forget, those too
    /// that hosts have left for new ones.
    pub fn make_room(&mut self) -> Vec<Rc<Key>> {
        let mut gone = std::mem::take(&mut self.left);
        if !std::mem::take(&mut self.is_crowded) {
            return gone;
        }
        let mut ages: Vec<_> = self.rows.values().map(|row| row.host.last_seen).collect();
        let some = ages.len() / 20;
        let (_, &mut limit, _) = match ages.len() {
            0 => return gone,
            _ => ages.select_nth_unstable(some),
        };
        let old = self.rows.iter().filter(|(_, r)| r.host.last_seen <= limit);
        let old: Vec<_> = old.map(|(key, _)| Rc::clone(key)).take(some + 1).collect();
        for key in &old {
            self.rows.remove(key);
        }
        gone.extend(old);
        gone
    }

    /// Whether something is to be stored.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.left.is_empty() || self.refusals.is_dirty
    }

    /// What was taken to be stored was not: it counts as changed again.
    pub fn put_back(&mut self, keys: &[Rc<Key>]) {
        self.refusals.is_dirty = true;
        keys.iter().for_each(|key| self.set_dirty(key));
    }

    /// Up to `count` hosts that have changed; they count as stored now.
    pub fn take_dirty(&mut self, count: usize) -> Vec<Rc<Key>> {
        let count = count.min(self.dirty.len());
        let keys: Vec<_> = self.dirty.drain(..count).collect();
        for key in &keys {
            if let Some(row) = self.rows.get_mut(key) {
                row.is_dirty = false;
            }
        }
        keys
    }

    /// All refusals, if they have changed; they count as stored now.
    pub fn take_refusals(&mut self) -> Option<Vec<Refusal>> {
        std::mem::take(&mut self.refusals.is_dirty).then(|| self.refusals.iter().cloned().collect())
    }

    fn change(
        &mut self,
        now: UnixSeconds,
        sender: &Sender,
        act: impl FnOnce(&mut Host),
    ) -> Option<Rc<Key>> {
        let key = Key::new(sender.identity.as_deref(), &sender.machine);
        let key = match self.rows.get_key_value(&key) {
            Some((known, _)) => Rc::clone(known),
            None => match self.take_former(&key, sender) {
                Some(host) => self.insert(key, host),
                None if self.rows.len() >= MOST_HOSTS => {
                    self.is_crowded = true;
                    return None;
                }
                None => self.insert(key, new_host(now, sender)),
            },
        };
        let row = self.rows.get_mut(&key)?;
        let host = &mut row.host;
        host.last_seen = now;
        host.ran = self.ran;
        host.address = sender.address;
        if host.method != sender.method {
            host.method = sender.method.into();
        }
        if host.sid != sender.sid {
            host.sid.clone_from(&sender.sid);
        }
        act(host);
        self.set_dirty(&key);
        Some(key)
    }

    fn insert(&mut self, key: Key, host: Host) -> Rc<Key> {
        let key = Rc::new(key);
        let is_dirty = false;
        self.rows.insert(Rc::clone(&key), Row { host, is_dirty });
        key
    }

    /// What is known of a new host under a name that an earlier version had for it: it would
    /// be told as another one that is silent.
    fn take_former(&mut self, key: &Key, sender: &Sender) -> Option<Host> {
        let former = sender.former.iter();
        let former = former.map(|name| Key::new(Some(name), &key.machine));
        // Whoever came by that name since the start has it still.
        let is_left = |key: &Key| {
            let row = self.rows.get(key);
            row.is_some_and(|row| row.host.last_seen < self.up_since)
        };
        let former = former.filter(|former| former != key).find(is_left)?;
        let (left, row) = self.rows.remove_entry(&former)?;
        self.left.push(left);
        let identity = sender.identity.clone();
        Some(Host {
            identity,
            ..row.host
        })
    }

    fn set_dirty(&mut self, key: &Rc<Key>) {
        if let Some(row) = self.rows.get_mut(key)
            && !std::mem::replace(&mut row.is_dirty, true)
        {
            self.dirty.push_back(Rc::clone(key));
        }
    }
}

fn new_host(now: UnixSeconds, sender: &Sender) -> Host {
    Host {
        identity: sender.identity.clone(),
        machine: sender.machine.clone(),
        address: sender.address,
        method: sender.method.into(),
        sid: sender.sid.clone(),
        relay: None,
        first_seen: now,
        last_seen: now,
        ran: 0,
        last_enumerate: None,
        subscriptions: Vec::new(),
        refused: None,
        clones: None,
        reports: Vec::new(),
        reported_until: FileTime::default(),
    }
}

#[cfg(test)]
mod tests;
