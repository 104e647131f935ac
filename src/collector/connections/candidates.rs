//! Selects which connection is closed when there is not enough room.

use std::time::Duration;

use super::ConnId;
use super::room::{Room, Shortage};
use super::slots::Slots;
use crate::base::clock::Now;

/// How long a new connection is protected: after an outage all hosts connect at once, and
/// each should get as far as its first answer.
const GRACE: Duration = Duration::from_secs(1);
/// How long an authenticated source must have been idle before it may be closed; longer
/// than the usual time between two batches.
const REST: Duration = Duration::from_secs(5);
/// How far a request must be behind the minimum pace to count as stalled.
const STALLED: Duration = Duration::from_secs(2);

/// All connections, of which one has to be closed.
pub(super) struct Candidates<'a> {
    now: Now,
    room: &'a Room,
    slots: &'a Slots,
}

impl<'a> Candidates<'a> {
    pub(super) const fn new(now: Now, room: &'a Room, slots: &'a Slots) -> Self {
        Self { now, room, slots }
    }

    /// The handshake to abort when there is no room for more.
    pub(super) fn oldest_handshake(&self) -> Option<ConnId> {
        let old = || {
            let handshakes = self.room.oldest_handshakes();
            handshakes.take_while(|id| self.had_its_time(*id))
        };
        let of_many = old().find(|id| self.room.handshake_over_share(*id).is_some());
        of_many.or_else(|| old().next())
    }

    /// The connection to close when there is no room for more: the one that is missed
    /// least.
    pub(super) fn least_missed(&self) -> Option<ConnId> {
        let old = || {
            let strangers = self.room.oldest_strangers();
            strangers.take_while(|id| self.had_its_time(*id))
        };
        let of_many = old().find(|id| self.room.is_over_share(*id));
        let stranger = of_many.or_else(|| old().next());
        let known = || self.room.known_of_widest();
        stranger.or_else(|| known().find(|id| self.is_at_rest(*id)))
    }

    /// When the holder of a new connection exceeds its share, one of its own is closed: the
    /// oldest one that is no longer protected. Also returns the reason.
    pub(super) fn over_share(&self, id: ConnId) -> Option<(ConnId, &'static str)> {
        if let Some(oldest) = self.room.handshake_over_share(id)
            && self.had_its_time(oldest)
        {
            let reason = "too many unfinished TLS handshakes from this address";
            return Some((oldest, reason));
        }
        if !self.room.is_over_share(id) {
            return None;
        }
        let stranger = self.room.oldest_stranger_beside(id);
        let stranger = stranger.filter(|_| self.room.is_stranger(id));
        let stranger = stranger.filter(|oldest| self.had_its_time(*oldest));
        let known = || self.room.known_beside(id);
        let oldest = stranger.or_else(|| known().find(|other| self.is_at_rest(*other)))?;
        let reason = "too many connections of this address or account, with no room for others";
        Some((oldest, reason))
    }

    /// The largest stalled request of the same holder, or else its largest one.
    pub(super) fn largest_beside(&self, id: ConnId, shortage: Shortage) -> Option<ConnId> {
        let bodies = self.room.bodies_beside(id);
        let bodies = bodies.filter(|id| self.counts_to(*id, shortage));
        bodies.max_by_key(|id| (self.is_stalled(*id), self.room.bytes_of(*id)))
    }

    /// The largest stalled request of the largest holder that has one.
    pub(super) fn largest_stalled(&self, shortage: Shortage) -> Option<ConnId> {
        self.room.bodies().find_map(|bodies| {
            let stalled = bodies
                .filter(|id| self.counts_to(*id, shortage))
                .filter(|id| self.is_stalled(*id));
            stalled.max_by_key(|id| self.room.bytes_of(*id))
        })
    }

    fn counts_to(&self, id: ConnId, shortage: Shortage) -> bool {
        shortage == Shortage::All || self.room.is_stranger(id)
    }

    fn had_its_time(&self, id: ConnId) -> bool {
        let slot = self.slots.get(id);
        slot.is_some_and(|slot| slot.connection.age(self.now) >= GRACE)
    }

    fn is_at_rest(&self, id: ConnId) -> bool {
        let slot = self.slots.get(id);
        slot.is_some_and(|slot| slot.connection.is_idle_for(self.now, REST))
    }

    fn is_stalled(&self, id: ConnId) -> bool {
        let slot = self.slots.get(id);
        slot.is_some_and(|slot| slot.connection.is_behind(self.now, STALLED))
    }
}
