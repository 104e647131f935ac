//! Connections: what arrives on them, what they are answered, and which are closed for
//! others.
//!
//! Owns everything that ends with a connection. Requests come out of [`Connections::poll`],
//! and their answers go in through [`Connections::answer`].

mod admission;
mod candidates;
mod guesses;
mod refusal_log;
mod room;
mod seats;
mod slots;

use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::access::Source;
use super::{ConnId, Output, Settings};
use crate::auth::{Secured, Verdict};
use crate::base::clock::{Now, UnixSeconds};
use crate::connection::{Answer, Connection, Event, Memory, Message, Refusal, RefusalKind};
use crate::hosts;
use crate::metrics::Counters;
use crate::store::Ticket;
use guesses::Leave;
use seats::Seats;
use slots::{Due, Slot};

/// Whether another connection may be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacancy {
    /// There is room.
    Free,
    /// Another connection has been closed for it.
    Made,
    /// New ones have to wait in the listen queue.
    Full,
}

/// A rejected request and its origin.
pub(super) struct Refused {
    address: IpAddr,
    /// The identity, if the source had authenticated.
    identity: Option<String>,
    refusal: Refusal,
}

impl Refused {
    /// Converts it to an entry for the table of hosts.
    pub(super) fn for_table(self, now: UnixSeconds) -> hosts::Refusal {
        let Refusal {
            kind,
            method,
            status,
            reason,
            ..
        } = self.refusal;
        hosts::Refusal {
            address: self.address,
            kind: kind.name().to_owned(),
            method: method.map(str::to_owned),
            identity: self.identity,
            status,
            reason,
            count: 1,
            first: now,
            last: now,
        }
    }
}

/// The connections of all sources.
pub(super) struct Connections {
    settings: Rc<Settings>,
    seats: Seats,
    memory: Memory,
    random: StdRng,
    counters: Counters,
    is_stopping: bool,
}

impl Connections {
    pub(super) fn new(now: Now, settings: Rc<Settings>, seed: [u8; 32]) -> Self {
        Self {
            settings,
            seats: Seats::new(now),
            memory: Memory::default(),
            random: StdRng::from_seed(seed),
            counters: Counters::default(),
            is_stopping: false,
        }
    }

    pub(super) fn replace_settings(&mut self, settings: Rc<Settings>) {
        self.settings = settings;
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters.clone() + self.seats.admission.counters()
    }

    /// Number of connected sources.
    pub(super) fn len(&self) -> usize {
        self.seats.slots.len()
    }

    /// Maximum number of connections.
    pub(super) fn most(&self) -> usize {
        self.seats.most()
    }

    pub(super) fn set_most(&mut self, connections: usize) {
        self.seats.set_most(connections);
    }

    /// Makes room for another connection, with TLS or without.
    pub(super) fn make_room(&mut self, now: Now, is_secure: bool) -> Vacancy {
        self.seats.make_room(now, is_secure)
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.seats.slots.get(id).map(|slot| &slot.connection)
    }

    /// Whether all answers have been written.
    pub(super) fn are_written(&self) -> bool {
        let mut slots = self.seats.slots.values();
        slots.all(|slot| slot.connection.outgoing().is_empty())
    }

    /// The source of a connection, once it has authenticated.
    pub(super) fn source(&self, id: ConnId) -> Option<Source> {
        let slot = self.seats.slots.get(id)?;
        let identity = slot.connection.identity()?;
        Some(Source {
            conn: id,
            since: slot.since,
            address: slot.connection.address(),
            is_admitted: self.settings.principals.admits(identity),
            identity: Rc::clone(identity),
            is_secure: slot.connection.is_secure(),
            certificate: slot.connection.certificate().cloned(),
        })
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.seats.poll_output()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.seats.slots.poll_timeout()
    }

    /// The requests rejected since the last call.
    pub(super) fn take_refused(&mut self) -> Vec<Refused> {
        self.seats.take_refused()
    }

    /// The connections closed since the last call, whose requests no longer need an answer.
    pub(super) fn take_gone(&mut self) -> Vec<ConnId> {
        self.seats.take_gone()
    }

    /// Adds an accepted connection. `since` is the earliest ticket of anything that will be
    /// asked of the store for it.
    pub(super) fn accept(&mut self, now: Now, id: ConnId, address: IpAddr, since: Ticket) {
        self.counters.connections += 1;
        let mut connection = Connection::new(now, address, &self.settings.rules.limits);
        let balancers = &self.settings.balancers;
        if balancers.iter().any(|network| network.contains(&address)) {
            connection.expect_proxy();
        }
        self.seats.insert(now, id, Slot::new(connection, since));
        self.arm(id);
    }

    /// Records that an accepted connection starts with a TLS handshake.
    pub(super) fn expect_handshake(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.seats.slots.get_mut(id) {
            slot.is_handshaking = true;
            self.seats.place(now, id);
        }
    }

