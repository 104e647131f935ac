//! What a full output means for the sources.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// How long sources are simply not read when an output is full; after that they
/// are told by 503 to come again, because their own timeouts draw near.
pub(in crate::collector) const HOLD_TIME: Duration = Duration::from_secs(10);

/// How sources are treated because of a full output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// None is full.
    #[default]
    Released,
    /// They are not read while it is full, up to then.
    Holding { since: Instant, until: Instant },
    /// They are read again, and those whose turn is last are told to come later.
    Shedding,
}

/// How full the outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fullness {
    /// There is plenty of room.
    Eased,
    /// A time of fullness is not over yet.
    Filled,
    Full,
}

/// Whether sources are held back.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    state: State,
    /// When it last made sources wait unread.
    last_hold: Option<(Instant, Instant)>,
}

impl Pressure {
    /// Whether sources may be read. While an output is full they are not: the
    /// source is our queue.
    pub(super) fn is_reading(&self, now: Now, is_full: impl FnOnce() -> bool) -> bool {
        match self.state {
            State::Holding { until, .. } => now.monotonic >= until || !is_full(),
            State::Released | State::Shedding => true,
        }
    }

    /// Whether what is too much is handed back.
    pub(super) fn is_shedding(&self, now: Now) -> bool {
        match self.state {
            State::Released => false,
            State::Holding { until, .. } => now.monotonic >= until,
            State::Shedding => true,
        }
    }

    /// When sources were not read last, from and to.
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

    /// `patience`: how long sources may wait unread at most.
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
