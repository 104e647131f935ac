//! One partition: its pending messages, and the one batch in flight.
//!
//! Only one batch at a time, so that the order is kept whatever happens to it. It stays
//! unchanged until its fate is known: a broker that already has it recognizes it by its
//! sequence number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::output::queue::Position;
use crate::protocol::kafka::{Place, ProducerId};

/// First pause before a batch is sent again; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Maximum pause before a batch is sent again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A batch whose fate is unknown.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) positions: Vec<Position>,
    pub(super) bytes: Vec<u8>,
    pub(super) place: Option<Place>,
    /// The connection on which its answer is pending; `None` if it must be sent (again).
    pub(super) sent_on: Option<usize>,
}

/// A partition of the topic.
#[derive(Debug)]
pub(super) struct Partition {
    /// The connection to its leader; `None` while there is none.
    pub(super) leader: Option<usize>,
    /// Messages to send, in order.
    pub(super) pending: VecDeque<Position>,
    /// Messages that were rejected before; each gets its own batch.
    pub(super) alone: VecDeque<Position>,
    pub(super) flight: Option<Flight>,
    /// Sequence number of the next batch.
    place: Option<Place>,
    /// Maximum number of messages in the next batch; reduced after one that was rejected as
    /// a whole.
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

    /// Whether it has something to send, or waits for an answer.
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

    /// The sequence number of the next batch for this producer id; a new id starts at 0.
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

    /// The batch has been stored; the next one gets the number after it.
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

    /// The broker has permanently rejected the batch: its messages go into others of at most
    /// `most` messages, and its sequence number is reused.
    pub(super) fn put_back(&mut self, positions: Vec<Position>, most: usize) {
        self.most = most.max(1);
        for position in positions.into_iter().rev() {
            self.pending.push_front(position);
        }
    }

    /// The batch will be sent again after a pause.
    pub(super) fn postpone(&mut self, now: Instant) {
        if let Some(flight) = &mut self.flight {
            flight.sent_on = None;
        }
        self.retry_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Whether a batch waits for its answer on this connection.
    pub(super) fn is_sent_on(&self, connection: usize) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|f| f.sent_on == Some(connection))
    }

    /// The producer in whose sequence the batch in flight is.
    pub(super) fn producer(&self) -> Option<ProducerId> {
        Some(self.flight.as_ref()?.place?.producer)
    }

    /// Sets the leader; a new one is tried immediately.
    pub(super) fn set_leader(&mut self, leader: Option<usize>) {
        if leader.is_some() && leader != self.leader {
            self.retry_at = None;
        }
        self.leader = leader;
    }

    /// The batch has failed, and will be sent again.
    pub(super) fn fail(&mut self, now: Instant) {
        self.postpone(now);
        self.is_failing = true;
    }

    /// All its messages, those in flight first.
    pub(super) fn into_positions(self) -> impl Iterator<Item = Position> {
        let flight = self.flight.into_iter().flat_map(|f| f.positions);
        flight.chain(self.alone).chain(self.pending)
    }
}
