//! Room by share: connections, half-done TLS handshakes and bytes of unfinished requests,
//! each counted to an identity, or to an address (an IPv6 /64) where none is proved.
//!
//! A share binds only while more than three quarters of the room are taken: a NAT, or a
//! balancer without PROXY headers, is one address with many hosts behind it. This file
//! counts and names candidates; who has to go is decided in `candidates`.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use super::ConnId;

/// Connections at the same time, where there are descriptors for them.
pub(super) const CONNECTIONS: usize = 20_000;
/// TLS handshakes that are not done: each costs 44 kB, and the processor finishes about a
/// thousand a second.
const HANDSHAKES: usize = 512;
/// Bytes of incomplete requests that all connections together may hold: 20,000 sources
/// within their own limit would be more memory than a machine has.
const BYTES: usize = 256 << 20;
/// The part of that which connections that are not authenticated may hold: strangers
/// must not crowd out the sources.
const STRANGE_BYTES: usize = 64 << 20;
/// What one holder may have of the connections, handshakes and bytes once a share binds.
const SHARE: usize = 8;
/// The same of strangers' bytes: less would not hold two whole requests.
const STRANGE_SHARE: usize = 4;
/// Holders, or connections of one, that are looked at to find who has to go: however many
/// there are, looking must not take the time of the loop.
const LOOKED_AT: usize = 64;

/// To whom a connection counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Holder {
    /// As [`super::neighbourhood`] has it; null sessions too.
    Address(IpAddr),
    Identity(Rc<str>),
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its TLS handshake is not done.
    Handshaking,
    /// Nobody is authenticated.
    Stranger,
    /// A source is let in, by a null session at least.
    Known,
}

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(in crate::collector) struct Bounds {
    pub(super) connections: usize,
    pub(in crate::collector) handshakes: usize,
    pub(in crate::collector) bytes: usize,
    pub(super) strange_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            handshakes: HANDSHAKES,
            bytes: BYTES,
            strange_bytes: STRANGE_BYTES,
        }
    }
}

#[derive(Debug)]
struct Place {
    holder: Holder,
    standing: Standing,
    bytes: usize,
}

/// What one holder has. Numbers of connections grow with time, so that the first of a set
/// is the oldest.
#[derive(Debug, Default)]
struct Share {
    known: BTreeSet<ConnId>,
    strangers: BTreeSet<ConnId>,
    handshakes: BTreeSet<ConnId>,
    /// Those that hold bytes.
    bodies: BTreeSet<ConnId>,
    bytes: usize,
    strange_bytes: usize,
}

impl Share {
    fn connections(&self) -> usize {
        self.known.len() + self.strangers.len()
    }
}

/// What is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// Of room for strangers' bytes.
    Strange,
    /// Of room for bytes at all.
    All,
}

/// Who holds how much of the room.
#[derive(Debug, Default)]
pub(in crate::collector) struct Room {
    pub(super) bounds: Bounds,
    places: HashMap<ConnId, Place>,
    shares: HashMap<Holder, Share>,
    strangers: BTreeSet<ConnId>,
    handshakes: BTreeSet<ConnId>,
    /// Holders of bytes, the largest first.
    heavy: BTreeSet<(Reverse<usize>, Holder)>,
    bytes: usize,
    strange_bytes: usize,
}

impl Room {
    pub(in crate::collector) fn connections(&self) -> usize {
        self.places.len()
    }

    pub(in crate::collector) fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    #[cfg(test)]
    pub(in crate::collector) fn bytes(&self) -> (usize, usize) {
        (self.bytes, self.strange_bytes)
    }

    /// Whether a connection has another standing by now.
    pub(super) fn stands(&self, id: ConnId, standing: Standing) -> bool {
        let place = self.places.get(&id);
        place.is_some_and(|place| place.standing == standing)
    }

    pub(super) fn counts_to(&self, id: ConnId, holder: &Holder) -> bool {
        let place = self.places.get(&id);
        place.is_some_and(|place| place.holder == *holder)
    }

    pub(super) fn is_stranger(&self, id: ConnId) -> bool {
        self.strangers.contains(&id)
    }

    /// A connection is new, or counts to somebody else from now on.
    pub(super) fn put(&mut self, id: ConnId, holder: Holder, standing: Standing) {
        let bytes = self.take(id).map_or(0, |place| place.bytes);
        let share = self.shares.entry(holder.clone()).or_default();
        if standing == Standing::Known {
            share.known.insert(id);
        } else {
            share.strangers.insert(id);
            self.strangers.insert(id);
        }
        if standing == Standing::Handshaking {
            share.handshakes.insert(id);
            self.handshakes.insert(id);
        }
        let place = Place {
            holder,
            standing,
            bytes: 0,
        };
        self.places.insert(id, place);
        self.set_bytes(id, bytes);
    }

    pub(super) fn remove(&mut self, id: ConnId) {
        self.take(id);
    }

    fn take(&mut self, id: ConnId) -> Option<Place> {
        let bytes = self.places.get(&id)?.bytes;
        self.set_bytes(id, 0);
        let place = self.places.remove(&id)?;
        self.strangers.remove(&id);
        self.handshakes.remove(&id);
        if let Some(share) = self.shares.get_mut(&place.holder) {
            share.known.remove(&id);
            share.strangers.remove(&id);
            share.handshakes.remove(&id);
            if share.connections() == 0 {
                self.shares.remove(&place.holder);
            }
        }
        Some(Place { bytes, ..place })
    }

