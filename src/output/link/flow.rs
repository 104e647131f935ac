//! How much an output is given at a time, and how long it will take for it.
//!
//! What is on the wire cannot be called back: if its source's time ends first, it was
//! delivered for nothing. So an output gets what it delivers in about a second, and all
//! else waits where it may still be handed back.

use std::time::Duration;

use super::{Link, Phase};
use crate::base::clock::Now;

/// What no output needs more of at a time: twice what Linux lets a socket hold.
const MOST: usize = 8 << 20;
/// Messages that a RELP receiver that has stopped may owe answers, half of its window: it
/// may be that it never answers these, and others show that.
const UNANSWERED: usize = 64;

impl Link {
    /// Whether it can be given another batch: it works, and has less to do than it can do
    /// in a second. One that has nothing to do gets one, however slow it was: that shows
    /// how fast it is now.
    #[must_use]
    pub fn has_room(&self, now: Now) -> bool {
        let is_up = matches!(self.phase, Phase::Up);
        is_up && (self.takes_probe(now) || self.held() < self.share(now))
    }

    /// How long it will take to deliver what it has and `more` bytes, as far as can be told.
    #[must_use]
    pub fn delay(&self, now: Now, more: usize) -> Option<Duration> {
        if !matches!(self.phase, Phase::Up) {
            return None;
        }
        let bytes = u64::try_from(self.held() + more).unwrap_or(u64::MAX);
        match self.rate.proven(now)? {
            0 if self.takes_probe(now) => None,
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

    /// Whether it is given a batch whatever its rate is: to see whether it takes that.
    fn takes_probe(&self, now: Now) -> bool {
        let held = self.held();
        let Some(session) = self.session.as_ref().filter(|_| held > 0) else {
            return held == 0;
        };
        let has_few = self.queue.unsent() == 0 && session.unanswered() < UNANSWERED;
        has_few && self.rate.is_stalled(now, held)
    }

    /// Bytes that it is to send yet, or that are on the way. A message that a RELP receiver
    /// refuses and that waits to be sent again is neither, nor is one that it passed over.
    fn held(&self) -> usize {
        let on_the_way = match &self.session {
            Some(session) => session.bytes_ahead(),
            None => self.queue.unconfirmed(),
        };
        self.queue.unsent() + on_the_way
    }

    /// Bytes that it delivers in a second.
    fn share(&self, now: Now) -> usize {
        // Where nothing is known, what it has already is the probe.
        let rate = self.rate.recent(now).unwrap_or(0);
        usize::try_from(rate).unwrap_or(MOST).min(MOST)
    }

    /// Takes note of what is delivered: `progress` counts the bytes.
    pub(super) fn note_progress(&mut self, now: Now, progress: u64) {
        let bytes = progress.saturating_sub(self.progress);
        self.progress = progress;
        let is_busy = self.held() > 0 && matches!(self.phase, Phase::Up);
        self.rate.note(now, bytes, is_busy);
    }
}
