//! How a connection ends: no more requests, the last answer, a moment to read it.

use super::{Connection, Phase, Refusal, RefusalKind};
use crate::base::clock::Now;
use crate::protocol::http;
use crate::protocol::http::request::Decoder;

/// Bytes that are read and thrown away after the last answer: who is still sending shall
/// get to see it, and no more than that.
pub(super) const DROPPED: usize = 64 << 10;

impl Connection {
    /// No more requests are taken; what is being answered still is.
    pub fn refuse_further(&mut self, now: Now) {
        match &mut self.phase {
            Phase::Answering(form) | Phase::Asking(form) => form.keep_alive = false,
            Phase::Open => {
                self.phase = Phase::Closing;
                self.handle_written(now, 0);
            }
            Phase::Closing | Phase::Lingering | Phase::Closed => {}
        }
    }

    /// Ends the connection with that status for whatever is being sent to us.
    pub fn cut(&mut self, now: Now, status: u16) {
        if matches!(
            self.phase,
            Phase::Open | Phase::Answering(_) | Phase::Asking(_)
        ) {
            self.held = None;
            let refusal = Refusal::new(RefusalKind::Unavailable, status, "");
            self.refuse_and_close(now, refusal);
        }
    }

    /// Nothing more is said; what still comes is thrown away for a moment.
    pub fn linger(&mut self, now: Now) {
        self.phase = Phase::Lingering;
        self.moved = now.monotonic;
        self.decoder = Decoder::new(http::Limits::default());
    }

    pub(super) fn drop_bytes(&mut self, count: usize) {
        self.dropped += count;
        if self.dropped > DROPPED && matches!(self.phase, Phase::Lingering) {
            self.phase = Phase::Closed;
        }
    }

    /// Whether the sending side is done: shut it down, so that the peer sees the end.
    #[must_use]
    pub fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering)
    }

    /// Whether the connection is to be closed now.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }
}
