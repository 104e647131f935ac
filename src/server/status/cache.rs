//! Limits how often expensive responses are computed, however often they are requested.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// Computing a value takes at most the reciprocal of this (1 %) of the loop's time.
const SHARE: u32 = 100;

/// The last value, and until when it may be used.
#[derive(Debug)]
pub(super) struct Fresh<T> {
    at_least: Duration,
    last: Option<(Instant, T)>,
}

impl<T: Clone> Fresh<T> {
    /// No value yet. A value is used for at least `at_least`, and longer if it took long to
    /// compute.
    pub(super) const fn new(at_least: Duration) -> Self {
        let last = None;
        Self { at_least, last }
    }

    pub(super) fn get(&mut self, now: Now, make: impl FnOnce() -> T) -> T {
        if let Some((until, value)) = &self.last
            && now.monotonic < *until
        {
            return value.clone();
        }
        let began = Instant::now();
        let value = make();
        let took = began.elapsed();
        log::trace!("made for those who watch in {took:?}");
        let good_for = self.at_least.max(took * SHARE);
        self.last = Some((now.monotonic + good_for, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_anew_after_its_time_and_not_before() {
        let now = Now {
            monotonic: Instant::now(),
            wall: std::time::UNIX_EPOCH,
        };
        let mut fresh = Fresh::new(Duration::from_secs(1));
        assert_eq!(fresh.get(now, || 1), 1);
        let soon = now + Duration::from_millis(900);
        assert_eq!(fresh.get(soon, || 2), 1);
        let later = now + Duration::from_secs(3600);
        assert_eq!(fresh.get(later, || 3), 3);
    }

    #[test]
    fn what_takes_long_is_made_seldom() {
        let now = Now {
            monotonic: Instant::now(),
            wall: std::time::UNIX_EPOCH,
        };
        let mut fresh = Fresh::new(Duration::ZERO);
        let slow = || {
            std::thread::sleep(Duration::from_millis(20));
            1
        };
        assert_eq!(fresh.get(now, slow), 1);
        assert_eq!(fresh.get(now + Duration::from_millis(1999), || 2), 1);
    }
}
