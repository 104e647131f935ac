//! A source's connection, plain or inside TLS: would-block and the handshake are
//! handled here, the callers only read and write.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use openssl::ssl::{ErrorCode, ShutdownState, SslStream};

use crate::auth::Secured;
use crate::base::clock::Now;
use crate::protocol::proxy;
use crate::tls::{self, Acceptor};

/// A connection that gives bytes in clear.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// TLS over a socket.
#[derive(Debug)]
pub(super) struct Tls {
    stream: SslStream<Wire>,
    /// The handshake is done.
    established: bool,
    /// It failed: what still comes is no TLS to us.
    failed: bool,
    /// The last read ended before the socket was empty.
    more: bool,
}

/// Most bytes taken from a socket at once: more would not stay in the processor's cache.
const CHUNK: usize = 64 << 10;
/// Most bytes in clear that one record holds (RFC 8446 5.1).
const RECORD: usize = 16 << 10;

/// What connections read into, one at a time.
#[derive(Debug)]
pub(super) struct Buffers {
    /// As it comes from a socket that TLS is on.
    sealed: Box<[u8]>,
    /// In clear: has room for all records that end within a chunk.
    clear: Box<[u8]>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            sealed: vec![0; CHUNK].into_boxed_slice(),
            clear: vec![0; CHUNK + RECORD].into_boxed_slice(),
        }
    }
}

/// What reading came to.
#[derive(Debug)]
pub(super) enum Reading<'a> {
    /// These; none is the end.
    Bytes(&'a [u8]),
    /// The handshake is done; there may be more to read.
    Secured(Secured),
    /// The handshake failed, and why.
    Refused(String),
}

impl Stream {
    /// The server's side of TLS on a new connection.
    pub(super) fn tls(now: Now, socket: TcpStream, acceptor: &mut Acceptor) -> io::Result<Self> {
        let wire = Wire {
            socket,
            lent: None,
            is_heard: false,
        };
        let stream = SslStream::new(acceptor.start(now.wall).map_err(io::Error::other)?, wire)?;
        Ok(Self::Tls(Box::new(Tls {
            stream,
            established: false,
            failed: false,
            more: true,
        })))
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.stream.get_ref().socket,
        }
    }

    /// Whether the last read, of so many bytes, may have left something to read. One
    /// that gave less than it could has emptied the socket (epoll(7)).
    pub(super) fn may_have_more(&self, count: usize) -> bool {
        match self {
            Self::Plain(_) => count == CHUNK + RECORD,
            Self::Tls(tls) => tls.more,
        }
    }

    /// Whether reading may wait for room to write, as records answer records.
    pub(super) fn reads_by_writing(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Takes a PROXY header off the socket, below TLS; `None` while it is not there as a
    /// whole. Till then the socket keeps it, so that nothing behind it is taken along.
    pub(super) fn read_proxy(&self) -> io::Result<Result<Option<proxy::Header>, proxy::Error>> {
        let mut socket = self.socket();
        let mut seen = [0; proxy::MAX_HEADER];
        let count = socket.peek(&mut seen)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let parsed = proxy::Header::parse(seen.get(..count).unwrap_or_default());
        if let Ok(Some(header)) = &parsed {
            let taken = seen.get_mut(..header.size).unwrap_or_default();
            socket.read_exact(taken)?;
        }
        Ok(parsed)
    }

    /// Reads what is there, up to a chunk.
    pub(super) fn read<'a>(
        &mut self,
        now: Now,
        buffers: &'a mut Buffers,
    ) -> io::Result<Reading<'a>> {
        let count = match self {
            Self::Plain(socket) => socket.read(&mut buffers.clear)?,
            Self::Tls(tls) if tls.failed => tls.read_raw(buffers)?,
            Self::Tls(tls) if tls.established => tls.read(buffers)?,
            Self::Tls(tls) => return tls.shake_hands(now),
        };
        let clear = buffers.clear.get(..count).unwrap_or_default();
        Ok(Reading::Bytes(clear))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.stream.ssl_write(bytes).or_else(would_block),
        }
    }

    /// Ends the sending side.
    pub(super) fn shut_down(&mut self) {
        if let Self::Tls(tls) = self
            && !tls.failed
        {
            // close_notify, as far as there is room for it.
            let _ = tls.stream.shutdown();
        }
        // The peer may be gone already, which its end will tell.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Tls {
    /// Takes what comes after a handshake that failed, for nobody to look at.
    fn read_raw(&mut self, buffers: &mut Buffers) -> io::Result<usize> {
        self.more = true;
        self.stream.get_mut().socket.read(&mut buffers.clear)
    }

    /// Reads all records of a chunk: one by one, they would each cost a turn.
    fn read(&mut self, buffers: &mut Buffers) -> io::Result<usize> {
        self.stream.get_mut().lent = Some(Lent::new(&mut buffers.sealed));
        let opened = self.open(&mut buffers.clear);
        if let Some(lent) = self.stream.get_mut().lent.take() {
            self.more |= lent.end == lent.bytes.len();
            buffers.sealed = lent.bytes;
        }
        opened
    }

    /// Opens records as far as there are. An error after the first waits for the next call.
    fn open(&mut self, clear: &mut [u8]) -> io::Result<usize> {
        let mut opened = 0;
        self.more = true;
        while let Some(rest) = clear.get_mut(opened..).filter(|rest| !rest.is_empty()) {
            match self.stream.ssl_read(rest) {
                Ok(count) => opened += count,
                Err(error) => {
                    self.more = !is_waiting(&error);
                    return match error {
                        _ if opened > 0 => Ok(opened),
                        error if error.code() == ErrorCode::ZERO_RETURN => Ok(0),
                        error => would_block(error),
                    };
                }
            }
        }
        Ok(opened)
    }

    fn shake_hands(&mut self, now: Now) -> io::Result<Reading<'static>> {
        if let Err(error) = self.stream.accept() {
            if is_waiting(&error) {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.failed = true;
            return match error.code() {
                // A port scan, or a balancer that looks whether we listen.
                _ if !self.stream.get_ref().is_heard => Ok(Reading::Bytes(&[])),
                ErrorCode::SYSCALL => Ok(Reading::Refused(
                    "TLS handshake: the client disconnected".into(),
                )),
                _ => Ok(Reading::Refused(tls::failure(self.stream.ssl(), &error))),
            };
        }
        self.established = true;
        Ok(match tls::client(self.stream.ssl(), now.wall) {
            Ok(secured) => Reading::Secured(secured),
            Err(why) => Reading::Refused(why.to_string()),
        })
    }
}

