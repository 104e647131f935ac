//! When it is looked at what the peer's TCP has acknowledged.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// First look at what the peer has acknowledged; doubles while nothing moves.
pub(super) const FIRST_LOOK: Duration = Duration::from_micros(500);
/// A look costs one system call, so that a slow peer is not worth looking at more often.
pub(super) const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The next look, and the pause before it, while something waits to be acknowledged.
#[derive(Debug, Default)]
pub(super) struct Look(Option<(Instant, Duration)>);

impl Look {
    /// Something was written.
    pub(super) fn begin(&mut self, now: Now) {
        self.0
            .get_or_insert((now.monotonic + FIRST_LOOK, FIRST_LOOK));
    }

    /// It was looked.
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
