//! The table of hosts that this relay knows, in memory, and which of them have unsaved
//! changes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::record::{follow, shorten};
use super::unsaved::Unsaved;
use super::watch::{Watch, patience};
use super::{Asked, Clones, Ended, Followed, Host, HostName, Key, Moment, Refused, Report, State};
use crate::base::clock::{FileTime, UnixSeconds};
use crate::base::hashing::{QuickMap, QuickSet};
use crate::bookmark::{BatchFacts, Stored};
use crate::protocol::wsman::subscribe::SELF_REPORTS;

/// Maximum number of hosts. At the limit, those not heard of for longest are removed.
pub const MOST_HOSTS: usize = 200_000;

#[derive(Clone, Debug)]
struct Row {
    host: Host,
    /// Whether it sends what it was asked for, since this relay was started.
    watch: Watch,
}

impl Row {
    const fn new(host: Host) -> Self {
        Self {
            host,
            watch: Watch::Unseen,
        }
    }
}

/// The hosts, and which of them have changed since they were saved.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Boxed, because the table has up to twice as many places as hosts.
    rows: QuickMap<Rc<Key>, Box<Row>>,
    unsaved: Unsaved,
    /// Hosts that were given subscriptions and should send something.
    awaited: QuickSet<Rc<Key>>,
    up_since: UnixSeconds,
    /// Total running time of relays with this state, in seconds.
    ran: u64,
    is_crowded: bool,
}

impl Table {
    /// An empty table for a relay that is starting now.
    #[must_use]
    pub fn new(now: UnixSeconds) -> Self {
        Self {
            up_since: now,
            ..Self::default()
        }
    }

    /// Loads saved hosts.
    pub fn load(&mut self, hosts: Vec<Host>, ran: u64) {
        let now = self.up_since;
        for mut host in hosts {
            // Written while the clock was ahead.
            host.each_time(|time| *time = now.min(*time));
            host.relay = None;
            let key = Rc::new(Key::of(&host));
            // Parsing reserves room for more.
            host.subscriptions.shrink_to_fit();
            self.rows.insert(key, Box::new(Row::new(host)));
        }
        self.ran = ran;
    }

    /// Since when the relay has been running.
    #[must_use]
    pub fn up_since(&self) -> UnixSeconds {
        self.up_since
    }

