//! An entire relay in memory: a source authenticates, then sends any bytes.
//!
//! Input that looks like an envelope is sealed as by a source; acknowledged events must be
//! in the output. Other input is sent to the connection unchanged, and its splits must not
//! matter.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../support/rfc5424.rs"]
mod rfc5424;

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use libfuzzer_sys::fuzz_target;
use wecrelay::base::clock::Now;
use wecrelay::base::wire::{self, Charset};
use wecrelay::client::{Endpoint, Reply, Session};
use wecrelay::collector::{Collector, ConnId, Input, Output, OutputId, Settings};
use wecrelay::connection::{Limits, Rules};
use wecrelay::output::Task;
use wecrelay::protocol::ntlm::{Accounts, Server, initiator};
use wecrelay::protocol::wsman::subscribe::{ContentFormat, Subscription};
use wecrelay::protocol::wsman::{self, Body};
use wecrelay::protocol::{http, sldc};
use wecrelay::store::{Memory, perform};
use wecrelay::syslog::Mapping;
use wecrelay::{auth, event, output};

const SOURCE: ConnId = ConnId(1);
const END: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
    xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header>
    <a:Action>http://schemas.microsoft.com/wbem/wsman/1/wsman/End</a:Action>
    <a:MessageID>uuid:1</a:MessageID></s:Header><s:Body/></s:Envelope>"#;

fuzz_target!(|data: &[u8]| {
    if sldc::is_plain(data) {
        say(&wire::decode_text(data, Charset::Utf8).0);
        return;
    }
    let whole = Relay::authenticated().0.receive([data]);
    let middle = data.len() / 3;
    let (front, back) = data.split_at(middle);
    let cut = Relay::authenticated().0.receive([front, back]);
    assert_eq!(whole, cut, "cut at {middle}");
});

/// Sends one sealed envelope: if it is acknowledged, all its events must be in the output.
fn say(text: &str) {
    let (mut relay, mut session) = Relay::authenticated();
    session.call(text);
    let reply = relay.converse(&mut session);
    let lines = relay
        .written
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let count = lines.map(rfc5424::read_line).count();
    let message = wsman::parse(text);
    let events = match message.as_ref().map(|message| &message.body) {
        Ok(Body::Events(events)) if reply.status == 200 => events.as_slice(),
        _ => &[],
    };
    let is_bookmark = |xml| event::parse(xml).is_ok_and(|event| event.is_bookmark_event());
    let expected = events
        .iter()
        .filter(|event| !is_bookmark(&event.xml))
        .count();
    assert_eq!(
        count, expected,
        "events in the output, status {}",
        reply.status
    );
}

struct Nobody;

impl Accounts for Nobody {
    fn find(&self, _user: &str, _domain: &str) -> Option<wecrelay::protocol::ntlm::Known> {
        None
    }
}

struct Relay {
    now: Now,
    collector: Collector,
    store: Memory,
    /// Data to the source that has not been checked yet.
    sent: Vec<u8>,
    /// Data to the output.
    written: Vec<u8>,
    closed: bool,
}

impl Relay {
    /// A relay, and a source with a null session.
    fn authenticated() -> (Self, Session) {
        let now = Now {
            monotonic: Instant::now(),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        };
        let output = output::Settings::parse("stdout:").unwrap();
        let mut relay = Self {
            now,
            collector: Collector::new(now, settings(), vec![output], [7; 32]),
            store: Memory::new(),
            sent: Vec::new(),
            written: Vec::new(),
            closed: false,
        };
        relay.handle(&Input::Accepted(SOURCE, IpAddr::V4(Ipv4Addr::LOCALHOST)));
        relay.handle(&Input::Timeout);
        let endpoint = Endpoint::parse("http://collector.example.test:5985/wsman").unwrap();
        let mut session = Session::new(endpoint, initiator::Client::anonymous("WS1"));
        session.call(END);
        assert_eq!(relay.converse(&mut session).status, 204);
        (relay, session)
    }

