//! RELP on one open connection: which messages are on the way, which the receiver has
//! passed over, and when a silent receiver is given up.

use super::refusing::Refusing;
use super::suspects::{FIRST_RETRY, Strike};
use crate::base::clock::Now;
use crate::output::queue::{BatchId, Position, Queue};
use crate::protocol::relp::{Answer, Client, Error};
use std::time::{Duration, Instant};

/// A receiver that owes answers and says nothing for so long is given up, as by librelp.
const ANSWER_TIME: Duration = Duration::from_secs(90);
/// A message that has no answer by then, while a later one has, will not get one:
/// receivers answer in order, as fast as they take messages in.
pub(super) const PASSED_OVER_TIME: Duration = Duration::from_secs(10);

/// What the receiver's answers came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// The session is open now.
    pub(super) opened: bool,
    /// A message is delivered.
    pub(super) accepted: bool,
    /// The receiver will not go on.
    pub(super) closing: bool,
    /// It has answered our `close`.
    pub(super) closed: bool,
}

/// What a session works on, beside itself.
pub(super) struct Desk<'a> {
    pub(super) queue: &'a mut Queue,
    pub(super) refusing: &'a mut Refusing,
    pub(super) delivered: &'a mut Vec<BatchId>,
}

/// A RELP client and what it needs of time.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    /// When the receiver is given up, while it owes answers.
    answer_by: Option<Instant>,
}

impl Session {
    /// A session that wants to be opened.
    pub(super) fn new() -> Self {
        Self {
            client: Client::new(),
            answer_by: None,
        }
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        self.client.outgoing()
    }

    /// Messages that the receiver owes an answer.
    pub(super) fn unanswered(&self) -> usize {
        self.client.waiting_count()
    }

    /// Bytes of those that it has not come to.
    pub(super) fn bytes_ahead(&self) -> usize {
        self.client.bytes_ahead()
    }

    pub(super) fn handle_written(&mut self, count: usize) {
        self.client.handle_written(count);
    }

    pub(super) fn close(&mut self) {
        self.client.close();
    }

    /// Takes messages from the queue as far as the window allows.
    pub(super) fn fill(&mut self, now: Now, queue: &mut Queue, refusing: &mut Refusing) {
        let suspects = &mut refusing.suspects;
        while self.client.has_room() && !suspects.is_full() {
            let position = queue.position();
            let Some(message) = queue.next_datagram() else {
                break;
            };
            let size = message.len();
            // One that waits since the last connection is sent when it is due.
            if !suspects.holds(position) {
                self.client.send(position.0, now.monotonic, message);
                suspects.note_sent(position, message);
            }
            queue.handle_written(size);
        }
        self.watch(now);
    }

    fn watch(&mut self, now: Now) {
        if self.client.is_waiting() {
            self.answer_by.get_or_insert(now.monotonic + ANSWER_TIME);
        } else {
            self.answer_by = None;
        }
    }

    /// The receiver has sent something.
    pub(super) fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Outcome, Error> {
        let mut answers = Vec::new();
        let result = self.client.handle(bytes, &mut answers);
        let mut outcome = Outcome::default();
        for answer in answers {
            handle_answer(now, answer, desk, &mut outcome);
        }
        result?;
        self.answer_by = None;
        desk.refusing.suspects.handle_answered();
        self.send_suspects(now, desk);
        self.fill(now, desk.queue, desk.refusing);
        Ok(outcome)
    }

    /// Time has passed: what was passed over is a suspect, and suspects that are due are
    /// sent again.
    pub(super) fn handle_timeout(&mut self, now: Now, desk: &mut Desk<'_>) {
        if let Some(before) = now.monotonic.checked_sub(PASSED_OVER_TIME) {
            while let Some(key) = self.client.poll_overdue(before) {
                strike(now, key, &Strike::PassedOver, desk);
            }
        }
        self.send_suspects(now, desk);
        self.fill(now, desk.queue, desk.refusing);
    }

    /// Sends again what is due; what nobody waits for any more is let go.
    fn send_suspects(&mut self, now: Now, desk: &mut Desk<'_>) {
        while let Some(position) = desk.refusing.suspects.next_due(now) {
            if desk.queue.awaited_batch(position).is_none() {
                let refusing = &mut *desk.refusing;
                refusing.let_go(position, desk.queue, desk.delivered);
                continue;
            }
            let message = desk.queue.message(position).unwrap_or_default();
            // Before others: while many wait, there never is room that is left over.
            if !self.client.has_room() {
                desk.refusing.suspects.wait_for_room();
                break;
            }
            // Not its turn yet on this connection: a moment later is soon enough.
            if desk.queue.position() <= position {
                desk.refusing.suspects.put_off(now.monotonic + FIRST_RETRY);
                break;
            }
            self.client.send(position.0, now.monotonic, message);
            desk.refusing.suspects.note_sent(position, message);
        }
    }

    /// The connection is gone. The receiver may have ended it because of a message: one
    /// that is a suspect and was on the way, else the first that it owes an answer.
    pub(super) fn handle_ended(&self, now: Now, desk: &mut Desk<'_>) {
        let mut blamed: Vec<u64> = desk.refusing.suspects.take_flying();
        if blamed.is_empty() {
            blamed.extend(self.client.waiting().next());
        }
        for key in blamed {
            strike(now, key, &Strike::Ended, desk);
        }
    }

    /// Whether the receiver has been silent for too long.
    pub(super) fn is_overdue(&self, now: Now) -> bool {
        self.answer_by.is_some_and(|at| now.monotonic >= at)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let passed_over = self.client.oldest_overtaken();
        let passed_over = passed_over.map(|at| at + PASSED_OVER_TIME);
        self.answer_by.into_iter().chain(passed_over).min()
    }
}

fn handle_answer(now: Now, answer: Answer, desk: &mut Desk<'_>, outcome: &mut Outcome) {
    match answer {
        Answer::Opened => {
            desk.refusing.suspects.handle_opened(now);
            outcome.opened = true;
        }
        Answer::Closing => outcome.closing = true,
        Answer::Closed => outcome.closed = true,
        Answer::Accepted(key) => {
            outcome.accepted = true;
            desk.refusing.suspects.note_accepted(Position(key));
            desk.queue.confirm_message(Position(key), desk.delivered);
        }
        Answer::Refused(key, why) => strike(now, key, &Strike::Refused(why), desk),
    }
}

fn strike(now: Now, key: u64, strike: &Strike, desk: &mut Desk<'_>) {
    let position = Position(key);
    desk.refusing
        .strike(now, position, strike, desk.queue, desk.delivered);
}
