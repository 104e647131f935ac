//! One source's connection: decode, authenticate, unseal; answer, seal. Sans-IO.
//!
//! Bytes go in by [`Connection::handle_received`]; [`Connection::poll`] turns
//! them into [`Event`]s one request at a time: the next request is not looked
//! at before the last is answered, because sealed messages have an order.
//! What cannot be let in is answered here; the caller only hears of it.
//! Authentication belongs to the connection (MS-WSMV 3.1.4.1), so it all ends with it.

mod ending;
mod exchange;
mod proxied;
mod refusal;
mod timing;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::auth::{self, Acceptor, Certificate, Identity, Secured, SecurityContext};
use crate::base::clock::Now;
use crate::base::wire::Charset;
use crate::protocol::http::multipart::Style;
use crate::protocol::http::request::{Decoder, Progress};
use crate::protocol::http::{self, Request, Response};
use crate::protocol::ntlm::Question;

pub use refusal::{Refusal, RefusalKind};

/// Bounds on what one connection may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one HTTP request.
    pub http: http::Limits,
    /// Bytes of a body after decompression.
    pub inflated: usize,
    /// Time for a request's head to arrive.
    pub head_time: Duration,
    /// Time without progress while an answer is written.
    pub stall_time: Duration,
    /// Time for a new connection to be authenticated.
    pub authentication_time: Duration,
    /// Time between two requests.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http: http::Limits::default(),
            inflated: 32 << 20,
            head_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(60),
            authentication_time: Duration::from_secs(30),
            // An hour past the longest heartbeat is set from the subscriptions.
            idle_time: Duration::from_secs(2 * 3600),
        }
    }
}

/// Bytes that a source may send ahead of an answer.
const AHEAD: usize = 64 << 10;

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who may come in.
    pub auth: auth::Policy,
    /// Whether bodies need not be sealed.
    pub allow_unencrypted: bool,
    /// Bounds.
    pub limits: Limits,
}

/// A SOAP message from an authenticated source; it has to be answered.
#[derive(Debug)]
pub struct Message {
    /// Path of the request.
    pub target: String,
    /// The `Host` header.
    pub host: Option<String>,
    /// The envelope.
    pub text: String,
    /// It is known to have no control character and none that XML forbids.
    pub is_plain: bool,
    /// When the source began to send it, as far as can be told: its own timeout counts
    /// from there.
    pub began: Instant,
}

/// What a connection has to say.
#[derive(Debug)]
pub enum Event {
    /// A message that waits for its [`Answer`].
    Message(Message),
    /// A domain has to be asked [`Connection::question`]; the request waits for
    /// [`Connection::handle_verdict`].
    Ask,
    /// A request was refused and has been answered.
    Refused(Refusal),
}

/// The answer to a [`Message`].
#[derive(Debug)]
pub enum Answer<'a> {
    /// An envelope with its HTTP status.
    Envelope(u16, &'a str),
    /// A status without a body.
    Empty(u16),
}

struct Established {
    identity: Rc<Identity>,
    /// What seals bodies; none where TLS does.
    context: Option<SecurityContext>,
    /// Inside TLS, bodies count without a seal.
    unsealed: bool,
}

/// How the request that is being answered was encoded: the answer takes the same form.
#[derive(Clone, Copy, Debug)]
struct Form {
    charset: Charset,
    sealed: Option<Style>,
    keep_alive: bool,
    is_head: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Takes requests.
    Open,
    /// A message waits for its answer.
    Answering(Form),
    /// A request waits for what the domain says of its account.
    Asking(Form),
    /// Closes when the last answer is written.
    Closing,
    /// The last answer is written; the peer should close.
    Lingering,
    /// To be closed now.
    Closed,
}

