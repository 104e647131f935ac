//! How much an output is given at a time.
//!
//! What has been sent cannot be recalled: if its source's time ends first, it was delivered
//! in vain. So an output is given only what it delivers in about a second; everything else
//! waits where it can still be handed back.

use std::time::Duration;

use super::rate::Rate;
use crate::base::clock::Now;

/// Maximum amount that an output is given at a time, in bytes: twice the largest socket buffer that
/// Linux allows.
const MOST: usize = 8 << 20;

/// What was delivered, and how fast.
#[derive(Debug, Default)]
pub(super) struct Flow {
    rate: Rate,
    /// Number of bytes delivered as known to `rate`: on this connection if that is
    /// measured, otherwise since the start.
    progress: u64,
}

impl Flow {
    /// Number of bytes delivered as of the last call of [`Flow::note`].
    pub(super) fn progress(&self) -> u64 {
        self.progress
    }

    /// The count of bytes restarts with a new connection.
    pub(super) fn restart(&mut self) {
        self.progress = 0;
    }

    /// Records that `progress` bytes have been delivered. `is_busy`: whether more are in
    /// flight.
    pub(super) fn note(&mut self, now: Now, progress: u64, is_busy: bool) {
        let bytes = progress.saturating_sub(self.progress);
        self.progress = progress;
        self.rate.note(now, bytes, is_busy);
    }

    /// Recent rate in bytes per second, counting only time in which there was something to deliver.
    pub(super) fn recent(&self, now: Now) -> Option<u64> {
        self.rate.recent(now)
    }

    /// Number of bytes that are delivered in a second. If nothing is known, what the output
    /// already has serves as a probe.
    pub(super) fn share(&self, now: Now) -> usize {
        let rate = self.recent(now).unwrap_or(0);
        usize::try_from(rate).unwrap_or(MOST).min(MOST)
    }

    /// Whether there is no progress although `held` bytes are waiting.
    pub(super) fn is_stalled(&self, now: Now, held: usize) -> bool {
        self.rate.is_stalled(now, held)
    }

    /// How long this many bytes take, as far as that is known. `takes_probe`: the output is
    /// given a batch even without progress.
    pub(super) fn delay(&self, now: Now, bytes: usize, takes_probe: bool) -> Option<Duration> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match self.rate.proven(now)? {
            0 if takes_probe => None,
            0 => Some(Duration::MAX),
            rate => Some(Duration::from_millis(bytes.saturating_mul(1000) / rate)),
        }
    }
}
