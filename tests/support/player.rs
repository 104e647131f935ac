//! Windows hosts that keep a ledger: each uses the library's own source, records what was
//! acknowledged, and retries without limit.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslStream};
use uuid::Uuid;
use wecrelay::base::wire::{self, Charset};
use wecrelay::client::{Endpoint, Session};
use wecrelay::protocol::ntlm::initiator::{Client, Nonces};
use wecrelay::protocol::sldc;
use wecrelay::protocol::wsman::source::{self, Offered, Sender};

use super::source::{Reply, read_reply};
use super::{Issued, Random, Story};

const CHANNEL: &str = "Microsoft-Windows-Sysmon/Operational";
/// The name in the relay's certificate, which hosts over https expect.
pub(crate) const COLLECTOR: &str = "collector.example.test";

/// The name of a simulated host.
pub(crate) fn host_name(number: u32) -> String {
    format!("h{number:05}.example.test")
}

/// The number in such a name.
pub(crate) fn host_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix('h')?.strip_suffix(".example.test")?;
    digits.parse().ok()
}

/// Totals of all hosts of a test.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Events that were acknowledged.
    pub(crate) acknowledged: AtomicU64,
    pub(crate) batches: AtomicU64,
    /// Events of batches that were not acknowledged, and may be sent again.
    pub(crate) unacknowledged: AtomicU64,
    /// Batches that were answered 503.
    pub(crate) unavailable: AtomicU64,
    /// Exchanges that ended without an answer, or with an answer other than an Ack.
    pub(crate) failed: AtomicU64,
    /// Times that a host resumed from the bookmark that it was given.
    pub(crate) resumed: AtomicU64,
    pub(crate) story: Story,
}

/// How a message was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    Acknowledged,
    Unavailable,
    Failed,
}

/// One host.
pub(crate) struct Player {
    pub(crate) number: u32,
    port: u16,
    /// For https; `None` for http with a null session.
    secure: Option<SslConnector>,
    random: Random,
    /// How long it waits for an answer; sent to the collector as `OperationTimeout`.
    timeout: Duration,
    session: Uuid,
    offered: Option<Offered>,
    connection: Option<Connection>,
    /// The last record that was acknowledged.
    pub(crate) acknowledged: u32,
    /// The last record that was sent.
    sent: u32,
    /// Whether it begins at the current end of its log if it is given no bookmark.
    is_from_end: bool,
    /// Whether it still has to report where it began (event 111).
    owes_mark: bool,
    /// Its most recent exchanges.
    lately: VecDeque<String>,
}

/// Number of recent exchanges that a host keeps.
const LATELY: usize = 12;

impl Player {
    /// A host that connects to the collector at a port on loopback.
    pub(crate) fn new(number: u32, port: u16, random: Random, timeout: Duration) -> Self {
        let mut random = random;
        let session = uuid(&mut random);
        Self {
            number,
            port,
            secure: None,
            random,
            timeout,
            session,
            offered: None,
            connection: None,
            acknowledged: 0,
            sent: 0,
            is_from_end: false,
            owes_mark: false,
            lately: VecDeque::new(),
        }
    }

    /// Without a bookmark it begins at the current end of its log, as Windows does without
    /// `ReadExistingEvents`, and never sends earlier events.
    pub(crate) fn set_from_end(&mut self, is_from_end: bool) {
        self.is_from_end = is_from_end;
    }

    /// The same over https, with a certificate from `root`.
    pub(crate) fn secured(mut self, root: &Issued) -> Self {
        let own = root.issue(&host_name(self.number), super::Use::Client, 100);
        let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
        let trusted = root.certificate.clone();
        builder.cert_store_mut().add_cert(trusted).unwrap();
        builder.set_certificate(&own.certificate).unwrap();
        builder.set_private_key(&own.key).unwrap();
        self.secure = Some(builder.build());
        self
    }

    /// Delivers the records up to `last`, retrying until it succeeds or `stop` is set.
    pub(crate) fn deliver_all(&mut self, last: u32, ledger: &Ledger, stop: &AtomicBool) {
        while self.acknowledged < last && !stop.load(Ordering::SeqCst) {
            if self.random.one_in(60) {
                self.restart();
            }
            let talk = self.step(last, ledger);
            if talk != Talk::Acknowledged {
                std::thread::sleep(self.random.millis(5..60));
            }
        }
    }

