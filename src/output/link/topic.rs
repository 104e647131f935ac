//! A topic of a Kafka cluster as an output: a connection to each broker that leads a
//! partition. It is open while messages can be delivered to some partition.

use std::time::Instant;

use super::delivery::Delivery;
use crate::base::clock::Now;
use crate::output::Task;
use crate::output::kafka::{BrokerId, Event, Producer};
use crate::output::queue::BatchId;
use crate::protocol::kafka::Login;

/// The producer of one output, and what has been logged about it.
#[derive(Debug)]
pub(super) struct Topic {
    producer: Producer,
    is_up: bool,
    /// Whether it has been logged as open: brokers close idle connections, which are then
    /// opened again.
    is_told: bool,
}

impl Topic {
    pub(super) fn new(producer: Producer) -> Self {
        Self {
            producer,
            is_up: false,
            is_told: false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Number of bytes that remain to be sent, or are in flight.
    pub(super) fn held(delivery: &Delivery) -> usize {
        delivery.queue().unsent() + delivery.queue().unconfirmed()
    }

    /// Handles an event on the connection to a broker.
    pub(super) fn handle(
        &mut self,
        delivery: &mut Delivery,
        now: Now,
        broker: BrokerId,
        event: Event<'_>,
        delivered: &mut Vec<BatchId>,
    ) {
        let before = delivery.queue().backlog();
        self.producer
            .handle(now, broker, event, &mut delivery.desk());
        self.note_change(delivery, now);
        delivered.append(&mut delivery.take_settled());
        delivery.note_delivered(now, before);
        let taken = delivery.queue().taken();
        self.note_progress(delivery, now, taken);
    }

    /// More has been queued.
    pub(super) fn fill(&mut self, delivery: &mut Delivery, now: Now) {
        self.producer.handle_queued(now, &mut delivery.desk());
        self.note_change(delivery, now);
    }

    pub(super) fn poll_timeout(&self, delivery: &Delivery) -> Option<Instant> {
        let times = [
            self.producer.poll_timeout(),
            delivery.poll_timeout(self.is_up),
        ];
        times.into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, delivery: &mut Delivery, now: Now) {
        self.producer.handle_timeout(now, &mut delivery.desk());
        self.note_change(delivery, now);
        delivery.sweep(now);
        if self.is_up {
            delivery.troubles().note_calm(now);
        }
    }

    /// Logs what has changed.
    fn note_change(&mut self, delivery: &mut Delivery, now: Now) {
        for failure in self.producer.take_failures() {
            delivery.troubles().note_failure(now, &failure);
        }
        let was_up = std::mem::replace(&mut self.is_up, self.producer.is_working());
        if was_up != self.is_up {
            self.note_progress(delivery, now, delivery.progress());
        }
        let is_healthy = self.producer.is_healthy();
        if is_healthy && delivery.troubles().note_works(now) && !self.is_told {
            self.is_told = true;
            log::info!("output {}: open", delivery.settings().label);
        }
    }

    pub(super) fn note_progress(&self, delivery: &mut Delivery, now: Now, progress: u64) {
        let is_busy = self.is_up && Self::held(delivery) > 0;
        delivery.note_progress(now, progress, is_busy);
    }

    pub(super) fn take_tasks(&mut self) -> Vec<(BrokerId, Task)> {
        self.producer.take_tasks()
    }

    /// The file with user and password has been read.
    pub(super) fn replace_login(&mut self, now: Now, login: Login) {
        self.producer.replace_login(now, login);
    }

    pub(super) fn place(&self, broker: BrokerId) -> Option<(&str, u16)> {
        self.producer.place(broker)
    }

    pub(super) fn outgoing(&self, broker: BrokerId) -> &[u8] {
        self.producer.outgoing(broker)
    }
}