    /// Transfers bytes in both directions until the source has its reply.
    fn converse(&mut self, session: &mut Session) -> Reply {
        loop {
            let outgoing = session.take_outgoing();
            assert!(!outgoing.is_empty(), "no reply");
            self.handle(&Input::Received(SOURCE, &outgoing));
            let sent = std::mem::take(&mut self.sent);
            let nonces = initiator::Nonces::default();
            if let Some(reply) = session.handle_received(&sent, &nonces).unwrap() {
                return reply;
            }
        }
    }

    /// The relay's answer to these bytes, and its output.
    fn receive<'a>(
        mut self,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<u8>, Vec<u8>, bool) {
        for piece in pieces {
            self.handle(&Input::Received(SOURCE, piece));
        }
        // "100 Continue" depends on whether the body has already arrived.
        let sent = String::from_utf8_lossy(&self.sent);
        let sent = sent
            .replace("HTTP/1.1 100 Continue\r\n\r\n", "")
            .into_bytes();
        (sent, self.written, self.closed)
    }

    fn handle(&mut self, input: &Input<'_>) {
        self.collector.handle(self.now, input);
        // Each step can cause work for the others; an endless loop is a finding.
        while self.drain() | self.write() | self.remember() {}
    }

    /// Carries out the store's jobs immediately.
    fn remember(&mut self) -> bool {
        let mut busy = self.collector.wants_commit();
        self.collector.commit(self.now);
        while let Some((ticket, job)) = self.collector.poll_job() {
            let answer = perform(&mut self.store, ticket, job);
            self.collector.handle_answer(self.now, answer);
            busy = true;
        }
        busy
    }

    fn drain(&mut self) -> bool {
        let mut busy = false;
        while let Some(output) = self.collector.poll_output() {
            busy = true;
            let input = match output {
                Output::Send(id) => {
                    let bytes = self.collector.outgoing(id);
                    self.sent.extend_from_slice(bytes);
                    Input::Sent(id, bytes.len())
                }
                Output::Link(id, Task::Open) => Input::Opened(id),
                Output::Link(id, Task::Measure) => Input::Measured(id, 0),
                Output::Shutdown(_) | Output::Close(_) => {
                    self.closed = true;
                    continue;
                }
                // There is no domain here, and the output has no broker.
                Output::Ask(_)
                | Output::Broker(..)
                | Output::Link(_, Task::Close | Task::LookUp | Task::Connect(_)) => continue,
            };
            self.collector.handle(self.now, &input);
        }
        busy
    }

    fn write(&mut self) -> bool {
        let id = OutputId(0);
        let bytes = self.collector.link(id).and_then(|link| link.next_bytes());
        let Some(bytes) = bytes.map(<[u8]>::to_vec) else {
            return false;
        };
        self.written.extend_from_slice(&bytes);
        let input = Input::Written(id, bytes.len());
        self.collector.handle(self.now, &input);
        true
    }
}

fn settings() -> Settings {
    let limits = Limits {
        http: http::Limits {
            head: 4096,
            body: 1 << 16,
            headers: 16,
        },
        inflated: 1 << 18,
        ..Limits::default()
    };
    let auth = auth::Policy {
        anonymous: vec!["127.0.0.0/8".parse().unwrap()],
        accounts: Rc::new(Nobody),
        has_accounts: false,
        ntlmv1: false,
        passwords: None,
        domain: false,
        server: Server::from_hostname("collector.example.test"),
        kerberos: None,
        bindings: auth::Bindings::Require,
        names: Vec::new(),
    };
    Settings {
        balancers: Vec::new(),
        rules: Rules {
            auth,
            allow_unencrypted: true,
            limits,
        },
        subscriptions: vec![Subscription::quick(&[], ContentFormat::Events)],
        mapping: Mapping::default(),
        hostname: None,
        computers: None,
        principals: wecrelay::collector::PrincipalRule::default(),
        forget_after: None,
    }
}