    /// Restarts the host: it keeps nothing, and gets its bookmark from the collector.
    pub(crate) fn restart(&mut self) {
        self.connection = None;
        self.offered = None;
    }

    /// Closes its connection, and continues on a new one.
    pub(crate) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Whether it has a subscription.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.offered.is_some()
    }

    /// One exchange: an enumeration, a heartbeat, or a batch.
    pub(crate) fn step(&mut self, last: u32, ledger: &Ledger) -> Talk {
        let talk = if self.offered.is_none() {
            self.subscribe(ledger)
        } else if self.owes_mark {
            self.mark()
        } else if self.random.one_in(20) {
            self.heartbeat()
        } else {
            self.push(last, ledger)
        };
        let (acknowledged, sent) = (self.acknowledged, self.sent);
        let exchange = format!("{talk:?}: acknowledged {acknowledged}, sent {sent}");
        self.lately.push_back(ledger.story.at(&exchange));
        if self.lately.len() > LATELY {
            self.lately.pop_front();
        }
        match talk {
            Talk::Acknowledged => {}
            Talk::Unavailable => drop(ledger.unavailable.fetch_add(1, Ordering::Relaxed)),
            Talk::Failed => drop(ledger.failed.fetch_add(1, Ordering::Relaxed)),
        }
        if talk == Talk::Failed || (talk == Talk::Unavailable && self.random.one_in(2)) {
            self.connection = None;
        }
        talk
    }

    fn subscribe(&mut self, ledger: &Ledger) -> Talk {
        let scheme = if self.secure.is_some() {
            "https"
        } else {
            "http"
        };
        let to = format!(
            "{scheme}://127.0.0.1:{}/wsman/SubscriptionManager/WEC",
            self.port
        );
        self.connection = None;
        let machine = host_name(self.number);
        let sender = self.sender(&to, &machine);
        let (message, text) = (sender.message, source::enumerate(&sender));
        let talk = self.exchange(&to, &text, |answer| {
            source::parse_enumerate_response(answer, message).ok()
        });
        self.connection = None;
        match talk {
            Ok(mut page) => {
                self.resume(page.offered.remove(0), ledger);
                ledger.resumed.fetch_add(1, Ordering::Relaxed);
                Talk::Acknowledged
            }
            Err(talk) => talk,
        }
    }

    /// Resumes from the bookmark, which is never before the last acknowledged record: a
    /// bookmark is committed before the Ack.
    fn resume(&mut self, offered: Offered, ledger: &Ledger) {
        let record = offered.bookmark.as_deref().and_then(record_of);
        self.owes_mark = self.is_from_end && record.is_none();
        let record = if self.is_from_end {
            record.unwrap_or(self.sent)
        } else {
            record.unwrap_or(0)
        };
        assert!(
            (self.acknowledged..=self.sent).contains(&record),
            "{}: bookmark {record}, but acknowledged up to {} and sent up to {}; it did\n{}\nin\n{}\n{}",
            host_name(self.number),
            self.acknowledged,
            self.sent,
            self.lately.make_contiguous().join("\n"),
            ledger.story,
            ledger.story.at("now")
        );
        self.acknowledged = record;
        self.offered = Some(offered);
    }

    /// Event 111: the bookmark of where it begins.
    fn mark(&mut self) -> Talk {
        let Some(offered) = self.offered.clone() else {
            return Talk::Failed;
        };
        let machine = host_name(self.number);
        let event = format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
             <Provider Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID>\
             <TimeCreated SystemTime='2025-03-11T08:00:00.000Z'/><Computer>{machine}</Computer>\
             </System><SubscriptionBookmarkEvent><SubscriptionId></SubscriptionId>\
             </SubscriptionBookmarkEvent></Event>"
        );
        let bookmark = format!(
            "<BookmarkList><Bookmark Channel=\"{CHANNEL}\" RecordId=\"{}\" IsCurrent=\"true\"/></BookmarkList>",
            self.acknowledged
        );
        let sender = self.sender(&offered.notify_to, &machine);
        let message = sender.message;
        let events = std::iter::once(event.as_str());
        let text = source::events(&sender, &offered.reference, Some(&bookmark), events);
        let ack = |answer: &str| source::check_ack(answer, message).ok();
        match self.exchange(&offered.notify_to, &text, ack) {
            Ok(()) => {
                self.owes_mark = false;
                Talk::Acknowledged
            }
            Err(talk) => talk,
        }
    }

    fn heartbeat(&mut self) -> Talk {
        let Some(offered) = self.offered.clone() else {
            return Talk::Failed;
        };
        let machine = host_name(self.number);
        let sender = self.sender(&offered.notify_to, &machine);
        let (message, text) = (
            sender.message,
            source::heartbeat(&sender, &offered.reference),
        );
        let ack = |answer: &str| source::check_ack(answer, message).ok();
        self.exchange(&offered.notify_to, &text, ack)
            .map_or_else(|talk| talk, |()| Talk::Acknowledged)
    }

    /// Sends the next batch, of random size, so that a repeat can differ from the first attempt.
    fn push(&mut self, last: u32, ledger: &Ledger) -> Talk {
        let Some(offered) = self.offered.clone() else {
            return Talk::Failed;
        };
        let most = 1 + u32::try_from(self.random.below(50)).unwrap();
        let end = (self.acknowledged + most).min(last);
        let events: Vec<_> = (self.acknowledged + 1..=end)
            .map(|record| event(self.number, record, &mut self.random))
            .collect();
        let bookmark = format!(
            "<BookmarkList><Bookmark Channel=\"{CHANNEL}\" RecordId=\"{end}\" IsCurrent=\"true\"/></BookmarkList>"
        );
        let machine = host_name(self.number);
        let sender = self.sender(&offered.notify_to, &machine);
        let message = sender.message;
        let texts = events.iter().map(String::as_str);
        let text = source::events(&sender, &offered.reference, Some(&bookmark), texts);
        self.sent = self.sent.max(end);
        let ack = |answer: &str| source::check_ack(answer, message).ok();
        let count = u64::from(end - self.acknowledged);
        match self.exchange(&offered.notify_to, &text, ack) {
            Ok(()) => {
                ledger.acknowledged.fetch_add(count, Ordering::Relaxed);
                ledger.batches.fetch_add(1, Ordering::Relaxed);
                self.acknowledged = end;
                Talk::Acknowledged
            }
            Err(talk) => {
                ledger.unacknowledged.fetch_add(count, Ordering::Relaxed);
                talk
            }
        }
    }

    /// Sends a message, on a new connection if there is none, and reads its answer.
    fn exchange<T>(
        &mut self,
        to: &str,
        text: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Talk> {
        let nonces = self.nonces();
        if self.connection.is_none() {
            self.connection = self.connect(to);
        }
        let connection = self.connection.as_mut().ok_or(Talk::Failed)?;
        match connection.call(text, &nonces) {
            Some((200, answer)) => read(&answer).ok_or(Talk::Failed),
            Some((503, _)) => Err(Talk::Unavailable),
            // The collector no longer has the subscription.
            Some((404, _)) => {
                self.offered = None;
                Err(Talk::Failed)
            }
            _ => Err(Talk::Failed),
        }
    }

    fn connect(&self, to: &str) -> Option<Connection> {
        let Some(connector) = &self.secure else {
            return Connection::open(self.number, to, self.timeout);
        };
        Connection::open_secure(connector, self.number, to, self.timeout)
    }

    fn nonces(&mut self) -> Nonces {
        let mut nonces = Nonces::default();
        self.random.fill(&mut nonces.session_key);
        self.random.fill(&mut nonces.client_challenge);
        nonces
    }

    fn sender<'a>(&mut self, to: &'a str, machine: &'a str) -> Sender<'a> {
        Sender {
            to,
            machine,
            locale: "en-US",
            session: self.session,
            message: uuid(&mut self.random),
            operation: uuid(&mut self.random),
            timeout: self.timeout,
            max_envelope_size: 512_000,
        }
    }
}

