mod measuring;
mod opening;
mod otlp;
mod own_log;
mod refused;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::access::{CLOSING_TIME, FIRST_PAUSE};
use super::look::{FIRST_LOOK, LONGEST_LOOK};
use super::outage::Outage;
use super::*;
use crate::output::dial::{LONGEST_PAUSE, OPENING_TIME};
use crate::protocol::relp;

/// A link, the time, and a simulated RELP receiver.
struct Scene {
    link: Link,
    now: Now,
    next: u64,
    delivered: Vec<u64>,
    /// Bytes that the receiver has read but not parsed.
    wire: Vec<u8>,
    /// Every message that the receiver has accepted, with how often.
    kept: BTreeMap<String, usize>,
    /// Maximum number of bytes on a connection before it fails.
    cut: Option<usize>,
    /// Batches that were handed back.
    failed: Vec<u64>,
    /// Number of sessions opened while time passed.
    sessions: usize,
}

fn scene(url: &str) -> Scene {
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let now = Now {
        monotonic: Instant::now(),
        wall: SystemTime::now(),
    };
    Scene {
        link: Link::new(Settings::parse(url).unwrap(), now),
        now,
        next: 0,
        delivered: Vec::new(),
        wire: Vec::new(),
        kept: BTreeMap::new(),
        cut: None,
        failed: Vec::new(),
        sessions: 0,
    }
}

/// One of the receiver's addresses.
fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 601))
}

impl Scene {
    /// A batch of messages named `BATCH.INDEX`.
    fn push(&mut self, count: usize) -> u64 {
        let id = self.next;
        let names: Vec<_> = (0..count).map(|index| format!("{id}.{index}")).collect();
        self.push_text(&names)
    }

    /// A batch of these messages.
    fn push_text(&mut self, messages: &[impl AsRef<str>]) -> u64 {
        let id = self.next;
        self.next += 1;
        let mut frames = Frames::default();
        for message in messages {
            frames.bytes.extend_from_slice(message.as_ref().as_bytes());
            frames.ends.push(frames.bytes.len());
        }
        self.link.push(self.now, BatchId(id), &Rc::new(frames));
        id
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Advances time to the next deadline.
    fn tick(&mut self) -> Option<Task> {
        let at = self.link.poll_timeout().unwrap();
        let time = at.saturating_duration_since(self.now.monotonic);
        self.wait(time);
        self.link.handle_timeout(self.now)
    }

    fn connect(&mut self) {
        while !self.begins() {}
        self.link.handle_opened(self.now);
        self.wire.clear();
    }

    /// Advances time to the next deadline; returns whether the link connects then.
    fn begins(&mut self) -> bool {
        match self.tick() {
            Some(Task::LookUp) => {
                self.link.handle_resolved(self.now, Ok(&[address(1)]));
                false
            }
            Some(Task::Connect(_) | Task::Open) => true,
            _ => false,
        }
    }

    fn written(&mut self, count: usize) {
        let mut delivered = Vec::new();
        self.link.handle_written(self.now, count, &mut delivered);
        self.delivered.extend(delivered.iter().map(|id| id.0));
    }

    fn receive(&mut self, bytes: &[u8]) -> Option<Task> {
        let mut delivered = Vec::new();
        let task = self.link.handle_received(self.now, bytes, &mut delivered);
        self.delivered.extend(delivered.iter().map(|id| id.0));
        task
    }

    /// Writes everything that is offered, in pieces, until the connection fails. Returns whether it
    /// did.
    fn flow(&mut self) -> bool {
        while self.link.next_bytes().is_some() {
            let most = self.cut.unwrap_or(usize::MAX).min(1000);
            let next = self.link.next_bytes().into_iter();
            let next = next.chain(self.link.further_bytes()).flatten();
            let before = self.wire.len();
            self.wire.extend(next.copied().take(most));
            let count = self.wire.len() - before;
            self.written(count);
            if let Some(cut) = &mut self.cut {
                *cut -= count;
                if *cut == 0 {
                    return true;
                }
            }
        }
        false
    }

    /// The complete commands received: number, command, data.
    fn commands(&mut self) -> Vec<(u32, String, String)> {
        let mut commands = Vec::new();
        let mut used = 0;
        while let Ok(Some((frame, length))) = relp::parse(&self.wire[used..]) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            commands.push((frame.transaction, text(frame.command), text(frame.data)));
            used += length;
        }
        self.wire.drain(..used);
        commands
    }

    /// The receiver answers everything it has received; `verdict` decides about each message.
    fn answer(&mut self, mut verdict: impl FnMut(&str) -> bool) -> Option<Task> {
        let mut answers = String::new();
        for (number, command, data) in self.commands() {
            let text = match command.as_str() {
                "open" => "200 OK\nrelp_version=0\ncommands=syslog",
                "syslog" if verdict(&data) => {
                    *self.kept.entry(data).or_default() += 1;
                    "200 OK"
                }
                "syslog" => "500 not now",
                _ => "",
            };
            answers += &match text.len() {
                0 => format!("{number} rsp 0\n0 serverclose 0\n"),
                length => format!("{number} rsp {length} {text}\n"),
            };
        }
        self.receive(answers.as_bytes())
    }

