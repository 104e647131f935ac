//! A topic of a Kafka cluster as a state machine: brokers, leaders, batches, answers.
//!
//! A producer takes records from its output's [`Queue`] in order, and puts each into the
//! partition of its key. A partition has one batch in flight, and a broker one request for
//! all of its partitions, so that the order within a partition is kept whatever fails. A
//! batch keeps its sequence number until its fate is known, so a broker that already has it
//! recognizes it.

mod brokers;
mod connection;
mod identity;
mod partition;
mod partitions;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::base::clock::Now;
use crate::output::Task;
use crate::output::queue::{BatchId, Queue};
use crate::output::refusing::Refusing;
use crate::protocol::kafka::{
    Class, Code, Compression, Login, Mechanism, Metadata, Produced, ProducerId, push_produce,
    quoted,
};
use brokers::Brokers;
use connection::Next;
use identity::Identity;
use partitions::Partitions;

pub use connection::{Connection, Context, Reply};

/// How long a broker may wait for its replicas, in milliseconds.
const PRODUCE_TIME: i32 = 20_000;
/// Maximum size of a request in bytes; far below a broker's `socket.request.max.bytes` (100
/// MiB by default).
const REQUEST_MAX: usize = 8 << 20;

/// Identifies a connection of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub usize);

/// An event on a connection to a broker.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The addresses for its host name, or why there are none.
    Resolved(Result<&'a [SocketAddr], &'a str>),
    /// The broker has accepted the TCP connection; the TLS handshake starts.
    Reached,
    /// The connection is open.
    Opened,
    /// It could not be opened, or has ended; the reason.
    Failed(&'a str),
    /// Bytes from the broker.
    Received(&'a [u8]),
    /// This many bytes have been written.
    Written(usize),
}

/// The configuration of a producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bootstrap brokers, from which all others are discovered.
    pub brokers: Vec<(String, u16)>,
    /// The topic, which must exist.
    pub topic: String,
    /// The compression codec of batches.
    pub compression: Compression,
    /// The SASL mechanism; `None` without SASL.
    pub mechanism: Option<Mechanism>,
}

/// What a protocol with confirmations works on, besides its own state.
pub(super) struct Desk<'a> {
    pub(super) queue: &'a mut Queue,
    pub(super) refusing: &'a mut Refusing,
    pub(super) delivered: &'a mut Vec<BatchId>,
}

/// The producer of one output, sans-IO.
#[derive(Debug)]
pub(super) struct Producer {
    label: String,
    topic: String,
    mechanism: Option<Mechanism>,
    login: Option<(Mechanism, Login)>,
    seed: [u8; 32],
    nonces: u64,
    brokers: Brokers,
    partitions: Partitions,
    identity: Identity,
    /// What is wrong with the topic, according to the brokers.
    topic_trouble: Option<String>,
    failures: Vec<String>,
}

impl Producer {
    pub(super) fn new(settings: &Settings, label: &str, seed: [u8; 32], now: Now) -> Self {
        Self {
            label: label.to_owned(),
            topic: settings.topic.clone(),
            mechanism: settings.mechanism,
            login: None,
            seed,
            nonces: 0,
            brokers: Brokers::new(&settings.brokers, now),
            partitions: Partitions::new(settings.compression),
            identity: Identity::Unknown(now.monotonic),
            topic_trouble: None,
            failures: Vec::new(),
        }
    }

    /// User and password have been read, at the start or again. A connection whose login
    /// failed is retried immediately.
    pub(super) fn replace_login(&mut self, now: Now, login: Login) {
        let login = self.mechanism.zip(Some(login));
        if self.login != login {
            self.login = login;
            self.brokers.end_pauses(now);
        }
    }

    /// Tasks for connections.
    pub(super) fn take_tasks(&mut self) -> Vec<(BrokerId, Task)> {
        self.brokers.take_tasks()
    }

    /// Failures since the last call.
    pub(super) fn take_failures(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }

    /// Host and port of a connection.
    pub(super) fn place(&self, id: BrokerId) -> Option<(&str, u16)> {
        self.brokers.get(id.0).map(Connection::place)
    }

