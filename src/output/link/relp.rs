//! RELP on a connection: which messages are in flight, which the receiver has skipped, and
//! when a silent receiver is given up.

use std::time::{Duration, Instant};

use super::session::{Desk, End, Outcome, Session};
use crate::base::clock::Now;
use crate::output::queue::{Position, Queue};
use crate::output::refusing::Refusing;
use crate::output::suspects::{FIRST_RETRY, Strike};
use crate::protocol::relp::{Answer, Client};

/// How long a receiver that owes answers may be silent, as with librelp.
const ANSWER_TIME: Duration = Duration::from_secs(90);
/// A message that is unanswered after this time, although a later one has been answered,
/// will not be: receivers answer in order, as fast as they accept messages.
pub(super) const PASSED_OVER_TIME: Duration = Duration::from_secs(10);

const CLOSED: &str = "the receiver closed the RELP session";

/// A RELP client with its timers.
#[derive(Debug, Default)]
pub(super) struct Relp {
    /// The session on the open connection.
    client: Option<Client>,
    /// When the receiver is given up, while it owes answers.
    answer_by: Option<Instant>,
}

impl Session for Relp {
    /// The session is open only after the receiver has answered.
    fn handle_connected(&mut self, _: Now) -> bool {
        self.client = Some(Client::new());
        false
    }

    fn outgoing(&self) -> &[u8] {
        self.client.as_ref().map_or(&[], Client::outgoing)
    }

    fn unanswered(&self) -> usize {
        self.client.as_ref().map_or(0, Client::waiting_count)
    }

    fn bytes_ahead(&self) -> usize {
        self.client.as_ref().map_or(0, Client::bytes_ahead)
    }

    fn handle_written(&mut self, count: usize) {
        if let Some(client) = &mut self.client {
            client.handle_written(count);
        }
    }

    fn close(&mut self) -> bool {
        if let Some(client) = &mut self.client {
            client.close();
        }
        self.client.is_some()
    }

    /// Sends messages from the queue as far as the window allows.
    fn fill(&mut self, now: Now, queue: &mut Queue, refusing: &mut Refusing) {
        let Some(client) = &mut self.client else {
            return;
        };
        let suspects = &mut refusing.suspects;
        while client.has_room() && !suspects.is_full() {
            let position = queue.position();
            let Some(message) = queue.next_datagram() else {
                break;
            };
            let size = message.len();
            // One that waits since the last connection is sent when it is due.
            if !suspects.holds(position) {
                client.send(position.0, now.monotonic, message);
                suspects.note_sent(position, message);
            }
            queue.handle_written(size);
        }
        if client.is_waiting() {
            self.answer_by.get_or_insert(now.monotonic + ANSWER_TIME);
        } else {
            self.answer_by = None;
        }
    }

    /// Handles bytes from the receiver.
    fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Outcome, End> {
        let Some(client) = &mut self.client else {
            return Ok(Outcome::default());
        };
        let mut answers = Vec::new();
        let result = client.handle(bytes, &mut answers);
        let mut outcome = Outcome::default();
        for answer in answers {
            handle_answer(now, answer, desk, &mut outcome);
        }
        result.map_err(|error| End::of(error.to_string()))?;
        self.answer_by = None;
        desk.refusing.suspects.handle_answered();
        self.send_suspects(now, desk);
        self.fill(now, desk.queue, desk.refusing);
        Ok(outcome)
    }

    /// Skipped messages become suspects, and suspects that are due are sent again.
    fn handle_timeout(&mut self, now: Now, desk: &mut Desk<'_>) {
        let before = now.monotonic.checked_sub(PASSED_OVER_TIME);
        if let (Some(before), Some(client)) = (before, &mut self.client) {
            while let Some(key) = client.poll_overdue(before) {
                strike(now, key, &Strike::PassedOver, desk);
            }
        }
        self.send_suspects(now, desk);
        self.fill(now, desk.queue, desk.refusing);
    }

    /// The connection is gone, possibly because of a message: a suspect that was in flight,
    /// or else the first unanswered one.
    fn handle_ended(&mut self, now: Now, desk: &mut Desk<'_>) -> Option<End> {
        let mut blamed: Vec<u64> = desk.refusing.suspects.take_flying();
        if blamed.is_empty() {
            blamed.extend(
                self.client
                    .as_ref()
                    .and_then(|client| client.waiting().next()),
            );
        }
        for key in blamed {
            strike(now, key, &Strike::Ended, desk);
        }
        None
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn is_overdue(&self, now: Now) -> bool {
        self.answer_by.is_some_and(|at| now.monotonic >= at)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let passed_over = self.client.as_ref().and_then(Client::oldest_overtaken);
        let passed_over = passed_over.map(|at| at + PASSED_OVER_TIME);
        self.answer_by.into_iter().chain(passed_over).min()
    }
}

impl Relp {
    /// Retries what is due; messages that no source waits for are dropped.
    fn send_suspects(&mut self, now: Now, desk: &mut Desk<'_>) {
        let Some(client) = &mut self.client else {
            return;
        };
        while let Some(position) = desk.refusing.suspects.next_due(now) {
            if desk.queue.awaited_batch(position).is_none() {
                let refusing = &mut *desk.refusing;
                refusing.let_go(position, desk.queue, desk.delivered);
                continue;
            }
            let message = desk.queue.message(position).unwrap_or_default();
            // Before others, because while many wait there is never room left over.
            if !client.has_room() {
                desk.refusing.suspects.wait_for_room();
                break;
            }
            // Not its turn on this connection yet; slightly later is soon enough.
            if desk.queue.position() <= position {
                desk.refusing.suspects.put_off(now.monotonic + FIRST_RETRY);
                break;
            }
            client.send(position.0, now.monotonic, message);
            desk.refusing.suspects.note_sent(position, message);
        }
    }
}

fn handle_answer(now: Now, answer: Answer, desk: &mut Desk<'_>, outcome: &mut Outcome) {
    match answer {
        Answer::Opened => {
            desk.refusing.suspects.handle_opened(now);
            outcome.opened = true;
        }
        // rsyslog sends this, too, before it ends a session because of a message.
        Answer::Closing => outcome.end = Some(End::of(CLOSED)),
        Answer::Closed => {
            outcome.end = Some(End::of(CLOSED));
            outcome.is_closed = true;
        }
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
