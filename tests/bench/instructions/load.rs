//! The fixed loads: one host that always sends the same events in the same batches.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslStream};
use uuid::Uuid;
use wecrelay::client::{Endpoint, Session};
use wecrelay::protocol::ntlm::initiator::{Client, Nonces};
use wecrelay::protocol::wsman::source::{self, Offered, Sender};

use crate::BATCH;
use crate::support::{Issued, TempDir, Use};

const HOST: &str = "bench.example.com";
const MANAGER: &str = "/wsman/SubscriptionManager/WEC";
/// Timeout for answers: under callgrind, the relay is about fifty times slower.
const PATIENCE: Duration = Duration::from_secs(120);

/// The input, and the form in which the relay forwards it.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    way: Way,
    /// Whether bodies are compressed.
    sldc: bool,
    /// Events per batch; 0 for heartbeats.
    pub(crate) batch: usize,
    /// Whether each batch uses a new connection.
    reconnects: bool,
    pub(crate) message: &'static str,
    pub(crate) output: Output,
}

/// How the host authenticates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Client certificates over TLS.
    Tls,
    /// Sealed bodies of an NTLM session.
    Ntlm,
}

/// The output of the relay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Tcp,
    /// The same without the event's values in structured data.
    TcpWithoutData,
    /// Without compression, which would measure gzip.
    Otlp,
    Kafka,
}

impl Output {
    /// Its URL, for a receiver on this port on loopback.
    pub(crate) fn url(self, port: u16) -> String {
        match self {
            Self::Tcp => format!("tcp://127.0.0.1:{port}"),
            Self::TcpWithoutData => format!("tcp://127.0.0.1:{port}?data=no"),
            Self::Otlp => format!("otlp+http://127.0.0.1:{port}?compress=none"),
            Self::Kafka => format!("kafka://127.0.0.1:{port}/events"),
        }
    }
}

/// Batches over TLS, messages as XML.
const TLS_XML: Load = Load {
    name: "TLS, XML",
    way: Way::Tls,
    sldc: false,
    batch: BATCH,
    reconnects: false,
    message: "xml",
    output: Output::Tcp,
};

impl Load {
    pub(crate) const ALL: [Self; 14] = [
        TLS_XML,
        Self {
            name: "TLS, XML, data=no",
            output: Output::TcpWithoutData,
            ..TLS_XML
        },
        Self {
            name: "TLS, JSON",
            message: "json",
            ..TLS_XML
        },
        Self {
            name: "TLS and SLDC, XML",
            sldc: true,
            ..TLS_XML
        },
        Self {
            name: "NTLM, text",
            way: Way::Ntlm,
            message: "text",
            ..TLS_XML
        },
        Self {
            name: "NTLM and SLDC, JSON",
            way: Way::Ntlm,
            sldc: true,
            message: "json",
            ..TLS_XML
        },
        Self {
            name: "NTLM and SLDC, ECS",
            way: Way::Ntlm,
            sldc: true,
            message: "ecs",
            ..TLS_XML
        },
        Self {
            name: "NTLM and SLDC, Snare",
            way: Way::Ntlm,
            sldc: true,
            message: "snare",
            ..TLS_XML
        },
        Self {
            name: "NTLM and SLDC, Kafka",
            way: Way::Ntlm,
            sldc: true,
            message: "json",
            output: Output::Kafka,
            ..TLS_XML
        },
        Self {
            name: "NTLM and SLDC, OTLP",
            way: Way::Ntlm,
            sldc: true,
            message: "text",
            output: Output::Otlp,
            ..TLS_XML
        },
        Self {
            name: "TLS, one event a batch",
            batch: 1,
            ..TLS_XML
        },
        Self {
            name: "TLS, heartbeats",
            batch: 0,
            ..TLS_XML
        },
        Self {
            name: "TLS, one event a connection",
            batch: 1,
            reconnects: true,
            ..TLS_XML
        },
        Self {
            name: "NTLM, one event a connection",
            way: Way::Ntlm,
            batch: 1,
            reconnects: true,
            ..TLS_XML
        },
    ];

    /// Whether a relay supports the output and layout: an older version may not.
    pub(crate) fn is_known_to(&self, binary: &str) -> bool {
        let mut check = Command::new(binary);
        check.args(["check", "--anonymous", "127.0.0.0/8"]);
        check.args(["--message", self.message, "--output", &self.output.url(9)]);
        check.output().unwrap().status.code() != Some(2)
    }

    /// The relay's flags for the listener and authentication.
    pub(crate) fn flags(&self, dir: &TempDir) -> Vec<String> {
        match self.way {
            Way::Tls => {
                let root = Issued::root("bench CA");
                let (ca, _) = root.write(dir, "ca");
                let (certificate, key) =
                    root.issue("localhost", Use::Server, 2).write(dir, "server");
                root.issue(HOST, Use::Client, 2).write(dir, "host");
                vec![
                    "--listen=https://127.0.0.1:0".to_owned(),
                    format!("--client-ca={ca}"),
                    format!("--tls-cert={certificate}"),
                    format!("--tls-key={key}"),
                ]
            }
            Way::Ntlm => vec![
                "--listen=http://127.0.0.1:0".to_owned(),
                "--anonymous=127.0.0.0/8".to_owned(),
            ],
        }
    }

