//! Hostile OTLP receivers: splits of answers do not matter, and a batch is delivered only if
//! an answer has accepted each of its records; once the receiver behaves correctly, no batch
//! is left.
#![no_main]

mod batches;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use wecrelay::base::clock::Now;
use wecrelay::output::link::Link;
use wecrelay::output::{Settings, Task};
use wecrelay::protocol::http::answer::{Answer, Decoder};
use wecrelay::protocol::otlp::export::{Verdict, judge};
use wecrelay::record::Kind;

use batches::{Batches, PATIENCE, next_deadline, start};

const STATUSES: [u16; 12] = [200, 202, 204, 302, 400, 401, 404, 413, 429, 500, 503, 599];
const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => answers_do_not_depend_on_cuts(rest),
        1 => a_body_is_judged(rest),
        _ => play(rest),
    }
});

fn answers_do_not_depend_on_cuts(data: &[u8]) {
    let (whole, is_good) = decode(data, data.len().max(1));
    for size in [1, 3, 64, 1000] {
        let (found, is_still_good) = decode(data, size);
        assert_eq!(found, whole);
        // An error in a line may be reported only at the end of the line.
        assert!(is_good <= is_still_good);
    }
    let whole_again = decode(&[data, b"\n"].concat(), data.len() + 1);
    assert!(is_good || !whole_again.1);
    for answer in &whole {
        assert!((200..=599).contains(&answer.status) || answer.status < 1000);
        for count in [0, 1, 7] {
            let verdict = judge(answer, count, SystemTime::UNIX_EPOCH);
            check(&verdict, answer.status);
        }
    }
}

fn decode(data: &[u8], size: usize) -> (Vec<Answer>, bool) {
    let mut decoder = Decoder::default();
    let mut answers = Vec::new();
    for piece in data.chunks(size) {
        decoder.feed(piece);
        loop {
            match decoder.poll() {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => break,
                Err(_) => return (answers, false),
            }
        }
    }
    (answers, true)
}

/// A protobuf response accepts a request only if it rejects no record.
fn a_body_is_judged(body: &[u8]) {
    let (&status, body) = body.split_first().unwrap_or((&0, &[]));
    let status = STATUSES[usize::from(status) % STATUSES.len()];
    let answer = Answer {
        status,
        headers: vec![("content-type".into(), "application/x-protobuf".into())],
        body: body.to_vec(),
        keep_alive: true,
    };
    check(&judge(&answer, 5, SystemTime::UNIX_EPOCH), status);
}

fn check(verdict: &Verdict, status: u16) {
    let said = match verdict {
        Verdict::Accepted(said) => {
            assert!((200..300).contains(&status));
            said.as_deref().unwrap_or_default()
        }
        Verdict::Refused(said) | Verdict::Failed(said) => said,
        Verdict::Busy(said, pause) => {
            assert!(pause.is_none_or(|pause| pause <= Duration::from_secs(3600)));
            said
        }
    };
    assert!(
        !said.contains(char::is_control) && said.len() < 4096,
        "{said:?}"
    );
}

fn play(data: &[u8]) {
    let mut scene = Scene::new();
    let mut script = data.iter().copied();
    while let Some(step) = script.next() {
        scene.step(step, &mut script);
    }
    scene.end();
}

