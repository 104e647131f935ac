//! Who has to go when there is too little room.

use super::connections::neighbourhood;
use super::room::{CONNECTIONS, Holder, Shortage, Standing};
use super::{Collector, ConnId, Output};
use crate::base::clock::Now;
use crate::connection::{Connection, Refusal, RefusalKind};
use std::time::Duration;

/// How long a newcomer has before it may have to go for another one: after an outage all
/// hosts come at once, and each should get to its first answer.
const GRACE: Duration = Duration::from_secs(1);
/// How long a source that is let in has been at rest before it may have to go: longer than
/// it is between two batches.
const REST: Duration = Duration::from_secs(5);
/// How long a request is behind its slowest pace when it counts as stalled.
const STALLED: Duration = Duration::from_secs(2);

/// Whether one more connection may be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is room.
    Free,
    /// Somebody had to go for it.
    Made,
    /// New ones have to wait.
    Full,
}

impl Collector {
    /// How many connections there may be, for the descriptors that there are.
    pub fn set_connection_room(&mut self, connections: usize) {
        self.room.bounds.connections = connections.clamp(1, CONNECTIONS);
    }

    /// How many connections there may be.
    #[must_use]
    pub fn connection_room(&self) -> usize {
        self.room.bounds.connections
    }

    /// Makes room for one more connection, inside TLS or not: to be called before it is
    /// accepted. Who has to go is in [`Collector::poll_output`].
    pub fn make_room(&mut self, now: Now, is_secure: bool) -> Admission {
        let mut admission = Admission::Free;
        if is_secure && self.room.handshakes() >= self.room.bounds.handshakes {
            let Some(oldest) = self.oldest_handshake(now) else {
                return Admission::Full;
            };
            self.close_for_others(now, oldest, "its TLS handshake took longer than others'");
            admission = Admission::Made;
        }
        // More than one where the room has become less.
        while self.room.connections() >= self.room.bounds.connections {
            let Some(oldest) = self.least_missed(now) else {
                return Admission::Full;
            };
            self.close_for_others(now, oldest, "all connections are in use");
            admission = Admission::Made;
        }
        admission
    }

    /// Which handshake goes first where there is no room for more.
    fn oldest_handshake(&self, now: Now) -> Option<ConnId> {
        let old = || {
            let handshakes = self.room.oldest_handshakes();
            handshakes.take_while(|id| self.had_its_time(now, *id))
        };
        let of_many = old().find(|id| self.room.handshake_over_share(*id).is_some());
        of_many.or_else(|| old().next())
    }

    /// Who goes first where there is no room for more connections.
    fn least_missed(&self, now: Now) -> Option<ConnId> {
        let old = || {
            let strangers = self.room.oldest_strangers();
            strangers.take_while(|id| self.had_its_time(now, *id))
        };
        let of_many = old().find(|id| self.room.is_over_share(*id));
        let stranger = of_many.or_else(|| old().next());
        let known = || self.room.known_of_widest();
        stranger.or_else(|| known().find(|id| self.is_at_rest(now, *id)))
    }

    fn had_its_time(&self, now: Now, id: ConnId) -> bool {
        let slot = self.connections.get(&id);
        slot.is_some_and(|slot| slot.connection.age(now) >= GRACE)
    }

    fn is_at_rest(&self, now: Now, id: ConnId) -> bool {
        let slot = self.connections.get(&id);
        slot.is_some_and(|slot| slot.connection.is_idle_for(now, REST))
    }

    /// Counts a connection to whom it belongs by now.
    pub(super) fn place(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.connections.get(&id) else {
            return;
        };
        let standing = standing(&slot.connection, slot.is_handshaking);
        let holder = holder(&slot.connection);
        if !self.room.stands(id, standing) || !self.room.counts_to(id, &holder) {
            self.room.put(id, holder, standing);
            self.keep_to_shares(now, id);
        }
    }

    /// The same, after anything that may have changed its standing.
    pub(super) fn place_again(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.connections.get(&id) {
            let standing = standing(&slot.connection, slot.is_handshaking);
            if !self.room.stands(id, standing) {
                self.place(now, id);
            }
        }
    }

