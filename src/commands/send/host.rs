//! A simulated host and its connections.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::Error;
use crate::client::{Endpoint, Reply, Session};
use crate::protocol::ntlm::initiator::{Client, ClientAccount, Nonces};
use crate::protocol::wsman;
use crate::protocol::wsman::source::{Offered, Sender};
use crate::system::resolver;
use crate::tls::{Dialer, SslStream};

/// Timeout for an answer, which the host also requests from the collector
/// (`OperationTimeout`).
const TIMEOUT: Duration = Duration::from_secs(60);

/// The name in errors of the request for further subscriptions.
const PULL: &str = "Pull";

/// How hosts authenticate, compress, and connect.
#[derive(Clone, Debug, Default)]
pub(super) struct Manner {
    /// The account; `None` for a null session.
    pub(super) account: Option<ClientAccount>,
    /// Whether to compress bodies if the subscription requests it.
    pub(super) sldc: bool,
    /// For https connections; `None` for http.
    pub(super) dialer: Option<Arc<Secure>>,
}

/// The settings for https connections.
pub(super) struct Secure {
    pub(super) dialer: Dialer,
    /// Whether there is a client certificate, which makes HTTP authentication unnecessary.
    pub(super) has_certificate: bool,
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").finish_non_exhaustive()
    }
}

/// A simulated host.
pub(super) struct Host {
    pub(super) machine: String,
    pub(super) manner: Manner,
    session: Uuid,
    random: StdRng,
    /// The collector's host name in the URL of the enumeration.
    manager: String,
}

impl Host {
    pub(super) fn new(machine: String, manner: Manner) -> Result<Self, Error> {
        let mut random =
            StdRng::try_from_rng(&mut SysRng).map_err(|error| Error::Random(error.to_string()))?;
        let session = new_uuid(&mut random);
        Ok(Self {
            machine,
            manner,
            session,
            random,
            manager: String::new(),
        })
    }

    /// Connects to the address in a subscription.
    pub(super) fn connect_further(&self, url: &str, compress: bool) -> Result<Connection, Error> {
        let is_elsewhere = Endpoint::parse(url)?.host() != self.manager;
        self.connect(url, compress).map_err(|error| match error {
            Error::Connection(to, error) if is_elsewhere => Error::Elsewhere(to, error),
            error => error,
        })
    }

