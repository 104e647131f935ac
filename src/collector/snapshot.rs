//! What is told of the collector: counters, outputs, sources by state.

use super::{Collector, Encoding, seconds};
use crate::base::clock::Now;
use crate::hosts::{self, Life, Moment};
use crate::metrics::{OutputFacts, Snapshot};
use crate::protocol::wsman::Subscription;
use std::time::Instant;

impl Collector {
    /// All that is counted, at this moment. What only the caller knows is left empty, and
    /// the states of hosts, which take long to count.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let age = |began: Instant| now.monotonic.saturating_duration_since(began);
        let waiting = self.batches.values().filter(|b| b.place.is_some());
        let waiting = waiting.map(|batch| age(batch.began)).max();
        let outputs = self.links.iter().zip(&self.encoding_of_link);
        let outputs = outputs.map(|(link, encoding)| {
            let kept = self.encodings.get(*encoding).map(Encoding::kept);
            let oldest = link.oldest().and_then(|id| self.batches.get(&id));
            let oldest = oldest.map(|batch| age(batch.began));
            let facts = link.facts();
            // What is not begun waits for each of the required outputs.
            let is_awaited = |bytes| if facts.required { bytes } else { 0 };
            OutputFacts {
                oldest: oldest.max(waiting.filter(|_| facts.required)),
                backlog: facts.backlog + is_awaited(self.waiting.bytes()),
                kept: kept.unwrap_or_default(),
                rate: link.rate(now).unwrap_or(0),
                ..facts
            }
        });
        Snapshot {
            counters: self.counters.clone(),
            connections: self.connections.len(),
            room: self.connection_room(),
            outputs: outputs.collect(),
            oldest: self.batches.values().map(|batch| age(batch.began)).max(),
            ready: self.troubles().is_empty(),
            storing: !self.commit_failing && self.bookmarks.condition().trouble.is_none(),
            damaged_rows: self.bookmarks.condition().damaged,
            bookmarks: self.bookmarks.usage().rows,
            relays: self
                .fleet()
                .map_or_else(Vec::new, |fleet| fleet.by_life(seconds(now))),
            ..Snapshot::default()
        }
    }

    /// The host by which sources reach us, where that was said.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.settings.hostname.as_deref()
    }

    /// What hosts are asked for.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.settings.subscriptions
    }

    /// The hosts that are known, and who was refused lately.
    #[must_use]
    pub fn hosts(&self) -> &hosts::Table {
        &self.known.hosts
    }

    /// When to ask how hosts are, at this moment.
    #[must_use]
    pub fn moment(&self, now: Now) -> Moment {
        self.overview().moment(seconds(now))
    }

    /// What an administrator should know though events go on, a line each.
    #[must_use]
    pub fn notices(&self, now: Now) -> Vec<String> {
        let relays = self
            .fleet()
            .into_iter()
            .flat_map(|f| f.relays(seconds(now)));
        let gone = relays.filter(|relay| relay.life() == Life::Gone);
        let gone = gone.map(|relay| format!("relay {} has gone", relay.name));
        let notice = self.bookmarks.condition().notice.iter().cloned();
        notice.chain(gone).collect()
    }

    /// Why events cannot be taken now, a line each; none when all is well.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if self.is_ending {
            troubles.push("the relay is stopping".to_owned());
        }
        if self.commit_failing {
            troubles.push("bookmarks cannot be stored".to_owned());
        }
        if let Some(trouble) = &self.bookmarks.condition().trouble {
            troubles.push(trouble.clone());
        }
        for output in self.links.iter().filter(|l| l.settings().required) {
            let facts = output.facts();
            if !facts.up {
                troubles.push(format!("output {} is not connected", facts.label));
            } else if output.is_full() {
                troubles.push(format!("output {} does not keep up", facts.label));
            }
        }
        troubles
    }
}
