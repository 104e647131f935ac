//! What happens, told to the table of hosts, and the table to the store.

use super::batches::Batch;
use super::requests::subscription_of;
use super::who::Source;
use super::{Collector, ConnId, Settings};
use crate::bookmark::{BatchFacts, Stored};
use crate::clock::Now;
use crate::connection::Refusal;
use crate::hosts::{self, Asked, Changes, Pulse};
use crate::query;
use crate::store::Store;
use crate::wsman::{Header, Subscription, SubscriptionEnd};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant, UNIX_EPOCH};
use uuid::Uuid;

/// How often hosts that have changed are stored.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// How many hosts are stored in one turn: sources wait meanwhile.
const SAVED_AT_ONCE: usize = 200;

/// What a batch found and brought; without a bookmark there is none of it.
pub(super) struct Before {
    pub(super) stored: Option<Stored>,
    pub(super) facts: BatchFacts,
}

/// When the table of hosts is stored.
#[derive(Debug)]
pub(super) struct Saving {
    /// The next time.
    at: Instant,
    /// The last time, in seconds since 1970.
    last: u64,
    /// Whether that failed.
    failing: bool,
}

impl Saving {
    pub(super) fn new(now: Now) -> Self {
        Self {
            at: now.monotonic,
            last: 0,
            failing: false,
        }
    }
}

/// Seconds since 1970.
pub(super) fn seconds(now: Now) -> u64 {
    now.wall
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The channels that each subscription asks for whole.
pub(super) fn whole(settings: &Settings) -> HashMap<Uuid, Vec<String>> {
    let subscriptions = settings.subscriptions.iter();
    subscriptions
        .map(|s| (s.id(), query::whole_channels(&s.query)))
        .collect()
}

/// What the table needs of a subscription.
pub(super) fn asked(subscription: &Subscription) -> Asked<'_> {
    Asked {
        id: subscription.id(),
        name: &subscription.name,
        heartbeat: u32::try_from(subscription.heartbeat.as_secs()).unwrap_or(u32::MAX),
    }
}

impl Collector {
    /// Takes what the store knows of hosts. Without it they are known when they come.
    pub fn load_hosts(&mut self, store: &mut dyn Store) {
        match store.load_hosts() {
            Ok(saved) => self.hosts.load(saved),
            Err(error) => log::error!("what was known of hosts cannot be read: {error}"),
        }
    }

    /// When [`Collector::save_hosts`] has something to do.
    #[must_use]
    pub fn save_due(&self) -> Instant {
        self.saving.at
    }

    /// Stores some of the hosts that have changed; to be called when it is due, after a turn.
    pub fn save_hosts(&mut self, now: Now, store: &mut dyn Store) {
        let is_done = self.save_some(now, store, false);
        // A relay at rest writes seldom, so that disks may sleep.
        self.saving.at = match is_done {
            true => now.monotonic + SAVE_EVERY,
            false => now.monotonic,
        };
    }

    /// Stores all hosts that have changed, and that the relay stops.
    pub fn save_all_hosts(&mut self, now: Now, store: &mut dyn Store) {
        while !self.save_some(now, store, true) {}
    }

    /// Answers whether nothing is left for now.
    fn save_some(&mut self, now: Now, store: &mut dyn Store, is_stopped: bool) -> bool {
        let written = seconds(now);
        let is_quiet = written < self.saving.last + Pulse::EVERY && !is_stopped;
        let forgotten = self.hosts.make_room();
        if is_quiet && forgotten.is_empty() && !self.hosts.is_dirty() {
            return true;
        }
        let keys = self.hosts.take_dirty(SAVED_AT_ONCE);
        let refusals = self.hosts.take_refusals();
        let changes = Changes {
            hosts: keys.iter().filter_map(|key| self.hosts.get(key)).collect(),
            forgotten,
            refusals,
            pulse: Pulse {
                started: self.hosts.up_since(),
                written,
                is_stopped,
            },
        };
        match store.save_hosts(&changes) {
            Ok(()) => {
                self.saving.last = written;
                if std::mem::take(&mut self.saving.failing) {
                    log::info!("hosts are stored again");
                }
                !self.hosts.is_dirty()
            }
            Err(error) => {
                self.hosts.put_back(&keys);
                if !std::mem::replace(&mut self.saving.failing, true) {
                    log::error!("what is known of hosts is not stored, events go on: {error}");
                }
                true
            }
        }
    }

    pub(super) fn note_acknowledged(&mut self, now: Now, batch: &Batch, before: Option<Before>) {
        let Some((key, subscription)) = &batch.host else {
            return;
        };
        let events = u64::try_from(batch.events).unwrap_or(u64::MAX);
        let whole = self.whole.get(subscription);
        let whole = whole.map_or(&[][..], Vec::as_slice);
        let (stored, facts) = match before {
            Some(Before { stored, facts }) => (stored, facts),
            None => (None, BatchFacts::new()),
        };
        self.hosts.note_acknowledged(
            seconds(now),
            key,
            *subscription,
            (events, &facts),
            (stored.as_ref(), whole),
        );
    }

    pub(super) fn note_ended(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        target: &str,
        end: &SubscriptionEnd,
    ) {
        let all = &self.settings.subscriptions;
        let asked = subscription_of(all, source, header, target).ok().map(asked);
        self.hosts.note_ended(
            seconds(now),
            &source.sender(header),
            asked.as_ref(),
            (end.code, &end.to_string()),
        );
    }

    pub(super) fn note_refused(
        &mut self,
        now: Now,
        address: IpAddr,
        conn: ConnId,
        refusal: &Refusal,
    ) {
        let slot = self.connections.get(&conn);
        let identity = slot.and_then(|slot| slot.connection.identity());
        self.hosts.note_refusal(hosts::Refusal {
            address,
            kind: refusal.kind.name().to_owned(),
            method: refusal.method.map(str::to_owned),
            identity: identity.map(|identity| identity.name.clone()),
            status: refusal.status,
            reason: refusal.reason.clone(),
            count: 1,
            first: seconds(now),
            last: seconds(now),
        });
    }
}
