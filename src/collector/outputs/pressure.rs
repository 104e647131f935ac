//! How sources are treated when an output is full.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// How long sources are left unread when an output is full. After that they get 503,
/// because their own timeouts approach.
pub(in crate::collector) const HOLD_TIME: Duration = Duration::from_secs(10);

/// How sources are treated at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No output is full.
    #[default]
    Released,
    /// Sources are not read while an output is full, at most until this time.
    Holding { since: Instant, until: Instant },
    /// Sources are read again, and those whose turn is last get 503.
    Shedding,
}

/// How full the outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fullness {
    /// There is plenty of room.
    Eased,
    /// Below the capacity, but the period of fullness is not over yet.
    Filled,
    Full,
}

/// Whether sources are held back.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    state: State,
    /// The last period in which sources were left unread.
    last_hold: Option<(Instant, Instant)>,
}

impl Pressure {
    /// Whether sources should be read. They are not read while an output is full, so that events
    /// wait at the sources, not in memory.
    pub(super) fn is_reading(&self, now: Now, is_full: impl FnOnce() -> bool) -> bool {
        match self.state {
            State::Holding { until, .. } => now.monotonic >= until || !is_full(),
            State::Released | State::Shedding => true,
        }
    }

    /// Whether batches in excess are handed back.
    pub(super) fn is_shedding(&self, now: Now) -> bool {
        match self.state {
            State::Released => false,
            State::Holding { until, .. } => now.monotonic >= until,
            State::Shedding => true,
        }
    }

    /// The last period in which sources were not read.
    pub(super) fn last_hold(&self, now: Now) -> Option<(Instant, Instant)> {
        match self.state {
            State::Holding { since, .. } => Some((since, now.monotonic)),
            State::Released | State::Shedding => self.last_hold,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Holding { until, .. } => Some(until),
            State::Released | State::Shedding => None,
        }
    }

    /// Updates the state. `patience` is how long sources may remain unread at most.
    pub(super) fn note(
        &mut self,
        now: Now,
        fullness: Fullness,
        patience: impl FnOnce() -> Option<Duration>,
    ) {
        let last_hold = self.last_hold(now);
        self.state = match self.state {
            _ if fullness == Fullness::Eased => State::Released,
            State::Released if fullness == Fullness::Full => {
                log::debug!("an output is full: no longer reading from hosts");
                let since = now.monotonic;
                let until = since + patience().map_or(HOLD_TIME, |time| time.min(HOLD_TIME));
                State::Holding { since, until }
            }
            State::Holding { until, .. } if now.monotonic >= until => State::Shedding,
            same => same,
        };
        if !matches!(self.state, State::Holding { .. }) {
            self.last_hold = last_hold;
        }
    }
}