    /// The bytes to write next on a connection.
    pub(super) fn outgoing(&self, id: BrokerId) -> &[u8] {
        self.brokers.get(id.0).map_or(&[], Connection::outgoing)
    }

    /// Whether something can be delivered.
    pub(super) fn is_working(&self) -> bool {
        self.identity.is_settled() && self.topic_trouble.is_none() && self.brokers.leaders_up().0
    }

    /// Whether nothing is wrong.
    pub(super) fn is_healthy(&self) -> bool {
        self.is_working() && self.brokers.leaders_up().1 && self.partitions.are_well()
    }

    /// When [`Producer::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let identity = match self.identity {
            Identity::Unknown(at) if self.brokers.up().is_some() => Some(at),
            _ => None,
        };
        let brokers = self.brokers.poll_timeout().into_iter();
        brokers
            .chain(self.partitions.poll_timeout())
            .chain(identity)
            .min()
    }

    /// Handles an event on a connection.
    pub(super) fn handle(&mut self, now: Now, id: BrokerId, event: Event<'_>, desk: &mut Desk<'_>) {
        let Some(connection) = self.brokers.get_mut(id.0) else {
            return;
        };
        match event {
            Event::Resolved(found) => match connection.handle_resolved(now, found) {
                Next::Step(task) => self.brokers.push_task(id, task),
                Next::GiveUp(why) => self.fail(now, id, &why),
            },
            Event::Reached => connection.handle_reached(now),
            Event::Opened => connection.handle_opened(now),
            Event::Failed(why) => self.handle_end(now, id, why),
            Event::Written(count) => connection.handle_written(count),
            Event::Received(bytes) => self.handle_received(now, id, bytes, desk),
        }
        self.go_on(now, desk);
    }

    fn handle_received(&mut self, now: Now, id: BrokerId, bytes: &[u8], desk: &mut Desk<'_>) {
        let random = self.random();
        let Some(connection) = self.brokers.get_mut(id.0) else {
            return;
        };
        let context = Context {
            topic: &self.topic,
            login: self.login.as_ref(),
            random,
        };
        match connection.handle_received(now, bytes, &context) {
            Ok(replies) => {
                for reply in replies {
                    self.handle_reply(now, id.0, reply, desk);
                }
            }
            Err(error) => self.give_up(now, id, &error.to_string()),
        }
    }

    /// Secure random bytes for one use.
    fn random(&mut self) -> [u8; 32] {
        self.nonces += 1;
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(self.nonces.to_be_bytes());
        hasher.finalize().into()
    }

    /// Handles deadlines.
    pub(super) fn handle_timeout(&mut self, now: Now, desk: &mut Desk<'_>) {
        for index in 0..self.brokers.len() {
            let Some(connection) = self.brokers.get_mut(index) else {
                continue;
            };
            let id = BrokerId(index);
            let Some(reason) = connection.late_reason(now) else {
                continue;
            };
            match connection.step_over_look_up(now) {
                Some(task) => self.brokers.push_task(id, Some(task)),
                None => self.give_up(now, id, &reason),
            }
        }
        self.go_on(now, desk);
    }

    /// Closes a connection from this side.
    fn give_up(&mut self, now: Now, id: BrokerId, why: &str) {
        self.brokers.push_task(id, Some(Task::Close));
        self.fail(now, id, why);
    }

    /// A connection has ended. An idle one is not missed: brokers close those.
    fn handle_end(&mut self, now: Now, id: BrokerId, why: &str) {
        match self.brokers.get_mut(id.0) {
            Some(connection) if connection.is_up() && !connection.is_waiting() => {
                connection.handle_idle_end();
            }
            _ => self.fail(now, id, why),
        }
    }

    fn fail(&mut self, now: Now, id: BrokerId, why: &str) {
        let Some(connection) = self.brokers.get_mut(id.0) else {
            return;
        };
        let (host, port) = connection.place();
        let place = format!("{host}:{port}");
        match connection.handle_failed(now, why) {
            Next::Step(task) => self.brokers.push_task(id, task),
            Next::GiveUp(why) => self.failures.push(format!("{place}: {why}")),
        }
        if self.identity == Identity::Asked(id.0) {
            self.identity = Identity::Unknown(now.monotonic);
        }
        self.partitions.postpone_on(now, id.0);
        self.brokers.note_gone(now, id.0);
    }

    fn handle_reply(&mut self, now: Now, from: usize, reply: Reply, desk: &mut Desk<'_>) {
        match reply {
            Reply::Up => {}
            Reply::Metadata(found) => self.handle_metadata(now, &found, desk),
            Reply::ProducerId(answer) => self.handle_identity(now, answer),
            Reply::Produced(produced) => {
                for produced in produced {
                    self.handle_produced(now, from, &produced, desk);
                }
                // Whatever the answer did not mention is sent again.
                self.partitions.postpone_on(now, from);
                return;
            }
        }
        if let Some(connection) = self.brokers.get_mut(from) {
            connection.note_good();
        }
    }

    fn handle_identity(&mut self, now: Now, answer: Result<ProducerId, Code>) {
        self.identity = match answer {
            Ok(producer) => Identity::Known(producer),
            Err(code) if code.denies_idempotence() => self.without_identity(&code.to_string()),
            Err(code) => {
                self.failures.push(format!("no producer id: {code}"));
                Identity::Unknown(now.monotonic + brokers::LONGEST_PAUSE)
            }
        };
    }

    fn without_identity(&self, why: &str) -> Identity {
        log::warn!(
            "output {}: no idempotent producer, so a message may arrive twice after a failure: \
             {why}",
            self.label
        );
        Identity::None
    }

    /// Handles the current brokers and leaders.
    fn handle_metadata(&mut self, now: Now, found: &Metadata, desk: &mut Desk<'_>) {
        let topic = &self.topic;
        let trouble = if !found.code.is_good() {
            Some(found.code.to_string())
        } else if found.partitions.is_empty() {
            Some("the topic has no partition".to_owned())
        } else {
            None
        };
        self.topic_trouble = trouble.map(|why| format!("topic {topic}: {why}"));
        if self.topic_trouble.is_none() {
            self.set_leaders(found, desk);
        }
        self.failures.extend(self.topic_trouble.clone());
        let lost = self.partitions.leaderless();
        if lost > 0 {
            let why = format!(
                "topic {}: {lost} of its partitions have no leader",
                self.topic
            );
            self.failures.push(why);
        }
        let is_whole = self.topic_trouble.is_none() && lost == 0;
        self.brokers.note_metadata(now, is_whole);
    }

    fn set_leaders(&mut self, found: &Metadata, desk: &mut Desk<'_>) {
        let partitions = found.partitions.iter();
        let leaders: BTreeMap<usize, i32> = partitions
            .map(|p| (usize::try_from(p.index).unwrap_or(usize::MAX), p.leader))
            .collect();
        // Partitions are numbered from 0 without gaps.
        self.partitions.set_count(leaders.len(), desk);
        let connections = self.brokers.set_leaders(found);
        for (index, broker) in leaders {
            if let Some(partition) = self.partitions.get_mut(index) {
                partition.set_leader(connections.get(&broker).copied());
            }
        }
    }

    /// Does everything that can be done now.
    fn go_on(&mut self, now: Now, desk: &mut Desk<'_>) {
        self.brokers.connect(now);
        self.ask(now);
        self.partitions.fill(desk);
        self.partitions.take_due(now, desk);
        self.send(now, desk);
    }

    /// New messages are in the queue.
    pub(super) fn handle_queued(&mut self, now: Now, desk: &mut Desk<'_>) {
        self.partitions.fill(desk);
        self.send(now, desk);
    }

    /// Requests leaders and a producer id, when it is time.
    fn ask(&mut self, now: Now) {
        let Some(index) = self.brokers.up() else {
            return;
        };
        if let Err(error) = self.brokers.ask(now, index, &self.topic) {
            return self.give_up(now, BrokerId(index), &error.to_string());
        }
        if let Identity::Unknown(at) = self.identity
            && at <= now.monotonic
            && let Some(connection) = self.brokers.get_mut(index)
        {
            self.identity = match connection.ask_producer_id(now) {
                Ok(()) => Identity::Asked(index),
                Err(error) => self.without_identity(&error.to_string()),
            };
        }
    }

    /// Sends each leader what its partitions have, one request at a time.
    fn send(&mut self, now: Now, desk: &mut Desk<'_>) {
        // Called even without a producer id: otherwise a pause that is over would remain
        // due, and cause a busy loop, until there is one.
        let ready = self.partitions.ready(now);
        if !self.identity.is_settled() {
            return;
        }
        let producer = self.identity.producer();
        let mut requests: BTreeMap<usize, (usize, Vec<usize>)> = BTreeMap::new();
        for (index, leader) in ready {
            let connection = self.brokers.get(leader);
            if !connection.is_some_and(|c| c.is_up() && !c.is_waiting()) {
                continue;
            }
            let (size, indexes) = requests.entry(leader).or_default();
            if *size >= REQUEST_MAX {
                continue;
            }
            match self.partitions.prepare(now, index, producer, desk) {
                Ok(length) => {
                    *size += length;
                    indexes.extend((length > 0).then_some(index));
                }
                Err(error) => self.failures.push(error.to_string()),
            }
        }
        for (leader, (_, indexes)) in requests {
            if !indexes.is_empty() {
                self.produce(now, leader, &indexes);
            }
        }
    }

    fn produce(&mut self, now: Now, leader: usize, indexes: &[usize]) {
        let batches = self.partitions.batches(indexes);
        let Some(connection) = self.brokers.get_mut(leader) else {
            return;
        };
        let sent = connection.produce(now, |out| {
            push_produce(out, &self.topic, PRODUCE_TIME, batches.into_iter());
        });
        match sent {
            Ok(()) => self.partitions.note_sent(indexes, leader),
            Err(error) => self.give_up(now, BrokerId(leader), &error.to_string()),
        }
    }

    /// Handles the result of the batch for one partition.
    fn handle_produced(&mut self, now: Now, from: usize, told: &Produced, desk: &mut Desk<'_>) {
        let index = usize::try_from(told.partition).unwrap_or(usize::MAX);
        let partition = self.partitions.get_mut(index);
        let Some(partition) = partition.filter(|p| p.is_sent_on(from)) else {
            return;
        };
        match told.code.class() {
            Class::Good => {
                self.partitions.handle_delivered(index, desk);
                self.topic_trouble = None;
                if let Some(connection) = self.brokers.get_mut(from) {
                    connection.note_good();
                }
            }
            Class::TooLarge | Class::Refused => {
                self.partitions.handle_refused(now, index, told, desk);
            }
            Class::Moved => {
                // A leader that has moved is not reported, unless that lasts.
                let is_news = partition.is_failing;
                partition.fail(now.monotonic);
                self.failures.extend(is_news.then(|| reason(index, told)));
                self.brokers.ask_soon(now);
            }
            Class::Retry => {
                partition.fail(now.monotonic);
                self.failures.push(reason(index, told));
            }
            Class::Outage => {
                partition.fail(now.monotonic);
                self.topic_trouble = Some(told.code.to_string());
                self.failures.push(reason(index, told));
                self.brokers.ask_soon(now);
            }
            Class::Sequence => {
                let producer = partition.producer();
                self.partitions.put_back(index, desk.queue);
                if let Identity::Known(known) = self.identity
                    && producer == Some(known)
                {
                    log::debug!("output {}: {}: a new producer id", self.label, told.code);
                    self.identity = Identity::Unknown(now.monotonic);
                }
            }
        }
    }
}

fn reason(index: usize, told: &Produced) -> String {
    match told.message.as_deref() {
        Some(said) if !said.is_empty() => {
            format!("partition {index}: {}: {}", told.code, quoted(said))
        }
        _ => format!("partition {index}: {}", told.code),
    }
}
