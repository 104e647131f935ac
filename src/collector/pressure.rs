//! What a full output means for the sources.

use super::Collector;
use crate::base::clock::Now;
use crate::output::link::CAPACITY;
use std::time::{Duration, Instant};

/// How long sources are simply not read when an output is full; after that they
/// are told by 503 to come again, because their own timeouts draw near.
pub(super) const HOLD_TIME: Duration = Duration::from_secs(10);
/// Bytes that may wait before a time of fullness is over.
const EASED: usize = CAPACITY / 4 * 3;

/// How sources are treated because of a full output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressure {
    /// None is full.
    Released,
    /// They are not read while it is full, up to then.
    Holding { since: Instant, until: Instant },
    /// They are read again, and those whose turn is last are told to come later.
    Shedding,
}

impl Collector {
    /// Whether sources may be read. While an output is full they are not: the
    /// source is our queue.
    #[must_use]
    pub fn is_reading(&self, now: Now) -> bool {
        match self.pressure {
            Pressure::Holding { until, .. } => now.monotonic >= until || !self.is_full(),
            Pressure::Released | Pressure::Shedding => true,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_filled(CAPACITY)
    }

    fn is_filled(&self, size: usize) -> bool {
        let waiting = self.waiting.bytes();
        self.required().any(|link| link.backlog() + waiting >= size)
    }

    /// Whether what is too much is handed back.
    pub(super) fn is_shedding(&self, now: Now) -> bool {
        match self.pressure {
            Pressure::Released => false,
            Pressure::Holding { until, .. } => now.monotonic >= until,
            Pressure::Shedding => true,
        }
    }

    /// When sources were not read last, from and to.
    pub(super) fn last_hold(&self, now: Now) -> Option<(Instant, Instant)> {
        match self.pressure {
            Pressure::Holding { since, .. } => Some((since, now.monotonic)),
            Pressure::Released | Pressure::Shedding => self.last_hold,
        }
    }

    pub(super) fn note_fullness(&mut self, now: Now) {
        let last_hold = self.last_hold(now);
        self.pressure = match self.pressure {
            _ if !self.is_filled(EASED) => Pressure::Released,
            Pressure::Released if self.is_full() => {
                log::debug!("an output is full: sources are held back");
                let since = now.monotonic;
                let until = since + self.hold_time();
                Pressure::Holding { since, until }
            }
            Pressure::Holding { until, .. } if now.monotonic >= until => Pressure::Shedding,
            same => same,
        };
        if !matches!(self.pressure, Pressure::Holding { .. }) {
            self.last_hold = last_hold;
        }
    }

    /// Not so long that sources with little patience wait in vain.
    fn hold_time(&self) -> Duration {
        let patience = self.batches.values().map(|batch| batch.timeout / 4).min();
        patience.map_or(HOLD_TIME, |patience| patience.min(HOLD_TIME))
    }
}
