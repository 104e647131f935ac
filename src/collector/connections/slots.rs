//! The connections, each with its timers.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Instant;

use super::room::{Holder, Standing};
use super::{ConnId, neighbourhood};
use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::connection::{Connection, Limits};
use crate::store::Ticket;

/// A connection, and what the collector knows about it.
pub(super) struct Slot {
    pub(super) connection: Connection,
    /// The earliest ticket of anything asked of the store for it.
    pub(super) since: Ticket,
    /// Its TLS handshake is not complete.
    pub(super) is_handshaking: bool,
    armed: Option<Instant>,
    buffered: usize,
    /// When its delayed 503 is due.
    refused_at: Option<Instant>,
}

impl Slot {
    pub(super) const fn new(connection: Connection, since: Ticket) -> Self {
        Self {
            connection,
            since,
            is_handshaking: false,
            armed: None,
            buffered: 0,
            refused_at: None,
        }
    }

    /// The number of bytes that it holds for incomplete requests, if that has changed.
    pub(super) fn take_change(&mut self) -> Option<usize> {
        let buffered = self.connection.buffered();
        let before = std::mem::replace(&mut self.buffered, buffered);
        (before != buffered).then_some(buffered)
    }

    pub(super) fn standing(&self) -> Standing {
        match self.connection.identity() {
            _ if self.is_handshaking => Standing::Handshaking,
            Some(_) => Standing::Known,
            None => Standing::Stranger,
        }
    }

    /// The holder that it counts to: a null session proves no identity, so its address.
    pub(super) fn holder(&self) -> Holder {
        let identity = self.connection.identity();
        match identity.and_then(|identity| identity.shared_key()) {
            Some(key) => Holder::Identity(Rc::clone(key)),
            None => Holder::Address(neighbourhood(self.connection.address())),
        }
    }
}

/// A timer that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A timer of the connection itself.
    Connection(ConnId),
    /// A delayed 503.
    Refusal(ConnId),
}

/// The connections and their timers. No timer outlives its cause.
#[derive(Default)]
pub(super) struct Slots {
    /// Boxed, because the table has up to twice as many places as connections.
    table: QuickMap<ConnId, Box<Slot>>,
    /// One for each connection, and one for each delayed 503.
    timers: BTreeSet<(Instant, Due)>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Slot> {
        self.table.get(&id).map(|slot| &**slot)
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.table.get_mut(&id).map(|slot| &mut **slot)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Slot> {
        self.table.values().map(|slot| &**slot)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnId> {
        self.table.keys().copied()
    }

    pub(super) fn insert(&mut self, id: ConnId, slot: Slot) {
        self.table.insert(id, Box::new(slot));
    }

    /// Returns whether it existed.
    pub(super) fn remove(&mut self, id: ConnId) -> bool {
        let Some(slot) = self.table.remove(&id) else {
            return false;
        };
        if let Some(at) = slot.armed {
            self.timers.remove(&(at, Due::Connection(id)));
        }
        if let Some(at) = slot.refused_at {
            self.timers.remove(&(at, Due::Refusal(id)));
        }
        true
    }

    /// Sets the timer of a connection, unless an earlier one is set.
    pub(super) fn arm(&mut self, id: ConnId, limits: &Limits) {
        if let Some(slot) = self.table.get_mut(&id)
            && let Some(at) = slot.connection.poll_timeout(limits)
            && slot.armed.is_none_or(|armed| at < armed)
        {
            if let Some(before) = slot.armed.replace(at) {
                self.timers.remove(&(before, Due::Connection(id)));
            }
            self.timers.insert((at, Due::Connection(id)));
        }
    }

    /// Delays a 503 until `at`; returns whether the connection exists.
    pub(super) fn put_off_refusal(&mut self, id: ConnId, at: Instant) -> bool {
        let Some(slot) = self.table.get_mut(&id) else {
            return false;
        };
        slot.refused_at = Some(at);
        self.timers.insert((at, Due::Refusal(id)));
        true
    }

    /// Cancels a delayed 503; returns whether there was one.
    pub(super) fn take_refusal(&mut self, id: ConnId) -> bool {
        let slot = self.table.get_mut(&id);
        let at = slot.and_then(|slot| slot.refused_at.take());
        if let Some(at) = at {
            self.timers.remove(&(at, Due::Refusal(id)));
        }
        at.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Removes and returns the next timer that is due.
    pub(super) fn take_due(&mut self, now: Now) -> Option<Due> {
        let (_, due) = self.timers.first().filter(|(at, _)| *at <= now.monotonic)?;
        let due = *due;
        self.timers.pop_first();
        if let Due::Connection(id) = due
            && let Some(slot) = self.table.get_mut(&id)
        {
            slot.armed = None;
        }
        Some(due)
    }
}

#[cfg(test)]
impl Slots {
    pub(super) fn timers(&self) -> usize {
        self.timers.len()
    }

    pub(super) fn refusals_put_off(&self) -> usize {
        let slots = self.values();
        slots.filter(|slot| slot.refused_at.is_some()).count()
    }
}
