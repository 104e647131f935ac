//! Detects clones: two hosts with the same name, such as virtual machines copied without
//! Sysprep. They share a bookmark, so each would skip events of its own after receiving the
//! other's.
//!
//! Record ids distinguish them: those of one host continue, whatever its address, while
//! clones take turns and each continues from its own. A single change is no clone, nor is
//! an address that alternates (DHCP, VPN, IPv4 and IPv6), nor a log that was cleared.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::ConnId;
use super::Mark;
use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::bookmark::{self, Stored};

/// Maximum number of sources to watch; further ones are served but not watched.
const WATCHED: usize = 20_000;
/// Two connections that both deliver within this time, with record ids far apart, are two
/// hosts: no host restarts this fast and leaves its old connection open.
const TOGETHER: Duration = Duration::from_secs(10);
/// Number of record ids that a query may skip between two batches of a host.
const FAR: u64 = 100;
/// After this time without one of them, the name counts as one host again.
const APART: Duration = Duration::from_secs(86_400);

/// Channels, spelled as by the source, with record ids.
type Positions = Vec<(String, u64)>;

/// The positions that a source reached on consecutive connections.
#[derive(Debug)]
struct Tenure {
    address: IpAddr,
    conn: Option<ConnId>,
    at: Instant,
    first: Positions,
    last: Positions,
}

#[derive(Debug)]
struct Track {
    current: Tenure,
    other: Option<Tenure>,
    are_two: bool,
    since: Instant,
}

/// The record ids of a batch in one channel: the lowest one, and the bookmark's.
#[derive(Clone, Copy, Debug)]
struct Step<'a> {
    channel: &'a str,
    least: u64,
    last: u64,
}

/// Sources whose connections take turns.
#[derive(Debug, Default)]
pub(super) struct Clones {
    tracks: QuickMap<bookmark::Key, Track>,
}

/// Two hosts with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Two {
    pub(super) addresses: [IpAddr; 2],
    /// The channel whose record ids reveal it.
    pub(super) channel: String,
    pub(super) records: [u64; 2],
}

impl Clones {
    /// Records a batch. `were_two`: whether it was known at the start; `is_open`: whether a
    /// connection still exists. Returns newly detected clones.
    pub(super) fn note(
        &mut self,
        now: Now,
        conn: ConnId,
        mark: &Mark,
        were_two: bool,
        is_open: impl FnOnce(ConnId) -> bool,
    ) -> Option<Two> {
        let steps = steps(mark);
        let is_full = self.tracks.len() >= WATCHED;
        if steps.is_empty() || (is_full && !self.tracks.contains_key(&mark.key)) {
            return None;
        }
        let new = Tenure::new(now, conn, mark.network, &steps);
        let Some(track) = self.tracks.get_mut(&mark.key) else {
            let track = Track {
                current: new,
                other: None,
                are_two: were_two,
                since: now.monotonic,
            };
            self.tracks.insert(mark.key.clone(), track);
            return None;
        };
        track.note(new, &steps, is_open)
    }

    /// Keeps a bookmark of clones from advancing beyond either of them. `before` is where
    /// it was, which counts for one that has not connected since the start.
    pub(super) fn hold_back(
        &self,
        key: &bookmark::Key,
        stored: &mut Stored,
        before: Option<&Stored>,
    ) {
        let Some(track) = self.tracks.get(key).filter(|track| track.are_two) else {
            return;
        };
        let tenures = [Some(&track.current), track.other.as_ref()];
        for (channel, record) in tenures.into_iter().flatten().flat_map(|t| &t.last) {
            stored.lower(channel, *record);
        }
        for held in before
            .filter(|_| track.other.is_none())
            .map(Stored::held)
            .unwrap_or_default()
        {
            stored.lower(&held.position.channel, held.position.record);
        }
    }
}

/// The channels in which a batch has both events and a position. Empty for events that the
/// host has collected from others, for a backward read, and with a bookmark event (event 111).
fn steps(mark: &Mark) -> Vec<Step<'_>> {
    let positions = mark.bookmark.positions().iter();
    let steps = positions.filter_map(|position| {
        let mut channels = mark.facts.channels();
        let is_it = |(channel, _): &(&str, _)| channel.eq_ignore_ascii_case(&position.channel);
        let (_, runs) = channels.find(is_it)?;
        (runs.least <= position.record).then_some(Step {
            channel: &position.channel,
            least: runs.least,
            last: position.record,
        })
    });
    if mark.bookmark.is_backward() || mark.facts.has_bookmark_event() {
        Vec::new()
    } else {
        steps.collect()
    }
}

