//! One source's connection: decode, authenticate, unseal; answer, seal. Sans-IO.
//!
//! Bytes go in by [`Connection::handle_received`]; [`Connection::poll`] turns
//! them into [`Event`]s one request at a time: the next request is not looked
//! at before the last is answered, because sealed messages have an order.
//! What cannot be let in is answered here; the caller only hears of it.
//! Authentication belongs to the connection (MS-WSMV 3.1.4.1), so it all ends with it.
//!
//! Each part of its state has an owner: `Login` knows who the source is, `Pace` since when
//! it is waited for what, `Outgoing` what is to be written, `Front` what came first.

mod envelope;
mod event;
mod front;
mod limits;
mod login;
mod outgoing;
mod pace;
mod phase;
mod refusal;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::auth::{Certificate, Identity, Secured, Verdict};
use crate::base::clock::Now;
use crate::protocol::http::request::{Decoder, Progress};
use crate::protocol::http::{self, Method, Request, Response};
use crate::protocol::ntlm::Question;
use envelope::Form;
use front::Front;
use login::{Login, Turn};
use outgoing::Outgoing;
use pace::{Pace, Wait};
use phase::Phase;

pub use event::{Answer, Event, Message};
pub use limits::{Limits, Rules};
pub use refusal::{Refusal, RefusalKind};

/// Bytes that a source may send ahead of an answer.
const AHEAD: usize = 64 << 10;
/// Bytes that are read and thrown away after the last answer: who is still sending shall
/// get to see it, and no more than that.
const DROPPED: usize = 64 << 10;

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
    /// Bytes thrown away after the end.
    dropped: usize,
}

impl Connection {
    /// A connection just accepted from `address`.
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

    /// Where the source connects from.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The address is that of a load balancer: where the source is follows in a header.
    pub fn expect_proxy(&mut self) {
        self.front = Front::Awaited;
    }

    /// Whether that header is still to come.
    #[must_use]
    pub fn awaits_proxy(&self) -> bool {
        self.front == Front::Awaited
    }

    /// The header has come: from here on the source is the one that it names. The
    /// balancer's own connections, its health checks, keep its address.
    pub fn handle_proxy(&mut self, now: Now, source: Option<IpAddr>) {
        self.front = Front::Passed;
        self.pace.note_move(now);
        self.address = source.unwrap_or(self.address);
    }

    /// The TLS handshake is done: it comes before anything else.
    pub fn secure(&mut self, now: Now, secured: Secured) {
        self.pace.note_move(now);
        self.login.secure(secured);
    }