impl Drop for Tls {
    /// Hosts leave without close_notify, and OpenSSL would then forget their session. It may
    /// be taken up all the same (RFC 5246 7.2.1); after an alert OpenSSL has forgotten it.
    fn drop(&mut self) {
        if self.established {
            self.stream
                .set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
        }
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

/// The socket below TLS. TLS asks for the five bytes of a record's head, then for its
/// rest: it gets both, and those of the records after it, from one system call.
#[derive(Debug)]
struct Wire {
    socket: TcpStream,
    /// For the time of a read; in the handshake there is none.
    lent: Option<Lent>,
    /// Something has come.
    is_heard: bool,
}

/// A buffer for one chunk from the socket. TLS takes all of it: what there is of an
/// incomplete record, it keeps.
#[derive(Debug)]
struct Lent {
    bytes: Box<[u8]>,
    /// How many bytes came, once the socket has been asked.
    end: usize,
    taken: usize,
    is_asked: bool,
}

impl Lent {
    fn new(buffer: &mut Box<[u8]>) -> Self {
        Self {
            bytes: std::mem::take(buffer),
            end: 0,
            taken: 0,
            is_asked: false,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(lent) = &mut self.lent else {
            let count = self.socket.read(buffer)?;
            self.is_heard |= count > 0;
            return Ok(count);
        };
        if !std::mem::replace(&mut lent.is_asked, true) {
            lent.end = self.socket.read(&mut lent.bytes)?;
            if lent.end == 0 {
                return Ok(0);
            }
        }
        match lent.bytes.get(lent.taken..lent.end) {
            Some(mut rest) if !rest.is_empty() => {
                let count = rest.read(buffer)?;
                lent.taken += count;
                Ok(count)
            }
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
