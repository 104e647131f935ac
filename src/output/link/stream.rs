//! An output that is a single connection, file, or socket: opening it, writing to it, and
//! measuring or confirming what was delivered.

use std::net::SocketAddr;
use std::time::Instant;

use zeroize::Zeroizing;

use super::access::{Access, Due};
use super::delivery::Delivery;
use super::look::Look;
use super::session::{Desk, End, Outcome, Session};
use crate::base::clock::Now;
use crate::output::queue::{BatchId, Queue};
use crate::output::{Settings, Target, Task};

/// Number of messages that a stalled RELP receiver may leave unanswered, half of its
/// window. It may never answer these, and others show that it is alive.
const UNANSWERED: usize = 64;

/// One connection, and what is sent over it.
#[derive(Debug)]
pub(super) struct Stream {
    access: Access,
    look: Look,
    /// Whether delivery is measured: by the peer's TCP acknowledgments, or by syncing to disk.
    is_measured: bool,
    /// The protocol, if the receiver confirms messages.
    session: Option<Box<dyn Session>>,
}

impl Stream {
    pub(super) fn new(settings: &Settings, session: Option<Box<dyn Session>>, now: Now) -> Self {
        Self {
            access: Access::new(settings, now),
            look: Look::default(),
            is_measured: matches!(
                settings.target,
                Target::Tcp { .. } | Target::File { sync: true, .. }
            ),
            session,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.access.is_up()
    }

    /// Whether nothing remains to be written or awaited after [`Stream::close`].
    pub(super) fn is_closed(&self) -> bool {
        !self.access.is_closing()
    }

    /// Handles the result of a name lookup, in time or late.
    pub(super) fn handle_resolved(
        &mut self,
        delivery: &mut Delivery,
        now: Now,
        found: Result<&[SocketAddr], &str>,
    ) {
        if let Some(why) = self.access.handle_resolved(now, found) {
            self.handle_failed(delivery, now, why);
        }
    }

    /// The receiver has accepted the TCP connection; the TLS handshake starts.
    pub(super) fn handle_reached(&mut self, now: Now) {
        self.access.handle_reached(now);
    }

    /// The connection is open.
    pub(super) fn handle_opened(&mut self, delivery: &mut Delivery, now: Now) {
        let session = self.session.as_mut();
        if session.is_none_or(|session| session.handle_connected(now)) {
            self.handle_up(delivery, now);
            self.fill(delivery, now);
        } else {
            self.access.greet(now);
        }
    }

    fn handle_up(&mut self, delivery: &mut Delivery, now: Now) {
        let address = self.access.set_up().unwrap_or_default();
        self.note_progress(delivery, now, delivery.progress());
        if delivery.troubles().note_open(now) {
            log::info!("output {}: open{address}", delivery.settings().label);
        }
    }

    /// Opening failed, or the open output ended.
    pub(super) fn handle_failed(&mut self, delivery: &mut Delivery, now: Now, reason: &str) {
        self.handle_end(delivery, now, End::of(reason), true);
    }

    /// The same; unless this side closed the connection, the session may have a better
    /// reason.
    fn handle_end(&mut self, delivery: &mut Delivery, now: Now, end: End, is_theirs: bool) {
        if !self.access.note_end() {
            return;
        }
        let better = self.end_session(delivery, now).filter(|_| is_theirs);
        let end = better.unwrap_or(end);
        if end.is_usual {
            delivery.troubles().note_usual_end();
            self.access.set_down(now);
        } else if self.access.try_next(now, &end.reason) {
            return;
        } else {
            let reason = self.access.reasons().unwrap_or(end.reason);
            delivery.troubles().note_failure(now, &reason);
            self.access.put_off(now, end.pause);
        }
        delivery.rewind();
        self.look.stop();
        if self.is_measured {
            delivery.restart_progress();
        }
        self.note_progress(delivery, now, delivery.progress());
    }

    /// An open session may have ended because of a message.
    fn end_session(&mut self, delivery: &mut Delivery, now: Now) -> Option<End> {
        let session = self.session.as_mut()?;
        let was_up = self.access.is_up();
        let end = was_up.then(|| session.handle_ended(now, &mut delivery.desk()));
        session.reset();
        end?
    }

    pub(super) fn replace_headers(&mut self, headers: Zeroizing<String>) {
        if let Some(session) = &mut self.session {
            session.replace_headers(headers);
        }
    }

    /// Everything is delivered and nothing will follow: closes a session.
    pub(super) fn close(&mut self, now: Now) {
        if self.is_up() && self.session.as_mut().is_some_and(|s| s.close()) {
            self.access.close(now);
        }
    }

    /// The bytes to write next, while the output is open.
    pub(super) fn next_bytes<'a>(&'a self, delivery: &'a Delivery) -> Option<&'a [u8]> {
        match &self.session {
            Some(session) => Some(session.outgoing()).filter(|bytes| !bytes.is_empty()),
            None if self.is_up() => delivery.queue().next_bytes(),
            None => None,
        }
    }

    /// The bytes to write after those, batch by batch.
    pub(super) fn further_bytes<'a>(
        &self,
        delivery: &'a Delivery,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let is_plain = self.session.is_none() && self.is_up();
        let queue = is_plain.then(|| delivery.queue());
        queue.into_iter().flat_map(Queue::further_bytes)
    }

