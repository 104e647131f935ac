//! One source's connection: decodes, authenticates, unseals; answers and seals. Sans-IO.
//!
//! Bytes go in through [`Connection::handle_received`]; [`Connection::poll`] turns them
//! into [`Event`]s, one request at a time. The next request is not examined before the
//! previous one is answered, because sealed messages have an order. Rejections are answered
//! here; the caller is only informed. Authentication belongs to the connection (MS-WSMV
//! 3.1.4.1), so it ends with it.
//!
//! Each part of the state has an owner: `Login` knows who the source is, `Pace` what is
//! awaited since when, `Outgoing` what has to be written, and `Front` what came first.

mod envelope;
mod event;
mod front;
mod limits;
mod login;
mod memory;
mod outgoing;
mod pace;
mod phase;
mod refusal;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth::{Certificate, Identity, Secured, Verdict};
use crate::base::clock::Now;
use crate::protocol::http::request::{Decoder, Progress};
use crate::protocol::http::{self, Method, Request, Response};
use crate::protocol::ntlm::Question;
use envelope::Form;
use front::Front;
use limits::{AHEAD, DROPPED};
use login::{Login, Turn};
use outgoing::Outgoing;
use pace::{Pace, Wait};
use phase::Phase;

pub use event::{Answer, Event, Message};
pub use limits::{Limits, Rules};
pub use memory::{Memory, Shared};
pub use refusal::{Refusal, RefusalKind};

/// The server's side of one connection.
pub struct Connection {
    address: IpAddr,
    front: Front,
    decoder: Decoder,
    login: Login,
    /// The request that waits in [`Phase::Asking`].
    held: Option<Box<Request>>,
    outgoing: Outgoing,
    phase: Phase,
    pace: Pace,
    /// Number of bytes discarded after the end.
    dropped: usize,
}

impl Connection {
    /// A connection that was just accepted from `address`.
    #[must_use]
    pub fn new(now: Now, address: IpAddr, limits: &Limits) -> Self {
        Self {
            address,
            front: Front::default(),
            decoder: Decoder::new(limits.http),
            login: Login::new(),
            held: None,
            outgoing: Outgoing::default(),
            phase: Phase::Open,
            pace: Pace::new(now, limits),
            dropped: 0,
        }
    }

    /// The address that the source connects from.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The address is that of a load balancer; a header with the source's address follows.
    pub fn expect_proxy(&mut self) {
        self.front = Front::Awaited;
    }

    /// Whether that header has not arrived yet.
    #[must_use]
    pub fn awaits_proxy(&self) -> bool {
        self.front == Front::Awaited
    }

    /// The header has arrived; from now on the address is the one that it states. Health
    /// checks, which are the balancer's own connections, keep the balancer's address.
    pub fn handle_proxy(&mut self, now: Now, source: Option<IpAddr>) {
        self.front = Front::Passed;
        self.pace.note_move(now);
        self.address = source.unwrap_or(self.address);
    }

    /// The TLS handshake is complete; called before anything else.
    pub fn secure(&mut self, now: Now, secured: Secured) {
        self.pace.note_move(now);
        self.login.secure(secured);
    }

