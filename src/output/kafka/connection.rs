//! The connection to one broker: from a host name to requests and their answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::requests::{Request, Requests};
use crate::base::clock::Now;
use crate::output::{Dial, Step, Task};
use crate::protocol::kafka::{
    ANSWER_MAX, Api, Code, Error, Login, Mechanism, Metadata, Produced, ProducerId, Sasl, Versions,
    parse_produced, parse_producer_id, parse_sasl_authenticate, parse_sasl_handshake,
    push_init_producer_id, push_metadata, push_sasl_authenticate, push_sasl_handshake,
};

/// First pause before reconnecting to a broker; doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Maximum pause before reconnecting to a broker.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A broker that owes an answer and is silent for this long is given up. Longer than it may
/// itself wait for its replicas ([`PRODUCE_TIME`](super::PRODUCE_TIME)).
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not connected; no request is pending.
    Idle,
    Down {
        until: Instant,
    },
    LookingUp {
        until: Instant,
    },
    /// `reached`: the broker has accepted the connection, and the TLS handshake has
    /// started.
    Opening {
        until: Instant,
        reached: bool,
    },
    /// Connected; requests the supported versions, and authenticates.
    Greeting {
        until: Instant,
    },
    Up,
}

/// An answer of the broker.
#[derive(Debug)]
pub enum Reply {
    /// Requests may be sent now.
    Up,
    /// Brokers and leaders.
    Metadata(Metadata),
    /// A producer id, or the error code.
    ProducerId(Result<ProducerId, Code>),
    /// The results of batches.
    Produced(Vec<Produced>),
}

/// What is needed to interpret answers.
pub struct Context<'a> {
    /// The topic that is requested.
    pub topic: &'a str,
    /// SASL mechanism, user, and password; `None` without SASL.
    pub login: Option<&'a (Mechanism, Login)>,
    /// Cryptographically secure bytes, to be used once.
    pub random: [u8; 32],
}

/// The consequence of a failed attempt or lookup.
#[derive(Debug)]
pub(super) enum Next {
    /// Perform this task, if any; another address may work.
    Step(Option<Task>),
    /// The connection pauses until its next attempt; the reasons.
    GiveUp(String),
}

/// The connection to one broker.
#[derive(Debug)]
pub struct Connection {
    host: String,
    port: u16,
    dial: Dial,
    phase: Phase,
    pause: Duration,
    /// Whether it leads a partition.
    pub(super) is_leader: bool,
    requests: Requests,
    /// An incomplete answer.
    held: Vec<u8>,
    answer_by: Option<Instant>,
    versions: Versions,
    sasl: Option<Sasl>,
}

