//! The fixed loads: one host, the same events in the same batches every time.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslStream};
use uuid::Uuid;
use wecrelay::base::wire::{self, Charset};
use wecrelay::client::{Endpoint, Session};
use wecrelay::protocol::ntlm::initiator::{Client, Nonces};
use wecrelay::protocol::wsman::source::{self, Offered, Sender};

use crate::BATCH;
use crate::support::{Issued, TempDir, Use, read_reply};

const HOST: &str = "bench.example.com";
const MANAGER: &str = "/wsman/SubscriptionManager/WEC";
/// How long an answer may take: the relay is some fifty times slower than usual.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is sent, and in which form the relay is to hand it on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Client certificates over TLS, messages as XML.
    TlsXml,
    /// Sealed bodies of an NTLM session, messages as text.
    NtlmText,
    /// The same compressed, messages as JSON.
    NtlmSldcJson,
    /// The same in the layout of Winlogbeat.
    NtlmSldcEcs,
    /// The same in that of Snare.
    NtlmSldcSnare,
    /// The same, as records of OTLP.
    NtlmSldcOtlp,
    /// The same, as records of Kafka in JSON.
    NtlmSldcKafka,
}

/// How messages leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Tcp,
    Otlp,
    Kafka,
}

impl Load {
    pub(crate) const ALL: [Self; 7] = [
        Self::TlsXml,
        Self::NtlmText,
        Self::NtlmSldcJson,
        Self::NtlmSldcEcs,
        Self::NtlmSldcSnare,
        Self::NtlmSldcOtlp,
        Self::NtlmSldcKafka,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TlsXml => "TLS, XML",
            Self::NtlmText => "NTLM, text",
            Self::NtlmSldcJson => "NTLM and SLDC, JSON",
            Self::NtlmSldcEcs => "NTLM and SLDC, ECS",
            Self::NtlmSldcSnare => "NTLM and SLDC, Snare",
            Self::NtlmSldcOtlp => "NTLM and SLDC, OTLP",
            Self::NtlmSldcKafka => "NTLM and SLDC, Kafka",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::TlsXml => "xml",
            Self::NtlmText | Self::NtlmSldcOtlp => "text",
            Self::NtlmSldcJson | Self::NtlmSldcKafka => "json",
            Self::NtlmSldcEcs => "ecs",
            Self::NtlmSldcSnare => "snare",
        }
    }

    pub(crate) fn way(self) -> Way {
        match self {
            Self::NtlmSldcOtlp => Way::Otlp,
            Self::NtlmSldcKafka => Way::Kafka,
            _ => Way::Tcp,
        }
    }

    /// Whether its bodies are compressed.
    fn is_compressed(self) -> bool {
        !matches!(self, Self::TlsXml | Self::NtlmText)
    }

    /// Whether a relay knows output and layout: one of an older version may not.
    pub(crate) fn is_known_to(self, binary: &str) -> bool {
        let mut check = Command::new(binary);
        check.args([
            "check",
            "--anonymous",
            "127.0.0.0/8",
            "--message",
            self.message(),
        ]);
        check.args([
            "--output",
            match self.way() {
                Way::Tcp => "tcp://127.0.0.1",
                Way::Otlp => "otlp+http://127.0.0.1",
                Way::Kafka => "kafka://127.0.0.1/events",
            },
        ]);
        check.output().unwrap().status.code() != Some(2)
    }

    /// The flags by which the relay listens and lets the host in.
    pub(crate) fn flags(self, dir: &TempDir) -> Vec<String> {
        match self {
            Self::TlsXml => {
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
            _ => vec![
                "--listen=http://127.0.0.1:0".to_owned(),
                "--anonymous=127.0.0.0/8".to_owned(),
            ],
        }
    }

    /// Sends so many batches to the relay on `port`, each after the answer to the last.
    pub(crate) fn send(self, dir: &TempDir, port: u16, batches: usize) {
        let mut host = Host {
            load: self,
            url: format!(
                "{}://localhost:{port}{MANAGER}",
                if self == Self::TlsXml {
                    "https"
                } else {
                    "http"
                }
            ),
            messages: 0,
            dir,
            port,
        };
        let offered = host.subscribe();
        host.deliver(&offered, batches);
    }
}

struct Host<'a> {
    load: Load,
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
        let mut connection = self.connect(self.load.is_compressed());
        let mut record = 0;
        for _ in 0..batches {
            let events: Vec<_> = (0..BATCH).map(|_| event(&mut record)).collect();
            let (to, message) = self.sender();
            let bookmark = format!(
                "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"{record}\" IsCurrent=\"true\"/></BookmarkList>"
            );
            let events = events.iter().map(String::as_str);
            let envelope = source::events(
                &sender(&to, message),
                &offered.reference,
                Some(&bookmark),
                events,
            );
            source::check_ack(&connection.ask(&envelope), message).unwrap();
        }
    }

    fn connect(&self, compress: bool) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if self.load == Load::TlsXml {
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
            return Connection::Tls(Box::new(tls));
        }
        let endpoint = Endpoint {
            authority: format!("localhost:{}", self.port),
            path: MANAGER.to_owned(),
            secure: false,
        };
        let session = Session::new(endpoint, Client::anonymous("BENCH")).compressed(compress);
        Connection::Ntlm(stream, Box::new(session))
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

/// The next of the events of this file, in turn, with a record of its own.
fn event(record: &mut usize) -> String {
    let samples = include_str!("events.xml").lines();
    let sample = samples.cycle().nth(*record % SAMPLES).unwrap();
    *record += 1;
    // As many digits for each: a long run has no longer events than a short one.
    sample.replace("{record}", &(1_000_000 + *record).to_string())
}

/// Lines of events.xml.
const SAMPLES: usize = 10;

enum Connection {
    Tls(Box<SslStream<Whole>>),
    Ntlm(TcpStream, Box<Session>),
}

impl Connection {
    fn ask(&mut self, envelope: &str) -> String {
        match self {
            Self::Tls(stream) => {
                let body = wire::encode_text(envelope, Charset::Utf16);
                let head = format!(
                    "POST {MANAGER} HTTP/1.1\r\nConnection: Keep-Alive\r\n\
                     Content-Type: application/soap+xml;charset=UTF-16\r\nUser-Agent: bench\r\n\
                     Content-Length: {}\r\nHost: localhost\r\n\r\n",
                    body.len()
                );
                stream
                    .write_all(&[head.as_bytes(), &body].concat())
                    .unwrap();
                stream.flush().unwrap();
                let reply = read_reply(stream).unwrap();
                assert_eq!(reply.status, 200, "{}", reply.head);
                reply.text()
            }
            Self::Ntlm(stream, session) => {
                session.call(envelope);
                let mut buffer = vec![0; 64 << 10];
                loop {
                    stream.write_all(&session.take_outgoing()).unwrap();
                    let size = stream.read(&mut buffer).unwrap();
                    assert_ne!(size, 0, "the relay closed the connection");
                    let nonces = Nonces::default();
                    if let Some(reply) = session.handle_received(&buffer[..size], &nonces).unwrap()
                    {
                        assert_eq!(reply.status, 200);
                        return reply.text.unwrap();
                    }
                }
            }
        }
    }
}

/// Sends what TLS writes in one piece: record by record the relay would read as often
/// as it happens to be woken.
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
