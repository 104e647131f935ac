//! What is saved about hosts, and how the state folder knows whether a relay is running.

use super::{Host, Key, Moment, Peer, Refusal};
use crate::base::clock::UnixSeconds;

/// Changes to save together.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Hosts that have changed.
    pub hosts: Vec<Host>,
    /// Hosts to delete.
    pub forgotten: Vec<Key>,
    /// All rejections, if they have changed.
    pub refusals: Option<Vec<Refusal>>,
    /// Delete relays that share the store and were not heard of for this many seconds,
    /// together with what they knew.
    pub relays_after: Option<u64>,
    /// The current time, and the relay's sign of life.
    pub pulse: Pulse,
}

/// The relay's sign of life, by which others see whether it is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// When it was started.
    pub started: UnixSeconds,
    /// When it last wrote.
    pub written: UnixSeconds,
    /// Whether it was being stopped then.
    pub is_stopped: bool,
    /// Total running time of relays with this state, in seconds.
    pub ran: u64,
}

impl Pulse {
    /// Seconds after which a relay writes even if no host has changed.
    pub const EVERY: u64 = 30;

    /// Whether the relay appears to be running.
    #[must_use]
    pub const fn is_beating(&self, now: UnixSeconds) -> bool {
        // A time in the future is as wrong as one long ago: the clock was set.
        !self.is_stopped && now.abs_diff(self.written) <= 3 * Self::EVERY
    }

    /// Whether a relay was running and has not been heard of since. Before the first write
    /// this is unknown: it may have just been started, or there was none.
    #[must_use]
    pub const fn is_gone(&self, now: UnixSeconds) -> bool {
        self.written.get() != 0 && !self.is_beating(now)
    }

    /// The reference time for the states of hosts: if the relay is not running, the time
    /// when it was.
    #[must_use]
    pub const fn moment(&self, now: UnixSeconds) -> Moment {
        Moment {
            now: if self.is_gone(now) { self.written } else { now },
            up_since: self.started,
        }
    }
}

/// What was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// All hosts, in no particular order.
    pub hosts: Vec<Host>,
    /// All rejections, in no particular order.
    pub refusals: Vec<Refusal>,
    /// The relay's sign of life; if there are several relays, merged.
    pub pulse: Pulse,
    /// The relays that share the store, if any do.
    pub relays: Vec<Peer>,
}
