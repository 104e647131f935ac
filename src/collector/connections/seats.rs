//! The existing connections: admission, closing one for another, and the tasks for the loop
//! that follow from that.

use std::collections::VecDeque;

use super::admission::Admission;
use super::candidates::Candidates;
use super::room::{CONNECTIONS, Room};
use super::slots::{Slot, Slots};
use super::{ConnId, Output, Refused, Vacancy};
use crate::base::clock::Now;
use crate::connection::{Refusal, RefusalKind};

/// The connections, the room that they take, and who has authenticated.
pub(super) struct Seats {
    pub(super) slots: Slots,
    pub(super) admission: Admission,
    room: Room,
    outputs: VecDeque<Output>,
    /// Rejections that the caller has not taken yet.
    refused: Vec<Refused>,
    gone: Vec<ConnId>,
}

impl Seats {
    pub(super) fn new(now: Now) -> Self {
        Self {
            slots: Slots::default(),
            admission: Admission::new(now),
            room: Room::default(),
            outputs: VecDeque::new(),
            refused: Vec::new(),
            gone: Vec::new(),
        }
    }

    pub(super) fn push_output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        loop {
            match self.outputs.pop_front()? {
                // It has closed in the meantime, so there will be no answer.
                Output::Ask(id) if !self.is_asking(id) => self.admission.answered(id),
                output => return Some(output),
            }
        }
    }

    fn is_asking(&self, id: ConnId) -> bool {
        let slot = self.slots.get(id);
        slot.is_some_and(|slot| slot.connection.question().is_some())
    }

    /// The requests rejected since the last call.
    pub(super) fn take_refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }

    /// The connections closed since the last call.
    pub(super) fn take_gone(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.gone)
    }

    /// Maximum number of connections.
    pub(super) fn most(&self) -> usize {
        self.room.bounds.connections
    }

    pub(super) fn set_most(&mut self, connections: usize) {
        self.room.bounds.connections = connections.clamp(1, CONNECTIONS);
    }

    pub(super) fn insert(&mut self, now: Now, id: ConnId, slot: Slot) {
        self.slots.insert(id, slot);
        self.place(now, id);
    }

    /// A connection is gone.
    pub(super) fn remove(&mut self, id: ConnId) {
        if self.slots.remove(id) {
            self.room.remove(id);
            self.admission.forget(id);
            self.gone.push(id);
        }
    }

    /// Closes a connection that has nothing left to do.
    pub(super) fn close(&mut self, id: ConnId) {
        self.remove(id);
        self.outputs.push_back(Output::Close(id));
    }

    pub(super) fn note_refusal(&mut self, now: Now, id: ConnId, refusal: Refusal) {
        let Some(slot) = self.slots.get(id) else {
            return;
        };
        let address = slot.connection.address();
        let identity = slot.connection.identity();
        let identity = identity.map(|identity| identity.name.clone());
        self.admission.note_refusal(now, address, &refusal);
        self.refused.push(Refused {
            address,
            identity,
            refusal,
        });
    }

    /// Records a new authentication.
    pub(super) fn note_authentication(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id)
            && let Some(identity) = slot.connection.take_new_identity()
        {
            let address = slot.connection.address();
            self.admission.note_accepted(&identity, address);
            self.place(now, id);
        }
    }

    /// Counts a connection for its current holder.
    pub(super) fn place(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.slots.get(id) else {
            return;
        };
        let standing = slot.standing();
        let holder = slot.holder();
        if !self.room.stands(id, standing) || !self.room.counts_to(id, &holder) {
            self.room.put(id, holder, standing);
            // Only a connection that is no longer protected is closed: otherwise many hosts that
            // connect at once would displace each other, and none would make progress.
            if let Some((oldest, reason)) = self.candidates(now).over_share(id) {
                self.close_for_others(now, oldest, reason);
            }
        }
    }

    /// The same after anything that may have changed its standing or what it holds.
    pub(super) fn place_again(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.slots.get(id)
            && !self.room.stands(id, slot.standing())
        {
            self.place(now, id);
        }
        let slot = self.slots.get_mut(id);
        if let Some(bytes) = slot.and_then(Slot::take_change) {
            self.room.set_bytes(id, bytes);
        }
    }

    fn candidates(&self, now: Now) -> Candidates<'_> {
        Candidates::new(now, &self.room, &self.slots)
    }

    /// Makes room for another connection, with TLS or without.
    pub(super) fn make_room(&mut self, now: Now, is_secure: bool) -> Vacancy {
        let mut vacancy = Vacancy::Free;
        if is_secure && self.room.handshakes() >= self.room.bounds.handshakes {
            let Some(oldest) = self.candidates(now).oldest_handshake() else {
                return Vacancy::Full;
            };
            self.close_for_others(
                now,
                oldest,
                "its TLS handshake took longer than those of others",
            );
            vacancy = Vacancy::Made;
        }
        // More than one if the room has become smaller.
        while self.room.connections() >= self.room.bounds.connections {
            let Some(oldest) = self.candidates(now).least_missed() else {
                return Vacancy::Full;
            };
            self.close_for_others(now, oldest, "all connections are in use");
            vacancy = Vacancy::Made;
        }
        vacancy
    }

    /// Closes a connection without an answer; it is waiting for none.
    fn close_for_others(&mut self, now: Now, id: ConnId, reason: &str) {
        self.note_refusal(now, id, Refusal::new(RefusalKind::Room, 0, reason));
        self.close(id);
    }

    /// Which request has to end so that there is room for what `id` holds, and why; in the
    /// last resort its own.
    pub(super) fn victim(&self, now: Now, id: ConnId) -> Option<(ConnId, &'static str)> {
        let (shortage, is_over) = self.room.shortage(id)?;
        let candidates = self.candidates(now);
        let (victim, reason) = if is_over {
            (
                candidates.largest_beside(id, shortage),
                "this address or account uses too much of the memory for requests",
            )
        } else {
            (
                candidates.largest_stalled(shortage),
                "too many requests are arriving at once (memory bound)",
            )
        };
        Some((victim.unwrap_or(id), reason))
    }

    /// After a request was cut, closes the connection if it still holds bytes, whatever its
    /// state, so that they are not counted twice.
    pub(super) fn close_if_it_holds(&mut self, now: Now, id: ConnId, reason: &str) {
        if self.room.bytes_of(id) > 0 {
            self.close_for_others(now, id, reason);
        }
    }
}

#[cfg(test)]
impl Seats {
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn bounds(&mut self) -> &mut super::room::Bounds {
        &mut self.room.bounds
    }
}
