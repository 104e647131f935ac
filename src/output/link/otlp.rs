//! OTLP/HTTP on a connection: one request at a time with the waiting records, and what its
//! answer means for them.
//!
//! A rejection does not state which record it is about. The request is split in halves
//! until the record is alone; [`Refusing`] decides what happens to it.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::session::{Desk, End, Outcome, Session};
use crate::base::clock::Now;
use crate::output::Settings;
use crate::output::queue::{Position, Queue};
use crate::output::refusing::Refusing;
use crate::output::suspects::{FIRST_RETRY, Strike};
use crate::protocol::http::answer::{Answer, Decoder};
use crate::protocol::otlp::endpoint::Endpoint;
use crate::protocol::otlp::export::{Export, Verdict, judge};
use crate::record;

/// Maximum number of records in a request: as many as collectors handle at a time.
const RECORDS_MAX: usize = 2048;
/// Maximum size of a request in bytes before compression, unless a single record is larger.
/// Collectors accept 4 MiB (the limit of gRPC) and more.
const REQUEST_MAX: usize = 1 << 20;
/// How long a receiver may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Number of connections that may end during a request before it is split, because one of
/// its records may be the reason.
const ENDS_MAX: u32 = 3;
/// A connection without any answer that ends before this time is a failure; one that ends
/// later was closed by the receiver because it was idle.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// Records that are sent together.
#[derive(Debug, Default)]
struct Group {
    positions: Vec<Position>,
    /// Their size in bytes.
    size: usize,
    /// Whether they are part of a rejected request.
    is_part: bool,
}

/// An OTLP/HTTP client with its timers.
#[derive(Debug)]
pub(super) struct Otlp {
    label: String,
    endpoint: Endpoint,
    /// Since when there is a connection.
    connected: Option<Instant>,
    /// Whether nothing has been sent on it yet.
    is_new: bool,
    outgoing: Vec<u8>,
    written: usize,
    decoder: Decoder,
    /// The records in flight, and when they must be answered.
    sent: Option<(Group, Instant)>,
    /// Whether there has been an answer on this connection.
    is_proven: bool,
    /// Parts of rejected requests, which are sent first.
    parts: VecDeque<Vec<Position>>,
    /// The records in these parts.
    aside: HashSet<u64>,
    /// Number of consecutive connections that ended without an answer to a request.
    ends: u32,
    /// The receiver's latest warning about accepted records.
    remark: Option<String>,
}

