//! The collector: sources, subscriptions, batches in flight. Sans-IO.
//!
//! What happens goes in by [`Collector::handle`]; what is to be done comes out
//! by [`Collector::poll_output`]. One turn of the event loop is: handle all
//! that is ready, drain the outputs, write to the [`Link`]s, call
//! [`Collector::commit`] once, give the store what [`Collector::poll_job`] has, drain again,
//! sleep until [`Collector::poll_timeout`] or until the store answers, which goes in by
//! [`Collector::handle_answer`]. Nothing here waits for the store.
//!
//! A batch goes one way: message, events, frames, [`Link`] queues, delivered by
//! all, bookmark committed, Ack. A source that has gone meanwhile changes
//! nothing but that no Ack is sent.

mod access;
mod admission;
mod batches;
mod bookmarks;
mod bounds;
mod chores;
mod clones;
mod committing;
mod computer;
mod connections;
mod dispersal;
mod encodings;
mod enumerate;
mod forgetting;
mod guesses;
mod had;
mod known;
mod ledger;
mod links;
mod meeting;
mod ntlm_domain;
mod own_log;
mod paging;
mod pressure;
mod principals;
mod questions;
mod refusal_log;
mod requests;
mod room;
mod running;
mod setbacks;
mod snapshot;
mod sources;
mod squeeze;
mod turns;
mod uuids;
mod waiting;

use crate::auth::{Secured, Verdict};
use crate::base::clock::{Now, UnixSeconds};
use crate::connection::{Connection, RefusalKind, Rules};
use crate::metrics::Counters;
use crate::output;
use crate::output::Task;
use crate::output::kafka::{BrokerId, Event};
use crate::output::link::Link;
use crate::output::queue::BatchId;
use crate::protocol::wsman::subscribe::Subscription;
use crate::store::Ticket;
use crate::syslog::Mapping;
use admission::Probe;
use batches::Batch;
use bookmarks::Bookmarks;
use chores::Chores;
use committing::Committing;
use encodings::Encoding;
use guesses::Guesses;
use had::Had;
use ipnet::IpNet;
use known::Known;
use ledger::Ledger;
use paging::Paging;
use pressure::Pressure;
use questions::Questions;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use refusal_log::RefusalLog;
use room::Room;
use setbacks::Setbacks;
use sources::Sources;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use turns::Turns;
use uuids::new_uuid;
use waiting::Waiting;
use zeroize::Zeroizing;

pub use computer::{ComputerRule, Mismatch};
pub use principals::PrincipalRule;
pub use squeeze::Admission;

/// Names a source's connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Names an output: its index in the list given at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId(pub usize);

/// How often what has no deadline of its own is looked after.
const SWEEP: Duration = Duration::from_secs(10);

/// What the collector is told to do; replaced as a whole on reload.
#[derive(Debug)]
pub struct Settings {
    /// Who may come in, and bounds.
    pub rules: Rules,
    /// The load balancers whose connections begin with a PROXY header.
    pub balancers: Vec<IpNet>,
    /// What sources are asked for.
    pub subscriptions: Vec<Subscription>,
    /// How events become syslog messages.
    pub mapping: Mapping,
    /// The host by which sources reach us; `None` takes what they used.
    pub hostname: Option<String>,
    /// Whether Computer must be the authenticated host; `None` compares nothing.
    pub computers: Option<ComputerRule>,
    /// Who comes with a Kerberos ticket beside machines.
    pub principals: PrincipalRule,
    /// Forget hosts and bookmarks that were not heard of while relays ran so long; `None`:
    /// never.
    pub forget_after: Option<Duration>,
}

