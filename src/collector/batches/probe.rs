//! Batches that are begun to see whether the state can be written again.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// How often a batch is begun while the state cannot be written, to see whether it still
/// cannot.
const EVERY: Duration = Duration::from_secs(5);

/// When a batch is begun although the state cannot be written; none where it can.
#[derive(Debug, Default)]
pub(super) struct Probe {
    at: Option<Instant>,
    /// Nothing else may happen at that time.
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

    /// A batch is begun: if it is a probe, the next has to wait.
    pub(super) fn note_begun(&mut self, now: Now) {
        if self.at.is_some() {
            self.arm(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.at.filter(|_| self.is_timer_set)
    }

    /// Whatever comes next tries.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.is_timer_set &= self.at.is_some_and(|at| at > now.monotonic);
    }
}
