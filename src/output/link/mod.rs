//! One output as a state machine: when to connect, what to write, what is delivered.
//!
//! A [`Link`] owns the [`Queue`] of its output and decides by [`Settings`] what
//! *delivered* means there: for TCP every byte acknowledged by the peer's TCP,
//! which has to be measured from time to time while something is in flight; for
//! RELP what the receiver itself has confirmed; for the others what was written.

mod facts;
mod filing;
mod flow;
mod kafka_topic;
mod opening;
mod otlp;
mod outage;
mod own_log;
mod rate;
mod relp;
mod session;
#[cfg(test)]
mod tests;
mod timing;

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::base::clock::Now;
use crate::output::kafka::Producer;
use crate::output::queue::{BatchId, Frames, Left, Queue};
use crate::output::refusing::Refusing;
use crate::output::{Dial, Secret, Settings, Step, Target, Task};
use outage::Outage;
use rate::Rate;
use session::{Desk, End, Outcome, Session};

/// Bytes that may wait for one output before sources are held back.
pub const CAPACITY: usize = 64 << 20;
/// First pause before an output is opened again; doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// First look at what the peer has acknowledged; doubles while nothing moves.
const FIRST_LOOK: Duration = Duration::from_micros(500);
/// A look costs one system call, so that a slow peer is not worth looking at more often.
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// How long a RELP receiver may take to answer our `close`.
const CLOSING_TIME: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down {
        until: Instant,
    },
    /// The name server is asked.
    LookingUp {
        until: Instant,
    },
    Opening {
        until: Instant,
    },
    /// Connected, and the RELP session is to be opened.
    Greeting {
        until: Instant,
    },
    Up,
    /// The RELP session is to be closed.
    Closing {
        until: Instant,
    },
    Closed,
}

/// One output, sans-IO.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    queue: Queue,
    rate: Rate,
    /// Bytes delivered, as far as `rate` knows of them: on this connection if that is
    /// measured, else since the start.
    progress: u64,
    phase: Phase,
    /// The way to its receiver.
    dial: Dial,
    /// Whether the receiver has accepted the connection.
    reached: bool,
    pause: Duration,
    look: Option<(Instant, Duration)>,
    /// The protocol, where the receiver confirms messages.
    session: Option<Box<dyn Session>>,
    /// The brokers of a Kafka topic.
    topic: Option<Producer>,
    /// What its receiver does not take, over all connections.
    refusing: Refusing,
    /// Batches that were delivered without a call that tells so.
    settled: Vec<BatchId>,
    /// The last connection has ended as connections do.
    is_usual: bool,
    failing: Outage,
    refused: Outage,
    late: Outage,
    /// Messages dropped because a best effort output was full.
    dropped: u64,
    /// Messages of our own log that found no room and were not told of.
    own_lost: u64,
}

impl Link {
    /// A link that wants to be opened at once.
    #[must_use]
    pub fn new(settings: Settings, now: Now) -> Self {
        let session = session_of(&settings);
        let by_message = session.is_some() || matches!(settings.target, Target::Kafka(_));
        let refused = settings.refused.clone();
        Self {
            queue: match by_message {
                true => Queue::by_message(),
                false => Queue::new(settings.replay),
            },
            refusing: Refusing::new(refused, settings.required, &settings.label),
            settled: Vec::new(),
            dial: Dial::new(settings.target.place()),
            reached: false,
            settings,
            rate: Rate::default(),
            progress: 0,
            phase: Phase::Down {
                until: now.monotonic,
            },
            pause: FIRST_PAUSE,
            look: None,
            session,
            topic: None,
            is_usual: false,
            failing: Outage::default(),
            refused: Outage::default(),
            late: Outage::default(),
            dropped: 0,
            own_lost: 0,
        }
    }