/// What has happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A source has connected from that address.
    Accepted(ConnId, IpAddr),
    /// A load balancer has said where that connection of its comes from, if it knows.
    Proxied(ConnId, Option<IpAddr>),
    /// A source's TLS handshake is done.
    Secured(ConnId, &'a Secured),
    /// A source's TLS handshake failed, or its PROXY header; its connection is gone.
    Refused(ConnId, RefusalKind, &'a str),
    /// Bytes came from a source.
    Received(ConnId, &'a [u8]),
    /// That many bytes of [`Collector::outgoing`] were written.
    Sent(ConnId, usize),
    /// A source's connection is gone.
    Ended(ConnId),
    /// What the domain says to [`Collector::question`].
    Judged(ConnId, &'a Verdict),
    /// The addresses of an output's name, or why there are none.
    Resolved(OutputId, Result<&'a [SocketAddr], &'a str>),
    /// An output's receiver has accepted the connection, and TLS begins on it.
    Reached(OutputId),
    /// An output is open.
    Opened(OutputId),
    /// An output could not be opened, or has ended.
    Failed(OutputId, &'a str),
    /// Bytes came from an output's receiver.
    Replied(OutputId, &'a [u8]),
    /// That many bytes of what the output's link offered were written.
    Written(OutputId, usize),
    /// The output's peer has yet to acknowledge that many of the written bytes.
    Measured(OutputId, usize),
    /// Something has happened on an output's connection to a broker.
    Broker(OutputId, BrokerId, Event<'a>),
    /// What the output's link wanted in its file of refused messages is on disk, or why not.
    Filed(OutputId, Option<&'a str>),
    /// Nothing but time has passed.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// [`Collector::outgoing`] has something for this source.
    Send(ConnId),
    /// Shut the sending side down, read on until the peer closes.
    Shutdown(ConnId),
    /// Close the connection; the collector has forgotten it.
    Close(ConnId),
    /// Ask the domain [`Collector::question`] of this source, and bring one
    /// [`Input::Judged`] for each such output.
    Ask(ConnId),
    /// Something to do for an output.
    Link(OutputId, Task),
    /// Something to do for an output's connection to a broker.
    Broker(OutputId, BrokerId, Task),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Connection(ConnId),
    Batch(BatchId),
    Question(ConnId),
    Refusal(ConnId),
    Probe,
    Sweep,
}

/// A connection and the timer that is set for it.
struct Slot {
    connection: Connection,
    armed: Option<Instant>,
    buffered: usize,
    /// What is asked of the store since it came has at least this ticket.
    since: Ticket,
    /// Its TLS handshake is not done.
    is_handshaking: bool,
    /// When it is told to send its batch again.
    refused_at: Option<Instant>,
}

/// The collector as a state machine.
pub struct Collector {
    settings: Settings,
    /// Boxed: the table has up to twice as many places as connections.
    connections: HashMap<ConnId, Box<Slot>>,
    links: Vec<Link>,
    encodings: Vec<Encoding>,
    encoding_of_link: Vec<usize>,
    batches: HashMap<BatchId, Batch>,
    next_batch: u64,
    /// Those that are delivered since the last [`Collector::commit`].
    delivered: Vec<BatchId>,
    /// Those that wait for the store.
    pending: Vec<BatchId>,
    committing: Committing,
    ledger: Ledger,
    chores: Chores,
    /// Hosts that wait for the store to answer them.
    questions: Questions,
    waiting: Waiting,
    turns: Turns,
    had: Had,
    probe: Probe,
    /// One for each connection, refusal and batch, the probe's and the sweep's: none outlives
    /// its cause.
    timers: BTreeSet<(Instant, Timer)>,
    outputs: VecDeque<Output>,
    sources: Sources,
    known: Known,
    paging: Paging,
    bookmarks: Bookmarks,
    refusal_log: RefusalLog,
    guesses: Guesses,
    /// Hosts with a batch that a receiver refuses.
    setbacks: Setbacks,
    pressure: Pressure,
    /// When it last made sources wait unread.
    last_hold: Option<(Instant, Instant)>,
    room: Room,
    random: StdRng,
    counters: Counters,
    commit_failing: bool,
    domain_failing: bool,
    stopping: bool,
    /// It will stop soon, which whoever asks is told.
    is_ending: bool,
}

impl Collector {
    /// A collector without connections. `seed` makes its random bytes (challenges,
    /// message ids), so that a run can be repeated.
    #[must_use]
    pub fn new(
        now: Now,
        settings: Settings,
        outputs: Vec<output::Settings>,
        seed: [u8; 32],
    ) -> Self {
        let (encodings, encoding_of_link) = encodings::of(&outputs);
        let mut random = StdRng::from_seed(seed);
        let sweep = (now.monotonic + SWEEP, Timer::Sweep);
        let known = Known::new(now, &settings);
        let paging = Paging::new(&settings);
        Self {
            settings,
            connections: HashMap::new(),
            links: outputs
                .into_iter()
                .map(|output| Link::new(output, now).with_seed(now, || random.random()))
                .collect(),
            encodings,
            encoding_of_link,
            batches: HashMap::new(),
            next_batch: 0,
            delivered: Vec::new(),
            pending: Vec::new(),
            committing: Committing::default(),
            ledger: Ledger::default(),
            chores: Chores::new(now),
            questions: Questions::default(),
            waiting: Waiting::default(),
            turns: Turns::default(),
            had: Had::default(),
            probe: Probe::default(),
            timers: BTreeSet::from([sweep]),
            outputs: VecDeque::new(),
            sources: Sources::default(),
            known,
            paging,
            bookmarks: Bookmarks::default(),
            refusal_log: RefusalLog::default(),
            guesses: Guesses::new(now),
            setbacks: Setbacks::default(),
            pressure: Pressure::Released,
            last_hold: None,
            room: Room::default(),
            random,
            counters: Counters::default(),
            commit_failing: false,
            domain_failing: false,
            stopping: false,
            is_ending: false,
        }
    }

    /// Takes new settings for what comes from now on.
    pub fn replace_settings(&mut self, settings: Settings) {
        self.known.replace_settings(&settings);
        self.paging.replace_settings(&settings);
        self.settings = settings;
        self.sources.forget_refused();
    }

    /// What outputs make themselves known by, an item for each, has been read.
    pub fn replace_secrets(&mut self, secrets: Vec<Zeroizing<String>>) {
        for (link, secret) in self.links.iter_mut().zip(secrets) {
            link.replace_secret(secret);
        }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many sources are connected.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// The link of an output: what to write there.
    #[must_use]
    pub fn link(&self, id: OutputId) -> Option<&Link> {
        self.links.get(id.0)
    }

    /// What is to be written to a source.
    #[must_use]
    pub fn outgoing(&self, id: ConnId) -> &[u8] {
        self.connections
            .get(&id)
            .map_or(&[], |slot| slot.connection.outgoing())
    }

    /// Whether a source may be read: its last request is answered, or it has not
    /// sent much ahead.
    #[must_use]
    pub fn wants_input(&self, id: ConnId) -> bool {
        self.connections
            .get(&id)
            .is_some_and(|slot| slot.connection.wants_input())
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, now: Now, input: &Input<'_>) {
        self.known.tick(now);
        match *input {
            Input::Accepted(id, address) => self.handle_accepted(now, id, address),
            Input::Secured(id, secured) => self.handle_secured(now, id, secured),
            Input::Proxied(id, source) => self.handle_proxied(now, id, source),
            Input::Refused(id, kind, why) => self.handle_refused(now, id, kind, why),
            Input::Received(id, bytes) => self.handle_received(now, id, bytes),
            Input::Sent(id, count) => self.handle_sent(now, id, count),
            Input::Ended(id) => self.forget(id),
            Input::Judged(id, verdict) => self.handle_judged(now, id, verdict),
            Input::Timeout => self.handle_timeout(now),
            ref of_output => self.handle_output(now, of_output),
        }
        self.begin_waiting(now);
        self.note_fullness(now);
    }

    /// The next thing to do; ask until there is none, after each call that takes `now`.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        for (index, link) in self.links.iter_mut().enumerate() {
            let tasks = link.take_broker_tasks().into_iter();
            let output = |(broker, task)| Output::Broker(OutputId(index), broker, task);
            self.outputs.extend(tasks.map(output));
        }
        loop {
            match self.outputs.pop_front()? {
                // It has gone meanwhile, so that there will be no answer.
                Output::Ask(id) if self.question(id).is_none() => {
                    self.guesses.answered(id);
                }
                output => return Some(output),
            }
        }
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(Link::poll_timeout);
        let hold = match self.pressure {
            Pressure::Holding { until, .. } => Some(until),
            Pressure::Released | Pressure::Shedding => None,
        };
        let timer = self.timers.first().map(|(at, _)| *at);
        links.chain(hold).chain(timer).min()
    }

    /// The relay will stop soon: whoever asks is told, and hosts are served as before.
    pub fn announce_end(&mut self) {
        self.is_ending = true;
    }

    /// No new requests; what is in flight is finished.
    pub fn stop(&mut self, now: Now) {
        self.announce_end();
        self.stopping = true;
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            if let Some(slot) = self.connections.get_mut(&id) {
                slot.connection.refuse_further(now);
                self.settle(now, id);
                self.send_refusal(now, id);
            }
        }
    }

    /// Whether nothing that was accepted is left to deliver or to answer.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let mut slots = self.connections.values();
        self.batches.is_empty()
            && self.questions.is_empty()
            && self.required().all(Link::is_idle)
            && slots.all(|slot| slot.connection.outgoing().is_empty())
    }

    /// Ends what outputs have of a session; to be called when nothing is left to deliver.
    pub fn close_outputs(&mut self, now: Now) {
        self.links.iter_mut().for_each(|link| link.close(now));
    }

    /// Whether all of those are ended.
    #[must_use]
    pub fn are_outputs_closed(&self) -> bool {
        self.links.iter().all(Link::is_closed)
    }

    fn handle_timeout(&mut self, now: Now) {
        for index in 0..self.links.len() {
            let id = OutputId(index);
            self.with_link(now, id, |link, _| link.handle_timeout(now));
        }
        while let Some(&(at, timer)) = self.timers.first() {
            if at > now.monotonic {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Connection(id) => self.time_out_connection(now, id),
                Timer::Batch(id) => self.hand_back_late(now, id),
                Timer::Question(id) => self.time_out_question(now, id),
                Timer::Refusal(id) => self.send_refusal(now, id),
                // Whatever comes next tries.
                Timer::Probe => {}
                Timer::Sweep => self.sweep(now),
            }
        }
    }

    fn sweep(&mut self, now: Now) {
        self.timers.insert((now.monotonic + SWEEP, Timer::Sweep));
        self.guesses.sweep(now);
        self.ask_waiting(now);
        self.report_silent(now);
        self.refusal_log.sweep(now);
        self.setbacks.sweep(now);
        self.turns.sweep(now);
        self.had.sweep(now);
        self.ledger.sweep(now);
        self.shed(now);
    }
}

fn seconds(now: Now) -> UnixSeconds {
    now.wall.into()
}

#[cfg(test)]
mod tests;