    /// Reports that `count` bytes have been written.
    pub(super) fn handle_written(
        &mut self,
        delivery: &mut Delivery,
        now: Now,
        count: usize,
        delivered: &mut Vec<BatchId>,
    ) {
        if let Some(session) = &mut self.session {
            session.handle_written(count);
            return self.fill(delivery, now);
        }
        delivery.handle_written(count);
        if self.is_measured {
            self.look.begin(now);
        } else {
            self.confirm(delivery, now, 0, delivered);
            let taken = delivery.queue().taken();
            self.note_progress(delivery, now, taken);
        }
    }

    /// Lets a session send what it has room for.
    pub(super) fn fill(&mut self, delivery: &mut Delivery, now: Now) {
        if let Some(session) = &mut self.session {
            let Desk {
                queue, refusing, ..
            } = delivery.desk();
            session.fill(now, queue, refusing);
        }
    }

    /// Handles bytes from the receiver. Returns a task if the output must be closed.
    pub(super) fn handle_received(
        &mut self,
        delivery: &mut Delivery,
        now: Now,
        bytes: &[u8],
        delivered: &mut Vec<BatchId>,
    ) -> Option<Task> {
        // Other protocols ignore what the receiver sends.
        let session = self.session.as_mut()?;
        let before = delivery.queue().backlog();
        let result = session.handle_received(now, bytes, &mut delivery.desk());
        delivered.append(&mut delivery.take_settled());
        if delivery.note_delivered(now, before) {
            self.access.reset_pause();
        }
        let taken = delivery.queue().taken();
        self.note_progress(delivery, now, taken);
        let end = match result {
            Ok(outcome) => self.handle_outcome(delivery, now, outcome)?,
            Err(end) => end,
        };
        self.handle_end(delivery, now, end, false);
        Some(Task::Close)
    }

    /// Handles the result of the receiver's answers. Returns why the connection must end,
    /// if so.
    fn handle_outcome(
        &mut self,
        delivery: &mut Delivery,
        now: Now,
        outcome: Outcome,
    ) -> Option<End> {
        if outcome.opened {
            self.handle_up(delivery, now);
        }
        if outcome.accepted {
            self.access.reset_pause();
        }
        delivery.note_refusing(now);
        if outcome.is_closed
            && let Some(session) = &mut self.session
        {
            session.reset();
        }
        outcome.end
    }

