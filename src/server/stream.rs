//! A source's connection, plain or inside TLS: would-block and the handshake are
//! handled here, the callers only read and write.

use crate::auth::Secured;
use crate::tls;
use mio::net::TcpStream;
use openssl::ssl::{ErrorCode, SslStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;

/// A connection that gives bytes in clear.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// TLS over a socket, and whether its handshake is done.
#[derive(Debug)]
pub(super) struct Tls {
    stream: SslStream<TcpStream>,
    acceptor: Rc<tls::Acceptor>,
    established: bool,
}

/// What reading came to.
#[derive(Debug)]
pub(super) enum Reading {
    /// That many bytes; none is the end.
    Bytes(usize),
    /// The handshake is done; there may be more to read.
    Secured(Secured),
    /// The handshake failed, and why.
    Refused(String),
}

impl Stream {
    /// The server's side of TLS on a new connection.
    pub(super) fn tls(socket: TcpStream, acceptor: &Rc<tls::Acceptor>) -> io::Result<Self> {
        let stream = SslStream::new(acceptor.start()?, socket)?;
        Ok(Self::Tls(Box::new(Tls {
            acceptor: Rc::clone(acceptor),
            stream,
            established: false,
        })))
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.stream.get_ref(),
        }
    }

    /// Whether there may be bytes to read that the socket no longer has.
    pub(super) fn holds_bytes(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Reading> {
        match self {
            Self::Plain(socket) => socket.read(buffer).map(Reading::Bytes),
            Self::Tls(tls) if tls.established => tls.read(buffer).map(Reading::Bytes),
            Self::Tls(tls) => tls.shake_hands(),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.stream.ssl_write(bytes).or_else(would_block),
        }
    }

    /// Ends the sending side.
    pub(super) fn shut_down(&mut self) {
        if let Self::Tls(tls) = self {
            // close_notify, as far as there is room for it.
            let _ = tls.stream.shutdown();
        }
        // The peer may be gone already, which its end will tell.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream.ssl_read(buffer) {
            Ok(count) => Ok(count),
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(0),
            Err(error) => would_block(error),
        }
    }

    fn shake_hands(&mut self) -> io::Result<Reading> {
        if let Err(error) = self.stream.accept() {
            return match error.code() {
                ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => Err(ErrorKind::WouldBlock.into()),
                ErrorCode::SYSCALL => Ok(Reading::Refused("TLS handshake: the client left".into())),
                _ => Ok(Reading::Refused(
                    self.acceptor.failure(self.stream.ssl(), &error),
                )),
            };
        }
        self.established = true;
        Ok(match tls::client(self.stream.ssl()) {
            Ok(secured) => Reading::Secured(secured),
            Err(why) => Reading::Refused(why),
        })
    }
}

fn would_block(error: openssl::ssl::Error) -> io::Result<usize> {
    match error.code() {
        ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => Err(ErrorKind::WouldBlock.into()),
        _ => Err(error.into_io_error().unwrap_or_else(io::Error::other)),
    }
}
