//! The collector: sources, subscriptions, batches in flight. Sans-IO.
//!
//! Events go in through [`Collector::handle`]; tasks come out of
//! [`Collector::poll_output`]. One turn of the event loop: handle everything that is ready,
//! drain the outputs, write to the [`Link`]s, call [`Collector::commit`] once, pass the
//! jobs of [`Collector::poll_job`] to the store, drain again, and sleep until
//! [`Collector::poll_timeout`] or an answer of the store, which goes in through
//! [`Collector::handle_answer`]. Nothing here waits for the store.
//!
//! A batch moves in one direction: message, events, frames, `Link` queues, delivered by
//! all, bookmark committed, Ack. If its source disconnects in the meantime, only the Ack is
//! not sent.
//!
//! Each part of the state has an owner: `Connections` for connections and authentication,
//! `Batches` for what is in flight and, in its `Outputs`, the links and how full they are,
//! `Commits` for bookmarks that are being stored, and `Registry` for the known hosts. The
//! collector itself only passes results from one owner to the next.

mod access;
mod batches;
mod bounds;
mod chores;
mod commits;
mod committing;
mod computer;
mod connections;
mod drafts;
mod enumerate;
mod formatting;
mod interface;
mod ledger;
mod outputs;
mod paging;
mod principals;
mod questions;
mod requests;
mod snapshot;
mod uuids;

use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::auth::Verdict;
use crate::base::clock::{Now, UnixSeconds};
use crate::connection::{Answer, Connection, Message};
use crate::hosts::Registry;
use crate::metrics::Counters;
use crate::output;
use crate::output::Secret;
use crate::output::link::Link;
use crate::protocol::{ntlm, wsman};
use crate::store::{Job, Ticket};
use crate::syslog::{Line, Sender};
use batches::{Batches, Told};
use chores::Chores;
use commits::Commits;
use connections::Connections;
use drafts::Drafts;
use ledger::Ledger;
use outputs::Outputs;
use paging::Paging;
use questions::Questions;
use uuids::new_uuid;

pub use computer::{ComputerRule, Mismatch};
pub use connections::Vacancy;
pub use interface::{ConnId, Input, Output, OutputId, Settings};
pub use principals::PrincipalRule;

/// How often work without a deadline of its own is done.
const SWEEP: Duration = Duration::from_secs(10);

/// The collector as a state machine: it passes each event to the part that owns it, and the
/// results to the next part.
pub struct Collector {
    settings: Rc<Settings>,
    connections: Connections,
    batches: Batches,
    commits: Commits,
    /// Hosts that wait for the store.
    questions: Questions,
    paging: Paging,
    drafts: Drafts,
    ledger: Ledger,
    chores: Chores,
    hosts: Registry,
    /// When work without a deadline is done next.
    sweep: Instant,
    random: StdRng,
    counters: Counters,
    /// Whether the relay will stop soon, as the status reports.
    is_ending: bool,
}

impl Collector {
    /// A collector without connections. `seed` determines its random bytes (challenges,
    /// message ids), so that a run can be replayed.
    #[must_use]
    pub fn new(
        now: Now,
        settings: Settings,
        outputs: Vec<output::Settings>,
        seed: [u8; 32],
    ) -> Self {
        let settings = Rc::new(settings);
        let mut random = StdRng::from_seed(seed);
        let hosts = Registry::new(now, &settings.subscriptions, settings.forget_after);
        let paging = Paging::new(Rc::clone(&settings));
        let outputs = Outputs::new(outputs, |output| {
            Link::new(output, now).with_seed(now, || random.random())
        });
        Self {
            connections: Connections::new(now, Rc::clone(&settings), random.random()),
            batches: Batches::new(outputs),
            commits: Commits::default(),
            questions: Questions::default(),
            paging,
            drafts: Drafts::default(),
            ledger: Ledger::default(),
            chores: Chores::new(now),
            hosts,
            sweep: now.monotonic + SWEEP,
            random,
            counters: Counters::default(),
            is_ending: false,
            settings,
        }
    }

    /// Replaces the settings for everything that arrives from now on.
    pub fn replace_settings(&mut self, settings: Settings) {
        self.settings = Rc::new(settings);
        self.connections.replace_settings(Rc::clone(&self.settings));
        self.paging.replace_settings(Rc::clone(&self.settings));
        self.drafts = Drafts::default();
        let Settings {
            subscriptions,
            forget_after,
            ..
        } = &*self.settings;
        self.hosts
            .replace_subscriptions(subscriptions, *forget_after);
    }

    /// Replaces the outputs' credentials, one item for each output, after they were reread.
    pub fn replace_secrets(&mut self, now: Now, secrets: Vec<Secret>) {
        self.batches.outputs_mut().replace_secrets(now, secrets);
    }

