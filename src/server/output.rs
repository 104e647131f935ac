//! The sockets and files of one output: open, write, measure, close.

use super::sys;
use crate::output::{Settings, Target};
use crate::resolver::Resolver;
use mio::event::Source;
use mio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::Duration;

/// How long a TCP peer may leave bytes unacknowledged, a closed window included,
/// before the connection counts as ended.
const PEER_SILENCE: Duration = Duration::from_secs(120);

/// An open output.
#[derive(Debug)]
enum Channel {
    Tcp(TcpStream),
    Unix(UnixStream),
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
    /// A pipe or terminal, non-blocking.
    Pipe(File),
    /// A regular file: always ready.
    File(File),
}

#[derive(Debug)]
enum State {
    Closed,
    Resolving,
    /// The connection under way, and the addresses to try after it.
    Connecting(TcpStream, Vec<SocketAddr>),
    Open(Channel),
}

/// What came of an attempt to open.
#[derive(Debug)]
pub(super) enum Opening {
    Done,
    Pending,
}

/// What came of writing.
#[derive(Debug)]
pub(super) enum Writing {
    /// That many bytes are written.
    Wrote(usize),
    /// No room now; an event will tell when there is.
    Blocked,
    /// The message is too large for the path and cannot ever be sent.
    TooLarge,
}

/// The effects of one output.
#[derive(Debug)]
pub(super) struct OutputSocket {
    index: usize,
    token: Token,
    settings: Settings,
    state: State,
    /// Whether the last write found no room.
    pub(super) blocked: bool,
}

impl OutputSocket {
    pub(super) fn new(index: usize, token: Token, settings: Settings) -> Self {
        Self {
            index,
            token,
            settings,
            state: State::Closed,
            blocked: false,
        }
    }

    pub(super) fn is_datagram(&self) -> bool {
        matches!(
            self.settings.target,
            Target::Udp { .. } | Target::Unix { stream: false, .. }
        )
    }

    pub(super) fn is_udp(&self) -> bool {
        matches!(self.settings.target, Target::Udp { .. })
    }

