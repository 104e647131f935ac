//! How long relays have been running with this state, and whether the clock was set in the
//! meantime.

use std::time::{Duration, Instant};

use crate::base::clock::{Now, UnixSeconds};

/// A difference in seconds above which the clock was set; smaller ones come from NTP's
/// adjustments.
const JUMP: u64 = 5;

/// Counts the time that the relay is running, whatever the clock shows.
#[derive(Debug)]
pub(super) struct Running {
    /// Running time of earlier relays, in seconds.
    before: u64,
    since: Instant,
    /// What the clock showed, or should have shown, at `since`.
    wall: UnixSeconds,
}

impl Running {
    pub(super) fn new(now: Now) -> Self {
        Self {
            before: 0,
            since: now.monotonic,
            wall: UnixSeconds::from(now.wall),
        }
    }

    /// Relays have been running for this long in total, if that is more than known here.
    pub(super) fn go_on_from(&mut self, now: Now, ran: u64) {
        self.before = self
            .before
            .max(ran.saturating_sub(self.elapsed(now).as_secs()));
    }

    /// Seconds that relays have been running in total.
    pub(super) fn seconds(&self, now: Now) -> u64 {
        self.before.saturating_add(self.elapsed(now).as_secs())
    }

    /// The number of seconds by which the clock was set since the last call, if it was.
    pub(super) fn take_jump(&mut self, now: Now) -> Option<i64> {
        let expected = self.wall.saturating_add(self.elapsed(now).as_secs());
        let is = UnixSeconds::from(now.wall);
        if is.abs_diff(expected) <= JUMP {
            return None;
        }
        let by = i128::from(is.get()) - i128::from(expected.get());
        let by = i64::try_from(by).ok()?;
        self.wall = self.wall.saturating_add_signed(by);
        Some(by)
    }

    fn elapsed(&self, now: Now) -> Duration {
        now.monotonic.saturating_duration_since(self.since)
    }
}
