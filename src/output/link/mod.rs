//! One output as a state machine: when to connect, what to write, what is delivered.
//!
//! A [`Link`] owns the queue of its output and decides by [`Settings`] what
//! *delivered* means there: for TCP every byte acknowledged by the peer's TCP,
//! which has to be measured from time to time while something is in flight; for
//! RELP what the receiver itself has confirmed; for the others what was written.
//!
//! Each part of its state has an owner: `Delivery` holds the messages, however they leave;
//! the way that they take is a `Stream`, or a `Topic` with a connection to each broker. A
//! stream's `Access` knows whether it is open and how to get there, its `Look` when to measure.

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
    /// A link that wants to be opened at once.
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

    /// How the output was asked for.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.delivery.settings()
    }

    /// How the output is at this moment.
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

    /// Messages dropped so far (best effort outputs only).
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.delivery.dropped()
    }

    /// Whether no more may be queued before something is delivered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.delivery.is_full()
    }

    /// Bytes that it has to deliver.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.delivery.queue().backlog()
    }

    /// Whether everything queued has been delivered. Our own log waits for no output
    /// that is down.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let left = self.backlog();
        left == 0 || (left == self.delivery.queue().own() && !self.is_up())
    }

    /// The batch that has waited for longest, if a source waits for it.
    #[must_use]
    pub fn oldest(&self) -> Option<BatchId> {
        let is_required = self.settings().required;
        is_required.then(|| self.delivery.queue().oldest())?
    }

    /// Queues a batch. Answers whether its source has to wait for it: a best
    /// effort output never makes it wait, and drops what does not fit.
    pub fn push(&mut self, now: Now, batch: BatchId, frames: &Rc<Frames>) -> bool {
        if self.delivery.push(batch, frames) {
            self.fill(now);
            self.note_progress(now);
        }
        self.settings().required
    }

    /// Queues one message of the relay's own log, if there is room.
    pub fn push_own(&mut self, now: Now, frames: &Rc<Frames>) {
        if self.delivery.push_own(frames) {
            self.fill(now);
        }
    }

    /// How many of those have found no room, once there is room to tell of it; each is
    /// told of once.
    pub fn take_own_lost(&mut self) -> Option<u64> {
        self.delivery.take_own_lost()
    }

    /// The source of `batch` was told to come again. Answers how far it got here, if it
    /// was not delivered.
    pub fn cancel(&mut self, now: Now, batch: BatchId) -> Option<Left> {
        let left = self.delivery.cancel(batch);
        if left.is_some() {
            self.note_late(now);
            self.note_progress(now);
        }
        left
    }

    /// A batch that this output should have taken was handed back.
    pub fn note_late(&mut self, now: Now) {
        if self.is_up() {
            self.delivery.troubles().note_late(now);
        }
    }

    /// The batch `old`, whose source was told to come again, has come as `new` while it is
    /// still on the wire. Answers whether it is.
    pub fn adopt(&mut self, old: BatchId, new: BatchId) -> bool {
        self.delivery.adopt(old, new)
    }

    /// Batches with a message that is refused for good: they have left the queue, and
    /// their hosts are to be told to come later.
    pub fn take_refused(&mut self) -> Vec<BatchId> {
        self.delivery.take_refused()
    }

    /// Batches that were delivered by the passing of time or the end of a connection.
    pub fn take_delivered(&mut self) -> Vec<BatchId> {
        self.delivery.take_settled()
    }

    /// Lines for the file of refused messages; [`Link::handle_filed`] follows.
    #[must_use]
    pub fn lines_to_file(&self) -> Option<Vec<u8>> {
        self.delivery.lines_to_file()
    }

    /// Those lines are on disk, or could not be put there: then their hosts keep the events.
    pub fn handle_filed(&mut self, now: Now, error: Option<&str>, delivered: &mut Vec<BatchId>) {
        self.delivery.handle_filed(error, delivered);
        self.fill(now);
    }

    /// The events that the receiver refuses, the latest first.
    #[must_use]
    pub fn refused_events(&self) -> Vec<RefusedEvent> {
        self.delivery.refused_events()
    }

    /// What is queued goes on its way, as far as there is room.
    fn fill(&mut self, now: Now) {
        match &mut self.way {
            Way::Stream(stream) => stream.fill(&mut self.delivery, now),
            Way::Topic(topic) => topic.fill(&mut self.delivery, now),
        }
    }

    /// More or less is on the way, and nothing more is delivered.
    fn note_progress(&mut self, now: Now) {
        let progress = self.delivery.progress();
        match &self.way {
            Way::Stream(stream) => stream.note_progress(&mut self.delivery, now, progress),
            Way::Topic(topic) => topic.note_progress(&mut self.delivery, now, progress),
        }
    }

    /// The addresses of the name, or why there are none, in time or late.
    pub fn handle_resolved(&mut self, now: Now, found: Result<&[SocketAddr], &str>) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_resolved(&mut self.delivery, now, found);
        }
    }

    /// The receiver has accepted the connection, and TLS begins on it.
    pub fn handle_reached(&mut self, now: Now) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_reached(now);
        }
    }

    /// The output is open; what [`Link::next_bytes`] offers may be written.
    pub fn handle_opened(&mut self, now: Now) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_opened(&mut self.delivery, now);
        }
    }

    /// Opening failed, or the open output ended. What was not delivered, and the
    /// replay window before it, is sent again.
    pub fn handle_failed(&mut self, now: Now, reason: &str) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_failed(&mut self.delivery, now, reason);
        }
    }

    /// The secrets of the output have been read.
    pub fn replace_secret(&mut self, now: Now, secret: Secret) {
        match (&mut self.way, secret) {
            (Way::Stream(stream), Secret::Headers(headers)) => stream.replace_headers(headers),
            (Way::Topic(topic), Secret::Login(login)) => topic.replace_login(now, login),
            _ => {}
        }
    }

    /// Everything is delivered, and nothing will follow: a session is closed.
    pub fn close(&mut self, now: Now) {
        if let Way::Stream(stream) = &mut self.way {
            stream.close(now);
        }
    }

    /// Whether nothing is to be written or awaited after [`Link::close`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.way {
            Way::Stream(stream) => stream.is_closed(),
            Way::Topic(_) => true,
        }
    }

    /// What to write next on a stream, when the output is open.
    #[must_use]
    pub fn next_bytes(&self) -> Option<&[u8]> {
        match &self.way {
            Way::Stream(stream) => stream.next_bytes(&self.delivery),
            Way::Topic(_) => None,
        }
    }

    /// The next datagram, when the output is open.
    #[must_use]
    pub fn next_datagram(&self) -> Option<&[u8]> {
        let next = || self.delivery.queue().next_datagram();
        self.is_up().then(next)?
    }

    /// `count` bytes were written.
    pub fn handle_written(&mut self, now: Now, count: usize, delivered: &mut Vec<BatchId>) {
        if let Way::Stream(stream) = &mut self.way {
            stream.handle_written(&mut self.delivery, now, count, delivered);
        }
    }

    /// Bytes came from the receiver. Answers whether the output is to be closed.
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

    /// The peer's TCP has yet to acknowledge `unacknowledged` of the written bytes.
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

    /// Whether written bytes wait to be measured: worth a look right after writing.
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

    /// Something has happened on the connection to a broker.
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

    /// What is to be done for connections to brokers.
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

    /// What to write next on the connection to a broker.
    #[must_use]
    pub fn broker_bytes(&self, broker: BrokerId) -> &[u8] {
        self.topic().map_or(&[], |topic| topic.outgoing(broker))
    }

    /// Whether it can be given another batch: it works, and has less to do than it can do
    /// in a second. One that has nothing to do gets one, however slow it was: that shows
    /// how fast it is now.
    #[must_use]
    pub fn has_room(&self, now: Now) -> bool {
        let has_room = || self.takes_probe(now) || self.held() < self.delivery.share(now);
        self.is_up() && has_room()
    }

    /// How long it will take to deliver what it has and `more` bytes, as far as can be told.
    #[must_use]
    pub fn delay(&self, now: Now, more: usize) -> Option<Duration> {
        let takes_probe = self.takes_probe(now);
        let delay = || self.delivery.delay(now, self.held() + more, takes_probe);
        self.is_up().then(delay)?
    }

    /// Bytes a second that it has delivered lately, while it had some to deliver.
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

    /// Bytes that it is to send yet, or that are on the way.
    fn held(&self) -> usize {
        match &self.way {
            Way::Stream(stream) => stream.held(&self.delivery),
            Way::Topic(_) => Topic::held(&self.delivery),
        }
    }

    /// When [`Link::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.way {
            Way::Stream(stream) => stream.poll_timeout(&self.delivery),
            Way::Topic(topic) => topic.poll_timeout(&self.delivery),
        }
    }

    /// Time has passed; calls too early are harmless.
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

/// The session for an output whose receiver confirms; `None` for the others.
fn session_of(settings: &Settings) -> Option<Box<dyn Session>> {
    match settings.target {
        Target::Relp { .. } => Some(Box::<relp::Relp>::default()),
        Target::Otlp { .. } => Some(Box::new(otlp::Otlp::new(settings))),
        _ => None,
    }
}
