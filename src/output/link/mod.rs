//! One output as a state machine: when to connect, what to write, what is delivered.
//!
//! A [`Link`] owns the queue of its output and decides by [`Settings`] what *delivered*
//! means: for TCP, every byte acknowledged by the peer's TCP, which must be measured while
//! something is in flight; for RELP, what the receiver has confirmed; for others, what has
//! been written.
//!
//! Each part of the state has an owner: `Delivery` holds the messages, however they are
//! sent; a `Stream`, or a `Topic` with a connection to each broker, sends them. A stream's
//! `Access` knows whether it is open and how to open it, its `Look` when to measure.

mod access;
mod delivery;
mod flow;
mod look;
mod otlp;
mod outage;
mod own_room;
mod rate;
mod relp;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod topic;
mod troubles;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::base::clock::Now;
use crate::metrics::OutputFacts;
use crate::output::kafka::{BrokerId, Event, Producer};
use crate::output::queue::{BatchId, Frames, Left, Queue};
use crate::output::{RefusedEvent, Secret, Settings, Target, Task};
use delivery::Delivery;
use session::Session;
use stream::Stream;
use topic::Topic;

pub use delivery::CAPACITY;

/// How messages reach the receiver.
#[derive(Debug)]
enum Way {
    Stream(Stream),
    Topic(Topic),
}

/// One output, sans-IO.
#[derive(Debug)]
pub struct Link {
    delivery: Delivery,
    way: Way,
}

impl Link {
    /// A link that is to be opened immediately.
    #[must_use]
    pub fn new(settings: Settings, now: Now) -> Self {
        let session = session_of(&settings);
        let by_message = session.is_some() || matches!(settings.target, Target::Kafka(_));
        let queue = if by_message {
            Queue::by_message()
        } else {
            Queue::new(settings.replay)
        };
        Self {
            way: Way::Stream(Stream::new(&settings, session, now)),
            delivery: Delivery::new(settings, queue),
        }
    }

    /// The same with random bytes, which authentication at brokers needs.
    #[must_use]
    pub fn with_seed(self, now: Now, seed: impl FnOnce() -> [u8; 32]) -> Self {
        let Target::Kafka(topic) = &self.settings().target else {
            return self;
        };
        let producer = Producer::new(topic, &self.settings().label, seed(), now);
        Self {
            way: Way::Topic(Topic::new(producer)),
            ..self
        }
    }

