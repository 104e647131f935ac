//! Hostile brokers: regardless of their answers, closed connections, and delays, a batch is
//! delivered only if a broker has confirmed each of its messages; and once the brokers behave
//! correctly, no batch is left.
#![no_main]

mod batches;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use wecrelay::base::clock::Now;
use wecrelay::output::kafka::{BrokerId, Event};
use wecrelay::output::link::Link;
use wecrelay::output::{Settings, Task};
use wecrelay::record::Kind;

use batches::{Batches, PATIENCE, next_deadline, start};

const PARTITIONS: i32 = 3;
/// Error codes of answers; the last one is not defined by Kafka.
const CODES: [i16; 24] = [
    0, -1, 2, 3, 5, 6, 7, 9, 10, 18, 19, 29, 31, 32, 35, 42, 45, 46, 47, 56, 58, 87, 90, 999,
];

fuzz_target!(|data: &[u8]| {
    let mut scene = Scene::new();
    let mut script = data.iter().copied();
    while let Some(step) = script.next() {
        scene.step(step, &mut script);
    }
    scene.end();
});

/// A request that has no answer.
struct Request {
    api: i16,
    version: i16,
    correlation: [u8; 4],
    /// For Produce: the partitions, and the messages in their batches.
    batches: Vec<(i32, BTreeSet<String>)>,
}

#[derive(Default)]
struct Wire {
    /// The number of the broker.
    broker: i32,
    bytes: Vec<u8>,
    requests: Vec<Request>,
}

struct Scene {
    link: Link,
    now: Now,
    batches: Batches,
    /// Open connections.
    wires: BTreeMap<usize, Wire>,
    leaders: [i32; 3],
}

impl Scene {
    fn new() -> Self {
        let now = start();
        let settings = Settings::parse("kafka://192.0.2.1:9092/events").unwrap();
        Self {
            link: Link::new(settings, now).with_seed(now, || [7; 32]),
            now,
            batches: Batches::default(),
            wires: BTreeMap::new(),
            leaders: [1, 2, 1],
        }
    }

    fn step(&mut self, step: u8, script: &mut impl Iterator<Item = u8>) {
        let mut byte = || script.next().unwrap_or(0);
        match step % 9 {
            0 => self.push(byte()),
            1 => self.pass(Duration::from_millis(
                u64::from(byte()) * u64::from(byte()) * 4,
            )),
            2 => self.serve(0),
            3 => self.serve(*CODES.get(usize::from(byte()) % CODES.len()).unwrap()),
            4 => {
                let bytes: Vec<u8> = (0..byte()).map(|_| byte()).collect();
                self.say_foreign(byte(), &bytes);
            }
            5 => {
                let body: Vec<u8> = (0..byte()).map(|_| byte()).collect();
                self.answer_foreign(byte(), &body);
            }
            6 => self.cut(byte()),
            7 => {
                let place = usize::from(byte() % 3);
                self.leaders[place] = [1, 2, -1, 9][usize::from(byte() % 4)];
            }
            _ => self.tick(),
        }
        self.settle();
    }

    fn push(&mut self, hint: u8) {
        let host = |index| format!("host{}", hint.wrapping_add(index) % 7);
        self.batches
            .push(&mut self.link, self.now, Kind::Kafka, hint % 5 + 1, host);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        assert_eq!(self.link.handle_timeout(self.now), None);
    }

    /// Advances the time to the next deadline.
    fn tick(&mut self) {
        self.pass(next_deadline(&self.link, self.now));
    }

    /// Carries out the link's requests until there are no more.
    fn settle(&mut self) {
        for _ in 0..PATIENCE {
            let tasks = self.link.take_broker_tasks();
            let is_calm = tasks.is_empty();
            for (id, task) in tasks {
                self.perform(id, task);
            }
            self.read();
            self.batches.take_from(&mut self.link);
            if is_calm {
                return;
            }
        }
        panic!("tasks without end");
    }

