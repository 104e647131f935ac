//! What an output has to deliver, and how that progresses: its queue, rejected messages,
//! its speed, and what is logged about it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::flow::Flow;
use super::own_room::OwnRoom;
use super::session::Desk;
use super::troubles::Troubles;
use crate::base::clock::Now;
use crate::metrics::{OutputFacts, RefusedFacts};
use crate::output::queue::{BatchId, Frames, Left, Queue};
use crate::output::refusing::Refusing;
use crate::output::{RefusedEvent, Settings};

/// Maximum number of bytes waiting for one output before sources are held back.
pub const CAPACITY: usize = 64 << 20;
/// Maximum number of rejected events to show for one output.
const SHOWN: usize = 10;

/// The messages of one output, whatever its kind.
#[derive(Debug)]
pub(super) struct Delivery {
    settings: Settings,
    queue: Queue,
    /// What its receiver rejects, across connections.
    refusing: Refusing,
    /// Batches that became delivered outside of a call that reports them.
    settled: Vec<BatchId>,
    flow: Flow,
    troubles: Troubles,
    /// Number of messages dropped because a best-effort output was full.
    dropped: u64,
    own_room: OwnRoom,
}

impl Delivery {
    pub(super) fn new(settings: Settings, queue: Queue) -> Self {
        let (label, refused) = (&settings.label, settings.refused.clone());
        Self {
            queue,
            refusing: Refusing::new(refused, settings.required, label),
            settled: Vec::new(),
            flow: Flow::default(),
            troubles: Troubles::new(label, settings.required),
            dropped: 0,
            own_room: OwnRoom::default(),
            settings,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The queue and the rejected messages, for a protocol with confirmations.
    pub(super) fn desk(&mut self) -> Desk<'_> {
        Desk {
            queue: &mut self.queue,
            refusing: &mut self.refusing,
            delivered: &mut self.settled,
        }
    }

    pub(super) fn troubles(&mut self) -> &mut Troubles {
        &mut self.troubles
    }

    /// The current state of the output for status and metrics.
    pub(super) fn facts(&self, is_up: bool) -> OutputFacts {
        let refused = self.refused_events().into_iter();
        OutputFacts {
            label: self.settings.label.clone(),
            up: is_up,
            required: self.settings.required,
            backlog: self.queue.backlog(),
            rate: 0,
            written: self.queue.total_written(),
            dropped: self.dropped(),
            delivered: self.queue.delivered(),
            kept: Vec::new(),
            oldest: None,
            refused: self.refusing.suspects.strikes,
            refused_dropped: self.refusing.dropped,
            refused_filed: self.refusing.filed,
            refused_events: refused.map(told).collect(),
            trouble: self.troubles.last_failure().map(str::to_owned),
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped + self.refusing.dropped
    }

    pub(super) fn refused_events(&self) -> Vec<RefusedEvent> {
        self.refusing.suspects.latest(SHOWN)
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.backlog() >= CAPACITY
    }

    /// Queues a batch; returns false if it is dropped because a best-effort output is full.
    pub(super) fn push(&mut self, batch: BatchId, frames: &Rc<Frames>) -> bool {
        if self.settings.required || !self.is_full() {
            self.queue.push(batch, Rc::clone(frames));
            return true;
        }
        if self.dropped == 0 {
            let label = &self.settings.label;
            log::warn!("output {label}: does not accept all events; dropping some (required=no)");
        }
        let count = u64::try_from(frames.ends.len()).unwrap_or(u64::MAX);
        self.dropped = self.dropped.saturating_add(count);
        false
    }

    /// Queues a message of the relay's own log, if there is room.
    pub(super) fn push_own(&mut self, frames: &Rc<Frames>) -> bool {
        let has_room = self.own_room.takes(self.queue.own(), frames.bytes.len());
        if has_room {
            self.queue.push_own(Rc::clone(frames));
        }
        has_room
    }

    pub(super) fn take_own_lost(&mut self) -> Option<u64> {
        self.own_room.take_lost(self.queue.own())
    }

    pub(super) fn cancel(&mut self, batch: BatchId) -> Option<Left> {
        self.queue.cancel(batch)
    }

    pub(super) fn adopt(&mut self, old: BatchId, new: BatchId) -> bool {
        self.queue.adopt(old, new)
    }

    pub(super) fn take_refused(&mut self) -> Vec<BatchId> {
        self.refusing.take_failed()
    }

    pub(super) fn take_settled(&mut self) -> Vec<BatchId> {
        std::mem::take(&mut self.settled)
    }

    pub(super) fn lines_to_file(&self) -> Option<Vec<u8>> {
        self.refusing.lines_to_file(&self.queue)
    }

    pub(super) fn handle_filed(&mut self, error: Option<&str>, delivered: &mut Vec<BatchId>) {
        self.refusing
            .handle_filed(error, &mut self.queue, delivered);
    }

    /// Records that `count` bytes have been written.
    pub(super) fn handle_written(&mut self, count: usize) {
        self.queue.handle_written(count);
    }

    /// Everything that was written has been delivered, except for `unacknowledged` bytes.
    /// Returns whether anything was.
    pub(super) fn confirm(
        &mut self,
        now: Now,
        unacknowledged: usize,
        delivered: &mut Vec<BatchId>,
    ) -> bool {
        let before = self.queue.backlog();
        self.queue.confirm_all_but(unacknowledged, delivered);
        self.note_delivered(now, before)
    }

    /// If less is waiting than `before`, the receiver works; returns whether that is so.
    pub(super) fn note_delivered(&mut self, now: Now, before: usize) -> bool {
        let has_moved = self.queue.backlog() < before;
        if has_moved {
            self.troubles.note_delivered(now);
        }
        has_moved
    }

    /// Queues again what was not delivered.
    pub(super) fn rewind(&mut self) {
        self.queue.rewind();
    }

    /// The count of delivered bytes restarts with a new connection.
    pub(super) fn restart_progress(&mut self) {
        self.flow.restart();
    }

    pub(super) fn progress(&self) -> u64 {
        self.flow.progress()
    }

    /// Records progress, counted in delivered bytes. `is_busy`: whether more are in flight.
    pub(super) fn note_progress(&mut self, now: Now, progress: u64, is_busy: bool) {
        self.flow.note(now, progress, is_busy);
    }

    /// Updates whether the receiver rejects messages at present.
    pub(super) fn note_refusing(&mut self, now: Now) {
        let is_refusing = !self.refusing.suspects.is_empty();
        self.troubles.note_refusing(now, is_refusing);
    }

    /// Recent rate of delivery in bytes per second.
    pub(super) fn rate(&self, now: Now) -> Option<u64> {
        self.flow.recent(now)
    }

    /// Number of bytes that are delivered in a second.
    pub(super) fn share(&self, now: Now) -> usize {
        self.flow.share(now)
    }

    pub(super) fn is_stalled(&self, now: Now, held: usize) -> bool {
        self.flow.is_stalled(now, held)
    }

    pub(super) fn delay(&self, now: Now, bytes: usize, takes_probe: bool) -> Option<Duration> {
        self.flow.delay(now, bytes, takes_probe)
    }

    #[cfg(test)]
    pub(super) fn suspects(&self) -> &crate::output::suspects::Suspects {
        &self.refusing.suspects
    }

    /// When a deadline is due. Problems end only while the output is open; before that
    /// their end would remain due, and cause a busy loop.
    pub(super) fn poll_timeout(&self, is_open: bool) -> Option<Instant> {
        let calm = self.troubles.poll_timeout().filter(|_| is_open);
        let times = [calm, self.refusing.poll_timeout()];
        times.into_iter().flatten().min()
    }

    /// Handles deadlines of an output whose receiver confirms individual messages.
    pub(super) fn sweep(&mut self, now: Now) {
        self.refusing.suspects.sweep(now);
        self.note_refusing(now);
    }
}

fn told(event: RefusedEvent) -> RefusedFacts {
    RefusedFacts {
        event: event.name.to_string(),
        reason: event.reason,
        times: event.times,
        since: event.since,
        last: event.last,
    }
}