    /// The configuration of the output.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.delivery.settings()
    }

    /// The current state of the output for status and metrics.
    #[must_use]
    pub fn facts(&self) -> OutputFacts {
        self.delivery.facts(self.is_up())
    }

    fn is_up(&self) -> bool {
        match &self.way {
            Way::Stream(stream) => stream.is_up(),
            Way::Topic(topic) => topic.is_up(),
        }
    }

    /// Number of messages dropped so far (best-effort outputs only).
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.delivery.dropped()
    }

    /// Whether nothing more may be queued until something is delivered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.delivery.is_full()
    }

    /// Number of undelivered bytes.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.delivery.queue().backlog()
    }

    /// Whether everything queued has been delivered. The relay's own log does not wait for
    /// an output that is down.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let left = self.backlog();
        left == 0 || (left == self.delivery.queue().own() && !self.is_up())
    }

    /// The batch that has waited longest, if a source waits for it.
    #[must_use]
    pub fn oldest(&self) -> Option<BatchId> {
        let is_required = self.settings().required;
        is_required.then(|| self.delivery.queue().oldest())?
    }

    /// Queues a batch. Returns whether its source must wait for it: a best-effort output
    /// never makes it wait, and drops what does not fit.
    pub fn push(&mut self, now: Now, batch: BatchId, frames: &Rc<Frames>) -> bool {
        if self.delivery.push(batch, frames) {
            self.fill(now);
            self.note_progress(now);
        }
        self.settings().required
    }

    /// Queues a message of the relay's own log, if there is room.
    pub fn push_own(&mut self, now: Now, frames: &Rc<Frames>) {
        if self.delivery.push_own(frames) {
            self.fill(now);
        }
    }

    /// Number of such messages that found no room, once there is room to report it; each is
    /// reported once.
    pub fn take_own_lost(&mut self) -> Option<u64> {
        self.delivery.take_own_lost()
    }

    /// The source of `batch` was asked to retry. Returns how far it got here, if it was not
    /// delivered.
    pub fn cancel(&mut self, now: Now, batch: BatchId) -> Option<Left> {
        let left = self.delivery.cancel(batch);
        if left.is_some() {
            self.note_late(now);
            self.note_progress(now);
        }
        left
    }

    /// A batch that this output should have delivered was handed back.
    pub fn note_late(&mut self, now: Now) {
        if self.is_up() {
            self.delivery.troubles().note_late(now);
        }
    }

    /// The batch `old`, whose source was asked to retry, has arrived again as `new` while
    /// it is still being sent. Returns whether it is.
    pub fn adopt(&mut self, old: BatchId, new: BatchId) -> bool {
        self.delivery.adopt(old, new)
    }

    /// Batches with a permanently rejected message. They have left the queue, and their
    /// hosts must be asked to retry later.
    pub fn take_refused(&mut self) -> Vec<BatchId> {
        self.delivery.take_refused()
    }

    /// Batches that became delivered through a timeout or the end of a connection.
    pub fn take_delivered(&mut self) -> Vec<BatchId> {
        self.delivery.take_settled()
    }

    /// Lines for the file of rejected messages; [`Link::handle_filed`] must follow.
    #[must_use]
    pub fn lines_to_file(&self) -> Option<Vec<u8>> {
        self.delivery.lines_to_file()
    }

    /// These lines are on disk; with an error they are not, and their hosts keep the
    /// events.
    pub fn handle_filed(&mut self, now: Now, error: Option<&str>, delivered: &mut Vec<BatchId>) {
        self.delivery.handle_filed(error, delivered);
        self.fill(now);
    }

    /// The events that the receiver rejects, the latest first.
    #[must_use]
    pub fn refused_events(&self) -> Vec<RefusedEvent> {
        self.delivery.refused_events()
    }

    /// Sends what is queued, as far as there is room.
    fn fill(&mut self, now: Now) {
        match &mut self.way {
            Way::Stream(stream) => stream.fill(&mut self.delivery, now),
            Way::Topic(topic) => topic.fill(&mut self.delivery, now),
        }
    }

    /// Records progress after a change of what is in flight.
    fn note_progress(&mut self, now: Now) {
        let progress = self.delivery.progress();
        match &self.way {
            Way::Stream(stream) => stream.note_progress(&mut self.delivery, now, progress),
            Way::Topic(topic) => topic.note_progress(&mut self.delivery, now, progress),
        }
    }

    /// Handles the result of a name lookup, in time or late.
    pub fn handle_resolved(&mut self, now: Now, found: Result<&[SocketAddr], &str>) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_resolved(&mut self.delivery, now, found);
        }
    }

    /// The receiver has accepted the TCP connection; the TLS handshake starts.
    pub fn handle_reached(&mut self, now: Now) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_reached(now);
        }
    }

    /// The output is open; what [`Link::next_bytes`] returns may be written.
    pub fn handle_opened(&mut self, now: Now) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_opened(&mut self.delivery, now);
        }
    }

    /// Opening failed, or the open output ended. Undelivered messages, and the replay
    /// window before them, will be sent again.
    pub fn handle_failed(&mut self, now: Now, reason: &str) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_failed(&mut self.delivery, now, reason);
        }
    }

    /// The output's credentials have been read.
    pub fn replace_secret(&mut self, now: Now, secret: Secret) {
        match (&mut self.way, secret) {
            (Way::Stream(stream), Secret::Headers(headers)) => stream.replace_headers(headers),
            (Way::Topic(topic), Secret::Login(login)) => topic.replace_login(now, login),
            _ => {}
        }
    }

    /// Everything is delivered and nothing will follow: closes a session.
    pub fn close(&mut self, now: Now) {
        if let Way::Stream(stream) = &mut self.way {
            stream.close(now);
        }
    }

    /// Whether nothing remains to be written or awaited after [`Link::close`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.way {
            Way::Stream(stream) => stream.is_closed(),
            Way::Topic(_) => true,
        }
    }

    /// The bytes to write next on a stream, while the output is open.
    #[must_use]
    pub fn next_bytes(&self) -> Option<&[u8]> {
        match &self.way {
            Way::Stream(stream) => stream.next_bytes(&self.delivery),
            Way::Topic(_) => None,
        }
    }

    /// The bytes to write after those, batch by batch, so that a turn's small batches need not be
    /// written one by one.
    pub fn further_bytes(&self) -> impl Iterator<Item = &[u8]> {
        let stream = match &self.way {
            Way::Stream(stream) => Some(stream),
            Way::Topic(_) => None,
        };
        let further = stream.map(|stream| stream.further_bytes(&self.delivery));
        further.into_iter().flatten()
    }

    /// The next datagram, while the output is open.
    #[must_use]
    pub fn next_datagram(&self) -> Option<&[u8]> {
        let next = || self.delivery.queue().next_datagram();
        self.is_up().then(next)?
    }

    /// Reports that `count` bytes have been written.
    pub fn handle_written(&mut self, now: Now, count: usize, delivered: &mut Vec<BatchId>) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_written(&mut self.delivery, now, count, delivered);
        }
    }

    /// Handles bytes from the receiver. Returns a task if the output must be closed.
    pub fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        delivered: &mut Vec<BatchId>,
    ) -> Option<Task> {
        match &mut self.way {
            Way::Stream(stream) => {
                stream.handle_received(&mut self.delivery, now, bytes, delivered)
            }
            Way::Topic(_) => None,
        }
    }

    /// The peer's TCP has not acknowledged the last `unacknowledged` of the written bytes.
    pub fn handle_measured(
        &mut self,
        now: Now,
        unacknowledged: usize,
        delivered: &mut Vec<BatchId>,
    ) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_measured(&mut self.delivery, now, unacknowledged, delivered);
        }
    }

    /// Whether written bytes wait to be measured, so that a check right after writing is
    /// worthwhile.
    #[must_use]
    pub fn wants_measure(&self) -> bool {
        self.look_at().is_some()
    }

    fn look_at(&self) -> Option<Instant> {
        match &self.way {
            Way::Stream(stream) => stream.look_at(),
            Way::Topic(_) => None,
        }
    }

    /// Handles an event on the connection to a broker.
    pub fn handle_broker(
        &mut self,
        now: Now,
        broker: BrokerId,
        event: Event<'_>,
        delivered: &mut Vec<BatchId>,
    ) {
        if let Way::Topic(topic) = &mut self.way {
            topic.handle(&mut self.delivery, now, broker, event, delivered);
        }
    }

    fn topic(&self) -> Option<&Topic> {
        match &self.way {
            Way::Topic(topic) => Some(topic),
            Way::Stream(_) => None,
        }
    }

    /// Tasks for connections to brokers.
    pub fn take_broker_tasks(&mut self) -> Vec<(BrokerId, Task)> {
        match &mut self.way {
            Way::Topic(topic) => topic.take_tasks(),
            Way::Stream(_) => Vec::new(),
        }
    }

    /// Host and port of a broker.
    #[must_use]
    pub fn broker_place(&self, broker: BrokerId) -> Option<(&str, u16)> {
        self.topic()?.place(broker)
    }

    /// The bytes to write next on the connection to a broker.
    #[must_use]
    pub fn broker_bytes(&self, broker: BrokerId) -> &[u8] {
        self.topic().map_or(&[], |topic| topic.outgoing(broker))
    }

    /// Whether it can be given another batch: it works, and has less to do than it can do
    /// in a second. An idle one always gets a batch, however slow it was, to find out how
    /// fast it is now.
    #[must_use]
    pub fn has_room(&self, now: Now) -> bool {
        let has_room = || self.takes_probe(now) || self.held() < self.delivery.share(now);
        self.is_up() && has_room()
    }

    /// How long it will take to deliver what it has and `more` bytes, as far as that is
    /// known.
    #[must_use]
    pub fn delay(&self, now: Now, more: usize) -> Option<Duration> {
        let takes_probe = self.takes_probe(now);
        let delay = || self.delivery.delay(now, self.held() + more, takes_probe);
        self.is_up().then(delay)?
    }

    /// Recent rate in bytes per second, counting only time in which there was something to deliver;
    /// `None` if too little has happened.
    #[must_use]
    pub fn rate(&self, now: Now) -> Option<u64> {
        self.delivery.rate(now)
    }

    /// Whether it has nothing to deliver.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.held() == 0
    }

    fn takes_probe(&self, now: Now) -> bool {
        match &self.way {
            Way::Stream(stream) => stream.takes_probe(&self.delivery, now),
            Way::Topic(_) => self.is_at_rest(),
        }
    }

    /// Number of bytes that remain to be sent, or are in flight.
    fn held(&self) -> usize {
        match &self.way {
            Way::Stream(stream) => stream.held(&self.delivery),
            Way::Topic(_) => Topic::held(&self.delivery),
        }
    }

    /// When [`Link::handle_timeout`] must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.way {
            Way::Stream(stream) => stream.poll_timeout(&self.delivery),
            Way::Topic(topic) => topic.poll_timeout(&self.delivery),
        }
    }

    /// Handles deadlines; calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Now) -> Option<Task> {
        if self.poll_timeout().is_none_or(|at| now.monotonic < at) {
            return None;
        }
        match &mut self.way {
            Way::Stream(stream) => stream.handle_timeout(&mut self.delivery, now),
            Way::Topic(topic) => {
                topic.handle_timeout(&mut self.delivery, now);
                None
            }
        }
    }
}

/// The session for an output whose receiver confirms; `None` for others.
fn session_of(settings: &Settings) -> Option<Box<dyn Session>> {
    match settings.target {
        Target::Relp { .. } => Some(Box::<relp::Relp>::default()),
        Target::Otlp { .. } => Some(Box::new(otlp::Otlp::new(settings))),
        _ => None,
    }
}
