//! Connections: what comes from them, what they are answered, their timers.

use super::guesses::Guess;
use super::{Collector, ConnId, Output, Slot, Timer};
use crate::auth::Secured;
use crate::base::clock::Now;
use crate::connection::{Answer, Connection, Event, Refusal, RefusalKind};
use crate::metrics::Outcome;
use rand::Rng;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

impl Collector {
    pub(super) fn handle_accepted(&mut self, now: Now, id: ConnId, address: IpAddr) {
        self.counters.connections += 1;
        let mut connection = Connection::new(now, address, &self.settings.rules.limits);
        let balancers = &self.settings.balancers;
        if balancers.iter().any(|network| network.contains(&address)) {
            connection.expect_proxy();
        }
        let slot = Slot {
            connection,
            armed: None,
            buffered: 0,
            since: self.ledger.mark(),
            is_handshaking: false,
            refused_at: None,
        };
        self.connections.insert(id, Box::new(slot));
        self.place(now, id);
        self.arm(id);
    }

    /// An accepted connection begins with a TLS handshake.
    pub fn expect_handshake(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.connections.get_mut(&id) {
            slot.is_handshaking = true;
            self.place(now, id);
        }
    }

    pub(super) fn handle_proxied(&mut self, now: Now, id: ConnId, source: Option<IpAddr>) {
        if let Some(slot) = self.connections.get_mut(&id) {
            slot.connection.handle_proxy(now, source);
            self.place(now, id);
            self.settle(now, id);
        }
    }

    /// Whether the connection has to begin with a PROXY header, which has not come yet.
    #[must_use]
    pub fn awaits_proxy(&self, id: ConnId) -> bool {
        let slot = self.connections.get(&id);
        slot.is_some_and(|slot| slot.connection.awaits_proxy())
    }

    pub(super) fn handle_secured(&mut self, now: Now, id: ConnId, secured: &Secured) {
        if let Some(slot) = self.connections.get_mut(&id) {
            slot.is_handshaking = false;
            slot.connection.secure(now, secured.clone());
            self.settle(now, id);
        }
    }

    pub(super) fn handle_refused(&mut self, now: Now, id: ConnId, kind: RefusalKind, why: &str) {
        // There is no status: the handshake ends with an alert, a balancer's connection so.
        self.note_refusal(now, id, &Refusal::new(kind, 0, why));
        match self.connections.get_mut(&id) {
            Some(slot) if kind == RefusalKind::Tls => {
                // Closed at once, with something unread, it would lose the alert.
                slot.is_handshaking = false;
                slot.connection.linger(now);
                self.settle(now, id);
            }
            _ => self.forget(id),
        }
    }

    pub(super) fn handle_received(&mut self, now: Now, id: ConnId, bytes: &[u8]) {
        let last_hold = self.last_hold(now);
        let Some(slot) = self.connections.get_mut(&id) else {
            return;
        };
        self.counters.received_bytes += u64::try_from(bytes.len()).unwrap_or(0);
        if let Some((since, until)) = last_hold {
            slot.connection.note_unread(since, until);
        }
        slot.connection.handle_received(now, bytes);
        self.advance(now, id);
        self.relieve(now, id);
    }

    pub(super) fn handle_sent(&mut self, now: Now, id: ConnId, count: usize) {
        let Some(slot) = self.connections.get_mut(&id) else {
            return;
        };
        slot.connection.handle_written(now, count);
        if slot.connection.outgoing().is_empty() {
            self.advance(now, id);
        }
    }

    /// Handles all requests of a connection that can be handled now.
    pub(super) fn advance(&mut self, now: Now, id: ConnId) {
        while let Some(event) = self.poll_connection(now, id) {
            self.handle_event(now, id, event);
        }
        self.settle(now, id);
    }

    pub(super) fn handle_event(&mut self, now: Now, id: ConnId, event: Event) {
        self.note_authentication(now, id);
        match event {
            Event::Message(message) => self.handle_message(now, id, &message),
            Event::Ask => self.ask(now, id),
            Event::Refused(refusal) => self.note_refusal(now, id, &refusal),
        }
    }

    /// Counts and logs who was let in.
    fn note_authentication(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.connections.get_mut(&id) else {
            return;
        };
        if let Some(identity) = slot.connection.take_news() {
            let method = identity.method.as_str();
            self.counters.note_authentication(method, Outcome::Accepted);
            let address = slot.connection.address();
            log::debug!("source {address}: {identity}");
            if identity.method.is_by_password() {
                let guess = Guess::new(&identity.name, neighbourhood(address));
                self.guesses.prove(guess);
            }
            self.place(now, id);
        }
    }

