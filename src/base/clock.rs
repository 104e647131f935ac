//! Time as an argument.

use std::time::{Duration, Instant, SystemTime};

/// The time at which an input is handled; only the event loop reads the clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines; never goes back.
    pub monotonic: Instant,
    /// For what others see: dates, time stamps.
    pub wall: SystemTime,
}

impl std::ops::Add<Duration> for Now {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self {
            monotonic: self.monotonic + later,
            wall: self.wall + later,
        }
    }
}
