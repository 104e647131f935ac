//! Merges what several relays know about one host: counts add up; for facts that exclude
//! each other, the latest one wins.

use super::record::{Followed, Gaps, Host};
use crate::base::clock::UnixSeconds;

impl Host {
    /// Adds what another relay knows about the same host.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.subscriptions {
            match self.subscriptions.iter_mut().find(|s| s.id == theirs.id) {
                Some(followed) => followed.merge(theirs),
                None => self.subscriptions.push(theirs.clone()),
            }
        }
        // A host that was offered a subscription after a rejection is no longer rejected.
        if other.last_enumerate > self.last_enumerate {
            self.refused.clone_from(&other.refused);
        }
        let at = |host: &Self| host.clones.as_ref().map(|clones| clones.at);
        if at(other) > at(self) {
            self.clones.clone_from(&other.clones);
        }
        // Only the relay that received the host's message knows that a report is over.
        if other.reported_until > self.reported_until {
            self.reports.clone_from(&other.reports);
            self.reported_until = other.reported_until;
        }
        if other.last_seen > self.last_seen {
            self.machine.clone_from(&other.machine);
            self.address = other.address;
            self.method.clone_from(&other.method);
            self.sid.clone_from(&other.sid);
            self.relay.clone_from(&other.relay);
        }
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.last_enumerate = self.last_enumerate.max(other.last_enumerate);
        self.ran = self.ran.max(other.ran);
    }
}

impl Followed {
    fn merge(&mut self, other: &Self) {
        let last = |it: &Self| it.last_heard().max(it.offered);
        if last(other) > last(self) {
            self.name.clone_from(&other.name);
            self.heartbeat = other.heartbeat;
            self.patience = other.patience;
        }
        self.first_event = first(self.first_event, other.first_event);
        self.first_created = first(self.first_created, other.first_created);
        self.last_event = self.last_event.max(other.last_event);
        self.last_created = self.last_created.max(other.last_created);
        self.told_created = self.told_created.max(other.told_created);
        self.last_heartbeat = self.last_heartbeat.max(other.last_heartbeat);
        self.events += other.events;
        // It has been heard of since, at another relay.
        let heard = self.last_heard();
        let is_open = |offered: &UnixSeconds| heard.is_none_or(|heard| *offered > heard);
        let (own, theirs) = (self.offered.filter(is_open), other.offered.filter(is_open));
        self.offered = first(own, theirs);
        let at = |it: &Self| it.end.as_ref().map(|end| end.at);
        if at(other) > at(self) {
            self.end.clone_from(&other.end);
        }
        for gaps in &other.gaps {
            match self.gaps.iter_mut().find(|g| g.channel == gaps.channel) {
                Some(known) => known.merge(gaps),
                None => self.gaps.push(gaps.clone()),
            }
        }
    }
}

impl Gaps {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.missing = self.missing.saturating_add(other.missing);
        if other.at > self.at {
            (self.from, self.to, self.at) = (other.from, other.to, other.at);
        }
    }
}

/// The earlier one, if both exist.
fn first(a: Option<UnixSeconds>, b: Option<UnixSeconds>) -> Option<UnixSeconds> {
    a.into_iter().chain(b).min()
}