fn uuid(random: &mut Random) -> Uuid {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The record ID of a bookmark with one channel.
fn record_of(bookmark: &str) -> Option<u32> {
    let (_, rest) = bookmark.split_once("RecordId=\"")?;
    let (digits, _) = rest.split_once('"')?;
    digits.parse().ok()
}

/// An event that contains its length, so that a receiver can check whether it is complete.
fn event(host: u32, record: u32, random: &mut Random) -> String {
    let size = match random.below(100) {
        0 => random.below(20_000),
        1..10 => random.below(3000),
        _ => random.below(600),
    };
    let filling = "x".repeat(usize::try_from(size).unwrap());
    let computer = host_name(host);
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-Sysmon' Guid='{{5770385f-c22a-43e0-bf4c-06f5698ffbd9}}'/>\
         <EventID>22</EventID><Version>5</Version><Level>4</Level><Task>22</Task><Opcode>0</Opcode>\
         <Keywords>0x8000000000000000</Keywords><TimeCreated SystemTime='2025-03-11T09:00:00.1Z'/>\
         <EventRecordID>{record}</EventRecordID><Correlation/>\
         <Execution ProcessID='2960' ThreadID='3416'/><Channel>{CHANNEL}</Channel>\
         <Computer>{computer}</Computer><Security UserID='S-1-5-18'/></System>\
         <EventData><Data Name='Sequence'>{record}</Data><Data Name='Size'>{size}</Data>\
         <Data Name='Filling'>{filling}</Data></EventData></Event>"
    )
}

