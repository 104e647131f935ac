//! A source's connection, plain or inside TLS: would-block and the handshake are
//! handled here, the callers only read and write.

use crate::auth::Secured;
use crate::tls;
use mio::net::TcpStream;
use openssl::ssl::{ErrorCode, SslStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

/// A connection that gives bytes in clear.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// TLS over a socket.
#[derive(Debug)]
pub(super) struct Tls {
    stream: SslStream<TcpStream>,
    /// The handshake is done.
    established: bool,
    /// The last read ended before the socket was empty.
    more: bool,
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
    pub(super) fn tls(socket: TcpStream, acceptor: &tls::Acceptor) -> io::Result<Self> {
        let stream = SslStream::new(acceptor.start()?, socket)?;
        Ok(Self::Tls(Box::new(Tls {
            stream,
            established: false,
            more: true,
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
        matches!(self, Self::Tls(tls) if tls.more)
    }

    /// Whether reading may wait for room to write, as records answer records.
    pub(super) fn reads_by_writing(&self) -> bool {
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
    /// Fills the buffer with all records that are there: one by one, they would each
    /// cost a turn. An error after the first waits for the next call.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        self.more = true;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.stream.ssl_read(rest) {
                Ok(count) => filled += count,
                Err(error) => {
                    self.more = !is_waiting(&error);
                    return match error {
                        _ if filled > 0 => Ok(filled),
                        error if error.code() == ErrorCode::ZERO_RETURN => Ok(0),
                        error => would_block(error),
                    };
                }
            }
        }
        Ok(filled)
    }

    fn shake_hands(&mut self) -> io::Result<Reading> {
        if let Err(error) = self.stream.accept() {
            return match error.code() {
                _ if is_waiting(&error) => Err(ErrorKind::WouldBlock.into()),
                ErrorCode::SYSCALL => Ok(Reading::Refused("TLS handshake: the client left".into())),
                _ => Ok(Reading::Refused(tls::failure(self.stream.ssl(), &error))),
            };
        }
        self.established = true;
        Ok(match tls::client(self.stream.ssl()) {
            Ok(secured) => Reading::Secured(secured),
            Err(why) => Reading::Refused(why),
        })
    }
}

fn is_waiting(error: &openssl::ssl::Error) -> bool {
    matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE)
}

fn would_block(error: openssl::ssl::Error) -> io::Result<usize> {
    if is_waiting(&error) {
        return Err(ErrorKind::WouldBlock.into());
    }
    Err(error.into_io_error().unwrap_or_else(io::Error::other))
}
