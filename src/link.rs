//! One output as a state machine: when to connect, what to write, what is delivered.
//!
//! A [`Link`] owns the [`Queue`] of its output and decides by [`Settings`] what
//! *delivered* means there: for TCP every byte acknowledged by the peer's TCP,
//! which has to be measured from time to time while something is in flight; for
//! the others what was written.

use crate::clock::Now;
use crate::output::{Settings, Target};
use crate::queue::{BatchId, Frames, Queue};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Bytes that may wait for one output before sources are held back.
pub const CAPACITY: usize = 64 << 20;
/// First pause before an output is opened again; doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause: a receiver that comes back is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A connection that is not there by then will not come.
const OPENING_TIME: Duration = Duration::from_secs(10);
/// First look at what the peer has acknowledged; doubles while nothing moves.
const FIRST_LOOK: Duration = Duration::from_micros(500);
/// A look costs one system call, so that a slow peer is not worth looking at more often.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down { until: Instant },
    Opening { until: Instant },
    Up,
}

/// What the event loop has to do for an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Open it, then report [`Link::handle_opened`] or [`Link::handle_failed`].
    Open,
    /// Give up opening and close; [`Link::handle_failed`] has been called already.
    Close,
    /// Tell [`Link::handle_measured`] how many bytes the peer has not acknowledged.
    Measure,
}

/// One output, sans-IO.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    queue: Queue,
    phase: Phase,
    pause: Duration,
    look: Option<(Instant, Duration)>,
    /// Since when it has been failing; logged at the first failure and at the end.
    failing: Option<Instant>,
    /// Messages dropped because a best effort output was full.
    dropped: u64,
}

impl Link {
    /// A link that wants to be opened at once.
    #[must_use]
    pub fn new(settings: Settings, now: Now) -> Self {
        Self {
            queue: Queue::new(settings.replay),
            settings,
            phase: Phase::Down { until: now.monotonic },
            pause: FIRST_PAUSE,
            look: None,
            failing: None,
            dropped: 0,
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
        self.dropped
    }

    /// Whether no more may be queued before something is delivered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.backlog() >= CAPACITY
    }

    /// Whether everything queued has been delivered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.backlog() == 0
    }

    /// Queues a batch. Answers whether its source has to wait for it: a best
    /// effort output never makes it wait, and drops what does not fit.
    pub fn push(&mut self, batch: BatchId, frames: &Rc<Frames>) -> bool {
        if !self.settings.required && self.is_full() {
            self.drop_messages(frames.ends.len());
            return false;
        }
        self.queue.push(batch, Rc::clone(frames));
        self.settings.required
    }

    fn drop_messages(&mut self, count: usize) {
        if self.dropped == 0 {
            log::warn!("output {}: full, dropping events (required=no)", self.settings.label);
        }
        self.dropped = self.dropped.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// The source of `batch` was told to come again.
    pub fn cancel(&mut self, batch: BatchId) {
        self.queue.cancel(batch);
    }

    /// The output is open; what [`Link::next_bytes`] offers may be written.
    pub fn handle_opened(&mut self, now: Now) {
        self.phase = Phase::Up;
        match self.failing.take() {
            Some(since) => {
                let seconds = now.monotonic.duration_since(since).as_secs();
                log::info!("output {}: open again after {seconds} s", self.settings.label);
            }
            None => log::info!("output {}: open", self.settings.label),
        }
    }

    /// Opening failed, or the open output ended. What was not delivered, and the
    /// replay window before it, is sent again.
    pub fn handle_failed(&mut self, now: Now, reason: &str) {
        if self.failing.is_none() {
            let label = &self.settings.label;
            let effect = if self.settings.required { ", sources wait" } else { "" };
            log::warn!("output {label}: {reason}; trying again{effect}");
            self.failing = Some(now.monotonic);
        }
        log::debug!("output {}: {reason}", self.settings.label);
        self.queue.rewind();
        self.look = None;
        self.phase = Phase::Down { until: now.monotonic + self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// What to write next on a stream, when the output is open.
    #[must_use]
    pub fn next_bytes(&self) -> Option<&[u8]> {
        matches!(self.phase, Phase::Up).then(|| self.queue.next_bytes()).flatten()
    }

    /// The next datagram, when the output is open.
    #[must_use]
    pub fn next_datagram(&self) -> Option<&[u8]> {
        matches!(self.phase, Phase::Up).then(|| self.queue.next_datagram()).flatten()
    }

    /// `count` bytes were written.
    pub fn handle_written(&mut self, now: Now, count: usize, delivered: &mut Vec<BatchId>) {
        self.queue.handle_written(count);
        if self.is_measured() {
            self.look.get_or_insert((now.monotonic + FIRST_LOOK, FIRST_LOOK));
        } else {
            self.confirm(0, delivered);
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
        self.confirm(unacknowledged, delivered);
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

    fn confirm(&mut self, unacknowledged: usize, delivered: &mut Vec<BatchId>) {
        let backlog = self.queue.backlog();
        self.queue.confirm_all_but(unacknowledged, delivered);
        if self.queue.backlog() < backlog {
            self.pause = FIRST_PAUSE;
        }
    }

    fn is_measured(&self) -> bool {
        matches!(self.settings.target, Target::Tcp { .. } | Target::File { sync: true, .. })
    }

    /// Whether written bytes wait to be measured: worth a look right after writing.
    #[must_use]
    pub fn wants_measure(&self) -> bool {
        self.look.is_some()
    }

    /// When [`Link::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Down { until } | Phase::Opening { until } => Some(until),
            Phase::Up => self.look.map(|(at, _)| at),
        }
    }

    /// Time has passed; calls too early are harmless.
    pub fn handle_timeout(&mut self, now: Now) -> Option<Task> {
        if self.poll_timeout().is_none_or(|at| now.monotonic < at) {
            return None;
        }
        match self.phase {
            Phase::Down { .. } => {
                self.phase = Phase::Opening { until: now.monotonic + OPENING_TIME };
                Some(Task::Open)
            }
            Phase::Opening { .. } => {
                self.handle_failed(now, "no connection in time");
                Some(Task::Close)
            }
            Phase::Up => Some(Task::Measure),
        }
    }
}
