//! Random combinations of all faults: whatever was acknowledged, or returned as a bookmark, has
//! reached the receiver.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;

use super::host::Host;
use super::pair::{Pair, settings};
use super::peer::End;
use super::receiver::Reach;
use crate::collector::Collector;

/// Number of bytes that the receiver's application may lag behind its TCP: the replay window.
const LAG: usize = 4000;
const HOSTS: usize = 4;
const STEPS: usize = 400;
const SEEDS: u64 = 4;

/// A host like Windows: it continues after an Ack, and sends again otherwise.
struct Sender {
    host: Host,
    /// Everything up to this record was acknowledged, or is before the collector's bookmark.
    done: u64,
    /// The highest value of `done` so far.
    most: u64,
    /// The last record of the batch in flight.
    sent: Option<u64>,
}

impl Sender {
    fn go_on_from(&mut self, record: u64) {
        self.done = record;
        self.most = self.most.max(record);
    }
}

struct Chaos {
    pair: Pair,
    senders: Vec<Sender>,
    /// Whether the receiver's application has lost something that must be repeated on this
    /// connection, unless the relay is killed as well.
    owed: bool,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let url = format!("tcp://receiver?replay={LAG}");
        let outputs = [&*url, "unix:/run/second?type=stream&framing=octet"];
        let pair = Pair::with_settings(&outputs, settings(), seed);
        let sender = |number| Sender {
            host: Host::new(&format!("h{number}.example.com")),
            done: 0,
            most: 0,
            sent: None,
        };
        Self {
            pair,
            senders: (0..HOSTS).map(sender).collect(),
            owed: false,
        }
    }

    fn below(&mut self, count: usize) -> usize {
        let random = usize::try_from(self.pair.random.next_u32()).unwrap();
        random % count
    }

    fn step(&mut self) {
        match self.below(30) {
            0 => self.kill_relay(),
            1 => self.cut_receiver(),
            2 => self.fail_output(0),
            3 => self.fail_output(1),
            4 => self.stall(),
            5 => self.fail_commits(),
            6 => self.cut_source(),
            7 => self.cut_mid_request(),
            8 => self.reach(),
            9 => self.recover(),
            10 => self.acknowledge_some(),
            11 => self.pair.is_store_slow = true,
            12 => self.pair.is_store_slow = false,
            13..=15 => self.answer_store(),
            _ => {}
        }
        for index in 0..HOSTS {
            if self.below(2) == 0 {
                self.go_on(index);
            }
        }
        let millis = [0, 1, 60, 900, 20_000][self.below(5)];
        self.pair.advance(Duration::from_millis(millis));
        self.note_owed();
        self.check_bounds();
        if self.pair.is_killed() {
            self.restart();
        }
    }

    /// The relay is killed after some more inputs. If the receiver has lost what its TCP
    /// acknowledged, that would be two failures at once, for which nothing is guaranteed.
    fn kill_relay(&mut self) {
        if !self.owed {
            self.pair.fuel = Some(1 + self.below(60));
        }
    }

    fn restart(&mut self) {
        self.pair.restart();
        for sender in &mut self.senders {
            sender.host.conn = None;
            sender.sent = None;
        }
    }

    fn fail_output(&mut self, index: usize) {
        let lasts = self.below(3000);
        self.pair.outputs[index].fails_after = Some(lasts);
    }

    fn fail_commits(&mut self) {
        let count = self.below(3);
        self.pair.store.fail_commits(count);
    }

    /// The receiver's application is killed before it has read everything that its TCP
    /// acknowledged.
    fn cut_receiver(&mut self) {
        let output = &self.pair.outputs[0];
        if !output.is_open || self.pair.fuel.is_some() {
            return;
        }
        let (written, acknowledged) = (output.written(), output.acknowledged);
        let least = acknowledged.saturating_sub(LAG);
        let read = least + self.below(written - least + 1);
        self.owed = true;
        self.pair.cut_output_after(0, read);
    }

    fn note_owed(&mut self) {
        let link = self.pair.collector.link(crate::collector::OutputId(0));
        let output = &self.pair.outputs[0];
        let waits = link.unwrap().next_bytes().is_some();
        self.owed &= !output.is_open || waits || output.acknowledged < output.written();
    }

    fn stall(&mut self) {
        let index = self.below(2);
        let room = [0, 500, usize::MAX, usize::MAX, usize::MAX][self.below(5)];
        let acknowledges = self.below(4) > 0;
        self.pair.outputs[index].room = room;
        self.pair.outputs[index].acknowledges = acknowledges;
    }

    fn acknowledge_some(&mut self) {
        let output = &self.pair.outputs[0];
        let (done, written) = (output.acknowledged, output.written());
        let more = self.below(written.saturating_sub(done) + 1);
        self.pair.outputs[0].acknowledges = false;
        self.pair.outputs[0].acknowledged = done + more;
    }

    fn reach(&mut self) {
        let index = self.below(2);
        let ways = [
            Reach::Listening,
            Reach::Listening,
            Reach::Refusing,
            Reach::Silent,
        ];
        self.pair.outputs[index].reach = ways[self.below(4)];
    }

    /// The store answers any of its jobs, or the answer is lost.
    fn answer_store(&mut self) {
        let count = self.pair.jobs.len();
        if count == 0 {
            return;
        }
        let index = self.below(count);
        match self.below(3) {
            0 => self.pair.lose_answer(index),
            _ => self.pair.answer_job(index),
        }
    }

    fn cut_source(&mut self) {
        let index = self.below(HOSTS);
        let sender = &mut self.senders[index];
        sender.sent = None;
        self.pair.hang_up(&mut sender.host);
        // It was switched off, and requests its subscription again.
        if self.below(2) == 0 {
            self.senders[index].host.offered = None;
        }
    }

    /// A source's connection ends within a request.
    fn cut_mid_request(&mut self) {
        let index = self.below(HOSTS);
        let keep = self.below(4000);
        let sender = &mut self.senders[index];
        let Some(conn) = sender.host.conn.filter(|_| sender.sent.is_none()) else {
            return;
        };
        let next = sender.done + 1;
        self.pair.start_post(&mut sender.host, next..=next);
        let peer = self.pair.peer(conn);
        let mut bytes = peer.session.as_mut().unwrap().take_outgoing();
        bytes.truncate(keep);
        peer.session = None;
        peer.outgoing = bytes;
        self.pair.turn();
        let sender = &mut self.senders[index];
        self.pair.hang_up(&mut sender.host);
    }

    fn go_on(&mut self, index: usize) {
        self.take_answer(index);
        if self.pair.is_killed() || self.senders[index].sent.is_some() {
            return;
        }
        if self.senders[index].host.offered.is_none() && !self.enumerate(index) {
            return;
        }
        let count = 1 + u64::try_from(self.below(4)).unwrap();
        let sender = &mut self.senders[index];
        let last = sender.done + count;
        sender.sent = Some(last);
        self.pair
            .start_post(&mut sender.host, sender.done + 1..=last);
        self.pair.turn();
    }

    fn take_answer(&mut self, index: usize) {
        let sender = &mut self.senders[index];
        let (Some(sent), Some(conn)) = (sender.sent, sender.host.conn) else {
            return;
        };
        match self.pair.answer(&sender.host) {
            Some(200) => sender.go_on_from(sent),
            Some(status) => assert_eq!(status, 503),
            None if self.pair.peer(conn).end == End::Open => return,
            None => self.pair.hang_up(&mut sender.host),
        }
        sender.sent = None;
    }

    /// A source that was switched off resumes from the collector's bookmark. Returns whether there
    /// was an answer.
    fn enumerate(&mut self, index: usize) -> bool {
        let is_slow = self.pair.is_store_slow || self.pair.fuel.is_some();
        if is_slow || !self.pair.collector.is_reading(self.pair.now) {
            return false;
        }
        let sender = &mut self.senders[index];
        self.pair.enumerate(&mut sender.host);
        let told = sender.host.handed_back().unwrap_or(0);
        assert!(
            told >= sender.done,
            "it would send again what was acknowledged"
        );
        sender.done = told;
        true
    }

    fn check_bounds(&self) {
        let Collector {
            connections,
            batches,
            questions,
            ..
        } = &self.pair.collector;
        let (placed, places) = batches.in_line();
        assert_eq!(placed, places);
        assert_eq!(connections.buffered(), connections.room().bytes().0);
        let causes = connections.len() + connections.refusals_put_off();
        assert!(connections.timers() <= causes, "a timer without a cause");
        assert_eq!(questions.len(), questions.timers());
        let probe = 1;
        assert!(batches.timers() <= batches.len() + probe);
    }

    /// Ends all faults.
    fn recover(&mut self) {
        for output in &mut self.pair.outputs {
            output.reach = Reach::Listening;
            output.room = usize::MAX;
            output.acknowledges = true;
            output.fails_after = None;
        }
        self.pair.store.fail_commits(0);
        self.pair.is_store_slow = false;
        self.pair.fuel = None;
    }

    /// A last batch of each host is delivered.
    fn settle(&mut self) {
        self.recover();
        self.pair.advance(Duration::from_secs(120));
        for index in 0..HOSTS {
            self.take_answer(index);
            let sender = &mut self.senders[index];
            assert_eq!(sender.sent, None, "a batch was never answered");
            self.pair.enumerate(&mut sender.host);
            self.pair.hang_up(&mut sender.host);
            let next = sender.done + 1;
            self.pair.post(&mut sender.host, next..=next);
            assert_eq!(self.pair.answer(&sender.host), Some(200));
            sender.go_on_from(next);
        }
    }

    fn check(&self) {
        for output in &self.pair.outputs {
            let mut seen = BTreeMap::new();
            for (host, record) in output.messages() {
                let last = seen.entry(host).or_insert(0);
                assert!(record <= *last + 1, "{record} came after {last}");
                *last = record.max(*last);
            }
            for sender in &self.senders {
                assert!(seen[&sender.host.machine] >= sender.most);
            }
        }
        let collector = &self.pair.collector;
        assert!(collector.batches.is_empty() && !collector.wants_commit());
        assert!(collector.is_finished());
    }
}

#[test]
fn whatever_fails_in_whatever_order_nothing_acknowledged_is_lost() {
    let mut total = 0;
    for seed in 0..SEEDS {
        let mut chaos = Chaos::new(seed);
        for _ in 0..STEPS {
            chaos.step();
        }
        chaos.settle();
        chaos.check();
        total += chaos.senders.iter().map(|sender| sender.most).sum::<u64>();
    }
    assert!(total > 1000, "{total}: hardly anything went through");
}