    /// Connects without sending anything in HTTP yet.
    pub(super) fn connect(&self, url: &str, compress: bool) -> Result<Connection, Error> {
        let endpoint = Endpoint::parse(url)?;
        let to = endpoint.authority.clone();
        let failed = |error| Error::Connection(to.clone(), error);
        let addresses = resolver::lookup_place(&to).map_err(failed)?;
        let stream = TcpStream::connect(&*addresses).map_err(failed)?;
        let set_up = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(TIMEOUT)));
        set_up.map_err(failed)?;
        let (stream, session) = match (&self.manner.dialer, endpoint.secure) {
            (Some(secure), true) => self.secured(secure, endpoint, stream)?,
            _ => (Wire::Plain(stream), Session::new(endpoint, self.client())),
        };
        Ok(Connection {
            stream,
            session: session.compressed(compress),
            to,
        })
    }

    /// Starts a session inside TLS. An account is bound to the connection by channel
    /// bindings; a certificate needs no HTTP authentication.
    fn secured(
        &self,
        secure: &Secure,
        endpoint: Endpoint,
        stream: TcpStream,
    ) -> Result<(Wire, Session), Error> {
        let dialed = secure.dialer.connect(endpoint.host(), stream);
        let failed = |why| Error::Handshake(endpoint.authority.clone(), why);
        let (stream, bindings) = dialed.map_err(failed)?;
        let session = if secure.has_certificate && self.manner.account.is_none() {
            Session::with_certificate(endpoint)
        } else {
            let client = Client {
                channel_bindings: bindings,
                target: Some(format!("HTTP/{}", endpoint.host())),
                ..self.client()
            };
            Session::new(endpoint, client)
        };
        Ok((Wire::Secure(Box::new(stream)), session))
    }

    fn client(&self) -> Client {
        let workstation = self.machine.split('.').next().unwrap_or_default();
        match &self.manner.account {
            None => Client::anonymous(workstation),
            Some(account) => Client::with_account(workstation, account.clone()),
        }
    }

    /// The values for the header of the next message.
    pub(super) fn sender<'a>(&'a mut self, to: &'a str) -> Sender<'a> {
        let (message, operation) = (new_uuid(&mut self.random), new_uuid(&mut self.random));
        Sender {
            to,
            machine: &self.machine,
            locale: "en-US",
            session: self.session,
            message,
            operation,
            timeout: TIMEOUT,
            max_envelope_size: 512_000,
        }
    }

    pub(super) fn nonces(&mut self) -> Nonces {
        let mut nonces = Nonces::default();
        self.random.fill_bytes(&mut nonces.session_key);
        self.random.fill_bytes(&mut nonces.client_challenge);
        nonces
    }

    /// Requests the subscriptions on a separate connection. If the collector abandons an
    /// enumeration between two answers, as it does after a reload, the enumeration is
    /// restarted once.
    pub(super) fn enumerate(&mut self, url: &str) -> Result<Vec<Offered>, Error> {
        match self.enumerate_once(url) {
            Err(Error::Status(PULL, 400 | 500)) => self.enumerate_once(url),
            result => result,
        }
    }

    fn enumerate_once(&mut self, url: &str) -> Result<Vec<Offered>, Error> {
        self.manager = Endpoint::parse(url)?.host().to_owned();
        let mut connection = self.connect(url, false)?;
        let nonces = self.nonces();
        let sender = self.sender(url);
        let (message, mut operation) = (sender.message, sender.operation);
        let envelope = wsman::source::enumerate(&sender);
        let text = connection.ask("Enumerate", &envelope, &nonces)?;
        let mut page = wsman::source::parse_enumerate_response(&text, message)?;
        let mut offered = page.offered;
        while let Some(context) = page.context {
            let sender = self.sender(url);
            let message = sender.message;
            operation = sender.operation;
            let envelope = wsman::source::pull(&sender, &context);
            let text = connection.ask(PULL, &envelope, &nonces)?;
            page = wsman::source::parse_pull_response(&text, message)?;
            if page.offered.is_empty() && page.context.is_some() {
                return Err(Error::NoProgress);
            }
            offered.append(&mut page.offered);
        }
        let end = wsman::source::end(new_uuid(&mut self.random), operation);
        connection.call(&end, &nonces)?;
        Ok(offered)
    }
}

fn new_uuid(random: &mut impl Rng) -> Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The transport below HTTP.
enum Wire {
    Plain(TcpStream),
    Secure(Box<SslStream<TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}

pub(super) struct Connection {
    stream: Wire,
    session: Session,
    to: String,
}

impl Connection {
    fn call(&mut self, envelope: &str, nonces: &Nonces) -> Result<Reply, Error> {
        let failed = |error| Error::Connection(self.to.clone(), error);
        self.session.call(envelope);
        let mut buffer = [0; 16 << 10];
        loop {
            self.stream
                .write_all(&self.session.take_outgoing())
                .map_err(failed)?;
            let count = self.stream.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            if let Some(reply) = self.session.handle_received(bytes, nonces)? {
                return Ok(reply);
            }
        }
    }

    /// Sends a message whose answer must be a SOAP envelope with status 200. `what` names
    /// the message in errors.
    pub(super) fn ask(
        &mut self,
        what: &'static str,
        text: &str,
        nonces: &Nonces,
    ) -> Result<String, Error> {
        match self.call(text, nonces)? {
            Reply {
                status: 200,
                text: Some(text),
            } => Ok(text),
            Reply { status, .. } => Err(Error::Status(what, status)),
        }
    }
}
