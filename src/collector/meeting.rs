//! What the other relays that share the store know of hosts, and whether they run.

use super::chores::Chore;
use super::sources::SourceName;
use super::{Collector, seconds};
use crate::base::clock::{Now, UnixSeconds};
use crate::hosts::{Fleet, Key, Life, Met, Overview};
use crate::store::{Error, Job};
use std::collections::BTreeSet;
use std::time::Duration;

/// The relays that share our store, and what was said of them.
pub(super) struct Meeting {
    pub(super) fleet: Fleet,
    gone: BTreeSet<String>,
}

impl Meeting {
    pub(super) fn new(own: String) -> Self {
        Self {
            fleet: Fleet::new(own),
            gone: BTreeSet::new(),
        }
    }

    /// Says once that a relay has gone, and that it is back.
    fn report(&mut self, now: UnixSeconds) {
        let relays: Vec<_> = self.fleet.relays(now).collect();
        for relay in relays {
            let is_known = self.gone.contains(&relay.name);
            match relay.life() {
                Life::Gone if !is_known => {
                    log::warn!(
                        "relay {} has gone: it wrote to the database last {} s ago and has not \
                         said that it stops; see its machine. Hosts go to the others",
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

impl Collector {
    /// Others share the store: hosts that have changed are stored seldom, and what the others
    /// know of hosts is read. `own`: our name.
    pub fn share_store(&mut self, every: Duration, own: String) {
        self.chores.save_every(every);
        self.known.meeting = Some(Meeting::new(own));
    }

    /// The relays that share the store, if any do.
    #[must_use]
    pub fn fleet(&self) -> Option<&Fleet> {
        self.known.meeting.as_ref().map(|meeting| &meeting.fleet)
    }

    /// The hosts as all relays together know them.
    #[must_use]
    pub fn overview(&self) -> Overview<'_> {
        Overview::new(&self.known.hosts, self.fleet())
    }

    /// Asks about the others. Answers whether there are any to ask about.
    pub(super) fn meet(&mut self) -> bool {
        let inquiry = self.fleet().map(Fleet::inquiry);
        match inquiry {
            Some(inquiry) => {
                self.start_chore(Job::Meet(inquiry), Chore::Meet);
                true
            }
            None => false,
        }
    }

    /// Takes what the store says of the others. Answers whether there is more to ask.
    pub(super) fn note_met(&mut self, now: Now, met: Result<Met, Error>) -> bool {
        let Some(meeting) = &mut self.known.meeting else {
            return false;
        };
        match met {
            Ok(met) => {
                let is_more = meeting.fleet.take(seconds(now), met);
                meeting.report(seconds(now));
                is_more
            }
            Err(error) => {
                log::debug!("what other relays know of hosts cannot be read: {error}");
                meeting.fleet.put_back();
                false
            }
        }
    }

    /// Logs who was given subscriptions and has sent nothing, to any relay.
    pub(super) fn report_silent(&mut self, now: Now) {
        let wall = seconds(now);
        let fleet = self.known.meeting.as_ref().map(|meeting| &meeting.fleet);
        let is_heard = |name: &SourceName, age: Duration| {
            let identity = Some(name.identity.as_str()).filter(|name| !name.is_empty());
            let key = Key::new(identity, &name.machine);
            let since = wall.saturating_sub(age.as_secs());
            fleet.is_some_and(|fleet| fleet.has_heard(&key, since))
        };
        self.counters.silent_sources += self.sources.report_silent(now, is_heard);
    }
}
