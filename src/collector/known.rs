//! What happens, told to the table of hosts, and the table to the store.

use super::batches::Batch;
use super::requests::subscription_of;
use super::who::Source;
use super::{Collector, ConnId, Settings, seconds};
use crate::bookmark::{BatchFacts, Stored};
use crate::clock::Now;
use crate::connection::Refusal;
use crate::hosts::{self, Asked, Changes, Pulse};
use crate::query;
use crate::store::Store;
use crate::wsman::{Header, Subscription, SubscriptionEnd};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
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

/// The table of hosts, and when it is stored.
pub(super) struct Known {
    pub(super) hosts: hosts::Table,
    /// Channels that a subscription asks for whole.
    whole: HashMap<Uuid, Vec<String>>,
    save_at: Instant,
    /// When it was stored last, in seconds since 1970, and whether that fails.
    saved: u64,
    save_failing: bool,
}

impl Known {
    pub(super) fn new(now: Now, settings: &Settings) -> Self {
        Self {
            hosts: hosts::Table::new(seconds(now)),
            whole: whole(settings),
            save_at: now.monotonic,
            saved: 0,
            save_failing: false,
        }
    }

    pub(super) fn replace_settings(&mut self, settings: &Settings) {
        self.whole = whole(settings);
        self.hosts.forget_refused();
    }
}

/// The channels that each subscription asks for whole.
fn whole(settings: &Settings) -> HashMap<Uuid, Vec<String>> {
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
            Ok(saved) => self.known.hosts.load(saved),
            Err(error) => log::error!("what was known of hosts cannot be read: {error}"),
        }
    }

    /// When [`Collector::save_hosts`] has something to do.
    #[must_use]
    pub fn save_due(&self) -> Instant {
        self.known.save_at
    }

    /// Stores some of the hosts that have changed; to be called when it is due, after a turn.
    pub fn save_hosts(&mut self, now: Now, store: &mut dyn Store) {
        let is_done = self.save_some(now, store, false);
        // A relay at rest writes seldom, so that disks may sleep.
        self.known.save_at = match is_done {
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
        let is_quiet = written < self.known.saved + Pulse::EVERY && !is_stopped;
        let forgotten = self.known.hosts.make_room();
        if is_quiet && forgotten.is_empty() && !self.known.hosts.is_dirty() {
            return true;
        }
        let keys = self.known.hosts.take_dirty(SAVED_AT_ONCE);
        let refusals = self.known.hosts.take_refusals();
        let changes = Changes {
            hosts: keys
                .iter()
                .filter_map(|key| self.known.hosts.get(key))
                .collect(),
            forgotten,
            refusals,
            pulse: Pulse {
                started: self.known.hosts.up_since(),
                written,
                is_stopped,
            },
        };
        match store.save_hosts(&changes) {
            Ok(()) => {
                self.known.saved = written;
                if std::mem::take(&mut self.known.save_failing) {
                    log::info!("hosts are stored again");
                }
                !self.known.hosts.is_dirty()
            }
            Err(error) => {
                self.known.hosts.put_back(&keys);
                if !std::mem::replace(&mut self.known.save_failing, true) {
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
        let whole = self.known.whole.get(subscription);
        let whole = whole.map_or(&[][..], Vec::as_slice);
        let (stored, facts) = match before {
            Some(Before { stored, facts }) => (stored, facts),
            None => (None, BatchFacts::new()),
        };
        self.known.hosts.note_acknowledged(
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
        self.known.hosts.note_ended(
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
        self.known.hosts.note_refusal(hosts::Refusal {
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
