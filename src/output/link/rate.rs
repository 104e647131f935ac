//! How fast an output delivers: bytes confirmed over the last seconds in which some were in
//! flight. An idle output is not slow.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// Length of the slices that a measurement consists of.
const SLICE: Duration = Duration::from_secs(1);
/// How long a slice counts: long enough for a receiver that reads in bursts, short enough
/// to notice within a source's timeout that it has become slow.
const WINDOW: Duration = Duration::from_secs(30);
/// The period for the current rate.
const RECENT: Duration = Duration::from_secs(5);
/// How long an output must have been busy before a host is asked to retry because of its
/// rate; a receiver may pause for a moment.
const EVIDENCE: Duration = Duration::from_secs(10);
/// Minimum time that bytes are assumed to have taken: what arrives immediately shows that
/// the receiver is fast, not how fast.
const LEAST_BUSY: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
struct Slice {
    began: Instant,
    bytes: u64,
    busy: Duration,
}

impl Slice {
    /// Its bytes and their time; only a share if it contains a silence longer than the
    /// window.
    fn within(&self, window: Duration) -> (u64, Duration) {
        if self.busy <= window {
            return (self.bytes, self.busy);
        }
        let bytes = u128::from(self.bytes) * window.as_micros() / self.busy.as_micros();
        (u64::try_from(bytes).unwrap_or(u64::MAX), window)
    }
}

/// A measured rate, sans-IO.
#[derive(Debug, Default)]
pub(super) struct Rate {
    slices: VecDeque<Slice>,
    /// The busy time of all slices.
    busy: Duration,
    /// Until when the time is accounted for, while something is in flight.
    busy_since: Option<Instant>,
    /// Number of bytes confirmed the last time.
    last: u64,
}

/// The result for a period.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    bytes: u64,
    /// How long something was in flight before the last bytes were confirmed.
    busy: Duration,
    /// How long it has been in flight since.
    running: Duration,
}

impl Sum {
    fn time(self) -> Duration {
        self.busy + self.running
    }
}

impl Rate {
    /// Records that `bytes` more were confirmed. `is_busy`: whether others are still in
    /// flight.
    pub(super) fn note(&mut self, now: Now, bytes: u64, is_busy: bool) {
        let now = now.monotonic;
        let busy = self.busy_since.map(|since| now.duration_since(since));
        self.busy_since = is_busy.then_some(now);
        if busy.is_none() && bytes == 0 {
            return;
        }
        let is_over = |slice: &Slice| now >= slice.began + SLICE;
        if self.slices.back().is_none_or(is_over) {
            while let Some(old) = self.slices.front().filter(|s| now >= s.began + WINDOW) {
                self.busy = self.busy.saturating_sub(old.busy);
                self.slices.pop_front();
            }
            self.slices.push_back(Slice {
                began: now,
                bytes: 0,
                busy: Duration::ZERO,
            });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.bytes += bytes;
            slice.busy += busy.unwrap_or_default();
            self.busy += busy.unwrap_or_default();
        }
        if bytes > 0 {
            self.last = bytes;
        }
    }

    /// Rate in bytes per second; `None` unless the output has been busy for [`EVIDENCE`]. The
    /// higher of the rates over the whole window and over its end, so that a receiver that has
    /// recovered is not judged by its past.
    pub(super) fn proven(&self, now: Now) -> Option<u64> {
        // Asked for each batch, while most outputs are hardly busy.
        if self.busy + self.running(now) < EVIDENCE {
            return None;
        }
        let whole = self.sum(now, WINDOW);
        let rate = self.rate_of(whole).max(self.over(now, RECENT));
        rate.filter(|_| whole.time() >= EVIDENCE)
    }

    /// Current rate in bytes per second; `None` if too little has happened.
    pub(super) fn recent(&self, now: Now) -> Option<u64> {
        self.over(now, RECENT).or_else(|| self.over(now, WINDOW))
    }

    /// Whether nothing has been confirmed for much longer than this many bytes should take.
    pub(super) fn is_stalled(&self, now: Now, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let rate = self.over(now, WINDOW).filter(|rate| *rate > 0);
        let expected = rate.map_or(0, |rate| bytes.saturating_mul(1000) / rate);
        let patience = Duration::from_millis(expected.saturating_mul(2));
        let patience = patience.clamp(RECENT, WINDOW);
        let sum = self.sum(now, patience);
        sum.bytes == 0 && sum.time() >= patience
    }

    fn over(&self, now: Now, window: Duration) -> Option<u64> {
        self.rate_of(self.sum(now, window))
    }

    fn rate_of(&self, sum: Sum) -> Option<u64> {
        match sum.bytes {
            0 if sum.time() < SLICE => None,
            0 => Some(0),
            // As much of what is in flight may have arrived as was last confirmed.
            bytes => {
                let at_most = per_second(bytes + self.last, sum.time());
                Some(per_second(bytes, sum.busy).min(at_most))
            }
        }
    }

    /// How long something has been in flight since the time was last accounted for.
    fn running(&self, now: Now) -> Duration {
        let running = self
            .busy_since
            .map(|since| now.monotonic.duration_since(since));
        running.unwrap_or_default()
    }