    /// Whoever comes while its holder is over its share has one of its own go, the oldest
    /// that had its time: without that, many that come at once would push each other out
    /// and none would get anywhere.
    fn keep_to_shares(&mut self, now: Now, id: ConnId) {
        if let Some(oldest) = self.room.handshake_over_share(id)
            && self.had_its_time(now, oldest)
        {
            let reason = "too many TLS handshakes of this address are not done";
            return self.close_for_others(now, oldest, reason);
        }
        if !self.room.is_over_share(id) {
            return;
        }
        let stranger = self.room.oldest_stranger_beside(id);
        let stranger = stranger.filter(|_| self.room.is_stranger(id));
        let stranger = stranger.filter(|oldest| self.had_its_time(now, *oldest));
        let known = || self.room.known_beside(id);
        let oldest = stranger.or_else(|| known().find(|other| self.is_at_rest(now, *other)));
        if let Some(oldest) = oldest {
            let reason = "too many connections of this address or account, and no room for others";
            self.close_for_others(now, oldest, reason);
        }
    }

    /// Closes a connection without a word: it has asked nothing that waits for an answer.
    fn close_for_others(&mut self, now: Now, id: ConnId, reason: &str) {
        self.note_refusal(now, id, &Refusal::new(RefusalKind::Room, 0, reason));
        self.forget(id);
        self.outputs.push_back(Output::Close(id));
    }

    /// Ends requests under way until what `id` holds has room, its own at last.
    pub(super) fn relieve(&mut self, now: Now, id: ConnId) {
        while let Some((shortage, is_over)) = self.room.shortage(id) {
            let (victim, reason) = match is_over {
                true => (
                    self.largest_beside(now, id, shortage),
                    "this address or account holds too much of the memory for requests",
                ),
                false => (
                    self.largest_stalled(now, shortage),
                    "too many requests are arriving at once (memory bound)",
                ),
            };
            let victim = victim.unwrap_or(id);
            self.cut(now, victim, reason);
            if victim == id {
                return;
            }
        }
    }

    fn cut(&mut self, now: Now, id: ConnId, reason: &str) {
        if let Some(slot) = self.connections.get_mut(&id) {
            slot.connection.cut(now, 503);
            self.note_refusal(now, id, &Refusal::new(RefusalKind::Room, 503, reason));
            self.settle(now, id);
        }
        // Whatever state it is in, what it holds is not counted twice.
        if self.room.bytes_of(id) > 0 {
            self.close_for_others(now, id, reason);
        }
    }

    /// The largest stalled request of the same holder, else its largest.
    fn largest_beside(&self, now: Now, id: ConnId, shortage: Shortage) -> Option<ConnId> {
        let bodies = self.room.bodies_beside(id);
        let bodies = bodies.filter(|id| self.counts_to(*id, shortage));
        bodies.max_by_key(|id| (self.is_stalled(now, *id), self.room.bytes_of(*id)))
    }

    /// The largest stalled request of the largest holder that has one.
    fn largest_stalled(&self, now: Now, shortage: Shortage) -> Option<ConnId> {
        self.room.bodies().find_map(|bodies| {
            let stalled = bodies
                .filter(|id| self.counts_to(*id, shortage))
                .filter(|id| self.is_stalled(now, *id));
            stalled.max_by_key(|id| self.room.bytes_of(*id))
        })
    }

    fn counts_to(&self, id: ConnId, shortage: Shortage) -> bool {
        shortage == Shortage::All || self.room.is_stranger(id)
    }

    fn is_stalled(&self, now: Now, id: ConnId) -> bool {
        let slot = self.connections.get(&id);
        slot.is_some_and(|slot| slot.connection.is_behind(now, STALLED))
    }
}

fn standing(connection: &Connection, is_handshaking: bool) -> Standing {
    match connection.identity() {
        _ if is_handshaking => Standing::Handshaking,
        Some(_) => Standing::Known,
        None => Standing::Stranger,
    }
}

/// A null session proves nobody, so that it counts to where it comes from.
fn holder(connection: &Connection) -> Holder {
    match connection.identity() {
        Some(identity) if !identity.method.is_anonymous() => {
            Holder::Identity(identity.key().into())
        }
        _ => Holder::Address(neighbourhood(connection.address())),
    }
}