    /// Whether the connection uses TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.login.is_secure()
    }

    /// The client's certificate; `None` without TLS or if it sent none.
    #[must_use]
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.login.certificate()
    }

    /// The authenticated source; `None` before.
    #[must_use]
    pub fn identity(&self) -> Option<&Rc<Identity>> {
        self.login.identity()
    }

    /// The authenticated source, once after each authentication.
    pub fn take_new_identity(&mut self) -> Option<Rc<Identity>> {
        self.login.take_new_identity()
    }

    /// The question that a domain must answer before the source is authenticated.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let is_asking = matches!(self.phase, Phase::Asking(_));
        is_asking.then(|| self.login.question()).flatten()
    }

    /// Number of bytes held for incomplete requests, or until the source has authenticated.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |request| request.body.held());
        self.decoder.buffered() + held
    }

    /// Whether more should be read: while a request is being answered, what the source
    /// sends ahead stays in its socket, except for a little.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Open => self.outgoing.is_empty() || self.decoder.buffered() < AHEAD,
            Phase::Answering(_) | Phase::Asking(_) => self.decoder.buffered() < AHEAD,
            Phase::Closing => self.dropped <= DROPPED,
            Phase::Lingering => true,
            Phase::Closed => false,
        }
    }

    /// Handles bytes from the source; call [`Connection::poll`] until it returns `None`.
    pub fn handle_received(&mut self, now: Now, bytes: &[u8]) {
        self.front.note_start(bytes);
        // Bytes after the end are discarded, and do not delay the end.
        match self.phase {
            Phase::Open | Phase::Answering(_) => self.pace.note_move(now),
            Phase::Asking(_) => {}
            Phase::Closing | Phase::Lingering | Phase::Closed => {
                return self.drop_bytes(bytes.len());
            }
        }
        self.pace
            .note_arrival(now, bytes.len(), self.login.is_known());
        self.decoder.feed(bytes);
    }

    /// Examines the next request, if the previous one has been answered and the answer
    /// written. Attempts at an account that is `held` back get an answer that reveals
    /// nothing.
    #[must_use]
    pub fn poll(
        &mut self,
        now: Now,
        (rules, memory): Shared<'_>,
        held: &dyn Fn(&str) -> bool,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Event> {
        while matches!(self.phase, Phase::Open) && self.outgoing.is_empty() {
            if let Some(refusal) = self.front.refusal() {
                return Some(self.refuse_and_close(now, refusal));
            }
            let request = match self.decoder.poll() {
                Ok(Some(request)) => request,
                Ok(None) => {
                    self.note_progress(now);
                    return None;
                }
                Err(error) => return Some(self.refuse_and_close(now, error.into())),
            };
            let has_more = self.decoder.buffered() > 0;
            self.pace.note_request(now, has_more, self.login.is_known());
            let event = self.handle_request(now, request, (rules, &mut *memory), held, random);
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn note_progress(&mut self, now: Now) {
        if self.decoder.expects_continue() {
            self.outgoing.push_continue();
        }
        let is_head = self.decoder.progress() == Progress::Head;
        self.pace.note_head(now, is_head);
    }

    fn handle_request(
        &mut self,
        now: Now,
        request: Request,
        (rules, memory): Shared<'_>,
        held: &dyn Fn(&str) -> bool,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Event> {
        let form = Form::of(&request.head);
        if request.head.method != Method::Post {
            let response = Response::empty(405).header("Allow", "POST");
            self.respond(now, form, response);
            let reason = format!("method {} on {}", request.head.method, request.head.target);
            return Some(Event::Refused(Refusal::new(RefusalKind::Http, 405, reason)));
        }
        if !self.login.covers(&request) {
            if self.login.forget() {
                self.pace.restart(now);
            }
            let proven = self
                .login
                .prove(now, self.address, &request, rules, held, random);
            if let Err(turn) = proven {
                return self.take_turn(now, form, *turn, Box::new(request));
            }
        }
        self.admit(now, form, request, (rules, memory))
    }

    /// Carries out what happens to a request whose source has not authenticated.
    fn take_turn(
        &mut self,
        now: Now,
        form: Form,
        turn: Turn,
        request: Box<Request>,
    ) -> Option<Event> {
        match turn {
            Turn::Ask => {
                self.phase = Phase::Asking(form);
                self.held = Some(request);
                Some(Event::Ask)
            }
            Turn::Reply {
                response,
                keeps,
                refusal,
            } => {
                let keep_alive = form.keep_alive && keeps;
                self.respond(now, Form { keep_alive, ..form }, response);
                refusal.map(Event::Refused)
            }
            Turn::Close(refusal) => Some(self.refuse_and_close(now, refusal)),
        }
    }

    /// Handles the domain's verdict about the account in [`Connection::question`].
    pub fn handle_verdict(
        &mut self,
        now: Now,
        verdict: Verdict,
        shared: Shared<'_>,
    ) -> Option<Event> {
        let Phase::Asking(form) = self.phase else {
            return None;
        };
        self.phase = Phase::Open;
        self.pace.note_move(now);
        let request = self.held.take()?;
        let policy = &shared.0.auth;
        match self.login.handle_verdict(verdict, self.address, policy) {
            Ok(()) => self.admit(now, form, *request, shared),
            Err(turn) => self.take_turn(now, form, *turn, request),
        }
    }

    /// Answers a request that waits for the domain, which will not be asked.
    pub fn hold_back(&mut self, now: Now) -> Option<Event> {
        matches!(self.phase, Phase::Asking(_)).then_some(())?;
        self.held = None;
        Some(self.refuse_and_close(now, Refusal::too_many_failures()))
    }

    /// Handles a request of an authenticated source.
    fn admit(
        &mut self,
        now: Now,
        form: Form,
        request: Request,
        shared: Shared<'_>,
    ) -> Option<Event> {
        let rules = shared.0;
        if request.body.is_none() {
            self.respond(now, form, Response::empty(200));
            return None;
        }
        let began = self.pace.handled_began();
        match envelope::open(&mut self.login, form, request, shared, began) {
            Ok((message, form)) => {
                self.phase = Phase::Answering(form);
                Some(Event::Message(message))
            }
            Err(refusal) if refusal.kind == RefusalKind::Binding => {
                let (response, keeps) = self.login.demand_bindings(&rules.auth);
                let keep_alive = form.keep_alive && keeps;
                self.respond(now, Form { keep_alive, ..form }, response);
                Some(Event::Refused(refusal))
            }
            Err(refusal) => Some(self.refuse_and_close(now, refusal)),
        }
    }

    /// Answers the message that [`Connection::poll`] returned.
    pub fn answer(&mut self, now: Now, answer: &Answer<'_>) {
        let Phase::Answering(form) = self.phase else {
            return;
        };
        self.phase = Phase::Open;
        let response = match answer {
            Answer::Empty(status) => Response::empty(*status),
            Answer::Envelope(status, text) => {
                envelope::seal(self.login.context(), form, *status, text)
            }
        };
        self.respond(now, form, response);
    }

    fn refuse_and_close(&mut self, now: Now, refusal: Refusal) -> Event {
        self.respond(now, Form::last(), Response::empty(refusal.status));
        // A source that does not read the answer must not hold memory.
        self.decoder = Decoder::new(http::Limits::default());
        Event::Refused(refusal)
    }

    fn respond(&mut self, now: Now, form: Form, mut response: Response) {
        if let Some(token) = self.login.take_token() {
            response = response.header("WWW-Authenticate", token);
        }
        self.outgoing
            .push(&response, now.wall, form.is_head, form.keep_alive);
        self.pace.note_move(now);
        if !form.keep_alive {
            self.phase = Phase::Closing;
        }
    }

    /// The bytes to write to the source.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.rest()
    }

    /// Reports that `count` bytes have been written. Afterwards the next request may be
    /// examined.
    pub fn handle_written(&mut self, now: Now, count: usize) {
        self.pace.note_move(now);
        let is_all = self.outgoing.note_written(count);
        if is_all && matches!(self.phase, Phase::Closing) {
            self.linger(now);
            self.drop_bytes(0);
        }
    }

    /// Accepts no more requests; the one being answered is completed.
    pub fn refuse_further(&mut self, now: Now) {
        match &mut self.phase {
            Phase::Answering(form) | Phase::Asking(form) => form.keep_alive = false,
            Phase::Open => {
                self.phase = Phase::Closing;
                self.handle_written(now, 0);
            }
            Phase::Closing | Phase::Lingering | Phase::Closed => {}
        }
    }

    /// Ends the connection with this status code as the answer to what is being received.
    pub fn cut(&mut self, now: Now, status: u16) {
        if !self.phase.is_ending() {
            self.held = None;
            let refusal = Refusal::new(RefusalKind::Unavailable, status, "");
            self.refuse_and_close(now, refusal);
        }
    }

    /// Sends nothing more, and discards what still arrives for a moment.
    pub fn linger(&mut self, now: Now) {
        self.phase = Phase::Lingering;
        self.pace.note_move(now);
        self.decoder = Decoder::new(http::Limits::default());
    }

    fn drop_bytes(&mut self, count: usize) {
        self.dropped += count;
        if self.dropped > DROPPED && matches!(self.phase, Phase::Lingering) {
            self.phase = Phase::Closed;
        }
    }

    /// Whether sending is complete: shut that side down, so that the peer sees the end.
    #[must_use]
    pub fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering)
    }

    /// Whether the connection must be closed now.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// What the source or the domain is expected to do, if anything.
    fn wait(&self) -> Option<Wait> {
        let progress = self.decoder.progress();
        self.phase
            .wait(progress, self.awaits_proxy(), !self.outgoing.is_empty())
    }

    /// When [`Connection::handle_timeout`] must be called.
    #[must_use]
    pub fn poll_timeout(&self, limits: &Limits) -> Option<Instant> {
        let wait = self.wait()?;
        Some(self.pace.due(wait, limits, self.login.is_known()))
    }

    /// Handles a deadline; calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Now, shared: Shared<'_>) -> Option<Event> {
        let wait = self.wait()?;
        if now.monotonic < self.poll_timeout(&shared.0.limits)? {
            return None;
        }
        let what = match (wait, &mut self.phase) {
            (Wait::Head, _) => "the head of a request did not arrive in time",
            (Wait::Body, _) => "the body of a request did not arrive in time",
            (Wait::Verdict, Phase::Asking(form)) => {
                // A later question of this connection must not receive this one's verdict.
                form.keep_alive = false;
                let verdict = Verdict::Unavailable("not verified in time".to_owned());
                return self.handle_verdict(now, verdict, shared);
            }
            (Wait::Proxy, phase) => {
                // A balancer that has not stated the source cannot be answered.
                *phase = Phase::Closed;
                let reason = "the PROXY header did not arrive in time";
                return Some(Event::Refused(Refusal::new(RefusalKind::Proxy, 0, reason)));
            }
            (_, phase) => {
                *phase = Phase::Closed;
                return None;
            }
        };
        Some(self.refuse_and_close(now, Refusal::new(RefusalKind::Timeout, 408, what)))
    }

    /// The connection was not read in this period, so its deadlines move.
    pub fn note_unread(&mut self, since: Instant, until: Instant) {
        self.pace.note_unread(since, until);
    }

    /// Whether the body being received has been too slow for this long.
    #[must_use]
    pub fn is_behind(&self, now: Now, time: Duration) -> bool {
        matches!(self.phase, Phase::Open)
            && self.decoder.progress() == Progress::Body
            && self.pace.is_behind(now, time, self.login.is_known())
    }

    /// Whether it has been waiting for a request for this long.
    #[must_use]
    pub fn is_idle_for(&self, now: Now, time: Duration) -> bool {
        matches!(self.phase, Phase::Open)
            && self.decoder.progress() == Progress::Idle
            && self.outgoing.is_empty()
            && self.pace.is_still_for(now, time)
    }

    /// How long it has been open, or without an identity.
    #[must_use]
    pub fn age(&self, now: Now) -> Duration {
        self.pace.age(now)
    }
}

#[cfg(test)]
mod tests;