    pub(super) fn handle_proxied(&mut self, now: Now, id: ConnId, source: Option<IpAddr>) {
        if let Some(slot) = self.seats.slots.get_mut(id) {
            slot.connection.handle_proxy(now, source);
            self.seats.place(now, id);
            self.settle(now, id);
        }
    }

    pub(super) fn handle_secured(&mut self, now: Now, id: ConnId, secured: &Secured) {
        if let Some(slot) = self.seats.slots.get_mut(id) {
            slot.is_handshaking = false;
            slot.connection.secure(now, secured.clone());
            self.settle(now, id);
        }
    }

    pub(super) fn handle_refused(&mut self, now: Now, id: ConnId, kind: RefusalKind, why: &str) {
        // No status is sent: a failed handshake ends with an alert, a balancer's connection
        // by closing it.
        self.note_refusal(now, id, Refusal::new(kind, 0, why));
        match self.seats.slots.get_mut(id) {
            Some(slot) if kind == RefusalKind::Tls => {
                // Closing immediately, with unread bytes, would lose the alert.
                slot.is_handshaking = false;
                slot.connection.linger(now);
                self.settle(now, id);
            }
            _ => self.forget(id),
        }
    }

    /// Handles bytes from a source; call [`Connections::poll`] afterwards. `unread` is the
    /// last period in which sources were not read.
    pub(super) fn handle_received(
        &mut self,
        now: Now,
        id: ConnId,
        bytes: &[u8],
        unread: Option<(Instant, Instant)>,
    ) {
        let Some(slot) = self.seats.slots.get_mut(id) else {
            return;
        };
        self.counters.received_bytes += u64::try_from(bytes.len()).unwrap_or(0);
        if let Some((since, until)) = unread {
            slot.connection.note_unread(since, until);
        }
        slot.connection.handle_received(now, bytes);
    }

    /// Returns whether everything has been written, so that [`Connections::poll`] may
    /// return a request.
    pub(super) fn handle_sent(&mut self, now: Now, id: ConnId, count: usize) -> bool {
        let Some(slot) = self.seats.slots.get_mut(id) else {
            return false;
        };
        slot.connection.handle_written(now, count);
        slot.connection.outgoing().is_empty()
    }

    /// Handles the domain's verdict about a source. Returns a message that waited for it.
    pub(super) fn handle_verdict(
        &mut self,
        now: Now,
        id: ConnId,
        verdict: &Verdict,
    ) -> Option<Message> {
        let Some(slot) = self.seats.slots.get_mut(id) else {
            self.seats.admission.note_late_verdict(id, verdict);
            return None;
        };
        self.seats.admission.note_verdict(id, verdict);
        let shared = (&self.settings.rules, &mut self.memory);
        let connection = &mut slot.connection;
        let event = connection.handle_verdict(now, verdict.clone(), shared)?;
        self.handle_event(now, id, event)
    }

    /// The next message to answer; call until it returns `None`, and then
    /// [`Connections::settle`].
    pub(super) fn poll(&mut self, now: Now, id: ConnId) -> Option<Message> {
        loop {
            let event = self.poll_connection(now, id)?;
            if let Some(message) = self.handle_event(now, id, event) {
                return Some(message);
            }
        }
    }

    fn poll_connection(&mut self, now: Now, id: ConnId) -> Option<Event> {
        let slot = self.seats.slots.get_mut(id)?;
        let (admission, random) = (&self.seats.admission, &mut self.random);
        let mut fill = |bytes: &mut [u8]| random.fill_bytes(bytes);
        let address = slot.connection.address();
        let held = |account: &str| admission.is_held(account, address);
        let shared = (&self.settings.rules, &mut self.memory);
        slot.connection.poll(now, shared, &held, &mut fill)
    }

    /// Takes back the memory of a message that has been handled.
    pub(super) fn reuse(&mut self, message: Message) {
        self.memory.reuse(message);
    }

    fn handle_event(&mut self, now: Now, id: ConnId, event: Event) -> Option<Message> {
        self.seats.note_authentication(now, id);
        match event {
            Event::Message(message) => return Some(message),
            Event::Ask => self.ask(now, id),
            Event::Refused(refusal) => self.note_refusal(now, id, refusal),
        }
        None
    }

    /// Asks the domain, unless there were too many failures or too many questions are
    /// pending.
    fn ask(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.seats.slots.get_mut(id)
            && let Some(question) = slot.connection.question()
        {
            let address = slot.connection.address();
            let leave = self.seats.admission.ask(id, &question.user, address);
            self.take_leave(now, id, leave);
        }
    }

    /// Asks about sources that waited for others and need not wait any longer.
    pub(super) fn ask_waiting(&mut self, now: Now) {
        while let Some((id, leave)) = self.seats.admission.next() {
            self.take_leave(now, id, leave);
        }
    }