    /// The output's name for logs.
    pub(super) fn label(&self) -> &str {
        &self.settings.label
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.settings.target, Target::File { .. })
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self.settings.target, Target::Stdout)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Begins to open.
    pub(super) fn open(&mut self, registry: &Registry, resolver: &Resolver) -> io::Result<Opening> {
        self.close();
        self.blocked = false;
        let channel = match &self.settings.target {
            Target::Tcp { host, port } | Target::Udp { host, port } => {
                let (host, port) = (host.clone(), *port);
                let Ok(address) = host.parse::<IpAddr>() else {
                    resolver.ask(self.index, &host, port);
                    self.state = State::Resolving;
                    return Ok(Opening::Pending);
                };
                return self.connect(registry, vec![SocketAddr::new(address, port)]);
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
            Target::File { path, .. } => open_file(path)?,
            Target::Stdout => open_stdout()?,
        };
        self.finish(registry, channel)
    }

    /// The resolver has answered.
    pub(super) fn handle_resolved(
        &mut self,
        registry: &Registry,
        addresses: io::Result<Vec<SocketAddr>>,
    ) -> io::Result<Opening> {
        if !matches!(self.state, State::Resolving) {
            return Ok(Opening::Pending);
        }
        self.connect(registry, addresses?)
    }

    /// Tries the first address; the others are for [`OutputSocket::handle_connected`].
    fn connect(&mut self, registry: &Registry, addresses: Vec<SocketAddr>) -> io::Result<Opening> {
        let mut addresses = addresses.into_iter();
        let first = addresses.next();
        let first = first.ok_or_else(|| io::Error::other("the name has no address"))?;
        if matches!(self.settings.target, Target::Udp { .. }) {
            let any: IpAddr = match first {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(first)?;
            return self.finish(registry, Channel::Udp(socket));
        }
        let mut stream = TcpStream::connect(first)?;
        registry.register(
            &mut stream,
            self.token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.state = State::Connecting(stream, addresses.collect());
        Ok(Opening::Pending)
    }

    fn finish(&mut self, registry: &Registry, mut channel: Channel) -> io::Result<Opening> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match &mut channel {
            Channel::Tcp(s) => registry.register(s, self.token, interest)?,
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

    /// A connection under way has an event: it is there, not yet, or failed.
    pub(super) fn handle_connected(&mut self, registry: &Registry) -> io::Result<Opening> {
        let State::Connecting(stream, rest) = &mut self.state else {
            return Ok(Opening::Pending);
        };
        let failure = match stream.take_error()? {
            Some(error) => error,
            None => match stream.peer_addr() {
                Ok(_) => {
                    stream.set_nodelay(true)?;
                    notice_a_dead_peer(stream)?;
                    return self.promote();
                }
                Err(e) if e.kind() == ErrorKind::NotConnected => return Ok(Opening::Pending),
                Err(error) => error,
            },
        };
        let rest = std::mem::take(rest);
        self.state = State::Closed;
        if rest.is_empty() {
            Err(failure)
        } else {
            self.connect(registry, rest)
        }
    }

    fn promote(&mut self) -> io::Result<Opening> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Connecting(stream, _) => {
                self.state = State::Open(Channel::Tcp(stream));
                Ok(Opening::Done)
            }
            other => {
                self.state = other;
                Ok(Opening::Pending)
            }
        }
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(..))
    }

    /// Writes the front of `bytes`, or all of it as one datagram.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Writing> {
        let State::Open(channel) = &mut self.state else {
            return Ok(Writing::Blocked);
        };
        let result = match channel {
            Channel::Tcp(s) => s.write(bytes),
            Channel::Unix(s) => s.write(bytes),
            Channel::Udp(s) => s.send(bytes),
            Channel::UnixDatagram(s) => s.send(bytes),
            Channel::Pipe(f) | Channel::File(f) => f.write(bytes),
        };
        match result {
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero.into()),
            Ok(count) => Ok(Writing::Wrote(count)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.blocked = true;
                Ok(Writing::Blocked)
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(Writing::Wrote(0)),
            Err(e) if e.raw_os_error() == Some(libc::EMSGSIZE) => Ok(Writing::TooLarge),
            // A full queue of the device: room comes without an event, so try again at once later.
            Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => Ok(Writing::Blocked),
            Err(e) => Err(e),
        }
    }

    /// Bytes that the peer has not acknowledged, or an error when it has gone:
    /// what a connection that was reset tells of its queue is not to be believed.
    pub(super) fn measure(&mut self) -> io::Result<usize> {
        match &mut self.state {
            State::Open(Channel::Tcp(stream)) => {
                let left = sys::unacknowledged(stream.as_fd())?;
                stream.take_error()?.map_or(Ok(left), Err)
            }
            State::Open(Channel::File(file)) => file.sync_data().map(|()| 0),
            _ => Ok(0),
        }
    }

    /// Reads away what a receiver sends; an error says that the connection is gone.
    pub(super) fn handle_readable(&mut self) -> io::Result<()> {
        let State::Open(channel) = &mut self.state else {
            return Ok(());
        };
        let mut scrap = [0; 4096];
        loop {
            let count = match channel {
                Channel::Tcp(s) => s.read(&mut scrap),
                Channel::Unix(s) => s.read(&mut scrap),
                // An answer to a datagram can only be an error: nobody listens there.
                Channel::Udp(s) => s.recv(&mut scrap).map(|_| 1),
                Channel::UnixDatagram(s) => s.recv(&mut scrap).map(|_| 1),
                Channel::Pipe(_) | Channel::File(_) => return Ok(()),
            };
            match count {
                Ok(0) => return Err(io::Error::other("the receiver closed the connection")),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Closes at once.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Closes so that the receiver sees a proper end.
    pub(super) fn finish_and_close(&mut self) {
        match &self.state {
            State::Open(Channel::Tcp(s)) => drop(s.shutdown(std::net::Shutdown::Write)),
            State::Open(Channel::Unix(s)) => drop(s.shutdown(std::net::Shutdown::Write)),
            _ => {}
        }
        self.close();
    }
}

/// A peer that vanished without a word is noticed by what it no longer
/// acknowledges, or by keep-alive probes while nothing is sent.
fn notice_a_dead_peer(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(PEER_SILENCE))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PEER_SILENCE))
}

/// Opens for appending. A line that a full disk cut off is ended first, so that
/// the next one starts on its own.
fn open_file(path: &std::path::Path) -> io::Result<Channel> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .read(true)
        .append(true)
        .mode(0o640)
        .custom_flags(libc::O_NONBLOCK);
    let is_pipe = std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
    if is_pipe {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        return Ok(Channel::Pipe(file));
    }
    let mut file = options.open(path)?;
    if !file.metadata()?.file_type().is_file() {
        return Err(io::Error::other("neither a regular file nor a named pipe"));
    }
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(Channel::File(file))
}

/// Standard output. A pipe or terminal is opened anew, because `O_NONBLOCK` on the
/// one we were given would also hit whoever else has it.
fn open_stdout() -> io::Result<Channel> {
    let given = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let kind = given.metadata()?.file_type();
    if kind.is_file() || (kind.is_char_device() && !rustix::termios::isatty(&given)) {
        return Ok(Channel::File(given));
    }
    let mut options = OpenOptions::new();
    options
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    match options.open("/proc/self/fd/1") {
        Ok(file) => Ok(Channel::Pipe(file)),
        Err(_) => {
            rustix::io::ioctl_fionbio(&given, true)?;
            Ok(Channel::Pipe(given))
        }
    }
}