    fn perform(&mut self, id: BrokerId, task: Task) {
        match task {
            Task::Close => drop(self.wires.remove(&id.0)),
            Task::LookUp => self.tell(id, Event::Resolved(Err("no such name"))),
            Task::Connect(address) => {
                self.wires.remove(&id.0);
                let places: [SocketAddr; 2] = [1, 2].map(place);
                match places.iter().position(|known| *known == address) {
                    Some(number) => {
                        let broker = i32::try_from(number).unwrap() + 1;
                        let wire = Wire {
                            broker,
                            ..Wire::default()
                        };
                        self.wires.insert(id.0, wire);
                        self.tell(id, Event::Reached);
                        self.tell(id, Event::Opened);
                    }
                    None => self.tell(id, Event::Failed("refused")),
                }
            }
            Task::Open | Task::Measure => panic!("{task:?}"),
        }
    }

    fn tell(&mut self, id: BrokerId, event: Event<'_>) {
        let mut delivered = Vec::new();
        self.link.handle_broker(self.now, id, event, &mut delivered);
        self.batches.note_delivered(&delivered);
    }

    /// Brokers read the data that was written to them.
    fn read(&mut self) {
        let ids: Vec<usize> = self.wires.keys().copied().collect();
        for id in ids {
            let bytes = self.link.broker_bytes(BrokerId(id)).to_vec();
            if bytes.is_empty() {
                continue;
            }
            self.tell(BrokerId(id), Event::Written(bytes.len()));
            let Some(wire) = self.wires.get_mut(&id) else {
                continue;
            };
            wire.bytes.extend(bytes);
            while let Some(request) = take_request(&mut wire.bytes) {
                wire.requests.push(request);
            }
        }
    }

    /// Each connection gets an answer to its first request, with this code.
    fn serve(&mut self, code: i16) {
        let ids: Vec<usize> = self.wires.keys().copied().collect();
        for id in ids {
            let Some(wire) = self.wires.get_mut(&id) else {
                continue;
            };
            if wire.requests.is_empty() {
                continue;
            }
            let request = wire.requests.remove(0);
            let broker = wire.broker;
            let answer = self.answer(broker, &request, code);
            self.tell(BrokerId(id), Event::Received(&answer));
        }
    }

