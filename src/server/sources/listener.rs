//! Listening sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::base::clock::Now;

/// Maximum number of connections waiting to be accepted; many hosts connect at once after
/// an outage.
const BACKLOG: i32 = 4096;
/// How long to accept nothing if there is no room: clients retry soon, and the loop does
/// not spin.
const PAUSE: Duration = Duration::from_millis(200);

/// One listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    secure: bool,
    ready: bool,
    paused: Option<Instant>,
}

/// Binds a socket, without waiting for the leftovers of an earlier run.
///
/// An IPv6 socket takes IPv6 only, so that both can be bound. What comes in on a
/// `secure` one is inside TLS. `is_shared`: other relays of the same user may listen there too.
pub fn bind(address: SocketAddr, secure: bool, is_shared: bool) -> io::Result<Listener> {
    let socket = bound(address, is_shared)?;
    socket.listen(BACKLOG)?;
    Ok(Listener::new(socket.into(), secure))
}

/// Whether [`bind`] would succeed; nothing listens for that.
///
/// # Errors
/// Why it would not.
pub fn try_bind(address: SocketAddr, is_shared: bool) -> io::Result<()> {
    bound(address, is_shared).map(drop)
}

fn bound(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    // Linux gives each connection to one of those that listen (socket(7)).
    socket.set_reuse_port(is_shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Listener {
    /// Takes over a socket that listens and does not block.
    #[must_use]
    pub fn new(socket: std::net::TcpListener, secure: bool) -> Self {
        Self {
            socket: TcpListener::from_std(socket),
            secure,
            ready: true,
            paused: None,
        }
    }

    /// The address, with the port that port 0 has become.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(in crate::server) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    pub(in crate::server) fn note_ready(&mut self) {
        self.ready = true;
    }

    /// Whether a turn without waiting would find something to accept.
    pub(in crate::server) fn is_ready(&self) -> bool {
        self.ready && self.paused.is_none()
    }

    /// When to resume accepting after there was no room.
    pub(in crate::server) fn resumes_at(&self) -> Option<Instant> {
        self.paused
    }

    /// Whether there may be something to accept, and it need not wait.
    pub(super) fn may_accept(&mut self, now: Now) -> bool {
        if self.paused.is_some_and(|until| now.monotonic >= until) {
            self.paused = None;
        }
        self.is_ready()
    }

    /// Lets connections wait for a moment: there is no room for them.
    pub(super) fn wait(&mut self, now: Now) {
        self.paused = Some(now.monotonic + PAUSE);
    }

    /// Accepts a connection, if there is one.
    pub(super) fn accept(&mut self) -> io::Result<Option<(TcpStream, IpAddr)>> {
        loop {
            match self.socket.accept() {
                Ok((stream, address)) => return Ok(Some((stream, address.ip().to_canonical()))),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = false;
                    return Ok(None);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
