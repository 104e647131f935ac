//! How much an output is given at a time, and how long it will take for it.
//!
//! What is on the wire cannot be called back: if its source's time ends first, it was
//! delivered for nothing. So an output gets what it delivers in about a second, and all
//! else waits where it may still be handed back.

use super::{Link, Phase};
use crate::base::clock::Now;
use std::time::Duration;

/// Bytes given to an output that has not shown how fast it is: a large batch.
const FIRST: usize = 256 << 10;
/// What any output is given, however slow: a small batch or two, so that it need not wait
/// for us. At less than 2 kB/s even that is late.
const LEAST: usize = 64 << 10;
/// What no output needs more of at a time: twice what Linux lets a socket hold.
const MOST: usize = 8 << 20;

impl Link {
    /// Whether it can be given another batch: it works, and has less to do than it can do
    /// in a second. One that has nothing to do gets one, however slow it was: that shows
    /// how fast it is now.
    #[must_use]
    pub fn has_room(&self, now: Now) -> bool {
        let held = self.held();
        matches!(self.phase, Phase::Up) && (held == 0 || held < self.share(now))
    }

    /// How long it will take to deliver what it has and `more` bytes, as far as can be told.
    #[must_use]
    pub fn delay(&self, now: Now, more: usize) -> Option<Duration> {
        if !matches!(self.phase, Phase::Up) {
            return None;
        }
        let bytes = u64::try_from(self.held() + more).unwrap_or(u64::MAX);
        match self.rate.proven(now)? {
            0 if self.held() == 0 => None,
            0 => Some(Duration::MAX),
            rate => Some(Duration::from_millis(bytes.saturating_mul(1000) / rate)),
        }
    }

    /// Bytes a second that it has delivered lately, while it had some to deliver.
    #[must_use]
    pub fn rate(&self, now: Now) -> Option<u64> {
        self.rate.recent(now)
    }

    /// Bytes that it has to deliver.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.queue.backlog()
    }

    /// Whether it has nothing to deliver.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.held() == 0
    }

    /// Bytes that it is to send yet, or that are on the way. With RELP what is not sent: its window bounds the rest,
    /// in which a message that the receiver refuses may stay for long.
    fn held(&self) -> usize {
        match self.session {
            Some(_) => self.queue.unsent(),
            None => self.queue.unsent() + self.queue.unconfirmed(),
        }
    }

    /// Bytes that it delivers in a second.
    fn share(&self, now: Now) -> usize {
        let rate = self.rate.recent(now);
        match rate {
            None => FIRST,
            // What it has already is the probe.
            Some(0) => 0,
            Some(rate) => usize::try_from(rate).unwrap_or(MOST).clamp(LEAST, MOST),
        }
    }

    /// Takes note of what is delivered: `progress` counts the bytes.
    pub(super) fn note_progress(&mut self, now: Now, progress: u64) {
        let bytes = progress.saturating_sub(self.progress);
        self.progress = progress;
        let has_more = self.queue.unsent() + self.queue.unconfirmed() > 0;
        let is_busy = has_more && matches!(self.phase, Phase::Up);
        self.rate.note(now, bytes, is_busy);
    }
}