    /// Runs until nothing changes.
    fn settle(&mut self) {
        for _ in 0..1000 {
            self.flow();
            if self.wire.is_empty() {
                return;
            }
            assert_eq!(self.answer(|_| true), None);
        }
        panic!("it never settles");
    }

    fn open(&mut self) {
        self.connect();
        self.settle();
    }
}

#[test]
fn nothing_is_sent_over_relp_before_the_session_is_open() {
    let mut scene = scene("relp://h");
    scene.push(2);
    scene.connect();
    scene.flow();
    let commands = scene.commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].1, "open");
    assert!(scene.delivered.is_empty());
}

#[test]
fn a_batch_is_delivered_over_relp_when_each_message_is_answered() {
    let mut scene = scene("relp://h");
    scene.open();
    let batch = scene.push(3);
    scene.flow();
    let numbers: Vec<u32> = scene.commands().iter().map(|c| c.0).collect();
    assert_eq!(numbers, [2, 3, 4]);
    scene.receive(b"2 rsp 6 200 OK\n4 rsp 6 200 OK\n");
    assert!(scene.delivered.is_empty());
    scene.receive(b"3 rsp 6 200 OK\n");
    assert_eq!(scene.delivered, [batch]);
    assert!(scene.link.is_idle());
}

#[test]
fn more_than_a_window_goes_out_as_answers_come_in() {
    let mut scene = scene("relp://h");
    scene.open();
    let batches: Vec<u64> = (0..20).map(|_| scene.push(50)).collect();
    scene.flow();
    assert_eq!(scene.commands().len(), relp::WINDOW);
    let answers = (2..130).map(|number| format!("{number} rsp 6 200 OK\n"));
    scene.receive(answers.collect::<String>().as_bytes());
    scene.settle();
    assert_eq!(scene.delivered, batches);
    assert!(scene.link.is_idle());
}

#[test]
fn a_connection_cut_at_any_byte_loses_nothing() {
    let mut whole = scene("relp://h");
    whole.open();
    whole.push(2);
    whole.push(1);
    let bytes = whole.link.next_bytes().unwrap().len() + 150;
    for cut in 1..bytes {
        let mut scene = scene("relp://h");
        scene.push(2);
        scene.push(1);
        scene.cut = Some(cut);
        scene.connect();
        while !scene.flow() && !scene.wire.is_empty() {
            scene.answer(|_| true);
        }
        scene.link.handle_failed(scene.now, "cut");
        scene.cut = None;
        scene.open();
        assert_eq!(scene.delivered, [0, 1], "cut after {cut} bytes");
        assert_eq!(scene.kept.len(), 3, "cut after {cut} bytes");
        assert!(scene.link.is_idle());
    }
}

#[test]
fn answers_lost_with_the_connection_make_messages_come_again() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(2);
    scene.push(1);
    scene.flow();
    // All are accepted, but only the answer to the last one arrives.
    scene.commands();
    scene.receive(b"4 rsp 6 200 OK\n2 rsp 6 200");
    assert_eq!(scene.delivered, [1]);
    scene.link.handle_failed(scene.now, "cut");
    scene.open();
    assert_eq!(scene.delivered, [1, 0]);
    assert_eq!(scene.kept.keys().collect::<Vec<_>>(), ["0.0", "0.1"]);
}

#[test]
fn a_receiver_that_dies_before_the_end_of_each_batch_still_gets_on() {
    let mut scene = scene("relp://h");
    let batch = scene.push(50);
    for _ in 0..10 {
        scene.connect();
        scene.flow();
        scene.answer(|_| true);
        scene.flow();
        // The receiver accepts five, reads some more, and is killed.
        let five = scene.commands().into_iter().take(5);
        let answers: String = five
            .map(|(number, ..)| format!("{number} rsp 3 200\n"))
            .collect();
        scene.receive(answers.as_bytes());
        scene.link.handle_failed(scene.now, "died");
        let pause = scene.link.poll_timeout().unwrap() - scene.now.monotonic;
        assert_eq!(pause, FIRST_PAUSE, "it does get on");
    }
    assert_eq!(scene.delivered, [batch]);
    assert!(scene.link.is_idle());
}

#[test]
fn a_best_effort_output_drops_what_is_refused() {
    let mut scene = scene("relp://h?required=no");
    scene.open();
    scene.push(2);
    scene.flow();
    scene.answer(|message| message != "0.0");
    assert_eq!(scene.link.dropped(), 1);
    assert!(scene.link.is_idle());
}

