//! How much an output is given at a time.
//!
//! What is on the wire cannot be called back: if its source's time ends first, it was
//! delivered for nothing. So an output gets what it delivers in about a second, and all
//! else waits where it may still be handed back.

use std::time::Duration;

use super::rate::Rate;
use crate::base::clock::Now;

/// What no output needs more of at a time: twice what Linux lets a socket hold.
const MOST: usize = 8 << 20;

/// What was delivered, and how fast.
#[derive(Debug, Default)]
pub(super) struct Flow {
    rate: Rate,
    /// Bytes delivered, as far as `rate` knows of them: on this connection if that is
    /// measured, else since the start.
    progress: u64,
}

impl Flow {
    /// Bytes delivered as of the last call of [`Flow::note`].
    pub(super) fn progress(&self) -> u64 {
        self.progress
    }

    /// The count of bytes begins anew with a connection.
    pub(super) fn restart(&mut self) {
        self.progress = 0;
    }

    /// `progress` counts the bytes that are delivered; `is_busy`: whether more are on the way.
    pub(super) fn note(&mut self, now: Now, progress: u64, is_busy: bool) {
        let bytes = progress.saturating_sub(self.progress);
        self.progress = progress;
        self.rate.note(now, bytes, is_busy);
    }

    /// Bytes a second that were delivered lately, while there were some to deliver.
    pub(super) fn recent(&self, now: Now) -> Option<u64> {
        self.rate.recent(now)
    }

    /// Bytes that are delivered in a second. Where nothing is known, what the output has
    /// already is the probe.
    pub(super) fn share(&self, now: Now) -> usize {
        let rate = self.recent(now).unwrap_or(0);
        usize::try_from(rate).unwrap_or(MOST).min(MOST)
    }

    /// Whether nothing of `held` bytes moves.
    pub(super) fn is_stalled(&self, now: Now, held: usize) -> bool {
        self.rate.is_stalled(now, held)
    }

    /// How long so many bytes take, as far as can be told; `takes_probe`: the output is given
    /// a batch even where nothing moves.
    pub(super) fn delay(&self, now: Now, bytes: usize, takes_probe: bool) -> Option<Duration> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match self.rate.proven(now)? {
            0 if takes_probe => None,
            0 => Some(Duration::MAX),
            rate => Some(Duration::from_millis(bytes.saturating_mul(1000) / rate)),
        }
    }
}
