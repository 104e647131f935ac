//! The relay's own log at an output: it takes little room, and no source waits for it.

use std::rc::Rc;

use super::{Link, Phase};
use crate::base::clock::Now;
use crate::output::queue::Frames;

/// Bytes of our own log that may wait for one output: some hundred messages.
const ROOM: usize = 64 << 10;

impl Link {
    /// Queues one message of the relay's own log, if there is room. While an output is
    /// down the first ones stay: they tell how it began.
    pub fn push_own(&mut self, now: Now, frames: &Rc<Frames>) {
        if !self.has_own_room(frames.bytes.len()) {
            self.own_lost += 1;
            return;
        }
        self.queue.push_own(Rc::clone(frames));
        self.fill(now);
    }

    fn has_own_room(&self, size: usize) -> bool {
        self.queue.own() + size <= ROOM
    }

    /// How many of those have found no room, once there is room to tell of it; each is
    /// told of once.
    pub fn take_own_lost(&mut self) -> Option<u64> {
        let is_due = self.own_lost > 0 && self.has_own_room(ROOM / 2);
        is_due.then(|| std::mem::take(&mut self.own_lost))
    }

    /// Whether everything queued has been delivered. Our own log waits for no output
    /// that is down.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let left = self.queue.backlog();
        left == 0 || (left == self.queue.own() && !matches!(self.phase, Phase::Up))
    }
}
