//! A source's connection, plain or with TLS. Handles the handshake and the states of OpenSSL, so
//! that callers only read and write.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use openssl::ssl::{ErrorCode, ShutdownState, SslStream};

use crate::auth::Secured;
use crate::base::clock::Now;
use crate::protocol::proxy;
use crate::tls::{self, Acceptor};

/// A connection that yields plaintext.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// TLS over a socket.
#[derive(Debug)]
pub(super) struct Tls {
    stream: SslStream<Wire>,
    /// The handshake is complete.
    established: bool,
    /// The handshake failed; what follows is read without TLS, and discarded.
    failed: bool,
    /// The last read may have left bytes in the socket or in OpenSSL.
    more: bool,
}

/// Maximum number of bytes to read from a socket at once; more would not stay in the processor's
/// cache.
const CHUNK: usize = 64 << 10;
/// Maximum number of bytes of plaintext in a TLS record (RFC 8446 5.1).
const RECORD: usize = 16 << 10;

/// Buffers for reading, shared by all connections, of which one is read at a time.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Bytes of TLS records, as read from the socket.
    sealed: Box<[u8]>,
    /// Plaintext, with room for all records that end within a chunk.
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

/// The result of reading.
#[derive(Debug)]
pub(super) enum Reading<'a> {
    /// Plaintext; empty at the end of the connection.
    Bytes(&'a [u8]),
    /// The handshake is complete; there may be more to read.
    Secured(Secured),
    /// The handshake failed, for this reason.
    Refused(String),
}

impl Stream {
    /// Starts the server's side of TLS on a new connection.
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

    /// Whether the last read, which returned `count` bytes, may have left something to read. A read
    /// that did not fill its buffer has emptied the socket (epoll(7)).
    pub(super) fn may_have_more(&self, count: usize) -> bool {
        match self {
            Self::Plain(_) => count == CHUNK + RECORD,
            Self::Tls(tls) => tls.more,
        }
    }

    /// Whether reading may have to wait for room to write, as in TLS handshakes.
    pub(super) fn reads_by_writing(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Reads a PROXY header from the socket, below TLS; `None` until all of it has arrived. The
    /// header is peeked at until then, so that nothing after it is read.
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

    /// Reads what is available, up to a chunk. `WouldBlock` if there is nothing now.
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

    /// Closes the sending side.
    pub(super) fn shut_down(&mut self) {
        if let Self::Tls(tls) = self
            && !tls.failed
        {
            // Sends close_notify if there is room for it.
            let _ = tls.stream.shutdown();
        }
        // This fails if the peer has gone, which the next read reports.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Tls {
    /// Reads what follows a failed handshake; the collector discards it.
    fn read_raw(&mut self, buffers: &mut Buffers) -> io::Result<usize> {
        self.more = true;
        self.stream.get_mut().socket.read(&mut buffers.clear)
    }

    /// Reads all records of a chunk, since reading each of them separately would cost a turn.
    fn read(&mut self, buffers: &mut Buffers) -> io::Result<usize> {
        self.stream.get_mut().lent = Some(Lent::new(&mut buffers.sealed));
        let opened = self.open(&mut buffers.clear);
        if let Some(lent) = self.stream.get_mut().lent.take() {
            self.more |= lent.end == lent.bytes.len();
            buffers.sealed = lent.bytes;
        }
        opened
    }

    /// Decrypts records as long as there are any. An error after the first record is returned by
    /// the next call.
    fn open(&mut self, clear: &mut [u8]) -> io::Result<usize> {
        let mut opened = 0;
        self.more = true;
        while let Some(rest) = clear.get_mut(opened..).filter(|rest| !rest.is_empty()) {
            match self.stream.ssl_read(rest) {
                Ok(count) => {
                    opened += count;
                    if self.is_emptied() {
                        self.more = false;
                        break;
                    }
                }
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

    /// Whether OpenSSL has taken everything that was read from the socket, and returned all of it
    /// that it can decrypt; asking it once more would cost as much as a short record.
    fn is_emptied(&self) -> bool {
        let lent = self.stream.get_ref().lent.as_ref();
        lent.is_some_and(Lent::is_taken) && self.stream.ssl().pending() == 0
    }

    fn shake_hands(&mut self, now: Now) -> io::Result<Reading<'static>> {
        if let Err(error) = self.stream.accept() {
            if is_waiting(&error) {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.failed = true;
            return match error.code() {
                // A port scan, or a load balancer's health check.
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
    /// Hosts close connections without close_notify, and OpenSSL would then not resume their
    /// sessions, although that is allowed (RFC 5246 7.2.1). After a fatal alert, OpenSSL has
    /// already removed the session.
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

/// The socket below TLS. OpenSSL reads the five bytes of a record's header, then its body: this
/// gets both, and the records that follow, with one system call.
#[derive(Debug)]
struct Wire {
    socket: TcpStream,
    /// The buffer during a read; `None` during the handshake.
    lent: Option<Lent>,
    /// The peer has sent something.
    is_heard: bool,
}

/// A buffer for one chunk from the socket. OpenSSL takes all of it, and keeps the part of an
/// incomplete record.
#[derive(Debug)]
struct Lent {
    bytes: Box<[u8]>,
    /// Number of bytes read from the socket; valid once `is_asked` is set.
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

    fn is_taken(&self) -> bool {
        self.is_asked && self.taken == self.end
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
