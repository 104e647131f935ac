//! TLS towards receivers (RFC 5425): the handshake, records, and which of the written
//! bytes the receiver's TCP has acknowledged.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use openssl::ssl::{HandshakeError, MidHandshakeSslStream, SslConnector, SslStream};

use crate::output::Tls;
use crate::system::sys;
use crate::tls::explain::explain;
use crate::tls::fault::Fault;

/// Most bytes in one TLS record (RFC 8446 5.1): one is written at a time.
const RECORD: usize = 16 * 1024;
/// Sealed bytes that may wait for the socket before nothing more is read: what the
/// receiver makes us answer must not pile up.
const PENDING_MAX: usize = 64 * 1024;
/// With TLS 1.3 the receiver judges our certificate, or that we have none, after our
/// side of the handshake is done. So nothing counts as acknowledged until it had this
/// time to object, or has sent more than an alert.
const SETTLING: Duration = Duration::from_secs(1);
/// More than the record of an alert, less than that of a session ticket, in bytes.
const ALERT_MAX: usize = 64;

/// Makes secured connections to one receiver.
#[derive(Clone)]
pub struct Connector {
    tls: SslConnector,
    name: String,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connector").field(&self.name).finish()
    }
}

/// How far a handshake is.
#[derive(Debug)]
pub(crate) enum Progress {
    Pending(Handshake),
    Done(Secured),
}

/// A handshake under way.
#[derive(Debug)]
pub(crate) struct Handshake {
    stream: MidHandshakeSslStream<Wire>,
    name: String,
}

impl Connector {
    pub(crate) fn new(tls: SslConnector, settings: &Tls) -> Self {
        let name = settings.name.clone();
        Self { tls, name }
    }

    /// From now on it is for a receiver of this name.
    pub(crate) fn name_receiver(&mut self, name: &str) {
        // A zone is for the connection only; no certificate has one.
        let name = name.split_once('%').map_or(name, |(address, _)| address);
        name.clone_into(&mut self.name);
    }

    /// Begins a handshake on a connection that is there.
    pub(crate) fn connect(&self, now: Instant, stream: TcpStream) -> io::Result<Progress> {
        let result = self.tls.connect(&self.name, Wire::new(stream));
        progress(now, result, self.name.clone())
    }
}

impl Handshake {
    /// The socket has become ready.
    pub(crate) fn resume(mut self, now: Instant) -> io::Result<Progress> {
        self.stream.get_mut().send()?;
        progress(now, self.stream.handshake(), self.name)
    }
}

fn progress(
    now: Instant,
    result: Result<SslStream<Wire>, HandshakeError<Wire>>,
    name: String,
) -> io::Result<Progress> {
    match result {
        Ok(stream) => Secured::new(now, stream, name).map(Progress::Done),
        Err(HandshakeError::WouldBlock(mut stream)) => {
            stream.get_mut().send()?;
            Ok(Progress::Pending(Handshake { stream, name }))
        }
        Err(error) => {
            let fault = Fault::of_handshake(&error);
            Err(io::Error::other(explain(&fault, &name)))
        }
    }
}

/// A secured connection.
#[derive(Debug)]
pub(crate) struct Secured {
    stream: SslStream<Wire>,
    name: String,
    /// Bytes of ours that have been sealed.
    plain: u64,
    /// Up to which of them the receiver's TCP has acknowledged.
    acknowledged: u64,
    /// After each record: sealed bytes, and bytes of ours in them.
    marks: VecDeque<(u64, u64)>,
    settled_at: Instant,
    heard: bool,
}

impl Secured {
    fn new(now: Instant, mut stream: SslStream<Wire>, name: String) -> io::Result<Self> {
        let wire = stream.get_mut();
        wire.received = 0;
        wire.send()?;
        Ok(Self {
            stream,
            name,
            plain: 0,
            acknowledged: 0,
            marks: VecDeque::new(),
            settled_at: now + SETTLING,
            heard: false,
        })
    }

    /// Seals and writes the front of `bytes`. What was sealed once is kept here until the
    /// socket takes it, so that the caller may offer something else after a
    /// [`ErrorKind::WouldBlock`].
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.send()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let part = bytes.get(..RECORD).unwrap_or(bytes);
        let count = self.stream.write(part).map_err(|e| self.explained(e))?;
        self.plain += u64::try_from(count).unwrap_or(0);
        self.marks.push_back((self.wire().sealed, self.plain));
        Ok(count)
    }

    /// Writes what waits for the socket; answers whether nothing waits any more.
    pub(crate) fn send(&mut self) -> io::Result<bool> {
        self.stream.get_mut().send()
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.wire().pending().len() > PENDING_MAX {
            return Err(ErrorKind::WouldBlock.into());
        }
        let result = self.stream.read(buffer);
        self.send()?;
        let failed = match &result {
            Ok(count) => *count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        self.heard |= !failed && self.wire().received > ALERT_MAX;
        result.map_err(|error| self.explained(error))
    }

    /// Bytes of ours that the receiver's TCP has not acknowledged.
    pub(crate) fn measure(&mut self, now: Instant) -> io::Result<usize> {
        let socket = &self.wire().stream;
        let left = sys::unacknowledged(socket.as_fd())? + self.wire().pending().len();
        if let Some(error) = self.wire().stream.take_error()? {
            return Err(error);
        }
        if self.heard || now >= self.settled_at {
            let left = u64::try_from(left).unwrap_or(u64::MAX);
            let sealed = self.wire().sealed.saturating_sub(left);
            while let Some(&(mark, plain)) = self.marks.front()
                && mark <= sealed
            {
                self.acknowledged = plain;
                self.marks.pop_front();
            }
        }
        Ok(usize::try_from(self.plain - self.acknowledged).unwrap_or(usize::MAX))
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.wire().stream.as_fd()
    }

    /// Tells the receiver that this is the end (close_notify, RFC 5425 4.4).
    pub(crate) fn finish(&mut self) {
        if let Err(error) = self.stream.shutdown() {
            log::debug!("TLS was not closed properly: {error}");
        }
        if let Err(error) = self.send() {
            log::debug!("the TLS close_notify could not be sent: {error}");
        }
        let _ = self.wire().stream.shutdown(Shutdown::Write);
    }

    fn wire(&self) -> &Wire {
        self.stream.get_ref()
    }

    fn explained(&self, error: io::Error) -> io::Error {
        match Fault::of_stream(&error) {
            Some(fault) => io::Error::new(error.kind(), explain(&fault, &self.name)),
            None => error,
        }
    }
}

/// The socket below TLS. It takes all that is sealed, so that TLS never has half a
/// record left of which it would want the same bytes again.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that are written.
    written: usize,
    /// All bytes that came from above.
    sealed: u64,
    /// Bytes read since the handshake.
    received: usize,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            outgoing: Vec::new(),
            written: 0,
            sealed: 0,
            received: 0,
        }
    }

    fn pending(&self) -> &[u8] {
        self.outgoing.get(self.written..).unwrap_or_default()
    }

    /// Writes what is pending; answers whether nothing is any more.
    fn send(&mut self) -> io::Result<bool> {
        while self.written < self.outgoing.len() {
            let rest = self.outgoing.get(self.written..).unwrap_or_default();
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Ok(true)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        self.sealed += u64::try_from(bytes.len()).unwrap_or(0);
        self.send()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.received = self.received.saturating_add(count);
        Ok(count)
    }
}
