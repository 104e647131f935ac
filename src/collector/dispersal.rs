//! When a host is told to send its batch again later.
//!
//! Hosts come again after the same pause each, so that a crowd that was sent away at once
//! would be back at once, and all of it away in between: whoever happens to come then would
//! have turn after turn. So a host that was not sent away of late is told at some time
//! before it gives up by itself.

use super::had::Whose;
use super::{Collector, ConnId, Timer};
use crate::base::clock::Now;
use crate::connection::Answer;
use rand::RngExt;
use std::time::{Duration, Instant};

impl Collector {
    /// The host is to come again. `until`: when it has to know.
    pub(super) fn send_away(&mut self, now: Now, conn: ConnId, who: &Whose, until: Instant) {
        self.counters.unavailable += 1;
        if self.turns.note_refused(now, &who.0) {
            let left = until.saturating_duration_since(now.monotonic);
            let pause = left.mul_f64(self.random.random());
            self.refuse_after(now, conn, pause);
        } else {
            self.answer(now, conn, &Answer::Empty(503));
        }
    }

    fn refuse_after(&mut self, now: Now, conn: ConnId, pause: Duration) {
        let is_stopping = self.stopping;
        let slot = self.connections.get_mut(&conn);
        if let Some(slot) = slot.filter(|_| !is_stopping) {
            let at = now.monotonic + pause;
            slot.refused_at = Some(at);
            self.timers.insert((at, Timer::Refusal(conn)));
        } else {
            self.answer(now, conn, &Answer::Empty(503));
        }
    }

    /// A host is told now, if it has yet to be.
    pub(super) fn send_refusal(&mut self, now: Now, conn: ConnId) {
        let slot = self.connections.get_mut(&conn);
        if let Some(at) = slot.and_then(|slot| slot.refused_at.take()) {
            self.disarm_refusal(conn, Some(at));
            self.answer(now, conn, &Answer::Empty(503));
        }
    }

    pub(super) fn disarm_refusal(&mut self, conn: ConnId, at: Option<Instant>) {
        if let Some(at) = at {
            self.timers.remove(&(at, Timer::Refusal(conn)));
        }
    }
}