    /// The peer's TCP has not acknowledged the last `unacknowledged` of the written bytes.
    pub(super) fn handle_measured(
        &mut self,
        delivery: &mut Delivery,
        now: Now,
        unacknowledged: usize,
        delivered: &mut Vec<BatchId>,
    ) {
        let before = delivery.queue().unconfirmed();
        let written = delivery.queue().written();
        let left = u64::try_from(unacknowledged).unwrap_or(u64::MAX);
        self.confirm(delivery, now, unacknowledged, delivered);
        let progress = written.saturating_sub(left).max(delivery.progress());
        self.note_progress(delivery, now, progress);
        let after = delivery.queue().unconfirmed();
        // What remains may be only the start of a batch, which is acknowledged as far as it
        // was written.
        let is_start = unacknowledged == 0 && delivery.queue().next_bytes().is_some();
        self.look.note(now, after == 0 || is_start, after != before);
    }

    fn confirm(
        &mut self,
        delivery: &mut Delivery,
        now: Now,
        unacknowledged: usize,
        delivered: &mut Vec<BatchId>,
    ) {
        if delivery.confirm(now, unacknowledged, delivered) {
            self.access.reset_pause();
        }
    }

    /// When written bytes must be measured, if some are unacknowledged.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look.at()
    }

    pub(super) fn note_progress(&self, delivery: &mut Delivery, now: Now, progress: u64) {
        let is_busy = self.is_up() && self.held(delivery) > 0;
        delivery.note_progress(now, progress, is_busy);
    }

    /// Number of bytes that remain to be sent, or are in flight. Not counting a rejected
    /// message that waits to be retried, or one that a RELP receiver skipped.
    pub(super) fn held(&self, delivery: &Delivery) -> usize {
        let session = self.session.as_ref();
        let on_the_way = session.map(|session| session.bytes_ahead());
        let queue = delivery.queue();
        queue.unsent() + on_the_way.unwrap_or_else(|| queue.unconfirmed())
    }

    /// Whether the output may get a batch regardless of its rate, to find out whether it accepts
    /// one.
    pub(super) fn takes_probe(&self, delivery: &Delivery, now: Now) -> bool {
        let held = self.held(delivery);
        let Some(session) = self.session.as_ref().filter(|_| held > 0) else {
            return held == 0;
        };
        let has_few = delivery.queue().unsent() == 0 && session.unanswered() < UNANSWERED;
        has_few && delivery.is_stalled(now, held)
    }

    pub(super) fn poll_timeout(&self, delivery: &Delivery) -> Option<Instant> {
        if !self.is_up() {
            return self.access.poll_timeout();
        }
        let session = self.session.as_ref().and_then(|s| s.poll_timeout());
        let times = [self.look.at(), session, delivery.poll_timeout(true)];
        times.into_iter().flatten().min()
    }

    /// Handles deadlines.
    pub(super) fn handle_timeout(&mut self, delivery: &mut Delivery, now: Now) -> Option<Task> {
        match self.access.handle_timeout(now) {
            Due::Step(task) => task,
            Due::Failed(reason) => {
                self.handle_failed(delivery, now, &reason);
                None
            }
            Due::GiveUp(reason) => self.give_up(delivery, now, reason),
            Due::Nothing => self.handle_time_up(delivery, now),
        }
    }

    fn handle_time_up(&mut self, delivery: &mut Delivery, now: Now) -> Option<Task> {
        if let Some(session) = &mut self.session {
            if session.is_overdue(now) {
                return self.give_up(delivery, now, "the receiver has stopped answering");
            }
            session.handle_timeout(now, &mut delivery.desk());
            delivery.sweep(now);
        }
        if delivery.troubles().note_calm(now) {
            self.access.reset_pause();
        }
        let is_due = |at: Instant| now.monotonic >= at;
        self.look.at().is_some_and(is_due).then_some(Task::Measure)
    }

    fn give_up(&mut self, delivery: &mut Delivery, now: Now, reason: &str) -> Option<Task> {
        self.handle_end(delivery, now, End::of(reason), false);
        Some(Task::Close)
    }
}