struct Scene {
    link: Link,
    now: Now,
    batches: Batches,
    is_open: bool,
    wire: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let now = start();
        let settings = Settings::parse("otlp+http://192.0.2.1?compress=none").unwrap();
        Self {
            link: Link::new(settings, now),
            now,
            batches: Batches::default(),
            is_open: false,
            wire: Vec::new(),
        }
    }

    fn step(&mut self, step: u8, script: &mut impl Iterator<Item = u8>) {
        let mut byte = || script.next().unwrap_or(0);
        match step % 8 {
            0 => self.push(byte()),
            1 => self.pass(Duration::from_millis(
                u64::from(byte()) * u64::from(byte()) * 4,
            )),
            2 => drop(self.serve(200, 0, usize::MAX)),
            3 => {
                let status = STATUSES[usize::from(byte()) % STATUSES.len()];
                self.serve(status, byte(), usize::MAX);
            }
            4 => {
                let bytes: Vec<u8> = (0..byte()).map(|_| byte()).collect();
                self.batches.trust();
                self.say(&bytes);
            }
            5 => {
                self.serve(200, byte(), usize::from(byte()));
                self.cut();
            }
            6 => self.cut(),
            _ => self.tick(),
        }
        self.settle();
    }

    fn push(&mut self, hint: u8) {
        let host = |_| "host".to_owned();
        self.batches
            .push(&mut self.link, self.now, Kind::Otlp, hint % 5 + 1, host);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        let task = self.link.handle_timeout(self.now);
        self.perform(task);
    }

    fn tick(&mut self) {
        self.pass(next_deadline(&self.link, self.now));
    }

    fn perform(&mut self, task: Option<Task>) {
        match task {
            None => {}
            Some(Task::Close) => {
                self.is_open = false;
                self.wire.clear();
            }
            Some(Task::LookUp) => {
                let address = SocketAddr::from(([192, 0, 2, 1], 4318));
                self.link.handle_resolved(self.now, Ok(&[address]));
            }
            Some(Task::Open | Task::Connect(_)) => {
                self.wire.clear();
                self.is_open = true;
                self.link.handle_opened(self.now);
            }
            Some(Task::Measure) => panic!("nothing is measured"),
        }
    }

    /// Takes the written data and the results of batches.
    fn settle(&mut self) {
        while self.is_open
            && let Some(bytes) = self.link.next_bytes()
        {
            let count = bytes.len();
            self.wire.extend_from_slice(bytes);
            let mut delivered = Vec::new();
            self.link.handle_written(self.now, count, &mut delivered);
            self.batches.note_delivered(&delivered);
        }
        self.batches.take_from(&mut self.link);
    }

    /// Answers the request that has arrived, if any, with `rejected` records rejected, and
    /// sends at most `length` bytes of the answer.
    fn serve(&mut self, status: u16, rejected: u8, length: usize) -> bool {
        let Some(names) = take_request(&mut self.wire) else {
            return false;
        };
        let is_taken = (200..300).contains(&status) && (rejected == 0 || status == 204);
        let body = match rejected {
            0 => Vec::new(),
            count => vec![0x0a, 2, 8, count & 0x7f],
        };
        let body = if status == 204 { Vec::new() } else { body };
        let mut answer = format!(
            "HTTP/1.1 {status} X\r\n{PROTOBUF}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend(body);
        let answer = answer.get(..length).unwrap_or(&answer);
        if is_taken || rejected & 0x7f == 0 && (200..300).contains(&status) {
            self.batches.confirm(names);
        }
        self.say(answer);
        true
    }

    fn say(&mut self, bytes: &[u8]) {
        if !self.is_open {
            return;
        }
        let mut delivered = Vec::new();
        let task = self.link.handle_received(self.now, bytes, &mut delivered);
        self.batches.note_delivered(&delivered);
        self.perform(task);
    }

    fn cut(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.wire.clear();
            self.link.handle_failed(self.now, "closed");
        }
    }

    /// From now on, the receiver behaves correctly, on a new connection.
    fn end(&mut self) {
        self.cut();
        for _ in 0..PATIENCE {
            self.settle();
            if self.batches.are_done() {
                return;
            }
            if !self.serve(200, 0, usize::MAX) {
                self.tick();
            }
        }
        self.batches.left_over();
    }
}

/// The records of the first request, if it is complete.
fn take_request(wire: &mut Vec<u8>) -> Option<Vec<String>> {
    let head = wire.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8(wire[..head].to_vec()).unwrap();
    let (_, rest) = text.split_once("Content-Length: ").unwrap();
    let length: usize = rest.split("\r\n").next().unwrap().parse().unwrap();
    let end = head + length;
    if wire.len() < end {
        return None;
    }
    let request: Vec<u8> = wire.drain(..end).collect();
    let text = String::from_utf8_lossy(&request).into_owned();
    let names = text.split("{{").skip(1);
    Some(
        names
            .map(|rest| rest.split("}}").next().unwrap().to_owned())
            .collect(),
    )
}