    /// Whether the connection is inside TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.login.is_secure()
    }

    /// The client's certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.login.certificate()
    }

    /// Who the source is, once it is authenticated.
    #[must_use]
    pub fn identity(&self) -> Option<&Rc<Identity>> {
        self.login.identity()
    }

    /// Who the source is, once after each time that it was authenticated.
    pub fn take_new_identity(&mut self) -> Option<Rc<Identity>> {
        self.login.take_new_identity()
    }

    /// What a domain has to be asked before the source is let in.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        match self.phase {
            Phase::Asking(_) => self.login.question(),
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
            Phase::Closing => self.dropped <= DROPPED,
            Phase::Lingering => true,
            Phase::Closed => false,
        }
    }

    /// Takes bytes from the source; call [`Connection::poll`] until it has nothing more.
    pub fn handle_received(&mut self, now: Now, bytes: &[u8]) {
        self.front.note_start(bytes);
        // What comes after the end is thrown away, and does not put the end off.
        match self.phase {
            Phase::Open | Phase::Answering(_) => self.pace.note_move(now),
            Phase::Asking(_) => {}
            Phase::Closing | Phase::Lingering | Phase::Closed => {
                return self.drop_bytes(bytes.len());
            }
        }
        let is_known = self.login.is_known();
        self.pace.note_arrival(now, bytes.len(), is_known);
        self.decoder.feed(bytes);
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
            if let Some(refusal) = self.front.refusal() {
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
            let has_more = self.decoder.buffered() > 0;
            self.pace.note_request(now, has_more, self.login.is_known());
            let event = self.handle_request(now, request, rules, held, random);
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
        rules: &Rules,
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
        self.admit(now, form, request, rules)
    }

    /// Does what becomes of a request whose source has not proved who it is.
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

    /// Takes what the domain says of the account that [`Connection::question`] names.
    pub fn handle_verdict(&mut self, now: Now, verdict: Verdict, rules: &Rules) -> Option<Event> {
        let Phase::Asking(form) = self.phase else {
            return None;
        };
        self.phase = Phase::Open;
        self.pace.note_move(now);
        let request = self.held.take()?;
        match self
            .login
            .handle_verdict(verdict, self.address, &rules.auth)
        {
            Ok(()) => self.admit(now, form, *request, rules),
            Err(turn) => self.take_turn(now, form, *turn, request),
        }
    }

    /// Answers a request that waits for the domain: it will not be asked.
    pub fn hold_back(&mut self, now: Now) -> Option<Event> {
        if !matches!(self.phase, Phase::Asking(_)) {
            return None;
        }
        self.held = None;
        Some(self.refuse_and_close(now, Refusal::too_many_failures()))
    }

    /// What an authenticated source asks.
    fn admit(&mut self, now: Now, form: Form, request: Request, rules: &Rules) -> Option<Event> {
        if request.body.is_empty() {
            self.respond(now, form, Response::empty(200));
            return None;
        }
        let began = self.pace.handled_began();
        match envelope::open(&mut self.login, form, request, rules, began) {
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

    /// Answers the message that [`Connection::poll`] gave.
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
        // Whoever does not read the answer holds no memory meanwhile.
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

    /// What is to be written to the source.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.rest()
    }

    /// `count` bytes of that were written; the next request may be looked at after the last.
    pub fn handle_written(&mut self, now: Now, count: usize) {
        self.pace.note_move(now);
        let is_all = self.outgoing.note_written(count);
        if is_all && matches!(self.phase, Phase::Closing) {
            self.linger(now);
            self.drop_bytes(0);
        }
    }

    /// No more requests are taken; what is being answered still is.
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

    /// Ends the connection with that status for whatever is being sent to us.
    pub fn cut(&mut self, now: Now, status: u16) {
        if !self.phase.is_ending() {
            self.held = None;
            let refusal = Refusal::new(RefusalKind::Unavailable, status, "");
            self.refuse_and_close(now, refusal);
        }
    }

    /// Nothing more is said; what still comes is thrown away for a moment.
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

    /// Whether the sending side is done: shut it down, so that the peer sees the end.
    #[must_use]
    pub fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering)
    }

    /// Whether the connection is to be closed now.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// What is waited for, if anything of the source or the domain is.
    fn wait(&self) -> Option<Wait> {
        let progress = self.decoder.progress();
        self.phase
            .wait(progress, self.awaits_proxy(), !self.outgoing.is_empty())
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self, limits: &Limits) -> Option<Instant> {
        let is_known = self.login.is_known();
        self.wait()
            .map(|wait| self.pace.due(wait, limits, is_known))
    }

    /// Time has passed; calls too early are harmless.
    pub fn handle_timeout(&mut self, now: Now, rules: &Rules) -> Option<Event> {
        let wait = self.wait()?;
        if now.monotonic < self.poll_timeout(&rules.limits)? {
            return None;
        }
        let what = match (wait, &mut self.phase) {
            (Wait::Head, _) => "the head of a request did not arrive in time",
            (Wait::Body, _) => "the body of a request did not arrive in time",
            (Wait::Verdict, Phase::Asking(form)) => {
                // A later question of this connection must not get this one's verdict.
                form.keep_alive = false;
                let verdict = Verdict::Unavailable("not verified in time".to_owned());
                return self.handle_verdict(now, verdict, rules);
            }
            (Wait::Proxy, phase) => {
                // Nothing can be answered to a balancer that has not said for whom.
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

    /// The connection was not read since then, though it may have sent something.
    pub fn note_unread(&mut self, since: Instant, until: Instant) {
        self.pace.note_unread(since, until);
    }

    /// Whether the body that comes has been slower than it may be for so long.
    #[must_use]
    pub fn is_behind(&self, now: Now, time: Duration) -> bool {
        matches!(self.phase, Phase::Open)
            && self.decoder.progress() == Progress::Body
            && self.pace.is_behind(now, time, self.login.is_known())
    }

    /// Whether it has waited for so long for a request.
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
