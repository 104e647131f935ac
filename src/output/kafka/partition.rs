//! One partition: what waits for it, and the one batch that is on the way.
//!
//! One batch at a time, so that the order holds whatever happens to it. It stays as it is until
//! its fate is known: a broker that has it already knows it by its place in the sequence.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::output::queue::Position;
use crate::protocol::kafka::{Place, ProducerId};

/// First pause before a batch is sent again; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause before a batch is sent again; pauses double up to it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A batch whose fate is not known.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) positions: Vec<Position>,
    pub(super) bytes: Vec<u8>,
    pub(super) place: Option<Place>,
    /// The connection on which an answer is due.
    pub(super) sent_on: Option<usize>,
}

/// One partition of the topic.
#[derive(Debug)]
pub(super) struct Partition {
    /// The connection to its leader.
    pub(super) leader: Option<usize>,
    /// Messages to be sent, in order.
    pub(super) pending: VecDeque<Position>,
    /// Messages that were refused before: each gets a batch of its own.
    pub(super) alone: VecDeque<Position>,
    pub(super) flight: Option<Flight>,
    /// The place of the next batch.
    place: Option<Place>,
    /// Most messages of the next batch: fewer after one that was refused as a whole.
    pub(super) most: usize,
    pub(super) retry_at: Option<Instant>,
    pause: Duration,
    /// Whether the last batch has failed.
    pub(super) is_failing: bool,
}

impl Partition {
    pub(super) fn new() -> Self {
        Self {
            leader: None,
            pending: VecDeque::new(),
            alone: VecDeque::new(),
            flight: None,
            place: None,
            most: usize::MAX,
            retry_at: None,
            pause: FIRST_PAUSE,
            is_failing: false,
        }
    }

    /// Whether it has something to send or awaits an answer.
    pub(super) fn has_work(&self) -> bool {
        self.flight.is_some() || !self.pending.is_empty() || !self.alone.is_empty()
    }

    /// Whether a batch may be sent to its leader now.
    pub(super) fn may_send(&self) -> bool {
        let is_under_way = self.flight.as_ref().is_some_and(|f| f.sent_on.is_some());
        !is_under_way && self.retry_at.is_none()
    }

    /// Ends a pause that is over.
    pub(super) fn end_pause(&mut self, now: Instant) {
        self.retry_at = self.retry_at.filter(|at| *at > now);
    }

    /// The place of the next batch of this producer: a new producer begins with 0.
    pub(super) fn place_for(&self, producer: Option<ProducerId>) -> Option<Place> {
        let producer = producer?;
        let first = Place {
            producer,
            sequence: 0,
        };
        Some(
            self.place
                .filter(|p| p.producer == producer)
                .unwrap_or(first),
        )
    }

    /// The batch is there: what comes next has the place after it.
    pub(super) fn take_delivered(&mut self) -> Option<Flight> {
        let flight = self.flight.take()?;
        self.place = flight
            .place
            .map(|place| place.after(flight.positions.len()))
            .or(self.place);
        self.most = self.most.saturating_mul(2);
        self.pause = FIRST_PAUSE;
        self.retry_at = None;
        self.is_failing = false;
        Some(flight)
    }

    /// The broker has not taken the batch and never will: its messages are to be sent in
    /// others, of at most `most` each. Its place is free.
    pub(super) fn put_back(&mut self, positions: Vec<Position>, most: usize) {
        self.most = most.max(1);
        for position in positions.into_iter().rev() {
            self.pending.push_front(position);
        }
    }

    /// The batch is to be sent again, after a pause.
    pub(super) fn postpone(&mut self, now: Instant) {
        if let Some(flight) = &mut self.flight {
            flight.sent_on = None;
        }
        self.retry_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Whether a batch awaits its answer on this connection.
    pub(super) fn is_sent_on(&self, connection: usize) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|f| f.sent_on == Some(connection))
    }

    /// Whose sequence the batch on the way has a place in.
    pub(super) fn producer(&self) -> Option<ProducerId> {
        Some(self.flight.as_ref()?.place?.producer)
    }

    /// Who takes messages for it; a new leader is tried at once.
    pub(super) fn set_leader(&mut self, leader: Option<usize>) {
        if leader.is_some() && leader != self.leader {
            self.retry_at = None;
        }
        self.leader = leader;
    }

    /// The batch has failed, and is to be sent again.
    pub(super) fn fail(&mut self, now: Instant) {
        self.postpone(now);
        self.is_failing = true;
    }

    /// All messages in it, those on the way first.
    pub(super) fn into_positions(self) -> impl Iterator<Item = Position> {
        let flight = self.flight.into_iter().flat_map(|f| f.positions);
        flight.chain(self.alone).chain(self.pending)
    }
}
