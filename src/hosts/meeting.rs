//! What the other relays that share the store know about hosts, and whether they are
//! running.

use std::collections::BTreeSet;
use std::fmt;

use super::{Fleet, Inquiry, Life, Met};
use crate::base::clock::UnixSeconds;

/// The relays that share the store, and what has been logged about them.
pub(super) struct Meeting {
    fleet: Fleet,
    gone: BTreeSet<String>,
}

impl Meeting {
    pub(super) fn new(own: String) -> Self {
        Self {
            fleet: Fleet::new(own),
            gone: BTreeSet::new(),
        }
    }

    pub(super) const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The next query about the others.
    pub(super) fn inquiry(&self) -> Inquiry {
        self.fleet.inquiry()
    }

    /// Handles the store's answer; returns whether there is more to ask.
    pub(super) fn take<E: fmt::Display>(&mut self, now: UnixSeconds, met: Result<Met, E>) -> bool {
        match met {
            Ok(met) => {
                let is_more = self.fleet.take(now, met);
                self.report(now);
                is_more
            }
            Err(error) => {
                log::debug!("hosts of other relays cannot be read: {error}");
                self.fleet.put_back();
                false
            }
        }
    }

    /// Logs once that a relay is gone, and that it is back.
    fn report(&mut self, now: UnixSeconds) {
        let relays: Vec<_> = self.fleet.relays(now).collect();
        for relay in relays {
            let is_known = self.gone.contains(&relay.name);
            match relay.life() {
                Life::Gone if !is_known => {
                    log::warn!(
                        "relay {} is gone: it last wrote to the database {} s ago, and did not \
                         announce a stop; check its machine. The other relays serve its hosts",
                        relay.name,
                        relay.age
                    );
                    self.gone.insert(relay.name);
                }
                Life::Running if is_known => {
                    log::info!("relay {} is back", relay.name);
                    self.gone.remove(&relay.name);
                }
                Life::Stopped => {
                    self.gone.remove(&relay.name);
                }
                Life::Gone | Life::Running => {}
            }
        }
    }
}