#[test]
fn a_receiver_that_never_answers_open_is_given_up() {
    let mut scene = scene("relp://h");
    scene.push(1);
    scene.connect();
    scene.flow();
    let before = scene.now.monotonic;
    assert_eq!(scene.tick(), Some(Task::Close));
    assert_eq!(scene.now.monotonic - before, OPENING_TIME);
    assert!(scene.link.next_bytes().is_none());
    scene.open();
    assert_eq!(scene.delivered, [0]);
}

#[test]
fn a_receiver_that_stops_answering_is_given_up() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(1);
    scene.flow();
    scene.wire.clear();
    let before = scene.now.monotonic;
    assert_eq!(scene.tick(), Some(Task::Close));
    assert_eq!(scene.now.monotonic - before, Duration::from_secs(90));
    scene.open();
    assert_eq!(scene.delivered, [0]);
    assert_eq!(scene.link.poll_timeout().map(|_| scene.tick()), Some(None));
    assert_eq!(
        scene.link.poll_timeout(),
        None,
        "an idle session waits for nothing"
    );
}

#[test]
fn a_receiver_that_closes_the_session_is_connected_to_again() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(1);
    scene.flow();
    assert_eq!(scene.receive(b"0 serverclose 0\n"), Some(Task::Close));
    // What follows, and the end of the connection, change nothing.
    assert_eq!(scene.receive(b"2 rsp 6 200 OK\n"), None);
    let until = scene.link.poll_timeout();
    scene.link.handle_failed(scene.now, "ended");
    assert_eq!(scene.link.poll_timeout(), until);
    assert!(scene.delivered.is_empty());
    scene.open();
    assert_eq!(scene.delivered, [0]);
}

#[test]
fn a_receiver_that_breaks_the_protocol_is_connected_to_again() {
    for answer in [
        "9 rsp 6 200 OK\n",
        "2 rsp 2 OK\n",
        "hello\n",
        "2 syslog 0\n",
    ] {
        let mut scene = scene("relp://h");
        scene.open();
        scene.push(1);
        scene.flow();
        assert_eq!(
            scene.receive(answer.as_bytes()),
            Some(Task::Close),
            "{answer}"
        );
        scene.open();
        assert_eq!(scene.delivered, [0]);
    }
}

#[test]
fn a_session_is_closed_at_the_end() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.link.close(scene.now);
    assert!(!scene.link.is_closed());
    scene.flow();
    assert_eq!(scene.answer(|_| true), Some(Task::Close));
    assert!(scene.link.is_closed());
    assert_eq!(scene.link.poll_timeout(), None);
}

#[test]
fn the_end_does_not_wait_for_a_silent_receiver() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.link.close(scene.now);
    let before = scene.now.monotonic;
    assert_eq!(scene.tick(), Some(Task::Close));
    assert_eq!(scene.now.monotonic - before, CLOSING_TIME);
    assert!(scene.link.is_closed());
}

#[test]
fn the_pause_before_the_next_attempt_grows_until_something_is_delivered() {
    for url in ["tcp://h", "relp://h"] {
        let mut scene = scene(url);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let before = scene.now.monotonic;
            scene.connect();
            pauses.push(scene.now.monotonic - before);
            scene.link.handle_failed(scene.now, "no");
        }
        assert_eq!(pauses[1], FIRST_PAUSE, "{url}");
        assert!(pauses.is_sorted(), "{url}: {pauses:?}");
        assert_eq!(pauses[8], LONGEST_PAUSE, "{url}");
    }
}

#[test]
fn a_trouble_is_over_only_after_some_calm() {
    let mut scene = scene("tcp://h");
    let second = Duration::from_secs(1);
    let mut trouble = Outage::default();
    assert!(trouble.ease(scene.now));
    assert!(trouble.begin(scene.now));
    for _ in 0..3 {
        scene.wait(second);
        assert!(!trouble.ease(scene.now));
        assert_eq!(trouble.end(scene.now), None);
        scene.wait(second);
        assert!(!trouble.begin(scene.now));
    }
    assert!(!trouble.ease(scene.now));
    scene.now.monotonic = trouble.poll_timeout().unwrap();
    assert_eq!(trouble.end(scene.now), Some(second * 6));
    assert_eq!(trouble.poll_timeout(), None);
}

#[test]
fn an_output_to_kafka_that_is_down_sleeps_though_a_trouble_was_nearly_over() {
    let mut scene = scene("kafka://192.0.2.1:9092/events");
    scene.link = scene.link.with_seed(scene.now, || [7; 32]);
    let end = scene.now.monotonic + Duration::from_secs(60);
    scene.link.delivery.troubles().note_late(scene.now);
    scene.link.delivery.troubles().note_delivered(scene.now);
    let mut wakes = 0;
    while let Some(at) = scene.link.poll_timeout()
        && at < end
    {
        wakes += 1;
        assert!(wakes < 50, "{:?} before the end", end - at);
        let time = at.saturating_duration_since(scene.now.monotonic);
        scene.now = scene.now + time;
        scene.link.handle_timeout(scene.now);
        scene.link.take_broker_tasks();
    }
    assert!(wakes > 1, "it tries its broker again and again");
}
