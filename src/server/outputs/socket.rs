//! The socket or file of one output: open, write, measure, close.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use crate::output::{Settings, Target};
use crate::server::outputs::early::Beginning;
use crate::server::outputs::files::{self, Opened};
use crate::system::sys;
use crate::tls::connector::{Connector, Handshake, Progress, Secured};

/// How long a TCP peer may leave bytes unacknowledged, even with a closed window, before
/// the connection counts as ended.
const PEER_SILENCE: Duration = Duration::from_secs(120);

/// An open output.
#[derive(Debug)]
enum Channel {
    Tcp(TcpStream),
    Tls(Box<Secured>),
    Unix(UnixStream),
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
    /// A pipe or terminal, non-blocking.
    Pipe(File),
    /// A regular file: always ready.
    File(File),
}

impl From<Opened> for Channel {
    fn from(opened: Opened) -> Self {
        match opened {
            Opened::Pipe(file) => Self::Pipe(file),
            Opened::Regular(file) => Self::File(file),
        }
    }
}

#[derive(Debug)]
enum State {
    Closed,
    /// The connection in progress.
    Connecting(TcpStream),
    /// The TLS handshake in progress.
    Securing(Box<Handshake>),
    Open(Channel),
}

/// The result of an attempt to open.
#[derive(Debug)]
pub(in crate::server) enum Opening {
    Done,
    Pending,
}

/// The result of a write.
#[derive(Debug)]
pub(super) enum Writing {
    /// This number of bytes was written; 0 if a signal interrupted the write.
    Wrote(usize),
    /// There is no room now.
    Blocked,
    /// The message is too large for the path and can never be sent.
    TooLarge,
}

/// The socket or file of an output, and how to open it.
#[derive(Debug)]
pub(in crate::server) struct OutputSocket {
    token: Token,
    settings: Settings,
    /// Secures its connections, if configured.
    connector: Option<Connector>,
    state: State,
    beginning: Beginning,
    /// Whether the last write found no room, and no event has reported room since.
    pub(super) blocked: bool,
    /// Whether there may be something to read.
    pub(super) readable: bool,
}

impl OutputSocket {
    pub(in crate::server) fn new(
        token: Token,
        settings: Settings,
        connector: Option<Connector>,
    ) -> Self {
        Self {
            token,
            settings,
            connector,
            state: State::Closed,
            beginning: Beginning::default(),
            blocked: false,
            readable: false,
        }
    }

    /// A closed socket for another connection of the same output.
    pub(super) fn like(&self, token: Token) -> Self {
        Self::new(token, self.settings.clone(), self.connector.clone())
    }

    pub(super) fn connector(&self) -> Option<&Connector> {
        self.connector.as_ref()
    }

    /// Sets the host name that the receiver's certificate must have, unless the URL specifies one.
    pub(super) fn name_receiver(&mut self, host: &str) {
        if let (Some(connector), Some(tls)) = (&mut self.connector, &self.settings.tls)
            && tls.name.is_empty()
        {
            connector.name_receiver(host);
        }
    }

    pub(in crate::server) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Replaces the keys and certificates for later connections.
    pub(in crate::server) fn replace_connector(&mut self, connector: Option<Connector>) {
        self.connector = connector;
    }

    pub(super) fn is_datagram(&self) -> bool {
        matches!(
            self.settings.target,
            Target::Udp { .. } | Target::Unix { stream: false, .. }
        )
    }

    /// Whether batches are written one by one. Others may write to a pipe, too, and what is short
    /// stays in one piece (`PIPE_BUF`).
    pub(super) fn takes_single_batches(&self) -> bool {
        matches!(self.state, State::Open(Channel::Pipe(_)))
    }

    pub(super) fn is_udp(&self) -> bool {
        matches!(self.settings.target, Target::Udp { .. })
    }

    /// The output's name for logs.
    pub(super) fn label(&self) -> &str {
        &self.settings.label
    }

