//! Shares of the room: connections, unfinished TLS handshakes, and bytes of incomplete
//! requests, each counted for an identity, or for an address (an IPv6 /64) without one.
//!
//! A share applies only while more than three quarters of the room are taken: a NAT, or a
//! balancer without PROXY headers, is one address with many hosts behind it. This file
//! counts and names candidates; `candidates` decides which connection is closed.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use super::ConnId;
use crate::base::hashing::QuickMap;

/// Maximum number of connections, if there are enough file descriptors.
pub(super) const CONNECTIONS: usize = 20_000;
/// Maximum number of unfinished TLS handshakes. Each costs 44 kB, and one processor completes about
/// a thousand per second.
const HANDSHAKES: usize = 512;
/// Maximum number of bytes of incomplete requests in total. 20,000 sources within their
/// individual limit would need more memory than a machine has.
const BYTES: usize = 256 << 20;
/// The part of it for connections that have not authenticated: strangers must not displace
/// sources.
const STRANGE_BYTES: usize = 64 << 20;
/// The share (one eighth) of connections, handshakes, and bytes that one holder may have
/// once shares apply.
const SHARE: usize = 8;
/// The share (one quarter) of strangers' bytes; less would not hold two complete requests.
const STRANGE_SHARE: usize = 4;
/// Maximum number of holders, or connections of one, to examine for a candidate, so that
/// the search takes bounded time.
const LOOKED_AT: usize = 64;

/// The holder that a connection counts to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Holder {
    /// An address as by [`super::neighbourhood`]; also for null sessions.
    Address(IpAddr),
    Identity(Rc<str>),
}

/// How far a connection has progressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its TLS handshake is not complete.
    Handshaking,
    /// It has not authenticated.
    Stranger,
    /// It has authenticated, at least with a null session.
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

/// What one holder has. Connection numbers increase, so the first one of a set is the
/// oldest.
#[derive(Debug, Default)]
struct Share {
    known: BTreeSet<ConnId>,
    strangers: BTreeSet<ConnId>,
    handshakes: BTreeSet<ConnId>,
    /// Connections that hold bytes.
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
    /// Room for strangers' bytes.
    Strange,
    /// Room for bytes in total.
    All,
}

/// Which holder has how much of the room.
#[derive(Debug, Default)]
pub(in crate::collector) struct Room {
    pub(super) bounds: Bounds,
    places: QuickMap<ConnId, Place>,
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

    /// Whether a connection has this standing.
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

    /// Adds a connection, or moves it to another holder or standing.
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

    /// Sets how many bytes of an incomplete request a connection holds.
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

    /// Strangers, oldest first, as many as are examined.
    pub(super) fn oldest_strangers(&self) -> impl Iterator<Item = ConnId> {
        self.strangers.iter().copied().take(LOOKED_AT)
    }

    /// Handshakes, oldest first, as many as are examined.
    pub(super) fn oldest_handshakes(&self) -> impl Iterator<Item = ConnId> {
        self.handshakes.iter().copied().take(LOOKED_AT)
    }

    /// The oldest handshake of the holder of `id`, if that holder exceeds its share of
    /// handshakes.
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

    /// The oldest stranger of the same holder, possibly `id` itself.
    pub(super) fn oldest_stranger_beside(&self, id: ConnId) -> Option<ConnId> {
        self.share_of(id)?.strangers.first().copied()
    }

    /// The oldest authenticated connections of the same holder.
    pub(super) fn known_beside(&self, id: ConnId) -> impl Iterator<Item = ConnId> {
        let share = self.share_of(id).into_iter();
        share
            .flat_map(|share| share.known.iter().copied())
            .filter(move |other| *other != id)
            .take(LOOKED_AT)
    }

    /// The oldest authenticated connections of the holder that has the most, if it exceeds
    /// its share.
    pub(super) fn known_of_widest(&self) -> impl Iterator<Item = ConnId> {
        let widest = self.shares.values().max_by_key(|share| share.known.len());
        let widest = widest.filter(|share| share.connections() > self.most_connections());
        widest
            .into_iter()
            .flat_map(|share| share.known.iter().copied())
            .take(LOOKED_AT)
    }

    /// The shortage if there is not enough room for what `id` holds, in total or within the share
    /// of its holder, and whether the holder exceeds its share; `None` if there is enough room.
    pub(super) fn shortage(&self, id: ConnId) -> Option<(Shortage, bool)> {
        let is_strange_bound = binds(self.strange_bytes, self.bounds.strange_bytes);
        let is_bound = binds(self.bytes, self.bounds.bytes);
        if !is_strange_bound && !is_bound {
            return None;
        }
        let share = self.share_of(id)?;
        if self.is_stranger(id) {
            let is_full = self.strange_bytes > self.bounds.strange_bytes;
            let most = self.bounds.strange_bytes / STRANGE_SHARE;
            if is_full || (is_strange_bound && share.strange_bytes > most) {
                return Some((Shortage::Strange, share.strange_bytes > most));
            }
        }
        let is_full = self.bytes > self.bounds.bytes;
        let most = self.bounds.bytes / SHARE;
        let is_over = share.bytes > most;
        (is_full || (is_bound && is_over)).then_some((Shortage::All, is_over))
    }

    /// Connections that hold bytes and have the same holder.
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

/// Whether so much of the room is taken that shares apply.
fn binds(taken: usize, room: usize) -> bool {
    taken.saturating_mul(4) > room.saturating_mul(3)
}