/// One connection to the collector.
enum Connection {
    /// Sealed by its session.
    Plain(TcpStream, Box<Session>),
    Secure(Box<Secure>),
}

impl Connection {
    fn open(number: u32, to: &str, timeout: Duration) -> Option<Self> {
        let endpoint = Endpoint::parse(to).unwrap();
        let stream = connect(&endpoint, timeout)?;
        let client = Client::anonymous(&host_name(number));
        let session = Session::new(endpoint, client).compressed(compresses(number));
        Some(Self::Plain(stream, Box::new(session)))
    }

    fn open_secure(
        connector: &SslConnector,
        number: u32,
        to: &str,
        timeout: Duration,
    ) -> Option<Self> {
        let endpoint = Endpoint::parse(&to.replacen("https", "http", 1)).unwrap();
        let stream = connect(&endpoint, timeout)?;
        let stream = connector.connect(COLLECTOR, stream).ok()?;
        Some(Self::Secure(Box::new(Secure {
            stream,
            endpoint,
            compress: compresses(number),
        })))
    }

    /// The status and text of the answer; `None` if the connection can no longer be used.
    fn call(&mut self, text: &str, nonces: &Nonces) -> Option<(u16, String)> {
        match self {
            Self::Plain(stream, session) => call(stream, session, text, nonces),
            Self::Secure(secure) => secure.call(text),
        }
    }
}

fn compresses(number: u32) -> bool {
    number.is_multiple_of(3)
}

fn connect(endpoint: &Endpoint, timeout: Duration) -> Option<TcpStream> {
    let stream = TcpStream::connect(&endpoint.authority).ok()?;
    stream.set_nodelay(true).ok()?;
    // The collector may take the entire timeout; allow another second for transmission.
    let patience = timeout + Duration::from_secs(1);
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.set_write_timeout(Some(timeout)).ok()?;
    Some(stream)
}

fn call(
    stream: &mut TcpStream,
    session: &mut Session,
    text: &str,
    nonces: &Nonces,
) -> Option<(u16, String)> {
    session.call(text);
    let mut buffer = [0; 16 << 10];
    loop {
        let outgoing = session.take_outgoing();
        stream.write_all(&outgoing).ok()?;
        let count = stream.read(&mut buffer).ok().filter(|&count| count > 0)?;
        let reply = session.handle_received(&buffer[..count], nonces);
        if let Some(reply) = reply.ok()? {
            return Some((reply.status, reply.text.unwrap_or_default()));
        }
    }
}

/// A TLS connection with a client certificate.
struct Secure {
    stream: SslStream<TcpStream>,
    endpoint: Endpoint,
    compress: bool,
}

impl Secure {
    fn call(&mut self, text: &str) -> Option<(u16, String)> {
        let Endpoint {
            authority, path, ..
        } = &self.endpoint;
        let mut body = wire::encode_text(text, Charset::Utf16);
        let mut encoding = "";
        if self.compress {
            body = sldc::encode(&body);
            encoding = "Content-Encoding: SLDC\r\n";
        }
        let head = format!(
            "POST {path} HTTP/1.1\r\nConnection: Keep-Alive\r\n\
             Content-Type: application/soap+xml;charset=UTF-16\r\n{encoding}\
             Content-Length: {}\r\nHost: {authority}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), &body].concat();
        self.stream.write_all(&request).ok()?;
        let Reply { status, body, head } = read_reply(&mut self.stream).ok()?;
        let text = if body.is_empty() {
            String::new()
        } else {
            Reply { status, head, body }.text()
        };
        Some((status, text))
    }
}
