//! RELP on one open connection: which messages are on the way, when refused ones are
//! sent again, and when a silent receiver is given up.

use super::LONGEST_PAUSE;
use crate::clock::Now;
use crate::queue::{BatchId, Position, Queue};
use crate::syslog::relp::{Answer, Client, Error};
use std::time::{Duration, Instant};

/// A receiver that owes answers and says nothing for so long is given up, as by librelp.
const ANSWER_TIME: Duration = Duration::from_secs(90);
/// First pause before refused messages are sent again; doubles while they are refused.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// What the receiver's answers came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The session is open now.
    pub(super) opened: bool,
    /// A message is delivered.
    pub(super) accepted: bool,
    /// The receiver will not go on.
    pub(super) closing: bool,
    /// It has answered our `close`.
    pub(super) closed: bool,
    /// How many messages it refused, and why the last of them.
    pub(super) refused: Option<(usize, String)>,
}

/// A RELP client and what it needs of time.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    /// Whether refused messages are sent again.
    insists: bool,
    /// When the receiver is given up, while it owes answers.
    answer_by: Option<Instant>,
    /// When refused messages are sent again.
    retry_at: Option<Instant>,
    retry_pause: Duration,
}

impl Session {
    /// A session that wants to be opened. One that does not insist lets refused
    /// messages go.
    pub(super) fn new(insists: bool) -> Self {
        Self {
            client: Client::new(),
            insists,
            answer_by: None,
            retry_at: None,
            retry_pause: FIRST_RETRY,
        }
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        self.client.outgoing()
    }

    pub(super) fn handle_written(&mut self, count: usize) {
        self.client.handle_written(count);
    }

    pub(super) fn close(&mut self) {
        self.client.close();
    }

    /// Takes messages from the queue as far as the window allows.
    pub(super) fn fill(&mut self, now: Now, queue: &mut Queue) {
        while self.client.has_room() {
            let key = queue.position().0;
            let Some(message) = queue.next_datagram() else {
                break;
            };
            let size = message.len();
            self.client.send(key, message);
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
        queue: &mut Queue,
        delivered: &mut Vec<BatchId>,
    ) -> Result<Outcome, Error> {
        let mut answers = Vec::new();
        let result = self.client.handle(bytes, &mut answers);
        let mut outcome = Outcome::default();
        for answer in answers {
            self.handle_answer(now, answer, queue, delivered, &mut outcome);
        }
        result?;
        self.answer_by = None;
        self.fill(now, queue);
        Ok(outcome)
    }

    fn handle_answer(
        &mut self,
        now: Now,
        answer: Answer,
        queue: &mut Queue,
        delivered: &mut Vec<BatchId>,
        outcome: &mut Outcome,
    ) {
        match answer {
            Answer::Opened => outcome.opened = true,
            Answer::Closing => outcome.closing = true,
            Answer::Closed => outcome.closed = true,
            Answer::Accepted(key) => {
                outcome.accepted = true;
                queue.confirm_message(Position(key), delivered);
            }
            Answer::Refused(key, why) => {
                let count = outcome.refused.take().map_or(0, |(count, _)| count);
                outcome.refused = Some((count + 1, why));
                self.handle_refused(now, key, queue, delivered);
            }
        }
    }

    fn handle_refused(
        &mut self,
        now: Now,
        key: u64,
        queue: &mut Queue,
        delivered: &mut Vec<BatchId>,
    ) {
        if self.insists {
            self.retry_at
                .get_or_insert(now.monotonic + self.retry_pause);
        } else {
            self.client.forget(key);
            queue.confirm_message(Position(key), delivered);
        }
    }

    /// Sends refused messages again when it is time; those that nobody waits for any
    /// more are let go, so that they do not fill the window.
    pub(super) fn handle_timeout(
        &mut self,
        now: Now,
        queue: &mut Queue,
        delivered: &mut Vec<BatchId>,
    ) {
        if self.retry_at.is_none_or(|at| now.monotonic < at) {
            return;
        }
        self.retry_at = None;
        self.retry_pause = (self.retry_pause * 2).min(LONGEST_PAUSE);
        let refused: Vec<u64> = self.client.refused().collect();
        for key in refused {
            match queue.awaited_message(Position(key)) {
                Some(message) if self.client.send_again(key, message) => {}
                // No room now: the next turn is soon enough.
                Some(_) => {
                    self.retry_at = Some(now.monotonic + FIRST_RETRY);
                    break;
                }
                None => {
                    self.client.forget(key);
                    queue.confirm_message(Position(key), delivered);
                }
            }
        }
        self.fill(now, queue);
    }

    /// Nothing has been refused for a while.
    pub(super) fn handle_calm(&mut self) {
        self.retry_pause = FIRST_RETRY;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.client.refused().next().is_some()
    }

    /// Whether the receiver has been silent for too long.
    pub(super) fn is_overdue(&self, now: Now) -> bool {
        self.answer_by.is_some_and(|at| now.monotonic >= at)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.answer_by.into_iter().chain(self.retry_at).min()
    }
}