impl Otlp {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            label: settings.label.clone(),
            endpoint: settings
                .target
                .endpoint()
                .unwrap_or_else(|| Endpoint::new("", "", false)),
            connected: None,
            is_new: false,
            outgoing: Vec::new(),
            written: 0,
            decoder: Decoder::default(),
            sent: None,
            is_proven: false,
            parts: VecDeque::new(),
            aside: HashSet::new(),
            ends: 0,
            remark: None,
        }
    }

    /// Whether another request may be sent.
    fn is_free(&self) -> bool {
        self.connected.is_some() && self.sent.is_none() && self.outgoing.is_empty()
    }

    /// The records of the next request.
    fn next_group(&mut self, queue: &mut Queue, refusing: &mut Refusing) -> Group {
        while let Some(positions) = self.parts.pop_front() {
            for position in &positions {
                self.aside.remove(&position.0);
            }
            let is_there = |position: &Position| queue.message(*position).is_some();
            let positions: Vec<_> = positions.into_iter().filter(is_there).collect();
            if !positions.is_empty() {
                let sizes = positions.iter().filter_map(|p| queue.message(*p));
                return Group {
                    size: sizes.map(<[u8]>::len).sum(),
                    positions,
                    is_part: true,
                };
            }
        }
        self.queued(queue, refusing)
    }

    fn queued(&mut self, queue: &mut Queue, refusing: &mut Refusing) -> Group {
        let mut group = Group::default();
        while group.positions.len() < RECORDS_MAX && !refusing.suspects.is_full() {
            let position = queue.position();
            let Some(message) = queue.next_datagram() else {
                break;
            };
            let size = message.len();
            let is_elsewhere =
                refusing.suspects.holds(position) || self.aside.contains(&position.0);
            if !is_elsewhere {
                if group.size + size > REQUEST_MAX && !group.positions.is_empty() {
                    break;
                }
                group.positions.push(position);
                group.size += size;
                refusing.suspects.note_sent(position, message);
            }
            queue.handle_written(size);
        }
        group
    }

    fn send(&mut self, now: Now, group: Group, queue: &Queue) {
        let mut export = Export::default();
        for position in &group.positions {
            if let Some(record) = queue.message(*position).and_then(record::parse) {
                record.push_to(&mut export);
            }
        }
        let message = export.finish(env!("CARGO_PKG_VERSION"));
        self.endpoint.push_request(&mut self.outgoing, &message);
        self.sent = Some((group, now.monotonic + ANSWER_TIME));
    }

    /// Retries rejected records that are due; those that no source waits for are dropped.
    fn send_suspects(&mut self, now: Now, desk: &mut Desk<'_>) {
        if !self.is_free() {
            desk.refusing.suspects.wait_for_room();
            return;
        }
        while self.is_free()
            && self.parts.is_empty()
            && let Some(position) = desk.refusing.suspects.next_due(now)
        {
            if desk.queue.awaited_batch(position).is_none() {
                let refusing = &mut *desk.refusing;
                refusing.let_go(position, desk.queue, desk.delivered);
                continue;
            }
            // Not its turn on this connection yet; slightly later is soon enough.
            if desk.queue.position() <= position {
                desk.refusing.suspects.put_off(now.monotonic + FIRST_RETRY);
                return;
            }
            let message = desk.queue.message(position).unwrap_or_default();
            desk.refusing.suspects.note_sent(position, message);
            let group = Group {
                positions: vec![position],
                size: message.len(),
                is_part: true,
            };
            self.send(now, group, desk.queue);
        }
    }

    fn handle_answer(
        &mut self,
        now: Now,
        answer: &Answer,
        desk: &mut Desk<'_>,
    ) -> Result<Outcome, End> {
        let Some((group, _)) = self.sent.take() else {
            return Err(End::of("an unexpected answer arrived"));
        };
        self.ends = 0;
        self.is_proven = true;
        let mut outcome = Outcome::default();
        let is_early = !self.outgoing.is_empty();
        match judge(answer, group.positions.len(), now.wall) {
            // It cannot have accepted what it has not received.
            Verdict::Accepted(_) if is_early => {
                self.keep(group);
                return Err(End::of("it answered before it had the whole request"));
            }
            Verdict::Accepted(remark) => {
                outcome.accepted = true;
                self.note_remark(remark);
                for position in group.positions {
                    desk.refusing.suspects.note_accepted(position);
                    desk.queue.confirm_message(position, desk.delivered);
                }
            }
            Verdict::Refused(why) => self.handle_refused(now, &group.positions, &why, desk),
            Verdict::Busy(reason, pause) => {
                self.keep(group);
                return Err(End {
                    pause,
                    ..End::of(reason)
                });
            }
            Verdict::Failed(reason) => {
                self.keep(group);
                return Err(End::of(reason));
            }
        }
        desk.refusing.suspects.handle_answered();
        // After an early answer, the rest of the request would only confuse.
        if !answer.keep_alive || is_early {
            outcome.end = Some(End::usual());
        }
        Ok(outcome)
    }

    /// Sends halves next; a record that is alone becomes a suspect.
    fn handle_refused(&mut self, now: Now, positions: &[Position], why: &str, desk: &mut Desk<'_>) {
        let strike = Strike::Refused(why.to_owned());
        match positions {
            [one] => {
                let refusing = &mut *desk.refusing;
                refusing.strike(now, *one, &strike, desk.queue, desk.delivered);
            }
            several => self.split(several),
        }
    }

    fn split(&mut self, positions: &[Position]) {
        let (front, back) = positions.split_at(positions.len() / 2);
        for half in [back, front].into_iter().filter(|half| !half.is_empty()) {
            self.aside.extend(half.iter().map(|position| position.0));
            self.parts.push_front(half.to_vec());
        }
    }

    /// A part that was in flight remains a part on the next connection.
    fn keep(&mut self, group: Group) {
        if group.is_part {
            self.aside.extend(group.positions.iter().map(|p| p.0));
            self.parts.push_front(group.positions);
        }
    }

    fn note_remark(&mut self, remark: Option<String>) {
        if remark.is_some() && remark != self.remark {
            let label = &self.label;
            let text = remark.as_deref().unwrap_or_default();
            log::warn!(
                "output {label}: the receiver accepted all records, with the message: {text}"
            );
            self.remark = remark;
        }
    }
}