    pub(super) fn poll_connection(&mut self, now: Now, id: ConnId) -> Option<Event> {
        let slot = self.connections.get_mut(&id)?;
        let random = &mut self.random;
        let mut fill = |bytes: &mut [u8]| random.fill_bytes(bytes);
        let (guesses, address) = (&self.guesses, neighbourhood(slot.connection.address()));
        let held = |account: &str| guesses.is_held(&Guess::new(account, address));
        slot.connection
            .poll(now, &self.settings.rules, &held, &mut fill)
    }

    /// Tells the loop what a change of a connection asks for, and sets its timer.
    pub(super) fn settle(&mut self, now: Now, id: ConnId) {
        self.note_authentication(now, id);
        self.place_again(now, id);
        let Some(slot) = self.connections.get_mut(&id) else {
            return;
        };
        if self.stopping {
            slot.connection.refuse_further(now);
        }
        let buffered = slot.connection.buffered();
        if slot.buffered != buffered {
            slot.buffered = buffered;
            self.room.set_bytes(id, buffered);
        }
        if slot.connection.is_closed() {
            self.forget(id);
            self.outputs.push_back(Output::Close(id));
            return;
        }
        if !slot.connection.outgoing().is_empty() {
            self.outputs.push_back(Output::Send(id));
        } else if slot.connection.is_lingering() {
            self.outputs.push_back(Output::Shutdown(id));
        }
        self.arm(id);
    }

    pub(super) fn forget(&mut self, id: ConnId) {
        if let Some(slot) = self.connections.remove(&id) {
            self.room.remove(id);
            self.disarm(id, slot.armed);
            self.disarm_refusal(id, slot.refused_at);
            self.guesses.forget(id);
            self.take_question(id);
        }
    }

    /// Sets the timer of a connection, unless an earlier one is set already.
    pub(super) fn arm(&mut self, id: ConnId) {
        let Some(slot) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(at) = slot.connection.poll_timeout(&self.settings.rules.limits) else {
            return;
        };
        if slot.armed.is_none_or(|armed| at < armed) {
            let before = slot.armed.replace(at);
            self.disarm(id, before);
            self.timers.insert((at, Timer::Connection(id)));
        }
    }

    fn disarm(&mut self, id: ConnId, armed: Option<Instant>) {
        if let Some(at) = armed {
            self.timers.remove(&(at, Timer::Connection(id)));
        }
    }

    pub(super) fn time_out_connection(&mut self, now: Now, id: ConnId) {
        let last_hold = self.last_hold(now);
        let Some(slot) = self.connections.get_mut(&id) else {
            return;
        };
        slot.armed = None;
        if let Some((since, until)) = last_hold {
            slot.connection.note_unread(since, until);
        }
        let event = slot.connection.handle_timeout(now, &self.settings.rules);
        if let Some(Event::Refused(refusal)) = event {
            self.note_refusal(now, id, &refusal);
        }
        self.settle(now, id);
    }

    pub(super) fn note_refusal(&mut self, now: Now, id: ConnId, refusal: &Refusal) {
        let Some(slot) = self.connections.get(&id) else {
            return;
        };
        let address = slot.connection.address();
        self.counters.note_refusal(refusal.kind);
        if let Some(method) = refusal.method {
            let outcome = match refusal.kind {
                RefusalKind::Domain => Outcome::Unavailable,
                _ => Outcome::Refused,
            };
            self.counters.note_authentication(method, outcome);
        }
        if let Some(account) = &refusal.tried
            && refusal.kind == RefusalKind::Authentication
        {
            self.guesses
                .fail(&Guess::new(account, neighbourhood(address)));
        }
        self.note_refused(now, address, id, refusal);
        match refusal.kind {
            // One line said so for all sources.
            RefusalKind::Domain => log::debug!("source {address}: {}", refusal.reason),
            _ => self.refusal_log.warn(now, address, refusal),
        }
    }

    pub(super) fn answer(&mut self, now: Now, id: ConnId, answer: &Answer<'_>) {
        if let Some(slot) = self.connections.get_mut(&id) {
            slot.connection.answer(now, answer);
            self.settle(now, id);
        }
    }
}

/// What failures are counted by: whoever has one IPv6 address has its whole /64.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}
