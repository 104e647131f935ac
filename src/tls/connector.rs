//! TLS to receivers (RFC 5425): the handshake, records, and which of the written bytes the
//! receiver's TCP has acknowledged.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use openssl::ssl::{HandshakeError, MidHandshakeSslStream, SslConnector, SslStream};

use crate::output::Tls;
use crate::system::sys;
use crate::tls::explain::explain;
use crate::tls::fault::Fault;

/// Maximum number of bytes in one TLS record (RFC 8446 5.1); one is written at a time.
const RECORD: usize = 16 * 1024;
/// Number of sealed bytes waiting for the socket above which nothing more is read, so that
/// what the receiver makes this side answer cannot pile up.
const PENDING_MAX: usize = 64 * 1024;
/// With TLS 1.3 the receiver validates the client certificate, or its absence, after the
/// client's handshake is complete. So nothing counts as acknowledged until the receiver has
/// had this time to object, or has sent more than an alert.
const SETTLING: Duration = Duration::from_secs(1);
/// Larger than the record of an alert, and smaller than that of a session ticket, in bytes.
const ALERT_MAX: usize = 64;

/// Opens TLS connections to one receiver.
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

/// Progress of a handshake.
#[derive(Debug)]
pub(crate) enum Progress {
    Pending(Handshake),
    Done(Secured),
}

/// A handshake in progress.
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

    /// Sets the receiver's name, which its certificate must have.
    pub(crate) fn name_receiver(&mut self, name: &str) {
        // A zone matters only for the connection; certificates have none.
        let name = name.split_once('%').map_or(name, |(address, _)| address);
        name.clone_into(&mut self.name);
    }

    /// Starts a handshake on an open connection.
    pub(crate) fn connect(&self, now: Instant, stream: TcpStream) -> io::Result<Progress> {
        let result = self.tls.connect(&self.name, Wire::new(stream));
        progress(now, result, self.name.clone())
    }
}

impl Handshake {
    /// Continues when the socket is ready.
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

/// A TLS connection.
#[derive(Debug)]
pub(crate) struct Secured {
    stream: SslStream<Wire>,
    name: String,
    /// Number of plain bytes that have been sealed.
    plain: u64,
    /// Number of plain bytes acknowledged by the receiver's TCP.
    acknowledged: u64,
    /// For each record, the totals of sealed and plain bytes after it.
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

    /// Seals and writes the front of `bytes`. What has been sealed is kept here until the
    /// socket accepts it, so the caller may offer something else after
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

    /// The same for the front of `parts`, of which as many as fit share a record.
    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match parts {
            [] => Ok(0),
            [first, rest @ ..] if rest.is_empty() || first.len() >= RECORD => self.write(first),
            _ if !self.send()? => Err(ErrorKind::WouldBlock.into()),
            _ => self.write(&front(parts, RECORD)),
        }
    }

    /// Writes what waits for the socket; returns whether nothing waits any more.
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

    /// Number of plain bytes that the receiver's TCP has not acknowledged.
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

    /// Sends close_notify (RFC 5425 4.4).
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

/// The socket below TLS. It accepts everything that is sealed, so that OpenSSL never keeps
/// half a record for which it would need the same bytes again.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    outgoing: Vec<u8>,
    /// Number of bytes of `outgoing` that have been written.
    written: usize,
    /// Number of bytes received from TLS.
    sealed: u64,
    /// Number of bytes read since the handshake.
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

    /// Writes what is pending; returns whether nothing is left.
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

/// The first `most` bytes of `parts`.
fn front(parts: &[IoSlice<'_>], most: usize) -> Vec<u8> {
    let mut front = Vec::with_capacity(most);
    for part in parts {
        let room = most.saturating_sub(front.len());
        front.extend_from_slice(part.get(..room).unwrap_or(part));
        if part.len() >= room {
            break;
        }
    }
    front
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_a_record_as_far_as_it_goes() {
        let first = |lengths: &[usize]| {
            let parts: Vec<_> = (1..).zip(lengths).map(|(n, len)| vec![n; *len]).collect();
            let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let front = front(&slices, RECORD);
            assert!(parts.concat().starts_with(&front));
            front.len()
        };
        assert_eq!(first(&[]), 0);
        assert_eq!(first(&[10, 0, 20]), 30);
        assert_eq!(first(&[RECORD - 10, 10]), RECORD);
        assert_eq!(first(&[RECORD - 10, 10, 1]), RECORD);
        assert_eq!(first(&[RECORD - 10, 11, 1]), RECORD);
        assert_eq!(first(&[10, 2 * RECORD, 1]), RECORD);
    }
}
