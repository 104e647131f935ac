//! Faults of a broker: tansu, which has its topic in memory.
//!
//! A broker with disk storage keeps confirmed records when it is killed. This one keeps nothing,
//! so it is first disconnected, and killed after all confirmed records were read. The next
//! broker has neither the records nor the producers of the previous one.

use rustix::process::Signal;

use super::confirming::Peer;
use crate::support::{KafkaReader, Proxy, Tally, Tansu, TansuProxy, wait_for_long};

const PARTITIONS: usize = 3;

/// A broker, and a consumer of its topic that bypasses the faulty proxy.
pub(super) struct Broker {
    port: u16,
    front: u16,
    running: Option<(KafkaReader, TansuProxy, Tansu)>,
    /// Records of previous brokers.
    values: Vec<Vec<String>>,
}

impl Broker {
    /// Listens on `port`, and advertises `front`.
    pub(super) fn start(port: u16, front: u16) -> Self {
        let mut broker = Self {
            port,
            front,
            running: None,
            values: Vec::new(),
        };
        broker.restart();
        broker
    }
}

impl Peer for Broker {
    fn kill(&mut self, output: &Proxy) {
        let Some((reader, side, broker)) = self.running.take() else {
            return;
        };
        output.cut_off();
        broker.signal(Signal::CONT);
        let count = side.count_records();
        let values = wait_for_long("the records of the broker", || {
            let values = reader.values();
            (values.len() >= count).then_some(values)
        });
        self.values.push(values.expect("the broker is not read"));
    }

    fn restart(&mut self) {
        if self.running.is_none() {
            let broker = Tansu::start_behind(self.port, self.front, PARTITIONS, &[]);
            let side = TansuProxy::start(&broker);
            let reader = KafkaReader::start(&side.brokers(), &[]);
            self.running = Some((reader, side, broker));
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some((_, _, broker)) = &self.running {
            broker.signal(signal);
        }
    }

    fn tally(&self) -> Tally {
        let tally = Tally::default();
        let now = self.running.as_ref().map(|(reader, ..)| reader.values());
        for values in self.values.iter().chain(&now) {
            let connection = tally.open();
            for value in values {
                tally.note(connection, value.as_bytes());
            }
        }
        tally
    }
}
