//! A link whose receiver is a topic of a Kafka cluster: it has a connection to each broker
//! that leads a partition, and is up while messages can be delivered to some.

use super::{Link, Phase, Task};
use crate::base::clock::Now;
use crate::output::Target;
use crate::output::kafka::{BrokerId, Desk, Event, Producer};
use crate::output::queue::BatchId;

impl Link {
    /// The same with random bytes, which authentication at brokers needs.
    #[must_use]
    pub fn with_seed(mut self, now: Now, seed: impl FnOnce() -> [u8; 32]) -> Self {
        if let Target::Kafka(settings) = &self.settings.target {
            let label = &self.settings.label;
            self.topic = Some(Producer::new(settings, label, seed(), now));
        }
        self
    }

    /// Something has happened on the connection to a broker.
    pub fn handle_broker(
        &mut self,
        now: Now,
        broker: BrokerId,
        event: Event<'_>,
        delivered: &mut Vec<BatchId>,
    ) {
        let before = self.queue.backlog();
        self.with_topic(now, |topic, desk| topic.handle(now, broker, event, desk));
        delivered.append(&mut self.settled);
        self.note_delivered(now, before);
        self.note_progress(now, self.queue.taken());
    }

    pub(super) fn fill_topic(&mut self, now: Now) {
        self.with_topic(now, |topic, desk| topic.handle_queued(now, desk));
    }

    pub(super) fn handle_topic_timeout(&mut self, now: Now) {
        self.with_topic(now, |topic, desk| topic.handle_timeout(now, desk));
        self.refusing.suspects.sweep(now);
        self.note_refusing(now);
        if matches!(self.phase, Phase::Up) {
            self.note_calm(now);
        }
    }

    fn with_topic(&mut self, now: Now, act: impl FnOnce(&mut Producer, &mut Desk<'_>)) {
        let Some(topic) = &mut self.topic else {
            return;
        };
        let mut desk = Desk {
            queue: &mut self.queue,
            refusing: &mut self.refusing,
            delivered: &mut self.settled,
        };
        act(topic, &mut desk);
        let failures = topic.take_failures();
        let (is_working, is_healthy) = (topic.is_working(), topic.is_healthy());
        for failure in failures {
            self.tell_failure(now, &failure);
        }
        let was_up = matches!(self.phase, Phase::Up);
        match (was_up, is_working) {
            (false, true) => {
                self.phase = Phase::Up;
                self.note_progress(now, self.progress);
            }
            (true, false) => {
                self.phase = Phase::Down {
                    until: now.monotonic,
                };
                self.note_progress(now, self.progress);
            }
            _ => {}
        }
        if is_healthy && self.failing.ease(now) && !self.reached {
            // Once: brokers end what is idle, and are connected to again.
            self.reached = true;
            log::info!("output {}: open", self.settings.label);
        }
    }

    /// What is to be done for connections to brokers.
    pub fn take_broker_tasks(&mut self) -> Vec<(BrokerId, Task)> {
        self.topic
            .as_mut()
            .map(Producer::take_tasks)
            .unwrap_or_default()
    }

    /// Host and port of a broker.
    #[must_use]
    pub fn broker_place(&self, broker: BrokerId) -> Option<(&str, u16)> {
        self.topic.as_ref()?.place(broker)
    }

    /// What to write next on the connection to a broker.
    #[must_use]
    pub fn broker_bytes(&self, broker: BrokerId) -> &[u8] {
        self.topic
            .as_ref()
            .map_or(&[], |topic| topic.outgoing(broker))
    }
}
