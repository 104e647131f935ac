//! How long relays have run with this state, and whether the clock was set meanwhile.

use std::time::{Duration, Instant};

use crate::base::clock::{Now, UnixSeconds};

/// A clock that is further off than this was set; less is the way in which it is kept right.
const JUMP: u64 = 5;

/// Counts the time that the relay runs, whatever the clock says.
#[derive(Debug)]
pub(super) struct Running {
    /// Seconds of those before.
    before: u64,
    since: Instant,
    /// What the clock said, or should have said, at `since`.
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

    /// Relays have run for so long in all, if that is more than is known here.
    pub(super) fn go_on_from(&mut self, now: Now, ran: u64) {
        self.before = self
            .before
            .max(ran.saturating_sub(self.elapsed(now).as_secs()));
    }

    /// Seconds that relays have run in all.
    pub(super) fn seconds(&self, now: Now) -> u64 {
        self.before.saturating_add(self.elapsed(now).as_secs())
    }

    /// By how many seconds the clock was set since the last call, if it was.
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