impl Connection {
    /// A broker that has not been connected to yet.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            dial: Dial::new(Some((host, port))),
            phase: Phase::Idle,
            pause: FIRST_PAUSE,
            is_leader: false,
            requests: Requests::default(),
            held: Vec::new(),
            answer_by: None,
            versions: Versions::default(),
            sasl: None,
        }
    }

    pub(super) fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether it is neither up nor being connected.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Down { .. })
    }

    /// Whether it has not been needed so far.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether connecting may start now.
    pub(super) fn may_begin(&self, now: Now) -> bool {
        match self.phase {
            Phase::Idle => true,
            Phase::Down { until } => until <= now.monotonic,
            _ => false,
        }
    }

    /// Whether the broker owes an answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.requests.is_waiting()
    }

    /// The version of a request to use with this broker.
    ///
    /// # Errors
    /// The broker supports none that is supported here.
    pub fn version(&self, api: Api) -> Result<i16, Error> {
        self.versions.of(api)
    }

    /// Takes the first or next step towards a connection.
    pub(super) fn begin(&mut self, now: Now) -> Option<Task> {
        let step = self.dial.go_on();
        self.take_step(now, step)
    }

    fn take_step(&mut self, now: Now, step: Step) -> Option<Task> {
        match step {
            Step::Connect(address) => {
                self.phase = Phase::Opening {
                    until: now.monotonic + self.dial.step_time(),
                    reached: false,
                };
                Some(Task::Connect(address))
            }
            Step::LookUp | Step::Wait | Step::Open => {
                self.phase = Phase::LookingUp {
                    until: now.monotonic + self.dial.look_up_time(),
                };
                (step == Step::LookUp).then_some(Task::LookUp)
            }
        }
    }

    /// Handles the result of a name lookup, in time or late.
    pub(super) fn handle_resolved(&mut self, now: Now, found: Result<&[SocketAddr], &str>) -> Next {
        self.dial.handle_resolved(found.unwrap_or_default());
        if !matches!(self.phase, Phase::LookingUp { .. }) {
            return Next::Step(None);
        }
        if !self.dial.is_known() {
            let why = found.err().unwrap_or("the name has no address");
            return Next::GiveUp(why.to_owned());
        }
        let step = self.dial.next_known();
        Next::Step(self.take_step(now, step))
    }

    pub(super) fn handle_reached(&mut self, now: Now) {
        if let Phase::Opening { until, reached } = &mut self.phase {
            *until = now.monotonic + self.dial.step_time();
            *reached = true;
        }
    }

    /// The connection is open: requests the supported versions first.
    pub fn handle_opened(&mut self, now: Now) {
        self.clear();
        self.phase = Phase::Greeting {
            until: now.monotonic + self.dial.step_time(),
        };
        self.send(now, Request::Versions, Api::ApiVersions, 0, |_| {});
    }

    fn clear(&mut self) {
        self.requests.clear();
        self.held.clear();
        self.answer_by = None;
        self.sasl = None;
    }

    /// The connection failed or has ended. The next address of the round is tried immediately,
    /// unless the connection was up or no address is left.
    pub(super) fn handle_failed(&mut self, now: Now, reason: &str) -> Next {
        let was_up = self.is_up();
        let others = self.dial.handle_failed(reason);
        self.clear();
        if others && !was_up {
            return Next::Step(self.begin(now));
        }
        let reasons = self.dial.reasons().unwrap_or_else(|| reason.to_owned());
        self.phase = Phase::Down {
            until: now.monotonic + self.pause,
        };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Next::GiveUp(reasons)
    }

    /// The broker has closed a connection that was idle.
    pub(super) fn handle_idle_end(&mut self) {
        self.dial.handle_failed("closed");
        self.clear();
        self.phase = Phase::Idle;
    }

    /// Ends the pause before reconnecting, if there is one.
    pub(super) fn end_pause(&mut self, now: Now) {
        if let Phase::Down { until } = &mut self.phase {
            *until = now.monotonic;
        }
        self.pause = FIRST_PAUSE;
    }

    /// The broker has completed a request, so it works.
    pub(super) fn note_good(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// The bytes to write next.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.requests.outgoing()
    }

    /// Reports that `count` of them have been written.
    pub fn handle_written(&mut self, count: usize) {
        self.requests.handle_written(count);
    }

    fn send(
        &mut self,
        now: Now,
        request: Request,
        api: Api,
        version: i16,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.requests.push(request, api, version, write);
        self.answer_by.get_or_insert(now.monotonic + ANSWER_TIME);
    }

    /// Requests brokers and leaders.
    ///
    /// # Errors
    /// The broker does not support the request.
    pub fn ask_metadata(&mut self, now: Now, topic: &str) -> Result<(), Error> {
        let version = self.version(Api::Metadata)?;
        let request = Request::Metadata { version };
        self.send(now, request, Api::Metadata, version, |out| {
            push_metadata(out, topic);
        });
        Ok(())
    }

    pub(super) fn ask_producer_id(&mut self, now: Now) -> Result<(), Error> {
        let version = self.version(Api::InitProducerId)?;
        let request = Request::ProducerId { version };
        self.send(now, request, Api::InitProducerId, version, |out| {
            push_init_producer_id(out, version);
        });
        Ok(())
    }

    /// Sends batches; `write` appends the request's body.
    pub(super) fn produce(
        &mut self,
        now: Now,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        let version = self.version(Api::Produce)?;
        self.send(
            now,
            Request::Produce { version },
            Api::Produce,
            version,
            write,
        );
        Ok(())
    }

    /// Handles bytes from the broker.
    ///
    /// # Errors
    /// The broker violates the protocol, or rejects the login.
    pub fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        context: &Context<'_>,
    ) -> Result<Vec<Reply>, Error> {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut replies = Vec::new();
        let mut rest = held.as_slice();
        while let Some((answer, after)) = split_answer(rest)? {
            replies.extend(self.handle_answer(now, answer, context)?);
            rest = after;
        }
        let used = held.len().saturating_sub(rest.len());
        held.drain(..used);
        self.held = held;
        Ok(replies)
    }

    fn handle_answer(
        &mut self,
        now: Now,
        answer: &[u8],
        context: &Context<'_>,
    ) -> Result<Option<Reply>, Error> {
        let Some((number, body)) = answer.split_first_chunk() else {
            return Err(Error::Cut("a request", answer.len()));
        };
        let number = i32::from_be_bytes(*number);
        let request = self.requests.take(number)?;
        self.answer_by = self.is_waiting().then(|| now.monotonic + ANSWER_TIME);
        Ok(match request {
            Request::Versions => {
                self.versions = Versions::parse(body)?;
                self.handle_versions(now, context)?
            }
            Request::Handshake => {
                parse_sasl_handshake(body)?;
                self.authenticate(now, None)?
            }
            Request::Authenticate => {
                let token = parse_sasl_authenticate(body)?;
                self.authenticate(now, Some(token))?
            }
            Request::Metadata { version } => {
                let found = Metadata::parse(body, version, context.topic)?;
                Some(Reply::Metadata(found))
            }
            Request::ProducerId { version } => {
                Some(Reply::ProducerId(parse_producer_id(body, version)?))
            }
            Request::Produce { version } => Some(Reply::Produced(parse_produced(body, version)?)),
        })
    }

    fn handle_versions(&mut self, now: Now, context: &Context<'_>) -> Result<Option<Reply>, Error> {
        let Some((mechanism, login)) = context.login else {
            return Ok(Some(self.handle_up()));
        };
        let version = self.version(Api::SaslHandshake)?;
        self.sasl = Some(Sasl::new(*mechanism, login.clone(), &context.random));
        let api = Api::SaslHandshake;
        self.send(now, Request::Handshake, api, version, |out| {
            push_sasl_handshake(out, mechanism.name());
        });
        Ok(None)
    }

    fn authenticate(&mut self, now: Now, token: Option<&[u8]>) -> Result<Option<Reply>, Error> {
        let version = self.version(Api::SaslAuthenticate)?;
        let Some(sasl) = &mut self.sasl else {
            return Ok(None);
        };
        let next = match token {
            None => Some(sasl.first()),
            Some(token) => sasl.answer(token)?,
        };
        let Some(message) = next else {
            return Ok(Some(self.handle_up()));
        };
        let api = Api::SaslAuthenticate;
        self.send(now, Request::Authenticate, api, version, |out| {
            push_sasl_authenticate(out, &message);
        });
        Ok(None)
    }

    fn handle_up(&mut self) -> Reply {
        self.sasl = None;
        self.dial.handle_up();
        self.phase = Phase::Up;
        Reply::Up
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::Down { until }
            | Phase::LookingUp { until }
            | Phase::Opening { until, .. }
            | Phase::Greeting { until } => Some(until),
            Phase::Up => self.answer_by,
        }
    }

    /// Why the connection must be given up now, if so. A late lookup is not a reason while
    /// addresses are known.
    pub(super) fn late_reason(&mut self, now: Now) -> Option<String> {
        if self.poll_timeout().is_none_or(|at| now.monotonic < at) {
            return None;
        }
        let reason = match self.phase {
            Phase::Idle | Phase::Down { .. } => return None,
            Phase::LookingUp { .. } => {
                let name = self.dial.name();
                return Some(format!("no answer from the name server about {name} yet"));
            }
            Phase::Opening { reached: true, .. } => {
                "no answer to the TLS handshake in time; is this port for TLS?"
            }
            Phase::Opening { .. } => "no connection in time",
            Phase::Greeting { .. } => {
                "the broker does not answer; is this the port of a broker, and does the URL begin \
                 with kafka+tls if it requires TLS?"
            }
            Phase::Up => "the broker has stopped answering",
        };
        Some(reason.to_owned())
    }

    /// The step after a late lookup, if addresses are known.
    pub(super) fn step_over_look_up(&mut self, now: Now) -> Option<Task> {
        if !matches!(self.phase, Phase::LookingUp { .. }) || !self.dial.is_known() {
            return None;
        }
        let step = self.dial.next_known();
        self.take_step(now, step)
    }
}

/// An answer, and the bytes after it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// Splits the first answer in `bytes`, without its length prefix, from the bytes after it.
fn split_answer(bytes: &[u8]) -> Result<Option<Split<'_>>, Error> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(count) if (4..=ANSWER_MAX).contains(&count) => Ok(rest.split_at_checked(count)),
        _ => Err(Error::Length(length)),
    }
}