impl Track {
    fn note(
        &mut self,
        new: Tenure,
        steps: &[Step<'_>],
        is_open: impl FnOnce(ConnId) -> bool,
    ) -> Option<Two> {
        let is_long = new.at.saturating_duration_since(self.since) > APART;
        self.are_two &= self.other.is_some() || !is_long;
        if self.current.conn == new.conn {
            self.current.go_on(&new, steps);
            return None;
        }
        if let Some(other) = &mut self.other
            && (self.are_two || other.comes_back(&new, &self.current, steps))
        {
            if new.at.saturating_duration_since(other.at) > APART {
                // One of them is gone, or has a new name.
                (self.other, self.are_two) = (None, false);
            } else if other.is_nearer(&new, &self.current, steps) {
                std::mem::swap(&mut self.current, other);
                self.current.go_on(&new, steps);
                return self.become_two(steps);
            }
        } else if steps.iter().any(|step| self.current.is_far_from(step))
            && new.at.saturating_duration_since(self.current.at) <= TOGETHER
            && self.current.conn.is_some_and(is_open)
        {
            self.other = Some(std::mem::replace(&mut self.current, new));
            return self.become_two(steps);
        }
        let goes_on = |step: &Step<'_>| self.current.goes_on_at(step) || self.current.has(step);
        let is_known = self.are_two && self.other.is_some();
        if is_known || steps.iter().all(goes_on) {
            self.current.go_on(&new, steps);
        } else {
            self.other = Some(std::mem::replace(&mut self.current, new));
        }
        None
    }

    /// Records that they are two hosts; returns them if that is new.
    fn become_two(&mut self, steps: &[Step<'_>]) -> Option<Two> {
        if std::mem::replace(&mut self.are_two, true) {
            return None;
        }
        let other = self.other.as_ref()?;
        let step = steps
            .iter()
            .find(|step| other.last_of(step.channel).is_some())?;
        Some(Two {
            addresses: [other.address, self.current.address],
            channel: step.channel.to_owned(),
            records: [other.last_of(step.channel)?, step.last],
        })
    }
}

impl Tenure {
    fn new(now: Now, conn: ConnId, address: IpAddr, steps: &[Step<'_>]) -> Self {
        let of = |id: fn(&Step<'_>) -> u64| {
            let steps = steps.iter();
            steps
                .map(|step| (step.channel.to_owned(), id(step)))
                .collect()
        };
        Self {
            address,
            conn: Some(conn),
            at: now.monotonic,
            first: of(|step| step.least),
            last: of(|step| step.last),
        }
    }

    fn go_on(&mut self, new: &Self, steps: &[Step<'_>]) {
        (self.address, self.conn, self.at) = (new.address, new.conn, new.at);
        for step in steps {
            let is_it = |(channel, _): &&mut (String, u64)| *channel == step.channel;
            match self.last.iter_mut().find(is_it) {
                // After a log was cleared, ids start over.
                Some((_, last)) => *last = step.last,
                None => {
                    self.first.push((step.channel.to_owned(), step.least));
                    self.last.push((step.channel.to_owned(), step.last));
                }
            }
        }
    }

    fn last_of(&self, channel: &str) -> Option<u64> {
        let mut last = self.last.iter();
        last.find(|(of, _)| *of == channel).map(|(_, id)| *id)
    }

    /// Whether the batch was already delivered on this connection, and is a repeat.
    fn has(&self, step: &Step<'_>) -> bool {
        let mut first = self.first.iter();
        let first = first.find(|(of, _)| *of == step.channel).map(|(_, id)| *id);
        let range = first.zip(self.last_of(step.channel));
        range.is_some_and(|(first, last)| step.least >= first && step.last <= last)
    }

    /// Whether the batch continues what was delivered on this connection.
    fn goes_on_at(&self, step: &Step<'_>) -> bool {
        let is_next = |last: u64| step.least == last.saturating_add(1);
        self.last_of(step.channel).is_none_or(is_next)
    }

    fn is_far_from(&self, step: &Step<'_>) -> bool {
        let Some(last) = self.last_of(step.channel) else {
            return false;
        };
        !self.has(step) && (step.least <= last || step.least - last > FAR)
    }

    /// Whether a batch continues here, rather than where another one has delivered since.
    fn comes_back(&self, new: &Self, since: &Self, steps: &[Step<'_>]) -> bool {
        let is_here = self.conn == new.conn || self.address == new.address;
        let is_between = |step: &Step<'_>| {
            let (Some(own), Some(others)) =
                (self.last_of(step.channel), since.last_of(step.channel))
            else {
                return false;
            };
            // From the same address, only the very next id proves it.
            let is_own = self.address != since.address || self.conn == new.conn;
            let is_next = step.least > own && (is_own || step.least == own + 1);
            let went_back = since
                .first
                .iter()
                .any(|(of, id)| of == step.channel && *id <= own);
            let is_not_theirs = step.least <= others || (went_back && others < own);
            is_next && is_not_theirs && !since.has(step)
        };
        is_here && steps.iter().any(is_between)
    }

    /// Whether a batch belongs here rather than to `current`.
    fn is_nearer(&self, new: &Self, current: &Self, steps: &[Step<'_>]) -> bool {
        if self.conn == new.conn {
            return true;
        }
        let distance = |tenure: &Self, step: &Step<'_>| {
            let last = tenure.last_of(step.channel)?;
            step.least.checked_sub(last)
        };
        steps.iter().any(
            |step| match (distance(self, step), distance(current, step)) {
                (Some(here), Some(there)) => here < there,
                (here, there) => here.is_some() && there.is_none(),
            },
        )
    }
}
