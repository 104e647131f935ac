//! A host's connection: TCP, optionally TLS, and authenticated HTTP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslStream, SslVersion};
use uuid::Uuid;
use wecrelay::client::{Endpoint, Session};
use wecrelay::protocol::ntlm::initiator::{Client, Nonces};

use crate::Result;
use crate::options::Load;

/// Where and how all hosts connect.
pub(crate) struct Target {
    manager: Endpoint,
    address: SocketAddr,
    tls: Option<SslConnector>,
    timeout: Duration,
    /// Held while connecting: many simultaneous connections would measure the listen backlog.
    turns: [Mutex<()>; 32],
}

impl Target {
    pub(crate) fn new(options: &Load) -> Result<Self> {
        let manager = Endpoint::parse(&options.url)?;
        let mut addresses = manager.authority.to_socket_addrs()?;
        let address = addresses.find(|address| address.ip().is_loopback());
        Ok(Self {
            address: address.ok_or("only loopback addresses can be loaded")?,
            tls: manager.secure.then(|| connector(options)).transpose()?,
            timeout: Duration::from_secs_f64(options.timeout),
            turns: Default::default(),
            manager,
        })
    }

    /// The subscription manager.
    pub(crate) fn manager(&self) -> &Endpoint {
        &self.manager
    }

    /// A new connection to a path of the collector.
    pub(crate) fn connect(&self, endpoint: &Endpoint, sldc: bool) -> Result<Connection> {
        let turn = self
            .turns
            .get(rand::random::<u32>() as usize % self.turns.len());
        let _turn = turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        let stream = TcpStream::connect_timeout(&self.address, self.timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.timeout))?;
        let (stream, session) = match &self.tls {
            None => {
                let client = Client::anonymous("BENCH");
                (
                    Stream::Plain(stream),
                    Session::new(endpoint.clone(), client),
                )
            }
            Some(tls) => {
                let stream = tls.connect(self.manager.host(), stream)?;
                let session = Session::with_certificate(endpoint.clone());
                (Stream::Tls(Box::new(stream)), session)
            }
        };
        Ok(Connection {
            stream,
            session: session.compressed(sldc),
        })
    }
}

fn connector(options: &Load) -> Result<SslConnector> {
    let ca = options.ca.as_ref().ok_or("https needs --ca")?;
    let certs = options.certs.as_ref().ok_or("https needs --certs")?;
    let mut builder = SslConnector::builder(SslMethod::tls())?;
    builder.set_ca_file(ca)?;
    builder.set_certificate_chain_file(certs)?;
    builder.set_private_key_file(certs, SslFiletype::PEM)?;
    if options.tls12 {
        builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    }
    Ok(builder.build())
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

pub(crate) struct Connection {
    stream: Stream,
    session: Session,
}

impl Connection {
    /// Sends a body (an envelope in UTF-16) and returns the envelope of the answer.
    pub(crate) fn ask(&mut self, body: Vec<u8>) -> Result<String> {
        self.session.call_encoded(body);
        let mut buffer = [0; 16 << 10];
        loop {
            self.stream.write_all(&self.session.take_outgoing())?;
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Err("connection closed by the collector".into());
            }
            let reply = self.session.handle_received(&buffer[..count], &nonces())?;
            if let Some(reply) = reply {
                return match reply.status {
                    200 => Ok(reply.text.unwrap_or_default()),
                    status => Err(format!("HTTP status {status}").into()),
                };
            }
        }
    }
}

fn nonces() -> Nonces {
    let mut nonces = Nonces::default();
    let (key, challenge) = (Uuid::from_u128(rand::random()), rand::random::<u64>());
    nonces.session_key = key.into_bytes();
    nonces.client_challenge = challenge.to_le_bytes();
    nonces
}
