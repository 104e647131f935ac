//! Listening sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::base::clock::Now;

/// Maximum number of connections waiting to be accepted; many hosts connect at once after
/// an outage.
const BACKLOG: i32 = 4096;
/// Idle time before keep-alive probes: without them, a host that was switched off would occupy its
/// connection until the idle timeout.
const KEEPALIVE: Duration = Duration::from_secs(600);
/// How long to pause accepting if there is no room, so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(200);

/// One listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    secure: bool,
    ready: bool,
    paused: Option<Instant>,
}

/// Binds and listens, even if connections of an earlier process are still in TIME_WAIT.
///
/// An IPv6 socket accepts IPv6 only, so that both families can be bound to the same port.
/// Connections to a `secure` listener use TLS. With `is_shared`, other processes of the same user
/// may listen on the same address.
pub fn bind(address: SocketAddr, secure: bool, is_shared: bool) -> io::Result<Listener> {
    let socket = bound(address, is_shared)?;
    socket.listen(BACKLOG)?;
    Listener::new(socket.into(), secure)
}

/// Whether [`bind`] would succeed, without listening.
///
/// # Errors
/// The error that [`bind`] would return.
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
    // Linux assigns each connection to one of the listening sockets (socket(7)).
    socket.set_reuse_port(is_shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Listener {
    /// Uses a socket that already listens and does not block. Its options are set once, because
    /// accepted connections inherit them.
    ///
    /// # Errors
    /// The options cannot be set.
    pub fn new(socket: std::net::TcpListener, secure: bool) -> io::Result<Self> {
        let options = SockRef::from(&socket);
        options.set_tcp_nodelay(true)?;
        options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        Ok(Self {
            socket: TcpListener::from_std(socket),
            secure,
            ready: true,
            paused: None,
        })
    }

    /// The address, with the port that the system chose for port 0.
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

    /// Whether there may be something to accept now.
    pub(in crate::server) fn is_ready(&self) -> bool {
        self.ready && self.paused.is_none()
    }

    /// When to resume accepting after there was no room.
    pub(in crate::server) fn resumes_at(&self) -> Option<Instant> {
        self.paused
    }

    /// Whether there may be something to accept; ends a pause that has passed.
    pub(super) fn may_accept(&mut self, now: Now) -> bool {
        if self.paused.is_some_and(|until| now.monotonic >= until) {
            self.paused = None;
        }
        self.is_ready()
    }

    /// Pauses accepting, because there is no room.
    pub(super) fn wait(&mut self, now: Now) {
        self.paused = Some(now.monotonic + PAUSE);
    }

    /// Accepts a connection; `None` if none is waiting. An IPv4-mapped address becomes IPv4.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_connections_have_the_options_of_their_listener() {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut listener = bind(address, false, false).unwrap();
        let address = listener.address().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap().unwrap();
        let options = SockRef::from(&accepted);
        assert!(options.tcp_nodelay().unwrap());
        assert!(options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_time().unwrap(), KEEPALIVE);
    }
}