    /// How many bytes of an unfinished request a connection holds.
    pub(super) fn set_bytes(&mut self, id: ConnId, bytes: usize) {
        let Some(place) = self.places.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut place.bytes, bytes);
        let Some(share) = self.shares.get_mut(&place.holder) else {
            return;
        };
        if before == bytes {
            return;
        }
        match bytes {
            0 => share.bodies.remove(&id),
            _ => share.bodies.insert(id),
        };
        if share.bytes > 0 {
            let heavy = (Reverse(share.bytes), place.holder.clone());
            self.heavy.remove(&heavy);
        }
        share.bytes = share.bytes + bytes - before;
        self.bytes = self.bytes + bytes - before;
        if place.standing != Standing::Known {
            share.strange_bytes = share.strange_bytes + bytes - before;
            self.strange_bytes = self.strange_bytes + bytes - before;
        }
        if share.bytes > 0 {
            let heavy = (Reverse(share.bytes), place.holder.clone());
            self.heavy.insert(heavy);
        }
    }

    pub(super) fn bytes_of(&self, id: ConnId) -> usize {
        self.places.get(&id).map_or(0, |place| place.bytes)
    }

    /// Strangers, the oldest first, as many as are looked at.
    pub(super) fn oldest_strangers(&self) -> impl Iterator<Item = ConnId> {
        self.strangers.iter().copied().take(LOOKED_AT)
    }

    /// The same of handshakes.
    pub(super) fn oldest_handshakes(&self) -> impl Iterator<Item = ConnId> {
        self.handshakes.iter().copied().take(LOOKED_AT)
    }

    /// The oldest handshake of whoever has more of them than its share, that of `id`.
    pub(super) fn handshake_over_share(&self, id: ConnId) -> Option<ConnId> {
        let share = self.share_of(id)?;
        let binds = binds(self.handshakes.len(), self.bounds.handshakes);
        let most = (self.bounds.handshakes / SHARE).max(1);
        let is_over = binds && share.handshakes.contains(&id) && share.handshakes.len() > most;
        is_over.then(|| share.handshakes.first().copied())?
    }

    /// Whether the holder of `id` has more connections than its share.
    pub(super) fn is_over_share(&self, id: ConnId) -> bool {
        let binds = binds(self.places.len(), self.bounds.connections);
        let share = self.share_of(id).filter(|_| binds);
        share.is_some_and(|share| share.connections() > self.most_connections())
    }

    fn most_connections(&self) -> usize {
        (self.bounds.connections / SHARE).max(1)
    }

    /// The oldest stranger that counts to the same holder; it may be `id` itself.
    pub(super) fn oldest_stranger_beside(&self, id: ConnId) -> Option<ConnId> {
        self.share_of(id)?.strangers.first().copied()
    }

    /// The oldest known connections that count to the same holder.
    pub(super) fn known_beside(&self, id: ConnId) -> impl Iterator<Item = ConnId> {
        let share = self.share_of(id).into_iter();
        share
            .flat_map(|share| share.known.iter().copied())
            .filter(move |other| *other != id)
            .take(LOOKED_AT)
    }

    /// The oldest known connections of whoever has the most, if that is over its share.
    pub(super) fn known_of_widest(&self) -> impl Iterator<Item = ConnId> {
        let widest = self.shares.values().max_by_key(|share| share.known.len());
        let widest = widest.filter(|share| share.connections() > self.most_connections());
        widest
            .into_iter()
            .flat_map(|share| share.known.iter().copied())
            .take(LOOKED_AT)
    }

    /// Whether there is too little room for what `id` holds: for the bytes of all, or
    /// beyond the share of its holder.
    pub(super) fn shortage(&self, id: ConnId) -> Option<(Shortage, bool)> {
        let share = self.share_of(id)?;
        if self.is_stranger(id) {
            let is_full = self.strange_bytes > self.bounds.strange_bytes;
            let binds = binds(self.strange_bytes, self.bounds.strange_bytes);
            let most = self.bounds.strange_bytes / STRANGE_SHARE;
            if is_full || (binds && share.strange_bytes > most) {
                return Some((Shortage::Strange, share.strange_bytes > most));
            }
        }
        let is_full = self.bytes > self.bounds.bytes;
        let binds = binds(self.bytes, self.bounds.bytes);
        let most = self.bounds.bytes / SHARE;
        let is_over = share.bytes > most;
        (is_full || (binds && is_over)).then_some((Shortage::All, is_over))
    }

    /// Connections that hold bytes and count to the same holder.
    pub(super) fn bodies_beside(&self, id: ConnId) -> impl Iterator<Item = ConnId> {
        let share = self.share_of(id).into_iter();
        share.flat_map(|share| share.bodies.iter().copied())
    }

    /// Connections that hold bytes, by holder, the largest holder first.
    pub(super) fn bodies(&self) -> impl Iterator<Item = impl Iterator<Item = ConnId>> {
        let heavy = self.heavy.iter().take(LOOKED_AT);
        let shares = heavy.filter_map(|(_, holder)| self.shares.get(holder));
        shares.map(|share| share.bodies.iter().copied())
    }

    fn share_of(&self, id: ConnId) -> Option<&Share> {
        self.shares.get(&self.places.get(&id)?.holder)
    }
}

/// Whether so much of the room is taken that shares bind.
fn binds(taken: usize, room: usize) -> bool {
    taken.saturating_mul(4) > room.saturating_mul(3)
}
