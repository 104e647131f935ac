//! Measures the cost of each step in nanoseconds per event, with fixed inputs in memory.
//!
//! `cargo bench` runs it; `cargo bench -- WORD` runs only the lines that contain the word.
//! The figures include the machine's noise: compare only lines of the same run. Each is the
//! best of several rounds.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measurement"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;
use wecrelay::auth::Policy;
use wecrelay::base::clock::Now;
use wecrelay::base::wire::{self, Charset};
use wecrelay::client::{Endpoint, Session};
use wecrelay::collector::{Collector, ConnId, Input, Output, OutputId, Settings};
use wecrelay::connection::{Limits, Rules};
use wecrelay::files::accounts::Users;
use wecrelay::output::Task;
use wecrelay::protocol::kerberos::crypto::Enctype;
use wecrelay::protocol::kerberos::{self, wrap};
use wecrelay::protocol::ntlm::crypto::Direction;
use wecrelay::protocol::ntlm::initiator::{Client, Nonces};
use wecrelay::protocol::ntlm::messages::Flags;
use wecrelay::protocol::ntlm::sealing::{Sealer, Unsealer};
use wecrelay::protocol::ntlm::{self, Server};
use wecrelay::protocol::wsman::source::{Offered, Sender};
use wecrelay::protocol::wsman::{ContentFormat, Subscription};
use wecrelay::protocol::{sldc, wsman};
use wecrelay::store::{Memory, perform};
use wecrelay::syslog::{Mapping, MessageKind, Origin, Style};
use wecrelay::{event, output, syslog};

const EVENTS: usize = 50;
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const URL: &str = "http://127.0.0.1:5985/wsman/SubscriptionManager/WEC";

fn main() {
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let bench = Bench { word };
    let events = events();
    let bytes: usize = events.iter().map(String::len).sum();
    println!("{EVENTS} events a batch, {} bytes each", bytes / EVENTS);
    bench.unseal();
    bench.steps(&events);
    bench.pipeline(&events);
}

/// The sample events of `wecrelay send`, filled in.
fn events() -> Vec<String> {
    let samples = include_str!("../../src/commands/send/samples.xml");
    let fill = |(sample, record): (&str, usize)| {
        let sample = sample.replace("{time}", "2026-01-02T03:04:05.123456700Z");
        let sample = sample.replace("{record}", &record.to_string());
        sample.replace("{computer}", "bench.example.com")
    };
    samples.lines().cycle().zip(1..=EVENTS).map(fill).collect()
}

struct Bench {
    word: Option<String>,
}

impl Bench {
    /// Runs `batch`, which handles a batch of events, and prints the best round.
    fn report(&self, name: &str, mut batch: impl FnMut()) {
        if self.word.as_ref().is_some_and(|word| !name.contains(word)) {
            return;
        }
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let (began, mut batches) = (Instant::now(), 0_u32);
            while began.elapsed() < ROUND {
                batch();
                batches += 1;
            }
            let events = f64::from(batches) * f64::from(u32::try_from(EVENTS).unwrap());
            best = best.min(began.elapsed().as_secs_f64() * 1e9 / events);
        }
        println!(
            "{name:<28} {best:>9.0} ns an event {:>12.0} a second",
            1e9 / best
        );
    }

    /// A body of 130 kB with each cipher. A context accepts a message only once, so the
    /// figures include a new context and a copy of the body.
    fn unseal(&self) {
        let body = vec![b'e'; EVENTS * 2600];
        for enctype in Enctype::ALL {
            let mut random = |bytes: &mut [u8]| bytes.fill(7);
            let key = kerberos::crypto::Key::generate(enctype, &mut random);
            let mut sealed = body.clone();
            let mut source = wrap::Session::initiate(&key, true, 1, 1, &mut random);
            let token = source.seal(&mut sealed);
            self.report(&format!("unseal {enctype}"), || {
                let mut collector = wrap::Session::accept(&key, true, 1, 1, &mut random);
                let mut data = black_box(&sealed).clone();
                black_box(collector.unseal(&token, &mut data).unwrap());
            });
        }
        let flags = Flags::KEY_128 | Flags::KEY_EXCH;
        let (key, way) = (ntlm::crypto::Key::new([7; 16]), Direction::ClientToServer);
        let mut sealed = body.clone();
        let token = Sealer::new(&key, flags, way).seal(&mut sealed);
        self.report("unseal NTLM", || {
            let mut collector = Unsealer::new(&key, flags, way);
            let mut data = black_box(&sealed).clone();
            black_box(collector.unseal(&token, &mut data)).unwrap();
        });
    }

    fn steps(&self, events: &[String]) {
        let text = envelope(events, None);
        let utf16 = wire::encode_text(&text, Charset::Utf16);
        self.report("decode UTF-16", || {
            black_box(wire::decode_text(black_box(&utf16), Charset::Utf16));
        });
        let packed = sldc::encode(&utf16);
        self.report("decompress SLDC", || {
            black_box(sldc::decode(black_box(&packed), 32 << 20).unwrap());
        });
        self.report("parse the envelope", || {
            black_box(wsman::parse(black_box(&text)).unwrap());
        });
        self.report("parse the events", || {
            events
                .iter()
                .for_each(|event| drop(black_box(event::parse(event))));
        });
        for message in [MessageKind::Text, MessageKind::Xml, MessageKind::Json] {
            self.write(events, message);
        }
    }

    fn write(&self, events: &[String], message: MessageKind) {
        let mapping = Mapping::default();
        let style = Style {
            message,
            ..Style::default()
        };
        let origin = Origin {
            address: ADDRESS,
            machine_id: "bench.example.com",
            identity: "",
            account_sid: "",
            auth: "ntlm-anonymous",
            subscription: "bench",
            computer_mismatch: "",
            repaired: false,
            received: SystemTime::UNIX_EPOCH,
        };
        let parsed: Vec<_> = events.iter().map(|xml| (xml, event::parse(xml))).collect();
        let mut out = Vec::new();
        self.report(&format!("write as {message:?}"), || {
            out.clear();
            for (xml, event) in &parsed {
                syslog::write_message(&mapping, xml, event, &origin, &style, &mut out);
            }
            black_box(&out);
        });
    }

    /// From sealed bytes to a sealed Ack, with an output that accepts everything.
    fn pipeline(&self, events: &[String]) {
        for message in [MessageKind::Text, MessageKind::Xml, MessageKind::Json] {
            let mut pair = Pair::new(message);
            self.report(&format!("pipeline with {message:?}"), || pair.push(events));
        }
    }
}