    /// Sends `batches` batches to the relay on `port`, each after the answer to the previous one.
    pub(crate) fn send(&self, dir: &TempDir, port: u16, batches: usize) {
        let scheme = match self.way {
            Way::Tls => "https",
            Way::Ntlm => "http",
        };
        let mut host = Host {
            load: self,
            url: format!("{scheme}://localhost:{port}{MANAGER}"),
            messages: 0,
            dir,
            port,
        };
        let offered = host.subscribe();
        host.deliver(&offered, batches);
    }
}

struct Host<'a> {
    load: &'a Load,
    url: String,
    messages: u128,
    dir: &'a TempDir,
    port: u16,
}

impl Host<'_> {
    fn sender(&mut self) -> (String, Uuid) {
        self.messages += 1;
        (self.url.clone(), Uuid::from_u128(self.messages))
    }

    fn subscribe(&mut self) -> Offered {
        let (to, message) = self.sender();
        let envelope = source::enumerate(&sender(&to, message));
        let answer = self.connect(false).ask(&envelope);
        let page = source::parse_enumerate_response(&answer, message).unwrap();
        page.offered.into_iter().next().expect("a subscription")
    }

    fn deliver(&mut self, offered: &Offered, batches: usize) {
        let mut connection = self.connect(self.load.sldc);
        let mut record = 0;
        for number in 0..batches {
            if self.load.reconnects && number > 0 {
                connection = self.connect(self.load.sldc);
            }
            let (to, message) = self.sender();
            let envelope = match self.load.batch {
                0 => source::heartbeat(&sender(&to, message), &offered.reference),
                batch => {
                    let events: Vec<_> = (0..batch).map(|_| event(&mut record)).collect();
                    let bookmark = format!(
                        "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"{record}\" IsCurrent=\"true\"/></BookmarkList>"
                    );
                    let events = events.iter().map(String::as_str);
                    let sender = sender(&to, message);
                    source::events(&sender, &offered.reference, Some(&bookmark), events)
                }
            };
            source::check_ack(&connection.ask(&envelope), message).unwrap();
        }
    }

    fn connect(&self, compress: bool) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if self.load.way == Way::Tls {
            let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
            builder.set_ca_file(self.dir.file("ca.pem")).unwrap();
            builder
                .set_certificate_chain_file(self.dir.file("host.pem"))
                .unwrap();
            builder
                .set_private_key_file(self.dir.file("host.key"), openssl::ssl::SslFiletype::PEM)
                .unwrap();
            let whole = Whole {
                stream,
                held: Vec::new(),
            };
            let tls = builder.build().connect("localhost", whole).unwrap();
            let session = Session::with_certificate(self.endpoint());
            return Connection::Tls(Box::new(tls), Box::new(session.compressed(compress)));
        }
        let session = Session::new(self.endpoint(), Client::anonymous("BENCH"));
        Connection::Ntlm(stream, Box::new(session.compressed(compress)))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            authority: format!("localhost:{}", self.port),
            path: MANAGER.to_owned(),
            secure: self.load.way == Way::Tls,
        }
    }
}

fn sender(to: &str, message: Uuid) -> Sender<'_> {
    Sender {
        to,
        machine: HOST,
        locale: "en-US",
        session: Uuid::nil(),
        message,
        operation: Uuid::nil(),
        timeout: Duration::from_secs(60),
        max_envelope_size: 512_000,
    }
}

/// The next of the events in this file, in turn, with its own record number.
fn event(record: &mut usize) -> String {
    let samples = include_str!("events.xml").lines();
    let sample = samples.cycle().nth(*record % SAMPLES).unwrap();
    *record += 1;
    // A fixed number of digits, so that the events of a long run are not longer.
    sample.replace("{record}", &(1_000_000 + *record).to_string())
}

/// Number of lines in events.xml.
const SAMPLES: usize = 10;

enum Connection {
    Tls(Box<SslStream<Whole>>, Box<Session>),
    Ntlm(TcpStream, Box<Session>),
}

impl Connection {
    fn ask(&mut self, envelope: &str) -> String {
        match self {
            Self::Tls(stream, session) => ask(stream.as_mut(), session, envelope),
            Self::Ntlm(stream, session) => ask(stream, session, envelope),
        }
    }
}

fn ask(stream: &mut (impl Read + Write), session: &mut Session, envelope: &str) -> String {
    session.call(envelope);
    let mut buffer = vec![0; 64 << 10];
    loop {
        stream.write_all(&session.take_outgoing()).unwrap();
        stream.flush().unwrap();
        let size = stream.read(&mut buffer).unwrap();
        assert_ne!(size, 0, "the relay closed the connection");
        let nonces = Nonces::default();
        if let Some(reply) = session.handle_received(&buffer[..size], &nonces).unwrap() {
            assert_eq!(reply.status, 200);
            return reply.text.unwrap();
        }
    }
}

/// Sends TLS output in one piece: with separate records, the relay's number of reads would
/// depend on when it is woken.
#[derive(Debug)]
struct Whole {
    stream: TcpStream,
    held: Vec<u8>,
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&std::mem::take(&mut self.held))
    }
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        self.stream.read(buffer)
    }
}
