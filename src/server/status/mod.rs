//! The listener for monitoring: metrics, health, and status. It has limits of its own so that it
//! never slows the sources: few connections, small requests, short times, one response per
//! connection.

mod cache;
mod host_names;
mod page;
pub(crate) mod routes;
mod usage;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::base::clock::Now;
use crate::protocol::http::request::Decoder;
use crate::protocol::http::{Limits, Method, Request, Response};

/// Maximum number of connections; more wait in the listen queue.
const CONNECTIONS: usize = 16;
/// Time limit for a connection, from accepting it to the last byte of the response.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection that has sent no request keeps its place while others wait for one.
const GRACE: Duration = Duration::from_secs(1);
/// How long to pause accepting if the system has no descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// A scraper's request has some hundred bytes and no body.
const LIMITS: Limits = Limits {
    head: 8 << 10,
    body: 0,
    headers: 64,
};

/// A response; clients that request the same at the same time share its body.
#[derive(Debug)]
pub(super) struct Answer {
    /// The response without its body.
    pub(super) head: Response,
    pub(super) body: Rc<Vec<u8>>,
}

impl From<Response> for Answer {
    fn from(mut head: Response) -> Self {
        let body = Rc::new(std::mem::take(&mut head.body));
        Self { head, body }
    }
}

/// Returns the response to a request: its path, and the host name in it, if any.
pub(super) type Answering<'a> = &'a mut dyn FnMut(&str, Option<&str>) -> Answer;

/// The listener with its connections.
#[derive(Debug)]
pub(super) struct Status {
    socket: TcpListener,
    first: usize,
    connections: Vec<Option<Visitor>>,
    /// There may be a connection to accept.
    waiting: bool,
    /// The end of a pause in accepting, after the system had no descriptors.
    paused: Option<Instant>,
}

#[derive(Debug)]
struct Visitor {
    stream: TcpStream,
    decoder: Decoder,
    head: Vec<u8>,
    body: Rc<Vec<u8>>,
    /// Number of bytes of head and body that are written.
    written: usize,
    answered: bool,
    until: Instant,
    /// An event has come since the last turn of this connection.
    ready: bool,
}