    fn sum(&self, now: Now, window: Duration) -> Sum {
        let begin = Sum {
            running: self.running(now).min(window),
            ..Sum::default()
        };
        let now = now.monotonic;
        let counted = self.slices.iter().rev();
        let counted = counted.take_while(|slice| now < slice.began + window);
        counted.fold(begin, |sum, slice| {
            let (bytes, busy) = slice.within(window);
            Sum {
                bytes: sum.bytes + bytes,
                busy: sum.busy + busy,
                ..sum
            }
        })
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let micros = time.max(LEAST_BUSY).as_micros();
    let rate = u128::from(bytes) * 1_000_000 / micros.max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn start() -> Now {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        let monotonic = Instant::now();
        let wall = SystemTime::UNIX_EPOCH;
        Now { monotonic, wall }
    }

    /// Confirms `bytes` every `millis`, this many times, while others are in flight.
    fn flow(rate: &mut Rate, mut now: Now, bytes: u64, millis: u64, times: u64) -> Now {
        rate.note(now, 0, true);
        for _ in 0..times {
            now = now + Duration::from_millis(millis);
            rate.note(now, bytes, true);
        }
        now
    }

    #[test]
    fn nothing_is_known_before_anything_was_on_the_way() {
        let (mut rate, now) = (Rate::default(), start());
        assert_eq!(rate.recent(now), None);
        rate.note(now, 0, true);
        let soon = now + (SLICE - Duration::from_millis(1));
        assert_eq!(rate.recent(soon), None);
        assert_eq!(rate.recent(now + SLICE), Some(0), "it accepts nothing");
        let soon = now + (EVIDENCE - Duration::from_millis(1));
        assert_eq!(rate.proven(soon), None);
        assert_eq!(rate.proven(now + EVIDENCE), Some(0), "it is sure");
    }

    #[test]
    fn idle_time_does_not_count() {
        let (mut rate, mut now) = (Rate::default(), start());
        for _ in 0..10 {
            rate.note(now, 0, true);
            now = now + Duration::from_millis(100);
            rate.note(now, 50_000, false);
            now = now + Duration::from_millis(900);
        }
        assert_eq!(rate.recent(now), Some(500_000));
        assert_eq!(rate.proven(now), None, "nobody waits for long");
    }

    #[test]
    fn gulps_are_evened_out() {
        let mut rate = Rate::default();
        let now = flow(&mut rate, start(), 3_000_000, 6_000, 5);
        let measured = rate.over(now, WINDOW).unwrap();
        assert!((400_000..=625_000).contains(&measured), "{measured}");
    }

    #[test]
    fn a_receiver_that_stops_is_slow_soon_and_stands_still_after_the_window() {
        let mut rate = Rate::default();
        let now = flow(&mut rate, start(), 100_000, 100, 300);
        assert_eq!(rate.recent(now), Some(1_000_000));
        assert!(rate.recent(now + RECENT).unwrap() < 100_000);
        assert!(rate.proven(now + Duration::from_secs(10)).unwrap() > 500_000);
        assert_eq!(rate.proven(now + WINDOW), Some(0));
    }

    #[test]
    fn one_that_is_slow_has_not_stopped() {
        let mut rate = Rate::default();
        let now = flow(&mut rate, start(), 1_000, 10_000, 6);
        assert!(!rate.is_stalled(now + Duration::from_secs(6), 1_000));
        assert!(rate.is_stalled(now + Duration::from_secs(6), 100));
        assert!(rate.is_stalled(now + WINDOW, 1_000));
        let mut idle = Rate::default();
        idle.note(now, 1_000, false);
        assert!(!idle.is_stalled(now + WINDOW, 0));
    }

    #[test]
    fn what_is_confirmed_seldom_is_measured_at_any_time() {
        let mut rate = Rate::default();
        let mut now = flow(&mut rate, start(), 10_000, 25_000, 3);
        for _ in 0..24 {
            now = now + Duration::from_secs(1);
            let measured = rate.proven(now).unwrap();
            assert!((380..=420).contains(&measured), "{measured}");
        }
    }

    #[test]
    fn one_that_recovers_is_believed_at_once() {
        let mut rate = Rate::default();
        let now = flow(&mut rate, start(), 1_000, 1_000, 30);
        let now = flow(&mut rate, now, 1_000_000, 1_000, 5);
        assert!(rate.proven(now).unwrap() >= 800_000);
    }

    #[test]
    fn what_is_confirmed_at_once_is_not_infinitely_fast() {
        let (mut rate, now) = (Rate::default(), start());
        rate.note(now, 100_000, false);
        assert_eq!(rate.recent(now), Some(5_000_000));
    }

    #[test]
    fn little_is_kept() {
        let mut rate = Rate::default();
        flow(&mut rate, start(), 1, 10, 100_000);
        assert!(rate.slices.len() <= 31, "{}", rate.slices.len());
        let busy = rate.slices.iter().map(|slice| slice.busy);
        assert_eq!(rate.busy, busy.sum());
    }
}