    fn answer(&mut self, broker: i32, request: &Request, code: i16) -> Vec<u8> {
        let mut body = request.correlation.to_vec();
        match request.api {
            18 => {
                body.extend(code.to_be_bytes());
                let known: [(i16, i16); 5] = [(0, 8), (3, 7), (17, 1), (18, 0), (22, 1)];
                body.extend(5_i32.to_be_bytes());
                for (key, most) in known {
                    body.extend([key, 0, most].map(i16::to_be_bytes).concat());
                }
            }
            3 => self.push_metadata(&mut body, request.version, code),
            22 => {
                body.extend([0; 4]);
                body.extend(code.to_be_bytes());
                body.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 1]);
            }
            0 => self.push_produced(&mut body, broker, request, code),
            other => panic!("nobody wants request {other}"),
        }
        framed(&body)
    }

    fn push_metadata(&self, body: &mut Vec<u8>, version: i16, code: i16) {
        body.extend([0; 4]);
        body.extend(2_i32.to_be_bytes());
        for number in [1_i32, 2] {
            body.extend(number.to_be_bytes());
            push_string(body, &format!("192.0.2.{number}"));
            body.extend(9092_i32.to_be_bytes());
            body.extend([0xff, 0xff]);
        }
        body.extend([0xff, 0xff, 0, 0, 0, 1]);
        body.extend(1_i32.to_be_bytes());
        body.extend(code.to_be_bytes());
        push_string(body, "events");
        body.push(0);
        body.extend(PARTITIONS.to_be_bytes());
        for (index, leader) in (0_i32..).zip(self.leaders) {
            body.extend([0, 0]);
            body.extend(index.to_be_bytes());
            body.extend(leader.to_be_bytes());
            let lists = if version >= 5 { 3 } else { 2 };
            body.extend(vec![0; if version >= 7 { 4 } else { 0 } + 4 * lists]);
        }
    }

    /// A broker confirms the partitions that it leads.
    fn push_produced(&mut self, body: &mut Vec<u8>, broker: i32, request: &Request, code: i16) {
        body.extend(1_i32.to_be_bytes());
        push_string(body, "events");
        body.extend(i32::try_from(request.batches.len()).unwrap().to_be_bytes());
        for (partition, names) in &request.batches {
            let leader = self.leaders[usize::try_from(*partition).unwrap()];
            let code = if leader == broker { code } else { 6 };
            if matches!(code, 0 | 46) {
                self.batches.confirm(names.iter().cloned());
            }
            body.extend(partition.to_be_bytes());
            body.extend(code.to_be_bytes());
            body.extend([0; 16]);
            if request.version >= 5 {
                body.extend([0; 8]);
            }
            if request.version >= 8 {
                // The first record caused the error.
                body.extend([0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
            }
        }
        body.extend([0; 4]);
    }

    /// Sends bytes of the script unchanged.
    fn say_foreign(&mut self, which: u8, bytes: &[u8]) {
        let Some(id) = self.pick(which) else { return };
        self.batches.trust();
        self.tell(BrokerId(id), Event::Received(bytes));
    }

    /// Sends bytes of the script as the next answer.
    fn answer_foreign(&mut self, which: u8, body: &[u8]) {
        let Some(id) = self.pick(which) else { return };
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        if wire.requests.is_empty() {
            return;
        }
        let request = wire.requests.remove(0);
        if request.api == 0 {
            self.batches.trust();
        }
        let answer = framed(&[&request.correlation, body].concat());
        self.tell(BrokerId(id), Event::Received(&answer));
    }

    fn cut(&mut self, which: u8) {
        let Some(id) = self.pick(which) else { return };
        self.wires.remove(&id);
        self.tell(BrokerId(id), Event::Failed("closed"));
    }

    fn pick(&self, which: u8) -> Option<usize> {
        let count = self.wires.len();
        let place = usize::from(which).checked_rem(count)?;
        self.wires.keys().nth(place).copied()
    }

    /// From now on, brokers behave correctly, on new connections.
    fn end(&mut self) {
        self.leaders = [1, 2, 1];
        while let Some(id) = self.pick(0) {
            self.cut(0);
            self.wires.remove(&id);
        }
        for _ in 0..PATIENCE {
            self.settle();
            if self.batches.are_done() {
                return;
            }
            if self.wires.values().all(|wire| wire.requests.is_empty()) {
                self.tick();
            } else {
                self.serve(0);
            }
        }
        self.batches.left_over();
    }
}

fn place(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 9092))
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len()).unwrap().to_be_bytes();
    [&length, body].concat()
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    out.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.bytes());
}

/// The first request, if it is complete.
fn take_request(bytes: &mut Vec<u8>) -> Option<Request> {
    let length = i32::from_be_bytes(*bytes.first_chunk()?);
    let end = 4 + usize::try_from(length).unwrap();
    if bytes.len() < end {
        return None;
    }
    let request: Vec<u8> = bytes.drain(..end).collect();
    let mut reader = Reader(&request[4..]);
    let (api, version) = (reader.i16(), reader.i16());
    let correlation = reader.take(4).try_into().unwrap();
    assert_eq!(reader.string(), b"wecrelay");
    let batches = match api {
        0 => read_batches(&mut reader),
        _ => Vec::new(),
    };
    Some(Request {
        api,
        version,
        correlation,
        batches,
    })
}

fn read_batches(reader: &mut Reader<'_>) -> Vec<(i32, BTreeSet<String>)> {
    assert_eq!((reader.i16(), reader.i16()), (-1, -1));
    reader.i32();
    assert_eq!(reader.i32(), 1);
    assert_eq!(reader.string(), b"events");
    let count = reader.i32();
    let batches = (0..count).map(|_| {
        let partition = reader.i32();
        let length = usize::try_from(reader.i32()).unwrap();
        let text = String::from_utf8_lossy(reader.take(length)).into_owned();
        let names = text.split("{{").skip(1);
        let names = names.map(|rest| rest.split("}}").next().unwrap().to_owned());
        (partition, names.collect())
    });
    let batches = batches.collect();
    assert!(reader.0.is_empty());
    batches
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count);
        self.0 = rest;
        front
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn string(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.i16()).unwrap();
        self.take(length)
    }
}
