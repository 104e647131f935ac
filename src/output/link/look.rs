//! When to check what the peer's TCP has acknowledged (`SIOCOUTQ`).

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// First check after writing; the interval doubles while nothing changes.
pub(super) const FIRST_LOOK: Duration = Duration::from_micros(500);
/// Maximum interval. A check costs one system call, so a slow peer is not checked more
/// often.
pub(super) const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The next check and the interval before it, while something is unacknowledged.
#[derive(Debug, Default)]
pub(super) struct Look(Option<(Instant, Duration)>);

impl Look {
    /// Something has been written.
    pub(super) fn begin(&mut self, now: Now) {
        self.0
            .get_or_insert((now.monotonic + FIRST_LOOK, FIRST_LOOK));
    }

    /// A check has been made.
    pub(super) fn note(&mut self, now: Now, is_done: bool, has_moved: bool) {
        let pause = match self.0 {
            _ if is_done => return self.stop(),
            Some((_, pause)) if !has_moved => (pause * 2).min(LONGEST_LOOK),
            _ => FIRST_LOOK,
        };
        self.0 = Some((now.monotonic + pause, pause));
    }

    pub(super) fn stop(&mut self) {
        self.0 = None;
    }

    pub(super) fn at(&self) -> Option<Instant> {
        self.0.map(|(at, _)| at)
    }
}
