//! What of the hosts is stored, and how the relay is as the state folder knows it.

use super::{Host, Key, Moment, Peer, Refusal};
use crate::base::clock::UnixSeconds;

/// What is to be stored at once.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Hosts that have changed.
    pub hosts: Vec<Host>,
    /// Hosts to forget.
    pub forgotten: Vec<Key>,
    /// All refusals, if they have changed.
    pub refusals: Option<Vec<Refusal>>,
    /// Forget relays that share the store and were not heard of for so many seconds, with what
    /// they knew.
    pub relays_after: Option<u64>,
    /// When this is, and how the relay is.
    pub pulse: Pulse,
}

/// Whether the relay runs, as the state folder knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Since when it ran.
    pub started: UnixSeconds,
    /// When it last wrote.
    pub written: UnixSeconds,
    /// Whether it was stopped then.
    pub is_stopped: bool,
    /// Seconds that relays had run with this state in all.
    pub ran: u64,
}

impl Pulse {
    /// Seconds after which a relay writes even if no host has changed.
    pub const EVERY: u64 = 30;

    /// Whether it seems to run.
    #[must_use]
    pub const fn is_beating(&self, now: UnixSeconds) -> bool {
        // A time ahead is as wrong as one long ago: the clock was set.
        !self.is_stopped && now.abs_diff(self.written) <= 3 * Self::EVERY
    }

    /// Whether a relay has run and was heard of no more. Before the first write nobody can
    /// tell: the relay has just started, or there was none.
    #[must_use]
    pub const fn is_gone(&self, now: UnixSeconds) -> bool {
        self.written.get() != 0 && !self.is_beating(now)
    }

    /// When to ask how hosts are: where the relay does not run, as of when it did.
    #[must_use]
    pub const fn moment(&self, now: UnixSeconds) -> Moment {
        Moment {
            now: if self.is_gone(now) { self.written } else { now },
            up_since: self.started,
        }
    }
}

/// What was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// All hosts, in no order.
    pub hosts: Vec<Host>,
    /// All refusals, in no order.
    pub refusals: Vec<Refusal>,
    /// How the relay is; of several, how they are as one.
    pub pulse: Pulse,
    /// The relays that share the store, if they do.
    pub relays: Vec<Peer>,
}
