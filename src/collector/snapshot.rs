//! The state of the collector for metrics and status: counters, outputs, sources by state.

use std::time::Instant;

use super::{Collector, seconds};
use crate::base::clock::Now;
use crate::hosts::{self, Fleet, Life, Moment, Overview};
use crate::metrics::Snapshot;
use crate::protocol::wsman::Subscription;

impl Collector {
    /// All metrics at this moment. What only the caller knows is left empty, as are the
    /// states of hosts, which take long to count.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let age = |began: Instant| now.monotonic.saturating_duration_since(began);
        Snapshot {
            counters: self.counters(),
            connections: self.connections.len(),
            room: self.connection_room(),
            outputs: self.batches.output_facts(now),
            oldest: self.batches.oldest().map(age),
            ready: self.troubles().is_empty(),
            storing: !self.commits.is_failing() && self.commits.condition().trouble.is_none(),
            damaged_rows: self.commits.condition().damaged,
            bookmarks: self.commits.usage().rows,
            relays: self
                .fleet()
                .map_or_else(Vec::new, |fleet| fleet.by_life(seconds(now))),
            ..Snapshot::default()
        }
    }

    /// The configured host name (`--hostname`), if any.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.settings.hostname.as_deref()
    }

    /// The subscriptions that are offered.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.settings.subscriptions
    }

    /// The hosts that this relay knows.
    #[must_use]
    pub fn hosts(&self) -> &hosts::Table {
        self.hosts.table()
    }

    /// Recent rejections, in no particular order.
    pub fn refusals(&self) -> impl Iterator<Item = &hosts::Refusal> {
        self.hosts.refusals()
    }

    /// The relays that share the store, if any do.
    #[must_use]
    pub fn fleet(&self) -> Option<&Fleet> {
        self.hosts.fleet()
    }

    /// The hosts as all relays together know them.
    #[must_use]
    pub fn overview(&self) -> Overview<'_> {
        self.hosts.overview()
    }

    /// The reference time for the states of hosts.
    #[must_use]
    pub fn moment(&self, now: Now) -> Moment {
        self.overview().moment(seconds(now))
    }

    /// What an administrator should know although events are accepted, one line each.
    #[must_use]
    pub fn notices(&self, now: Now) -> Vec<String> {
        let relays = self
            .fleet()
            .into_iter()
            .flat_map(|f| f.relays(seconds(now)));
        let gone = relays.filter(|relay| relay.life() == Life::Gone);
        let gone = gone.map(|relay| format!("relay {} is gone", relay.name));
        let notice = self.commits.condition().notice.iter().cloned();
        notice.chain(gone).collect()
    }

    /// Why events cannot be accepted now, one line each; empty if all is well.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if self.is_ending {
            troubles.push("the relay is stopping".to_owned());
        }
        if self.commits.is_failing() {
            troubles.push("bookmarks cannot be stored".to_owned());
        }
        if let Some(trouble) = &self.commits.condition().trouble {
            troubles.push(trouble.clone());
        }
        troubles.extend(self.batches.outputs().troubles());
        troubles
    }
}