    /// All counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.connections.counters()
            + self.batches.counters()
            + self.commits.counters()
            + &self.counters
    }

    /// Sets the maximum number of connections, according to the available file descriptors.
    pub fn set_connection_room(&mut self, connections: usize) {
        self.connections.set_most(connections);
    }

    /// Maximum number of connections.
    #[must_use]
    pub fn connection_room(&self) -> usize {
        self.connections.most()
    }

    /// Makes room for another connection, with TLS or without; must be called before
    /// accepting it. If another one has to be closed, that comes out of
    /// [`Collector::poll_output`].
    pub fn make_room(&mut self, now: Now, is_secure: bool) -> Vacancy {
        let vacancy = self.connections.make_room(now, is_secure);
        self.note_connections(now);
        vacancy
    }

    /// Records that an accepted connection starts with a TLS handshake.
    pub fn expect_handshake(&mut self, now: Now, id: ConnId) {
        self.connections.expect_handshake(now, id);
        self.note_connections(now);
    }

    /// Whether the connection must start with a PROXY header that has not arrived yet.
    #[must_use]
    pub fn awaits_proxy(&self, id: ConnId) -> bool {
        self.connections
            .get(id)
            .is_some_and(Connection::awaits_proxy)
    }

    /// The question for the domain about a source; `None` if there is none, or the source is gone.
    #[must_use]
    pub fn question(&self, id: ConnId) -> Option<ntlm::Question> {
        self.connections.get(id)?.question()
    }

    /// The link of an output, which holds what to write there.
    #[must_use]
    pub fn link(&self, id: OutputId) -> Option<&Link> {
        self.batches.outputs().get(id)
    }

    /// The bytes to write to a source.
    #[must_use]
    pub fn outgoing(&self, id: ConnId) -> &[u8] {
        self.connections.get(id).map_or(&[], Connection::outgoing)
    }

    /// Whether a source should be read: its last request has been answered, or it has not
    /// sent much ahead.
    #[must_use]
    pub fn wants_input(&self, id: ConnId) -> bool {
        self.connections
            .get(id)
            .is_some_and(Connection::wants_input)
    }

    /// Whether sources should be read at all. They are not read while an output is full, so that
    /// events wait at the sources, not in memory.
    #[must_use]
    pub fn is_reading(&self, now: Now) -> bool {
        self.batches.is_reading(now)
    }

    /// Queues a message of the relay's own log at every output that has room for it.
    pub fn push_own(&mut self, now: Now, sender: &Sender, line: &Line) {
        self.batches
            .outputs_mut()
            .push_own(now, &self.settings.mapping, sender, line);
    }

    /// Handles an event.
    pub fn handle(&mut self, now: Now, input: &Input<'_>) {
        self.hosts.tick(now);
        match *input {
            Input::Accepted(id, address) => {
                let since = self.ledger.mark_of_arrival();
                self.connections.accept(now, id, address, since);
            }
            Input::Secured(id, secured) => self.connections.handle_secured(now, id, secured),
            Input::Proxied(id, source) => self.connections.handle_proxied(now, id, source),
            Input::Refused(id, kind, why) => self.connections.handle_refused(now, id, kind, why),
            Input::Received(id, bytes) => {
                let unread = self.batches.outputs().last_hold(now);
                self.connections.handle_received(now, id, bytes, unread);
                self.advance(now, id);
                self.connections.relieve(now, id);
            }
            Input::Sent(id, count) => {
                if self.connections.handle_sent(now, id, count) {
                    self.advance(now, id);
                }
            }
            Input::Ended(id) => self.connections.forget(id),
            Input::Judged(id, verdict) => self.handle_judged(now, id, verdict),
            Input::Timeout => self.handle_timeout(now),
            ref of_output => self.batches.handle(now, of_output),
        }
        self.end_turn(now);
    }

    /// Handles all requests of a connection that can be handled now.
    fn advance(&mut self, now: Now, id: ConnId) {
        while let Some(message) = self.connections.poll(now, id) {
            self.handle_and_reuse(now, id, message);
        }
        self.connections.settle(now, id);
    }

    fn handle_and_reuse(&mut self, now: Now, id: ConnId, message: Message) {
        self.handle_message(now, id, &message);
        self.connections.reuse(message);
    }

    fn handle_judged(&mut self, now: Now, id: ConnId, verdict: &Verdict) {
        if let Some(message) = self.connections.handle_verdict(now, id, verdict) {
            self.handle_and_reuse(now, id, message);
        }
        self.advance(now, id);
        self.connections.ask_waiting(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.batches.handle_timeout(now);
        let unread = self.batches.outputs().last_hold(now);
        self.connections.handle_timeout(now, unread);
        while let Some(question) = self.questions.take_late(now) {
            self.batches.hand_back_unread(question.source.conn);
        }
        if now.monotonic >= self.sweep {
            self.sweep = now.monotonic + SWEEP;
            self.connections.sweep(now);
            self.counters.silent_sources += self.hosts.report_silent(now);
            self.batches.sweep(now);
            self.ledger.sweep(now);
        }
    }

    /// Begins waiting batches, records how full the outputs are, and answers hosts whose batches
    /// are decided.
    fn end_turn(&mut self, now: Now) {
        self.batches.end_turn(now);
        self.tell_hosts(now);
        self.note_connections(now);
    }

    fn tell_hosts(&mut self, now: Now) {
        while let Some(told) = self.batches.poll_told() {
            match told {
                Told::Acknowledged(conn, header) => {
                    let ack = wsman::ack(&header, self.new_uuid());
                    self.answer(now, conn, &Answer::Envelope(200, &ack));
                }
                Told::Unavailable(conn) => self.answer(now, conn, &Answer::Empty(503)),
                Told::Away(conn, left) => self.connections.send_away(now, conn, left),
            }
        }
    }

    fn answer(&mut self, now: Now, id: ConnId, reply: &Answer<'_>) {
        self.connections.answer(now, id, reply);
    }

    /// Handles rejected and closed connections.
    fn note_connections(&mut self, now: Now) {
        for refused in self.connections.take_refused() {
            let refusal = refused.for_table(seconds(now));
            self.hosts.note_refusal(refusal);
        }
        for id in self.connections.take_gone() {
            self.questions.take(id);
        }
    }

    /// The next task; call until it returns `None`, after each call that has a `now`.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.connections.poll_output();
        output.or_else(|| self.batches.outputs_mut().poll_task())
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timers = [
            self.connections.poll_timeout(),
            self.batches.poll_timeout(),
            self.questions.poll_timeout(),
            Some(self.sweep),
        ];
        timers.into_iter().flatten().min()
    }

    /// The next job for the store; call until it returns `None`, after each call that has a
    /// `now`. Each job needs one [`Collector::handle_answer`], in any order.
    #[must_use]
    pub fn poll_job(&mut self) -> Option<(Ticket, Job)> {
        self.ledger.poll_job()
    }

    /// Whether [`Collector::commit`] has work to do.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        self.batches.has_delivered()
    }

    /// Other relays share the store: changed hosts are saved less often, and what other
    /// relays know about hosts is read, as are rows of hosts that connect. `own` is this relay's
    /// name.
    pub fn share_store(&mut self, every: Duration, own: String) {
        self.chores.save_every(every);
        self.ledger.share();
        self.hosts.share(own);
    }

    /// Loads what the store knows about hosts; must be called first. Without it, hosts are
    /// known only after they connect.
    pub fn load(&mut self) {
        self.chores.load(&mut self.ledger);
    }

    /// When [`Collector::save_hosts`] has work to do.
    #[must_use]
    pub fn save_due(&self) -> Option<Instant> {
        self.chores.due()
    }

    /// Saves some of the changed hosts; to be called when it is due, after a turn.
    pub fn save_hosts(&mut self, now: Now) {
        self.chores.start(now, &mut self.hosts, &mut self.ledger);
    }

    /// Saves all changed hosts, and records that the relay is stopping.
    pub fn save_all_hosts(&mut self, now: Now) {
        self.chores.end(now, &mut self.hosts, &mut self.ledger);
    }

    /// Whether [`Collector::load`] or [`Collector::save_all_hosts`] is still waiting for
    /// the store.
    #[must_use]
    pub fn awaits_store(&self) -> bool {
        self.chores.is_loading() || self.hosts.awaits_end()
    }

    /// Makes the status report that the relay will stop soon; hosts are served as before.
    pub fn announce_end(&mut self) {
        self.is_ending = true;
    }

    /// Accepts no new requests; what is in flight is completed.
    pub fn stop(&mut self, now: Now) {
        self.announce_end();
        self.connections.stop(now);
        self.note_connections(now);
    }

    /// Whether nothing is left to deliver or answer.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.batches.is_empty()
            && self.questions.is_empty()
            && self.batches.outputs().required().all(Link::is_idle)
            && self.connections.are_written()
    }

    /// Closes the outputs' sessions in an orderly way; to be called when nothing is left to
    /// deliver.
    pub fn close_outputs(&mut self, now: Now) {
        self.batches.outputs_mut().close(now);
    }

    /// Whether all of these sessions have ended.
    #[must_use]
    pub fn are_outputs_closed(&self) -> bool {
        self.batches.outputs().are_closed()
    }

    fn new_uuid(&mut self) -> Uuid {
        new_uuid(&mut self.random)
    }
}

fn seconds(now: Now) -> UnixSeconds {
    now.wall.into()
}

#[cfg(test)]
mod tests;