impl Session for Otlp {
    fn handle_connected(&mut self, now: Now) -> bool {
        self.connected = Some(now.monotonic);
        self.is_new = true;
        true
    }

    fn outgoing(&self) -> &[u8] {
        self.outgoing.get(self.written..).unwrap_or_default()
    }

    fn handle_written(&mut self, count: usize) {
        self.written = (self.written + count).min(self.outgoing.len());
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
    }

    fn fill(&mut self, now: Now, queue: &mut Queue, refusing: &mut Refusing) {
        if !self.is_free() {
            return;
        }
        if std::mem::take(&mut self.is_new) {
            refusing.suspects.handle_opened(now);
        }
        let group = self.next_group(queue, refusing);
        if !group.positions.is_empty() {
            self.send(now, group, queue);
        }
    }

    fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Outcome, End> {
        self.decoder.feed(bytes);
        let mut outcome = Outcome::default();
        while let Some(answer) = self.decoder.poll().map_err(|e| End::of(e.to_string()))? {
            let next = self.handle_answer(now, &answer, desk)?;
            outcome.accepted |= next.accepted;
            outcome.end = outcome.end.or(next.end);
        }
        if outcome.end.is_none() {
            self.send_suspects(now, desk);
            self.fill(now, desk.queue, desk.refusing);
        }
        Ok(outcome)
    }

    fn handle_timeout(&mut self, now: Now, desk: &mut Desk<'_>) {
        self.send_suspects(now, desk);
        self.fill(now, desk.queue, desk.refusing);
    }

    fn handle_ended(&mut self, now: Now, desk: &mut Desk<'_>) -> Option<End> {
        // An answer without a length ends like this.
        if let Some(answer) = self.decoder.handle_end() {
            return match self.handle_answer(now, &answer, desk) {
                Ok(_) => Some(End::usual()),
                Err(end) => Some(end),
            };
        }
        let Some((group, by)) = self.sent.take() else {
            let is_old = self
                .connected
                .is_some_and(|at| now.monotonic >= at + IDLE_TIME);
            return (self.is_proven || is_old).then(End::usual);
        };
        // Receivers close idle connections, even while a request arrives.
        if self.is_proven && self.decoder.is_idle() {
            self.keep(group);
            return Some(End::usual());
        }
        // This side gave up.
        if now.monotonic >= by {
            self.keep(group);
            return None;
        }
        self.ends += 1;
        match group.positions.as_slice() {
            [one] if group.is_part => {
                let refusing = &mut *desk.refusing;
                refusing.strike(now, *one, &Strike::Ended, desk.queue, desk.delivered);
                if !refusing.suspects.holds(*one) {
                    self.keep(group);
                }
            }
            several if self.ends >= ENDS_MAX => {
                self.ends = 0;
                self.split(several);
            }
            _ => self.keep(group),
        }
        None
    }

    fn reset(&mut self) {
        self.connected = None;
        self.is_proven = false;
        self.outgoing.clear();
        self.written = 0;
        self.decoder = Decoder::default();
        if let Some((group, _)) = self.sent.take() {
            self.keep(group);
        }
    }

    fn close(&mut self) -> bool {
        false
    }

    fn replace_headers(&mut self, headers: Zeroizing<String>) {
        self.endpoint.set_headers(headers);
    }

    fn is_overdue(&self, now: Now) -> bool {
        self.sent
            .as_ref()
            .is_some_and(|(_, by)| now.monotonic >= *by)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.sent.as_ref().map(|(_, by)| *by)
    }

    fn unanswered(&self) -> usize {
        self.sent
            .as_ref()
            .map_or(0, |(group, _)| group.positions.len())
    }

    fn bytes_ahead(&self) -> usize {
        self.sent.as_ref().map_or(0, |(group, _)| group.size)
    }
}