    pub(in crate::server) fn is_file(&self) -> bool {
        matches!(self.settings.target, Target::File { .. })
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self.settings.target, Target::Stdout)
    }

    pub(in crate::server) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Opens an output that has no network address. A current connection is closed first.
    pub(super) fn open(&mut self, registry: &Registry) -> io::Result<Opening> {
        self.begin();
        let channel = match &self.settings.target {
            Target::Tcp { .. }
            | Target::Relp { .. }
            | Target::Kafka(_)
            | Target::Otlp { .. }
            | Target::Udp { .. } => {
                return Err(io::Error::other("it has an address, and none was chosen"));
            }
            Target::Unix { path, stream: true } => Channel::Unix(UnixStream::connect(path)?),
            Target::Unix {
                path,
                stream: false,
            } => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Channel::UnixDatagram(socket)
            }
            Target::File { path, .. } => files::open(path)?.into(),
            Target::Stdout => files::open_stdout()?.into(),
        };
        self.finish(registry, channel)
    }

    fn begin(&mut self) {
        self.close();
        self.blocked = false;
        self.readable = false;
    }

    /// Starts to connect. A current connection is closed first. UDP sockets are open at once.
    pub(super) fn connect(
        &mut self,
        registry: &Registry,
        address: SocketAddr,
    ) -> io::Result<Opening> {
        self.begin();
        if self.is_udp() {
            let any: IpAddr = match address {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(address)?;
            return self.finish(registry, Channel::Udp(socket));
        }
        let mut stream = TcpStream::connect(address)?;
        registry.register(
            &mut stream,
            self.token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.state = State::Connecting(stream);
        Ok(Opening::Pending)
    }

    fn finish(&mut self, registry: &Registry, mut channel: Channel) -> io::Result<Opening> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match &mut channel {
            // Registered when connecting began.
            Channel::Tcp(_) | Channel::Tls(_) => {}
            Channel::Unix(s) => registry.register(s, self.token, interest)?,
            Channel::Udp(s) => registry.register(s, self.token, interest)?,
            Channel::UnixDatagram(s) => registry.register(s, self.token, interest)?,
            Channel::Pipe(f) => {
                SourceFd(&f.as_raw_fd()).register(registry, self.token, Interest::WRITABLE)?;
            }
            Channel::File(_) => {}
        }
        self.state = State::Open(channel);
        Ok(Opening::Done)
    }

    /// Handles an event of a connection in progress, which may be established, pending, or failed.
    pub(super) fn handle_connected(&mut self, now: Instant) -> io::Result<Opening> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Connecting(stream) => self.check_connected(now, stream),
            State::Securing(handshake) => handshake.resume(now).map(|p| self.note_progress(p)),
            other => {
                self.state = other;
                Ok(Opening::Pending)
            }
        }
    }

    fn check_connected(&mut self, now: Instant, stream: TcpStream) -> io::Result<Opening> {
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => self.start(now, stream),
            Err(e) if e.kind() == ErrorKind::NotConnected => {
                self.state = State::Connecting(stream);
                Ok(Opening::Pending)
            }
            Err(error) => Err(error),
        }
    }

    /// The TCP connection is established.
    fn start(&mut self, now: Instant, stream: TcpStream) -> io::Result<Opening> {
        stream.set_nodelay(true)?;
        notice_a_dead_peer(&stream)?;
        if let Err(error) = sys::tell_acknowledgments(stream.as_fd()) {
            // Then the link polls for acknowledgments.
            log::debug!("{}: no events for acknowledgments: {error}", self.label());
        }
        let Some(connector) = &self.connector else {
            self.state = State::Open(Channel::Tcp(stream));
            self.beginning = Beginning::default();
            // If the connection has already ended, no further event reports it.
            self.readable = true;
            return Ok(Opening::Done);
        };
        let progress = connector.connect(now, stream)?;
        Ok(self.note_progress(progress))
    }

    fn note_progress(&mut self, progress: Progress) -> Opening {
        match progress {
            Progress::Pending(handshake) => {
                self.state = State::Securing(Box::new(handshake));
                Opening::Pending
            }
            Progress::Done(secured) => {
                self.state = State::Open(Channel::Tls(Box::new(secured)));
                // No event reports data that arrived with the end of the handshake.
                self.readable = true;
                Opening::Done
            }
        }
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(..) | State::Securing(_))
    }

    /// Whether the TCP connection is established and the TLS handshake is in progress.
    pub(super) fn is_securing(&self) -> bool {
        matches!(self.state, State::Securing(_))
    }

    /// Handles an event that reports room to write.
    pub(super) fn handle_writable(&mut self) -> io::Result<()> {
        self.blocked = false;
        match &mut self.state {
            State::Open(Channel::Tls(secured)) => secured.send().map(drop),
            _ => Ok(()),
        }
    }

    /// Whether an error event only reports an acknowledgment.
    pub(super) fn take_acknowledgments(&mut self) -> bool {
        match &self.state {
            State::Open(Channel::Tcp(stream)) => sys::take_acknowledgments(stream.as_fd()),
            State::Open(Channel::Tls(secured)) => sys::take_acknowledgments(secured.socket()),
            _ => false,
        }
    }

    /// Writes the front of `parts`, or the first one as a datagram. Never blocks.
    pub(super) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<Writing> {
        let State::Open(channel) = &mut self.state else {
            return Ok(Writing::Blocked);
        };
        let first = parts.first().map_or([].as_slice(), |part| part);
        let result = match channel {
            Channel::Tcp(s) => s.write_vectored(parts),
            Channel::Tls(s) => s.write_vectored(parts),
            Channel::Unix(s) => s.write_vectored(parts),
            Channel::Udp(s) => s.send(first),
            Channel::UnixDatagram(s) => s.send(first),
            Channel::Pipe(f) | Channel::File(f) => f.write_vectored(parts),
        };
        match result {
            Ok(0) if !first.is_empty() => Err(ErrorKind::WriteZero.into()),
            Ok(count) => Ok(Writing::Wrote(count)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.blocked = true;
                Ok(Writing::Blocked)
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(Writing::Wrote(0)),
            Err(e) if e.raw_os_error() == Some(libc::EMSGSIZE) => Ok(Writing::TooLarge),
            // The network device's queue is full. No event reports room, so `blocked` stays unset
            // and the next turn retries.
            Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => Ok(Writing::Blocked),
            Err(e) => Err(e),
        }
    }

    /// The number of bytes that the peer has not acknowledged; 0 for files, after syncing them to
    /// disk, and for datagrams and pipes. An error if the connection has ended: the queue length of
    /// a connection that was reset means nothing.
    pub(super) fn measure(&mut self, now: Instant) -> io::Result<usize> {
        match &mut self.state {
            State::Open(Channel::Tcp(stream)) => {
                let left = sys::unacknowledged(stream.as_fd())?;
                stream.take_error()?.map_or(Ok(left), Err)
            }
            State::Open(Channel::Tls(secured)) => secured.measure(now),
            State::Open(Channel::File(file)) => file.sync_data().map(|()| 0),
            _ => Ok(0),
        }
    }

    /// Reads what the receiver sends: the number of bytes, or `None` if there is nothing more now.
    /// An error means that the connection has ended.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let State::Open(channel) = &mut self.state else {
            return Ok(None);
        };
        let count = match channel {
            Channel::Tcp(s) => s.read(buffer),
            Channel::Tls(s) => s.read(buffer),
            Channel::Unix(s) => s.read(buffer),
            // A datagram socket is read for errors only, such as that nothing listens there.
            Channel::Udp(s) => s.recv(buffer).map(|_| 1),
            Channel::UnixDatagram(s) => s.recv(buffer).map(|_| 1),
            Channel::Pipe(_) | Channel::File(_) => return Ok(None),
        };
        match count {
            Ok(0) => Err(io::Error::other("the receiver closed the connection")),
            Ok(count) => Ok(Some(count)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(Some(0)),
            Err(e) => Err(e),
        }
    }

    /// Records what was written and received first, to explain an early end.
    pub(super) fn beginning(&mut self) -> &mut Beginning {
        &mut self.beginning
    }

    /// An explanation of why a plain TCP connection has ended, if it ended early.
    pub(super) fn explain(&self, now: Instant, error: &io::Error) -> Option<io::Error> {
        match (&self.settings.target, &self.connector) {
            (Target::Tcp { .. }, None) => self.beginning.explain(now, error),
            _ => None,
        }
    }

    /// Closes immediately, without an orderly end.
    pub(in crate::server) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Closes so that the receiver detects an orderly end.
    pub(in crate::server) fn finish_and_close(&mut self) {
        match &mut self.state {
            State::Open(Channel::Tls(secured)) => secured.finish(),
            State::Open(Channel::Tcp(s)) => drop(s.shutdown(std::net::Shutdown::Write)),
            State::Open(Channel::Unix(s)) => drop(s.shutdown(std::net::Shutdown::Write)),
            _ => {}
        }
        self.close();
    }
}

/// Detects a peer that has vanished: by data that it does not acknowledge, or by keep-alive probes
/// while nothing is sent.
fn notice_a_dead_peer(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(PEER_SILENCE))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PEER_SILENCE))
}