fn sender(to: &str) -> Sender<'_> {
    Sender {
        to,
        machine: "bench.example.com",
        locale: "en-US",
        session: Uuid::nil(),
        message: Uuid::nil(),
        operation: Uuid::nil(),
        timeout: Duration::from_secs(60),
        max_envelope_size: 512_000,
    }
}

fn envelope(events: &[String], subscription: Option<&Offered>) -> String {
    let reference = subscription.map_or("", |offered| &offered.reference);
    let mark = "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"1\" IsCurrent=\"true\"/></BookmarkList>";
    let events = events.iter().map(String::as_str);
    wsman::source::events(&sender(URL), reference, Some(mark), events)
}

/// A source and a collector in memory; the source's sealing is included.
struct Pair {
    collector: Collector,
    store: Memory,
    session: Session,
    subscription: Option<Offered>,
    now: Now,
}

impl Pair {
    fn new(message: MessageKind) -> Self {
        let now = Now {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        };
        let outputs = vec![output::Settings::parse_with("stdout:", message).unwrap()];
        let mut pair = Self {
            collector: Collector::new(now, settings(), outputs, [7; 32]),
            store: Memory::new(),
            session: Session::new(Endpoint::parse(URL).unwrap(), Client::anonymous("BENCH")),
            subscription: None,
            now,
        };
        pair.handle(&Input::Accepted(ConnId(1), ADDRESS));
        pair.handle(&Input::Timeout);
        let text = pair.call(&wsman::source::enumerate(&sender(URL)));
        let page = wsman::source::parse_enumerate_response(&text, Uuid::nil()).unwrap();
        pair.subscription = page.offered.into_iter().next();
        pair
    }

    fn push(&mut self, events: &[String]) {
        let envelope = envelope(events, self.subscription.as_ref());
        let ack = self.call(&envelope);
        wsman::source::check_ack(&ack, Uuid::nil()).unwrap();
    }

    fn handle(&mut self, input: &Input<'_>) {
        self.collector.handle(self.now, input);
    }

    /// Sends an envelope and runs the loop until the reply arrives.
    fn call(&mut self, envelope: &str) -> String {
        self.session.call(envelope);
        loop {
            let sent = self.session.take_outgoing();
            self.handle(&Input::Received(ConnId(1), &sent));
            self.turn();
            let answer = self.collector.outgoing(ConnId(1)).to_vec();
            self.handle(&Input::Sent(ConnId(1), answer.len()));
            let reply = self
                .session
                .handle_received(&answer, &Nonces::default())
                .unwrap();
            if let Some(text) = reply.and_then(|reply| reply.text) {
                return text;
            }
        }
    }

    fn turn(&mut self) {
        while let Some(output) = self.collector.poll_output() {
            if output == Output::Link(OutputId(0), Task::Open) {
                self.handle(&Input::Opened(OutputId(0)));
            }
        }
        let next = |collector: &Collector| {
            let link = collector.link(OutputId(0));
            link.and_then(|link| link.next_bytes()).map(<[u8]>::len)
        };
        while let Some(size) = next(&self.collector) {
            self.handle(&Input::Written(OutputId(0), size));
        }
        self.collector.commit(self.now);
        while let Some((ticket, job)) = self.collector.poll_job() {
            let answer = perform(&mut self.store, ticket, job);
            self.collector.handle_answer(self.now, answer);
        }
    }
}

fn settings() -> Settings {
    let policy = Policy {
        anonymous: vec!["127.0.0.0/8".parse().unwrap()],
        accounts: Rc::new(Users::default()),
        has_accounts: false,
        ntlmv1: false,
        passwords: None,
        domain: false,
        server: Server::from_hostname("bench.example.com"),
        kerberos: None,
        bindings: wecrelay::auth::Bindings::Require,
        names: Vec::new(),
    };
    Settings {
        balancers: Vec::new(),
        rules: Rules {
            auth: policy,
            allow_unencrypted: false,
            limits: Limits::default(),
        },
        subscriptions: vec![Subscription::quick(&[], ContentFormat::Events)],
        mapping: Mapping::default(),
        hostname: None,
        computers: None,
        principals: wecrelay::collector::PrincipalRule::default(),
        forget_after: None,
    }
}