/// The server's side of one connection.
pub struct Connection {
    address: IpAddr,
    front: proxied::Front,
    decoder: Decoder,
    /// What the TLS handshake said, where there was one.
    secured: Option<Secured>,
    acceptor: Acceptor,
    established: Option<Established>,
    /// The identity is one that [`Connection::take_news`] has not told yet.
    is_news: bool,
    /// The request that waits in [`Phase::Asking`].
    held: Option<Box<Request>>,
    /// The last token of a handshake, which rides on the next answer.
    token: Option<String>,
    outgoing: Vec<u8>,
    written: usize,
    phase: Phase,
    failures: u8,
    opened: Instant,
    /// How long a source may take to be authenticated.
    patience: Duration,
    /// When a source has to be done with its body, or to have sent more of it.
    body_due: Instant,
    /// Up to when it was given time because we did not read.
    excused: Instant,
    /// Bytes thrown away after the end.
    dropped: usize,
    /// Since when bytes may have lain unread.
    unread_since: Option<Instant>,
    /// When the first byte came of the request that is read.
    request_began: Option<Instant>,
    /// The same for the request that is handled.
    handled_began: Instant,
    /// When the phase, or what is being read, last changed or moved.
    moved: Instant,
    /// When the first byte of a request's head came.
    head_began: Option<Instant>,
}

impl Connection {
    /// A connection just accepted from `address`.
    #[must_use]
    pub fn new(now: Now, address: IpAddr, limits: &Limits) -> Self {
        Self {
            address,
            front: proxied::Front::default(),
            decoder: Decoder::new(limits.http),
            secured: None,
            acceptor: Acceptor::new(),
            established: None,
            is_news: false,
            held: None,
            token: None,
            outgoing: Vec::new(),
            written: 0,
            phase: Phase::Open,
            failures: 0,
            opened: now.monotonic,
            patience: limits.authentication_time,
            body_due: now.monotonic + limits.authentication_time,
            excused: now.monotonic,
            dropped: 0,
            unread_since: None,
            request_began: None,
            handled_began: now.monotonic,
            moved: now.monotonic,
            head_began: None,
        }
    }

    /// Where the source connects from.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The TLS handshake is done: it comes before anything else. A certificate is
    /// all the authentication that is needed.
    pub fn secure(&mut self, now: Now, secured: Secured) {
        self.moved = now.monotonic;
        self.acceptor = Acceptor::within_tls(secured.bindings);
        if let Some(certificate) = &secured.certificate {
            let identity = Rc::new(Identity::from(certificate));
            self.is_news = true;
            self.established = Some(Established {
                identity,
                context: None,
                unsealed: true,
            });
        }
        self.secured = Some(secured);
    }