    /// How the output was asked for.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Messages dropped so far (best effort outputs only).
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped + self.refusing.dropped
    }

    /// Whether no more may be queued before something is delivered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.backlog() >= CAPACITY
    }

    /// Queues a batch. Answers whether its source has to wait for it: a best
    /// effort output never makes it wait, and drops what does not fit.
    pub fn push(&mut self, now: Now, batch: BatchId, frames: &Rc<Frames>) -> bool {
        if !self.settings.required && self.is_full() {
            self.drop_messages(frames.ends.len());
            return false;
        }
        self.queue.push(batch, Rc::clone(frames));
        self.fill(now);
        self.note_progress(now, self.progress);
        self.settings.required
    }

    fn drop_messages(&mut self, count: usize) {
        if self.dropped == 0 {
            let label = &self.settings.label;
            log::warn!("output {label}: does not accept all events; dropping some (required=no)");
        }
        self.dropped = self
            .dropped
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// The source of `batch` was told to come again. Answers how far it got here, if it
    /// was not delivered.
    pub fn cancel(&mut self, now: Now, batch: BatchId) -> Option<Left> {
        let left = self.queue.cancel(batch);
        if left.is_some() {
            self.note_late(now);
            self.note_progress(now, self.progress);
        }
        left
    }

    /// A batch that this output should have taken was handed back.
    pub fn note_late(&mut self, now: Now) {
        let is_late = self.settings.required && matches!(self.phase, Phase::Up);
        if is_late && self.late.begin(now) {
            let label = &self.settings.label;
            log::warn!("output {label}: does not deliver in time; hosts keep their events (503)");
        }
    }

    /// The batch `old`, whose source was told to come again, has come as `new` while it is
    /// still on the wire. Answers whether it is.
    pub fn adopt(&mut self, old: BatchId, new: BatchId) -> bool {
        self.queue.adopt(old, new)
    }

    /// The output is open; what [`Link::next_bytes`] offers may be written.
    pub fn handle_opened(&mut self, now: Now) {
        if self
            .session
            .as_mut()
            .is_none_or(|s| s.handle_connected(now))
        {
            self.handle_up(now);
            self.fill(now);
            return;
        }
        self.phase = Phase::Greeting {
            until: now.monotonic + self.dial.step_time(),
        };
    }

    fn handle_up(&mut self, now: Now) {
        self.phase = Phase::Up;
        self.note_progress(now, self.progress);
        self.tell_up(now);
        self.dial.handle_up();
    }

    /// Opening failed, or the open output ended. What was not delivered, and the
    /// replay window before it, is sent again.
    pub fn handle_failed(&mut self, now: Now, reason: &str) {
        self.handle_end(now, End::of(reason), true);
    }

    /// The same; the session may know better why a connection has ended, unless it was us.
    fn handle_end(&mut self, now: Now, mut end: End, is_theirs: bool) {
        match self.phase {
            Phase::Down { .. } | Phase::Closed => return,
            Phase::Closing { .. } => {
                self.phase = Phase::Closed;
                return;
            }
            _ => {}
        }
        let better = self.end_session(now).filter(|_| is_theirs);
        end = better.unwrap_or(end);
        if !end.is_usual && self.try_next(now, &end.reason) {
            return;
        }
        if end.is_usual {
            self.is_usual = true;
            self.phase = Phase::Down {
                until: now.monotonic,
            };
        } else {
            let reasons = self.dial.reasons();
            self.tell_failure(now, reasons.as_ref().unwrap_or(&end.reason));
            self.pause(now, end.pause);
        }
        self.queue.rewind();
        self.look = None;
        if self.is_measured() {
            self.progress = 0;
        }
        self.note_progress(now, self.progress);
    }

    /// A session that was open may have ended because of a message.
    fn end_session(&mut self, now: Now) -> Option<End> {
        let mut end = None;
        if let Some(session) = &mut self.session
            && matches!(self.phase, Phase::Up)
        {
            let mut desk = Desk {
                queue: &mut self.queue,
                refusing: &mut self.refusing,
                delivered: &mut self.settled,
            };
            end = session.handle_ended(now, &mut desk);
        }
        self.reset_session();
        end
    }

    /// The secrets of the output have been read.
    pub fn replace_secret(&mut self, now: Now, secret: Secret) {
        match (&mut self.session, &mut self.topic, secret) {
            (Some(session), _, Secret::Headers(headers)) => session.replace_headers(headers),
            (_, Some(topic), Secret::Login(login)) => topic.replace_login(now, login),
            _ => {}
        }
    }

    fn reset_session(&mut self) {
        if let Some(session) = &mut self.session {
            session.reset();
        }
    }

    /// Everything is delivered, and nothing will follow: a session is closed.
    pub fn close(&mut self, now: Now) {
        if let (Phase::Up, Some(session)) = (self.phase, &mut self.session)
            && session.close()
        {
            self.phase = Phase::Closing {
                until: now.monotonic + CLOSING_TIME,
            };
        }
    }

    /// Whether nothing is to be written or awaited after [`Link::close`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !matches!(self.phase, Phase::Closing { .. })
    }

    /// What to write next on a stream, when the output is open.
    #[must_use]
    pub fn next_bytes(&self) -> Option<&[u8]> {
        match (&self.session, self.phase) {
            (Some(session), _) => Some(session.outgoing()).filter(|bytes| !bytes.is_empty()),
            (None, Phase::Up) => self.queue.next_bytes(),
            _ => None,
        }
    }

    /// The next datagram, when the output is open.
    #[must_use]
    pub fn next_datagram(&self) -> Option<&[u8]> {
        matches!(self.phase, Phase::Up)
            .then(|| self.queue.next_datagram())
            .flatten()
    }

    /// `count` bytes were written.
    pub fn handle_written(&mut self, now: Now, count: usize, delivered: &mut Vec<BatchId>) {
        if let Some(session) = &mut self.session {
            session.handle_written(count);
            self.fill(now);
            return;
        }
        self.queue.handle_written(count);
        if self.is_measured() {
            self.look
                .get_or_insert((now.monotonic + FIRST_LOOK, FIRST_LOOK));
        } else {
            self.confirm(now, 0, delivered);
            self.note_progress(now, self.queue.taken());
        }
    }

    /// A session takes from the queue what it has room for, the brokers of a topic do.
    fn fill(&mut self, now: Now) {
        self.fill_topic(now);
        if let Some(session) = &mut self.session {
            session.fill(now, &mut self.queue, &mut self.refusing);
        }
    }

    /// Bytes came from the receiver. Answers whether the output is to be closed.
    pub fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        delivered: &mut Vec<BatchId>,
    ) -> Option<Task> {
        // The others do not listen to what comes back.
        let session = self.session.as_mut()?;
        let before = self.queue.backlog();
        let mut desk = Desk {
            queue: &mut self.queue,
            refusing: &mut self.refusing,
            delivered,
        };
        let result = session.handle_received(now, bytes, &mut desk);
        self.note_delivered(now, before);
        self.note_progress(now, self.queue.taken());
        match result {
            Ok(outcome) => self.handle_outcome(now, outcome),
            Err(end) => {
                self.handle_end(now, end, false);
                Some(Task::Close)
            }
        }
    }

    fn handle_outcome(&mut self, now: Now, outcome: Outcome) -> Option<Task> {
        if outcome.opened {
            self.handle_up(now);
        }
        if outcome.accepted {
            self.pause = FIRST_PAUSE;
        }
        self.note_refusing(now);
        let end = outcome.end?;
        if outcome.is_closed {
            self.reset_session();
        }
        self.handle_end(now, end, false);
        Some(Task::Close)
    }

    fn note_refusing(&mut self, now: Now) {
        if self.refusing.suspects.is_empty() {
            self.refused.ease(now);
        } else {
            self.refused.begin(now);
        }
    }

    /// The peer's TCP has yet to acknowledge `unacknowledged` of the written bytes.
    pub fn handle_measured(
        &mut self,
        now: Now,
        unacknowledged: usize,
        delivered: &mut Vec<BatchId>,
    ) {
        let before = self.queue.unconfirmed();
        let written = self.queue.written();
        let left = u64::try_from(unacknowledged).unwrap_or(u64::MAX);
        self.confirm(now, unacknowledged, delivered);
        self.note_progress(now, written.saturating_sub(left).max(self.progress));
        let after = self.queue.unconfirmed();
        self.look = match self.look {
            // What is left is only the start of a batch, acknowledged as far as it goes.
            _ if after == 0 || (unacknowledged == 0 && self.queue.next_bytes().is_some()) => None,
            Some((_, pause)) if after == before => {
                let pause = (pause * 2).min(LONGEST_LOOK);
                Some((now.monotonic + pause, pause))
            }
            _ => Some((now.monotonic + FIRST_LOOK, FIRST_LOOK)),
        };
    }

    fn confirm(&mut self, now: Now, unacknowledged: usize, delivered: &mut Vec<BatchId>) {
        let before = self.queue.backlog();
        self.queue.confirm_all_but(unacknowledged, delivered);
        self.note_delivered(now, before);
    }

    /// Whether the receiver has taken something: it works.
    fn note_delivered(&mut self, now: Now, before: usize) {
        if self.queue.backlog() < before {
            self.pause = FIRST_PAUSE;
            self.late.ease(now);
        }
    }

    fn is_measured(&self) -> bool {
        matches!(
            self.settings.target,
            Target::Tcp { .. } | Target::File { sync: true, .. }
        )
    }

    /// Whether written bytes wait to be measured: worth a look right after writing.
    #[must_use]
    pub fn wants_measure(&self) -> bool {
        self.look.is_some()
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