    fn take_leave(&mut self, now: Now, id: ConnId, leave: Leave) {
        match leave {
            Leave::Granted => self.seats.push_output(Output::Ask(id)),
            Leave::Waiting => {}
            Leave::Held => {
                let slot = self.seats.slots.get_mut(id);
                let event = slot.and_then(|slot| slot.connection.hold_back(now));
                if let Some(Event::Refused(refusal)) = event {
                    self.note_refusal(now, id, refusal);
                }
                self.settle(now, id);
            }
        }
    }

    pub(super) fn answer(&mut self, now: Now, id: ConnId, answer: &Answer<'_>) {
        if let Some(slot) = self.seats.slots.get_mut(id) {
            slot.connection.answer(now, answer);
            self.settle(now, id);
        }
    }

    /// Asks a host to send its batch again, at some time within `left`.
    ///
    /// All hosts retry after the same pause, so a crowd that is sent away at once would
    /// return at once, and be absent at once in between. Hosts that happen to come in
    /// between would then get every turn.
    pub(super) fn send_away(&mut self, now: Now, id: ConnId, left: Duration) {
        let at = now.monotonic + left.mul_f64(self.random.random());
        if self.is_stopping || !self.seats.slots.put_off_refusal(id, at) {
            self.answer(now, id, &Answer::Empty(503));
        }
    }

    /// Sends the delayed 503, if it is still due.
    fn send_refusal(&mut self, now: Now, id: ConnId) {
        if self.seats.slots.take_refusal(id) {
            self.answer(now, id, &Answer::Empty(503));
        }
    }

    /// Tells the loop what a change of a connection requires, and sets its timer.
    pub(super) fn settle(&mut self, now: Now, id: ConnId) {
        self.seats.note_authentication(now, id);
        let Some(slot) = self.seats.slots.get_mut(id) else {
            return;
        };
        if self.is_stopping {
            slot.connection.refuse_further(now);
        }
        self.seats.place_again(now, id);
        let Some(slot) = self.seats.slots.get(id) else {
            return;
        };
        if slot.connection.is_closed() {
            return self.seats.close(id);
        }
        if !slot.connection.outgoing().is_empty() {
            self.seats.push_output(Output::Send(id));
        } else if slot.connection.is_lingering() {
            self.seats.push_output(Output::Shutdown(id));
        }
        self.arm(id);
    }

    /// A connection is closed.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.seats.remove(id);
    }

    fn arm(&mut self, id: ConnId) {
        self.seats.slots.arm(id, &self.settings.rules.limits);
    }

    /// Handles timers that are due. `unread` is the last period in which sources were not
    /// read.
    pub(super) fn handle_timeout(&mut self, now: Now, unread: Option<(Instant, Instant)>) {
        while let Some(due) = self.seats.slots.take_due(now) {
            match due {
                Due::Connection(id) => self.time_out(now, id, unread),
                Due::Refusal(id) => self.send_refusal(now, id),
            }
        }
    }

    fn time_out(&mut self, now: Now, id: ConnId, unread: Option<(Instant, Instant)>) {
        let Some(slot) = self.seats.slots.get_mut(id) else {
            return;
        };
        if let Some((since, until)) = unread {
            slot.connection.note_unread(since, until);
        }
        let shared = (&self.settings.rules, &mut self.memory);
        let event = slot.connection.handle_timeout(now, shared);
        if let Some(Event::Refused(refusal)) = event {
            self.note_refusal(now, id, refusal);
        }
        self.settle(now, id);
    }

    /// Forgets old records.
    pub(super) fn sweep(&mut self, now: Now) {
        self.seats.admission.sweep(now);
        self.ask_waiting(now);
    }

    /// Accepts no new requests. Hosts with a delayed 503 get it now.
    pub(super) fn stop(&mut self, now: Now) {
        self.is_stopping = true;
        let ids: Vec<_> = self.seats.slots.ids().collect();
        for id in ids {
            self.settle(now, id);
            self.send_refusal(now, id);
        }
    }

    pub(super) fn note_refusal(&mut self, now: Now, id: ConnId, refusal: Refusal) {
        self.seats.note_refusal(now, id, refusal);
    }

    /// Ends requests in progress until there is room for what `id` holds.
    pub(super) fn relieve(&mut self, now: Now, id: ConnId) {
        while let Some((victim, reason)) = self.seats.victim(now, id) {
            if let Some(slot) = self.seats.slots.get_mut(victim) {
                slot.connection.cut(now, 503);
                let refusal = Refusal::new(RefusalKind::Room, 503, reason);
                self.note_refusal(now, victim, refusal);
                self.settle(now, victim);
            }
            self.seats.close_if_it_holds(now, victim, reason);
            if victim == id {
                return;
            }
        }
    }
}

/// The unit for counting failures and room: an IPv4 address, or an IPv6 /64, because
/// a client with one address has the whole /64.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests;