    /// Whether the connection is inside TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secured.is_some()
    }

    /// The client's certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.secured.as_ref()?.certificate.as_ref()
    }

    /// Who the source is, once it is authenticated.
    #[must_use]
    pub fn identity(&self) -> Option<&Rc<Identity>> {
        self.established.as_ref().map(|e| &e.identity)
    }

    /// Who the source is, once after each time that it was authenticated.
    pub fn take_news(&mut self) -> Option<Rc<Identity>> {
        let is_news = std::mem::take(&mut self.is_news);
        self.identity().filter(|_| is_news).cloned()
    }

    /// What a domain has to be asked before the source is let in.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        match self.phase {
            Phase::Asking(_) => self.acceptor.question(),
            _ => None,
        }
    }

    /// Bytes held for requests that are not complete, or whose source is not known.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |request| request.body.len());
        self.decoder.buffered() + held
    }

    /// Whether the source should be read on: while a request is being answered, what
    /// it sends ahead stays in its socket but for a little.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Open => self.outgoing.is_empty() || self.decoder.buffered() < AHEAD,
            Phase::Answering(_) | Phase::Asking(_) => self.decoder.buffered() < AHEAD,
            Phase::Closing => self.dropped <= ending::DROPPED,
            Phase::Lingering => true,
            Phase::Closed => false,
        }
    }

    /// Takes bytes from the source; call [`Connection::poll`] until it has nothing more.
    pub fn handle_received(&mut self, now: Now, bytes: &[u8]) {
        self.note_start(bytes);
        // What comes after the end is thrown away, and does not put the end off.
        match self.phase {
            Phase::Open | Phase::Answering(_) => {
                self.note_arrival(now, bytes.len());
                self.moved = now.monotonic;
                self.decoder.feed(bytes);
            }
            Phase::Asking(_) => {
                self.note_arrival(now, bytes.len());
                self.decoder.feed(bytes);
            }
            Phase::Closing | Phase::Lingering | Phase::Closed => self.drop_bytes(bytes.len()),
        }
    }

    /// Looks at the next request, if the last is answered and read by the source.
    /// Whoever tries an account that is `held` back is told nothing, right or wrong.
    #[must_use]
    pub fn poll(
        &mut self,
        now: Now,
        rules: &Rules,
        held: &dyn Fn(&str) -> bool,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Event> {
        while matches!(self.phase, Phase::Open) && self.outgoing.is_empty() {
            if let Some(refusal) = self.uninvited() {
                return Some(self.refuse_and_close(now, refusal));
            }
            let request = match self.decoder.poll() {
                Ok(Some(request)) => request,
                Ok(None) => {
                    self.note_progress(now);
                    return None;
                }
                Err(error) => {
                    let refusal =
                        Refusal::new(RefusalKind::Http, error.status(), error.to_string());
                    return Some(self.refuse_and_close(now, refusal));
                }
            };
            self.head_began = None;
            self.moved = now.monotonic;
            self.handled_began = self.request_began.take().unwrap_or(now.monotonic);
            if self.decoder.buffered() > 0 {
                self.request_began = Some(now.monotonic);
                self.give_time(now);
            }
            let event = self.handle_request(now, request, rules, held, random);
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn note_progress(&mut self, now: Now) {
        if self.decoder.expects_continue() {
            self.outgoing.extend_from_slice(http::CONTINUE);
        }
        match self.decoder.progress() {
            Progress::Head => {
                self.head_began.get_or_insert(now.monotonic);
            }
            Progress::Idle | Progress::Body => self.head_began = None,
        }
    }

    /// Answers the message that [`Connection::poll`] gave.
    pub fn answer(&mut self, now: Now, answer: &Answer<'_>) {
        let Phase::Answering(form) = self.phase else {
            return;
        };
        self.phase = Phase::Open;
        let response = match answer {
            Answer::Empty(status) => Response::empty(*status),
            Answer::Envelope(status, text) => self.seal(form, *status, text),
        };
        self.respond(now, form, response);
    }

    fn refuse_and_close(&mut self, now: Now, refusal: Refusal) -> Event {
        let form = Form {
            charset: Charset::Utf16,
            sealed: None,
            keep_alive: false,
            is_head: false,
        };
        self.respond(now, form, Response::empty(refusal.status));
        // Whoever does not read the answer holds no memory meanwhile.
        self.decoder = Decoder::new(http::Limits::default());
        Event::Refused(refusal)
    }

    fn respond(&mut self, now: Now, form: Form, mut response: Response) {
        if let Some(token) = self.token.take() {
            response = response.header("WWW-Authenticate", token);
        }
        response.encode(now.wall, form.is_head, form.keep_alive, &mut self.outgoing);
        self.moved = now.monotonic;
        if !form.keep_alive {
            self.phase = Phase::Closing;
        }
    }

    /// What is to be written to the source.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.get(self.written..).unwrap_or_default()
    }

    /// `count` bytes of that were written; the next request may be looked at after the last.
    pub fn handle_written(&mut self, now: Now, count: usize) {
        self.written += count;
        self.moved = now.monotonic;
        if self.written < self.outgoing.len() {
            return;
        }
        self.outgoing = Vec::new();
        self.written = 0;
        if matches!(self.phase, Phase::Closing) {
            self.linger(now);
            self.drop_bytes(0);
        }
    }
}

#[cfg(test)]
mod tests;