    /// Number of known hosts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no host is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All hosts, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        self.rows.values().map(|row| &row.host)
    }

    /// The host with this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Host> {
        self.rows.get(key).map(|row| &row.host)
    }

    /// The reference time for the states of hosts.
    #[must_use]
    pub fn moment(&self, now: UnixSeconds) -> Moment {
        let up_since = self.up_since;
        Moment { now, up_since }
    }

    /// Number of hosts in each state.
    #[must_use]
    pub fn by_state(&self, at: Moment) -> Vec<(&'static str, usize)> {
        let mut counts = HashMap::new();
        for host in self.iter() {
            *counts.entry(host.state(at)).or_insert(0) += 1;
        }
        let count = |state: State| (state.name(), counts.get(&state).copied().unwrap_or(0));
        State::ALL.into_iter().map(count).collect()
    }

    /// A host was given subscriptions that deliver to `url`. `heartbeat` is the interval
    /// for a host that resumes from a bookmark, which may have nothing to send before.
    pub fn note_enumerated(
        &mut self,
        now: UnixSeconds,
        name: &HostName,
        offered: &[Asked<'_>],
        (url, heartbeat): (&str, Option<Duration>),
    ) {
        let patience = patience(heartbeat);
        let seconds = u32::try_from(patience.as_secs()).unwrap_or(u32::MAX);
        let row = self.change(now, name, |host| {
            host.last_enumerate = Some(now);
            host.refused = None;
            // Subscriptions that are no longer offered are removed, so that the list stays
            // bounded.
            host.subscriptions
                .retain(|s| offered.iter().any(|asked| asked.id == s.id));
            for asked in offered {
                let followed = follow(host, asked);
                if followed.offered.is_none() {
                    followed.offered = Some(now);
                    followed.patience = seconds;
                }
            }
        });
        if let Some((key, row)) = row
            && row.watch.note_enumerated(now, &row.host, url, patience)
        {
            self.awaited.insert(key);
        }
    }

    /// No subscription is for a host. Returns whether that is new since the relay was
    /// started.
    pub fn note_refused(&mut self, now: UnixSeconds, name: &HostName, reason: &str) -> bool {
        let row = self.change(now, name, |host| {
            host.last_enumerate = Some(now);
            let count = host.refused.as_ref().map_or(0, |refused| refused.count) + 1;
            let reason = shorten(reason);
            host.refused = Some(Box::new(Refused {
                at: now,
                count,
                reason,
            }));
        });
        row.is_none_or(|(_, row)| row.watch.note_refused())
    }

    /// Records a heartbeat.
    pub fn note_heartbeat(&mut self, now: UnixSeconds, name: &HostName, asked: &Asked<'_>) {
        self.note_posted(now, name, asked, |followed| {
            followed.last_heartbeat = Some(now);
        });
    }

    /// Records events that have not been acknowledged yet.
    pub fn note_events(
        &mut self,
        now: UnixSeconds,
        name: &HostName,
        asked: &Asked<'_>,
    ) -> Option<Rc<Key>> {
        self.note_posted(now, name, asked, |followed| {
            followed.first_event.get_or_insert(now);
            followed.last_event = Some(now);
        })
    }

    /// Records that the host sends what it was asked for. Reports alone do not count.
    fn note_posted(
        &mut self,
        now: UnixSeconds,
        name: &HostName,
        asked: &Asked<'_>,
        act: impl FnOnce(&mut Followed),
    ) -> Option<Rc<Key>> {
        let (key, row) = self.change(now, name, |host| {
            let followed = follow(host, asked);
            followed.offered = None;
            act(followed);
        })?;
        if asked.name != SELF_REPORTS {
            row.watch.note_posted(&row.host);
        }
        Some(key)
    }

    /// Logs, once each, the hosts whose time to send something is over. `is_heard` tells
    /// whether another relay has heard of one since. Returns their number.
    pub fn report_silent(
        &mut self,
        now: UnixSeconds,
        is_heard: impl Fn(&Key, UnixSeconds) -> bool,
    ) -> u64 {
        let mut count = 0;
        let (awaited, rows) = (&mut self.awaited, &mut self.rows);
        awaited.retain(|key| {
            let Some(Row { host, watch }) = rows.get_mut(key).map(|row| &mut **row) else {
                return false;
            };
            let is_heard = |since| is_heard(key, since);
            count += u64::from(watch.report_silent(now, host, is_heard));
            watch.is_waiting()
        });
        count
    }

    /// Records acknowledged events. `before` is the bookmark before them; `whole` are the
    /// channels that the subscription covers as a whole.
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
        // The bookmark of event 111 is the end of the log, not a position that was read.
        let channels = facts.channels().map(|(channel, runs)| {
            let before = before.and_then(|before| before.read_up_to(channel));
            let whole = whole.iter().find(|name| name.eq_ignore_ascii_case(channel));
            (runs, before, whole.cloned())
        });
        if let Some(followed) = row.host.followed(subscription) {
            followed.note_acknowledged(now, events, channels);
        }
        self.unsaved.note(key);
    }

    /// Records that a host ended a subscription.
    pub fn note_ended(
        &mut self,
        now: UnixSeconds,
        name: &HostName,
        subscription: Option<&Asked<'_>>,
        (code, text): (Option<u32>, &str),
    ) {
        let text = shorten(text);
        self.change(now, name, |host| {
            let followed = match subscription {
                Some(asked) => Some(follow(host, asked)),
                // It did not state which one: assume the one that is most likely.
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

    /// Records that two hosts have the same name.
    pub fn note_clones(&mut self, key: &Rc<Key>, at: UnixSeconds, addresses: [IpAddr; 2]) {
        if let Some(row) = self.rows.get_mut(key) {
            row.host.clones = Some(Box::new(Clones { at, addresses }));
            self.unsaved.note(key);
        }
    }

    /// Records a host's own report.
    pub fn note_report(&mut self, key: &Rc<Key>, report: &Report<'_>) {
        if let Some(row) = self.rows.get_mut(key) {
            row.host.take_report(report);
            self.unsaved.note(key);
        }
    }

    /// Other subscriptions may be for hosts that were rejected; if not, that is news again.
    pub fn forget_refused(&mut self) {
        for row in self.rows.values_mut() {
            row.host.refused = None;
            row.watch.forget_refused();
        }
    }

    /// Makes room for new hosts. Returns the keys to delete, including those that hosts
    /// have exchanged for new ones.
    pub fn make_room(&mut self) -> Vec<Rc<Key>> {
        let mut gone = self.unsaved.take_left();
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

    /// Whether there are unsaved changes.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// Number of hosts with unsaved changes.
    pub(super) fn dirty(&self) -> usize {
        self.unsaved.len()
    }

    /// These hosts could not be saved, and count as changed again.
    pub fn put_back(&mut self, keys: &[Rc<Key>]) {
        keys.iter().for_each(|key| self.unsaved.note(key));
    }

    /// Up to `count` hosts with unsaved changes; they then count as saved.
    pub fn take_dirty(&mut self, count: usize) -> Vec<Rc<Key>> {
        self.unsaved.take(count)
    }

    /// The clock was set by this many seconds: all times move with it, so that states and
    /// lags do not change.
    pub fn shift(&mut self, by: i64) {
        let shift = |time: &mut UnixSeconds| *time = time.saturating_add_signed(by);
        shift(&mut self.up_since);
        for row in self.rows.values_mut() {
            row.host.each_time(shift);
            row.watch.shift(by);
            let followed = row.host.subscriptions.iter_mut();
            followed.for_each(Followed::review_created);
        }
        self.rows.keys().for_each(|key| self.unsaved.note(key));
    }

    /// Total running time of relays with this state, in seconds.
    #[must_use]
    pub fn ran(&self) -> u64 {
        self.ran
    }

    /// Sets the total running time, including that of earlier relays.
    pub fn set_ran(&mut self, ran: u64) {
        self.ran = ran;
    }

    /// Whether a host connected within the last `age` seconds of running time.
    #[must_use]
    pub fn is_recent(&self, host: &Host, age: u64) -> bool {
        self.ran.saturating_sub(host.ran) <= age
    }

    /// Removes the hosts that did not connect within that time; returns their keys.
    pub fn forget(&mut self, age: u64) -> Vec<Rc<Key>> {
        let rows = self.rows.iter();
        let old = rows.filter(|(_, row)| !self.is_recent(&row.host, age));
        let old: Vec<_> = old.map(|(key, _)| Rc::clone(key)).collect();
        for key in &old {
            self.rows.remove(key);
        }
        old
    }

    /// Changes a host's record, whose `last_seen` is updated in any case. `None` if there
    /// is no room for a new host.
    fn change(
        &mut self,
        now: UnixSeconds,
        name: &HostName,
        act: impl FnOnce(&mut Host),
    ) -> Option<(Rc<Key>, &mut Row)> {
        let key = self.key_of(now, name)?;
        self.unsaved.note(&key);
        let row = self.rows.get_mut(&key)?;
        let host = &mut row.host;
        host.last_seen = now;
        host.ran = self.ran;
        host.address = name.address;
        if host.method != name.method {
            host.method = name.method.into();
        }
        if host.sid != name.sid {
            host.sid.clone_from(&name.sid);
        }
        act(host);
        Some((key, row))
    }

    /// The key of a host, which is added if it is new and there is room.
    fn key_of(&mut self, now: UnixSeconds, name: &HostName) -> Option<Rc<Key>> {
        let key = name.key();
        if let Some((known, _)) = self.rows.get_key_value(&key) {
            return Some(Rc::clone(known));
        }
        if let Some(host) = self.take_former(&key, name) {
            return Some(self.insert(key, host));
        }
        if self.rows.len() >= MOST_HOSTS {
            self.is_crowded = true;
            return None;
        }
        Some(self.insert(key, new_host(now, name)))
    }

    fn insert(&mut self, key: Key, host: Host) -> Rc<Key> {
        let key = Rc::new(key);
        self.rows.insert(Rc::clone(&key), Box::new(Row::new(host)));
        key
    }

    /// The record of a new host under a name that an earlier version used; otherwise it
    /// would be listed as a second, silent host.
    fn take_former(&mut self, key: &Key, name: &HostName) -> Option<Host> {
        let former = name.former.iter();
        let former = former.map(|name| Key::new(Some(name), key.machine()));
        // A host that connected under that name since the start still uses it.
        let is_left = |key: &Key| {
            let row = self.rows.get(key);
            row.is_some_and(|row| row.host.last_seen < self.up_since)
        };
        let former = former.filter(|former| former != key).find(is_left)?;
        let (left, row) = self.rows.remove_entry(&former)?;
        self.unsaved.note_left(left);
        let identity = name.identity.clone();
        Some(Host {
            identity,
            ..row.host
        })
    }
}

fn new_host(now: UnixSeconds, name: &HostName) -> Host {
    Host {
        identity: name.identity.clone(),
        machine: name.machine.clone(),
        address: name.address,
        method: name.method.into(),
        sid: name.sid.clone(),
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
