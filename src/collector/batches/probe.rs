//! Batches that are begun only to find out whether the state can be written again.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// How often a batch is begun while the state cannot be written.
const EVERY: Duration = Duration::from_secs(5);

/// When the next probe may be begun; `None` while the state can be written.
#[derive(Debug, Default)]
pub(super) struct Probe {
    at: Option<Instant>,
    /// Whether a timer is needed, because nothing else may happen at that time.
    is_timer_set: bool,
}

impl Probe {
    pub(super) fn arm(&mut self, now: Now) {
        self.at = Some(now.monotonic + EVERY);
        self.is_timer_set = true;
    }

    pub(super) fn may_begin(&self, now: Now) -> bool {
        self.at.is_none_or(|at| now.monotonic >= at)
    }

    /// Records that a batch was begun: if it is a probe, the next one has to wait.
    pub(super) fn note_begun(&mut self, now: Now) {
        if self.at.is_some() {
            self.arm(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.at.filter(|_| self.is_timer_set)
    }

    /// Clears a timer that has passed: the next batch that arrives is a probe.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.is_timer_set &= self.at.is_some_and(|at| at > now.monotonic);
    }
}
