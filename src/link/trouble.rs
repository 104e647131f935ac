//! One trouble, told once when it begins and once when it is over: a receiver that
//! fails, works for a moment and fails again is still the same trouble.

use crate::clock::Now;
use std::time::{Duration, Instant};

/// How long all has to be well before a trouble is over.
const CALM: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    /// Since when all seems well.
    calm: Option<Instant>,
}

impl Trouble {
    /// It happened (again). Answers whether it is new.
    pub(super) fn begin(&mut self, now: Now) -> bool {
        self.calm = None;
        self.since
            .replace(self.since.unwrap_or(now.monotonic))
            .is_none()
    }

    /// All seems well. Answers whether it always was.
    pub(super) fn ease(&mut self, now: Now) -> bool {
        self.calm.get_or_insert(now.monotonic);
        self.since.is_none()
    }

    /// When it may be over.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.since.and(self.calm).map(|calm| calm + CALM)
    }

    /// Whether it is over, and how long it lasted.
    pub(super) fn end(&mut self, now: Now) -> Option<Duration> {
        let (since, calm) = (self.since?, self.calm?);
        if now.monotonic < calm + CALM {
            return None;
        }
        *self = Self::default();
        Some(calm - since)
    }
}