/// Binds the address, and listens without blocking.
pub fn bind_status(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Status {
    /// Registers the listener with the token `first`; those of its connections follow.
    pub(super) fn new(
        socket: std::net::TcpListener,
        registry: &Registry,
        first: usize,
    ) -> io::Result<Self> {
        let mut socket = TcpListener::from_std(socket);
        registry.register(&mut socket, Token(first), Interest::READABLE)?;
        let mut connections = Vec::new();
        connections.resize_with(CONNECTIONS, || None);
        Ok(Self {
            socket,
            first,
            connections,
            waiting: true,
            paused: None,
        })
    }

    /// Maximum number of connections.
    pub(super) fn places(&self) -> usize {
        self.connections.len()
    }

    /// Whether a token belongs to the listener or one of its connections.
    pub(super) fn owns(&self, token: usize) -> bool {
        (self.first..=self.first + CONNECTIONS).contains(&token)
    }

    pub(super) fn note_event(&mut self, token: usize) {
        match token.checked_sub(self.first + 1) {
            None => self.waiting = true,
            Some(index) => {
                if let Some(Some(visitor)) = self.connections.get_mut(index) {
                    visitor.ready = true;
                }
            }
        }
    }

    /// When to call [`Status::serve`] even without events.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let visitors = self.connections.iter().flatten();
        let ends = visitors.map(|visitor| visitor.until);
        let crowded = self.waiting && self.paused.is_none();
        let grace = self.oldest_silent().filter(|_| crowded);
        let grace = grace.map(|visitor| visitor.until - PATIENCE + GRACE);
        ends.chain(grace).chain(self.paused).min()
    }

    /// The oldest of the connections that have sent no request.
    fn oldest_silent(&self) -> Option<&Visitor> {
        let visitors = self.connections.iter().flatten();
        let silent = visitors.filter(|visitor| !visitor.answered);
        silent.min_by_key(|visitor| visitor.until)
    }

    /// If all places are taken, closes the oldest connection without a request, unless it is
    /// younger than [`GRACE`].
    fn make_room(&mut self, now: Now) {
        let is_full = self.connections.iter().all(Option::is_some);
        let oldest = self.oldest_silent().map(|visitor| visitor.until);
        let oldest = oldest.filter(|until| *until <= now.monotonic + PATIENCE - GRACE);
        if let Some(until) = oldest.filter(|_| is_full)
            && let Some(place) = self.connections.iter_mut().find(|place| {
                let silent = place.as_ref().filter(|visitor| !visitor.answered);
                silent.is_some_and(|visitor| visitor.until == until)
            })
        {
            *place = None;
        }
    }

    /// Reads from, responds to, and closes connections, and accepts new ones.
    pub(super) fn serve(&mut self, now: Now, registry: &Registry, answer: Answering<'_>) {
        for visitor in &mut self.connections {
            let done = match visitor {
                Some(visitor) if now.monotonic >= visitor.until => true,
                Some(visitor) if visitor.ready => visitor.turn(now, answer).unwrap_or(true),
                _ => continue,
            };
            if done {
                *visitor = None;
                // A connection may be waiting because all places were taken.
                self.waiting = true;
            }
        }
        if self.paused.is_some_and(|until| now.monotonic >= until) {
            self.paused = None;
        }
        while self.waiting && self.paused.is_none() {
            self.make_room(now);
            if self.connections.iter().all(Option::is_some) {
                return;
            }
            self.accept(now, registry);
        }
    }

    fn accept(&mut self, now: Now, registry: &Registry) {
        let mut stream = match self.socket.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.waiting = false;
                return;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => return,
            Err(_) => {
                // No event reports that descriptors are available again.
                self.paused = Some(now.monotonic + PAUSE);
                return;
            }
        };
        let Some(index) = self.connections.iter().position(Option::is_none) else {
            return;
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(self.first + 1 + index);
        if registry.register(&mut stream, token, interest).is_ok()
            && let Some(place) = self.connections.get_mut(index)
        {
            *place = Some(Visitor {
                stream,
                decoder: Decoder::new(LIMITS),
                head: Vec::new(),
                body: Rc::default(),
                written: 0,
                answered: false,
                until: now.monotonic + PATIENCE,
                ready: false,
            });
        }
    }
}

impl Visitor {
    /// Does what is possible now; returns whether the connection is done.
    fn turn(&mut self, now: Now, answer: Answering<'_>) -> io::Result<bool> {
        if !self.answered && self.read(now, answer)? {
            return Ok(true);
        }
        loop {
            let rest = match self.written.checked_sub(self.head.len()) {
                None => self.head.get(self.written..),
                Some(written) => self.body.get(written..),
            };
            let rest = rest.unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.stream.write(rest) {
                Ok(count) => self.written += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(self.pause()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !self.answered {
            return Ok(self.pause());
        }
        // The client closes after reading everything; closing first could discard unread data.
        self.stream.shutdown(std::net::Shutdown::Write)?;
        Ok(true)
    }

    fn pause(&mut self) -> bool {
        self.ready = false;
        false
    }

    /// Reads the request and prepares its response; returns whether the client has disconnected.
    fn read(&mut self, now: Now, answer: Answering<'_>) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            let count = match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.decoder.feed(buffer.get(..count).unwrap_or_default());
            let (answer, is_head) = match self.decoder.poll() {
                Ok(None) => continue,
                Ok(Some(request)) => respond(&request, answer),
                Err(error) => (Response::empty(error.status()).into(), false),
            };
            let Answer { head, body } = answer;
            head.encode_head(now.wall, body.len(), false, &mut self.head);
            if !is_head {
                self.body = body;
            }
            self.answered = true;
            return Ok(false);
        }
    }
}

fn respond(request: &Request, answer: Answering<'_>) -> (Answer, bool) {
    let head = &request.head;
    let (host, path) = head.host_and_path();
    let host = host.or_else(|| head.header("Host"));
    match head.method {
        Method::Get => (answer(path, host), false),
        Method::Head => (answer(path, host), true),
        _ => {
            let head = Response::empty(405).header("Allow", "GET, HEAD");
            (head.into(), false)
        }
    }
}
