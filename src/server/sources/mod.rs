//! The connections of sources.

pub(crate) mod accepting;
pub(crate) mod listener;
mod stream;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::IpAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::collector::{Collector, ConnId, Input};
use crate::connection::RefusalKind;
use crate::server::SOURCES;
use crate::server::sources::stream::{Buffers, Reading, Stream};
use crate::tls;

/// Maximum number of bytes to read from one source before the others have their turn.
const READ_SHARE: usize = 256 << 10;

#[derive(Debug)]
struct Socket {
    stream: Stream,
    /// A PROXY header must come before anything else.
    awaits_proxy: bool,
    /// There may be something to read: no read since the last event has emptied the socket.
    readable: bool,
    /// The peer has closed its side: read until the end, since no further event will come.
    ended: bool,
    /// It is in the queue of sockets to read.
    queued: bool,
    shut_down: bool,
}

/// The connections of all sources, and which of them may have something to read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Boxed, since a hash table reserves up to twice as many places as it has entries.
    sockets: QuickMap<ConnId, Box<Socket>>,
    ready: VecDeque<ConnId>,
    next: u64,
    buffers: Buffers,
}

impl Sources {
    /// Whether some source may have something to read.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds an accepted connection; with an acceptor, it starts with a TLS handshake.
    pub(super) fn take_in(
        &mut self,
        now: Now,
        registry: &Registry,
        collector: &mut Collector,
        (stream, address): (TcpStream, IpAddr),
        tls: Option<&mut tls::Acceptor>,
    ) {
        let has_handshake = tls.is_some();
        let Some(id) = self.insert(now, registry, stream, tls) else {
            return;
        };
        collector.handle(now, &Input::Accepted(id, address));
        if has_handshake {
            collector.expect_handshake(now, id);
        }
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.awaits_proxy = collector.awaits_proxy(id);
        }
    }

    fn insert(
        &mut self,
        now: Now,
        registry: &Registry,
        mut stream: TcpStream,
        tls: Option<&mut tls::Acceptor>,
    ) -> Option<ConnId> {
        let id = ConnId(self.next);
        let token = Token(usize::try_from(self.next).ok()?.checked_add(SOURCES)?);
        self.next += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = registry.register(&mut stream, token, interest);
        let stream = registered.and_then(|()| match tls {
            Some(acceptor) => Stream::tls(now, stream, acceptor),
            None => Ok(Stream::Plain(stream)),
        });
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                log::debug!("a connection ended before it was accepted: {error}");
                return None;
            }
        };
        let socket = Socket {
            stream,
            awaits_proxy: false,
            readable: false,
            ended: false,
            queued: false,
            shut_down: false,
        };
        self.sockets.insert(id, Box::new(socket));
        Some(id)
    }

    pub(super) fn note_event(&mut self, number: usize, event: &mio::event::Event) {
        let Ok(number) = u64::try_from(number) else {
            return;
        };
        let id = ConnId(number);
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.ended |= event.is_read_closed() || event.is_error();
        let unblocked = event.is_writable() && socket.stream.reads_by_writing();
        socket.readable |= event.is_readable() || unblocked || socket.ended;
        self.queue(id);
    }

    /// Queues a source to be read (and written, if there is something to write).
    fn queue(&mut self, id: ConnId) {
        if let Some(socket) = self.sockets.get_mut(&id)
            && !socket.queued
        {
            socket.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Reads from every queued source once, until the collector stops reading.
    pub(super) fn read_ready(&mut self, now: Now, collector: &mut Collector) {
        for _ in 0..self.ready.len() {
            if !collector.is_reading(now) {
                return;
            }
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            let Some(socket) = self.sockets.get_mut(&id) else {
                continue;
            };
            socket.queued = false;
            self.send(now, id, collector);
            if collector.wants_input(id) {
                self.read(now, id, collector);
            }
        }
    }

    /// Reads from a source, up to its share, until the collector needs no more input from it.
    fn read(&mut self, now: Now, id: ConnId, collector: &mut Collector) {
        let mut share = READ_SHARE;
        while share > 0 && collector.wants_input(id) {
            match self.read_chunk(now, id, collector) {
                Some(count) => share = share.saturating_sub(count),
                None => return,
            }
        }
        self.queue(id);
    }

    /// Reads a chunk. Returns the number of bytes, or `None` if nothing more can be read now.
    fn read_chunk(&mut self, now: Now, id: ConnId, collector: &mut Collector) -> Option<usize> {
        let socket = self.sockets.get_mut(&id)?;
        if !socket.readable {
            return None;
        }
        if socket.awaits_proxy {
            return self.read_proxy(now, id, collector);
        }
        match socket.stream.read(now, &mut self.buffers) {
            Ok(Reading::Bytes([])) => self.end(now, id, collector),
            Ok(Reading::Secured(secured)) => {
                collector.handle(now, &Input::Secured(id, &secured));
                return Some(0);
            }
            Ok(Reading::Refused(why)) => {
                let refused = Input::Refused(id, RefusalKind::Tls, &why);
                collector.handle(now, &refused);
                return Some(0);
            }
            Ok(Reading::Bytes(bytes)) => {
                let count = bytes.len();
                socket.readable = socket.ended || socket.stream.may_have_more(count);
                let more = socket.readable;
                collector.handle(now, &Input::Received(id, bytes));
                return more.then_some(count);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => socket.readable = false,
            Err(e) if e.kind() == ErrorKind::Interrupted => return Some(0),
            Err(_) => self.end(now, id, collector),
        }
        None
    }

    /// Reads the PROXY header if all of it has arrived; returns as [`Self::read_chunk`] does.
    fn read_proxy(&mut self, now: Now, id: ConnId, collector: &mut Collector) -> Option<usize> {
        let socket = self.sockets.get_mut(&id)?;
        match socket.stream.read_proxy() {
            Ok(Ok(Some(header))) => {
                socket.awaits_proxy = false;
                collector.handle(now, &Input::Proxied(id, header.source));
                return Some(header.size);
            }
            Ok(Ok(None)) if socket.ended => self.end(now, id, collector),
            Ok(Ok(None)) => socket.readable = false,
            Ok(Err(error)) => {
                self.sockets.remove(&id);
                let why = error.to_string();
                collector.handle(now, &Input::Refused(id, RefusalKind::Proxy, &why));
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => socket.readable = false,
            Err(e) if e.kind() == ErrorKind::Interrupted => return Some(0),
            Err(_) => self.end(now, id, collector),
        }
        None
    }

    fn end(&mut self, now: Now, id: ConnId, collector: &mut Collector) {
        self.sockets.remove(&id);
        collector.handle(now, &Input::Ended(id));
    }

    /// Writes the collector's bytes for a source, as far as there is room.
    pub(super) fn send(&mut self, now: Now, id: ConnId, collector: &mut Collector) {
        if collector.outgoing(id).is_empty() {
            return;
        }
        loop {
            let bytes = collector.outgoing(id);
            if bytes.is_empty() {
                break;
            }
            let Some(socket) = self.sockets.get_mut(&id) else {
                return;
            };
            match socket.stream.write(bytes) {
                Ok(count) => collector.handle(now, &Input::Sent(id, count)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.end(now, id, collector),
            }
        }
        // An answer was sent: what the source sent in the meantime may be read now.
        if self.sockets.get(&id).is_some_and(|socket| socket.readable) {
            self.queue(id);
        }
    }

    /// Closes the sending side.
    pub(super) fn shut_down(&mut self, id: ConnId) {
        if let Some(socket) = self.sockets.get_mut(&id)
            && !std::mem::replace(&mut socket.shut_down, true)
        {
            socket.stream.shut_down();
        }
    }

    /// Closes a connection that the collector has removed.
    pub(super) fn remove(&mut self, id: ConnId) {
        self.sockets.remove(&id);
    }
}
