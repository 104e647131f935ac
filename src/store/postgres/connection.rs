//! One connection: from its first byte to requests and answers.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{
    AuthenticationSaslBody, Header, Message, NoticeResponseBody,
};
use postgres_protocol::message::frontend;
use zeroize::Zeroizing;

use super::error::{Complaint, Failure, Kind, Stage};
use super::request::{Request, Row, Rows};
use super::url::{Settings, TlsMode};

/// Maximum size of a message in bytes; a row with the largest bookmark has a fraction of
/// that.
const LONGEST: i32 = 16 << 20;
/// Maximum size in bytes of the rows in one answer.
const ANSWER: usize = 256 << 20;
/// Transaction status: ready, no transaction open.
const IDLE: u8 = b'I';

/// An event on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// TLS must be started now.
    Secure,
    /// Requests can be sent.
    Open,
    /// The oldest request has been answered.
    Answered(Result<Rows, Failure>),
}

enum State {
    /// Waiting for whether the server supports TLS.
    AwaitsTls,
    Securing,
    Authenticates,
    Scram(ScramSha256),
    /// The server has proved that it knows the password, too.
    Proved,
    /// Waiting for whether it accepts changes.
    Checks,
    Open,
}

/// A request that was sent.
struct Exchange {
    rows: Rows,
    statements: usize,
    size: usize,
    complaint: Option<Complaint>,
}

/// One connection to one server.
pub(super) struct Connection {
    place: String,
    settings: Settings,
    password: Option<Zeroizing<String>>,
    /// Hash of the server's certificate, for channel binding.
    end_point: Option<Vec<u8>>,
    incoming: BytesMut,
    outgoing: BytesMut,
    state: State,
    exchanges: VecDeque<Exchange>,
    /// Whether the server reported that it accepts no changes.
    is_read_only: bool,
}

impl Connection {
    /// On a connected socket.
    pub(super) fn new(
        place: String,
        settings: Settings,
        password: Option<Zeroizing<String>>,
        is_local: bool,
    ) -> Self {
        let mut connection = Self {
            place,
            settings,
            password,
            end_point: None,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            state: State::AwaitsTls,
            exchanges: VecDeque::new(),
            is_read_only: false,
        };
        if is_local || connection.settings.tls == TlsMode::Disable {
            connection.start();
        } else {
            frontend::ssl_request(&mut connection.outgoing);
        }
        connection
    }

    /// TLS is established; for `end_point` see RFC 5929 4.1.
    pub(super) fn secured(&mut self, end_point: Option<Vec<u8>>) {
        self.end_point = end_point;
        self.start();
    }

    fn start(&mut self) {
        let Settings {
            user,
            database,
            application,
            ..
        } = &self.settings;
        let parameters = [
            ("user", user.as_str()),
            ("database", database),
            ("application_name", application),
            ("client_encoding", "UTF8"),
        ];
        // Neither contains a zero byte: URLs with one are rejected.
        if frontend::startup_message(parameters, &mut self.outgoing).is_ok() {
            self.state = State::Authenticates;
        }
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    pub(super) fn sent(&mut self, count: usize) {
        let count = count.min(self.outgoing.len());
        bytes::Buf::advance(&mut self.outgoing, count);
    }

    /// Sends a request. Each gets one [`Event::Answered`], in order.
    pub(super) fn send(&mut self, request: &Request, timeout: Duration) -> Result<(), Failure> {
        let before = self.outgoing.len();
        if let Err(error) = request.encode(timeout, &mut self.outgoing) {
            // A value that the protocol cannot express.
            self.outgoing.truncate(before);
            return Err(self.fail(Kind::Data, error.to_string()));
        }
        self.exchanges.push_back(Exchange {
            rows: Vec::new(),
            statements: request.len(),
            size: 0,
            complaint: None,
        });
        Ok(())
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    /// Handles the next received message.
    pub(super) fn poll(&mut self) -> Result<Option<Event>, Failure> {
        if matches!(self.state, State::AwaitsTls) {
            return self.take_tls_answer();
        }
        while let Some(message) = self.next_message()? {
            if let Some(event) = self.take(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn next_message(&mut self) -> Result<Option<Message>, Failure> {
        let parsed = match Header::parse(&self.incoming) {
            Ok(Some(header)) if header.len() > LONGEST => {
                let says = format!("a message of {} bytes", header.len());
                return Err(self.fail(Kind::Protocol, says));
            }
            Ok(_) => Message::parse(&mut self.incoming),
            Err(error) => Err(error),
        };
        parsed.map_err(|error| self.fail(Kind::Protocol, error.to_string()))
    }

    fn take_tls_answer(&mut self) -> Result<Option<Event>, Failure> {
        match *self.incoming {
            [] => Ok(None),
            [b'S'] => {
                self.incoming.clear();
                self.state = State::Securing;
                Ok(Some(Event::Secure))
            }
            // Bytes before TLS could have been injected by an attacker (CVE-2021-23222).
            [b'S', ..] => Err(self.fail(Kind::Protocol, "bytes before TLS")),
            [b'N', ..] => Err(self.fail(Kind::NoTls, "the server does not support TLS")),
            // A server that cannot start a process reports it immediately.
            [b'E', ..] => match self.next_message()? {
                Some(Message::ErrorResponse(body)) => Err(self.refused(Complaint::read(&body))),
                _ => Ok(None),
            },
            _ => Err(self.fail(Kind::Protocol, "no answer to the TLS request")),
        }
    }

    fn take(&mut self, message: Message) -> Result<Option<Event>, Failure> {
        match (&self.state, message) {
            (_, Message::NoticeResponse(body)) => {
                self.take_notice(&body);
                Ok(None)
            }
            (
                _,
                Message::ParameterStatus(_)
                | Message::NotificationResponse(_)
                | Message::BackendKeyData(_),
            ) => Ok(None),
            (State::Open, message) => self.take_answer(message),
            (_, Message::ErrorResponse(body)) => Err(self.refused(Complaint::read(&body))),
            (State::Checks, message) => self.take_check(message),
            (_, message) => self.authenticate(message).map(|()| None),
        }
    }

    fn authenticate(&mut self, message: Message) -> Result<(), Failure> {
        match (&mut self.state, message) {
            (State::Authenticates, Message::AuthenticationSasl(body)) => self.begin_scram(&body),
            (State::Scram(scram), Message::AuthenticationSaslContinue(body)) => {
                let answered = scram
                    .update(body.data())
                    .and_then(|()| frontend::sasl_response(scram.message(), &mut self.outgoing));
                answered.map_err(|error| self.fail(Kind::Password, error.to_string()))
            }
            (State::Scram(scram), Message::AuthenticationSaslFinal(body)) => {
                if let Err(error) = scram.finish(body.data()) {
                    let says = format!("it does not prove that it knows the password: {error}");
                    return Err(self.fail(Kind::Password, says));
                }
                self.state = State::Proved;
                Ok(())
            }
            (State::Authenticates, Message::AuthenticationOk) if self.settings.binding_required => {
                let says = "channel_binding=require, but the server does not request a password";
                Err(self.fail(Kind::Method, says))
            }
            (State::Authenticates | State::Proved, Message::AuthenticationOk) => Ok(()),
            (State::Authenticates | State::Proved, Message::ReadyForQuery(_)) => self.check(),
            (_, Message::AuthenticationMd5Password(_)) => {
                Err(self.fail(Kind::Method, "it requests the password by md5"))
            }
            (_, Message::AuthenticationCleartextPassword) => {
                Err(self.fail(Kind::Method, "it requests the password in clear text"))
            }
            (
                _,
                Message::AuthenticationGss
                | Message::AuthenticationSspi
                | Message::AuthenticationKerberosV5
                | Message::AuthenticationScmCredential,
            ) => Err(self.fail(
                Kind::Method,
                "it requires an unsupported authentication method",
            )),
            _ => Err(self.fail(Kind::Protocol, "an unexpected message")),
        }
    }

    fn begin_scram(&mut self, body: &AuthenticationSaslBody) -> Result<(), Failure> {
        let (mut has_scram, mut has_plus) = (false, false);
        let mut offered = body.mechanisms();
        while let Some(mechanism) = offered
            .next()
            .map_err(|error| Failure::new(Kind::Protocol, &self.place, error.to_string()))?
        {
            has_scram |= mechanism == SCRAM_SHA_256;
            has_plus |= mechanism == SCRAM_SHA_256_PLUS;
        }
        let Some(password) = &self.password else {
            return Err(self.fail(Kind::Password, "it requests a password, but none is given"));
        };
        let (binding, mechanism) = match self.end_point.clone().filter(|hash| !hash.is_empty()) {
            Some(hash) if has_plus => (
                ChannelBinding::tls_server_end_point(hash),
                SCRAM_SHA_256_PLUS,
            ),
            _ if self.settings.binding_required => {
                let says = "channel_binding=require, but the server does not offer it: it requires TLS and scram-sha-256";
                return Err(self.fail(Kind::Method, says));
            }
            Some(_) => (ChannelBinding::unrequested(), SCRAM_SHA_256),
            None => (ChannelBinding::unsupported(), SCRAM_SHA_256),
        };
        if !has_scram && mechanism == SCRAM_SHA_256 {
            return Err(self.fail(Kind::Method, "it does not support SCRAM-SHA-256"));
        }
        let scram = ScramSha256::new(password.as_bytes(), binding);
        let sent = frontend::sasl_initial_response(mechanism, scram.message(), &mut self.outgoing);
        sent.map_err(|error| self.fail(Kind::Protocol, error.to_string()))?;
        self.state = State::Scram(scram);
        Ok(())
    }

    fn check(&mut self) -> Result<(), Failure> {
        let asked = frontend::query("SHOW transaction_read_only", &mut self.outgoing);
        asked.map_err(|error| self.fail(Kind::Protocol, error.to_string()))?;
        self.state = State::Checks;
        Ok(())
    }

    fn take_check(&mut self, message: Message) -> Result<Option<Event>, Failure> {
        match message {
            Message::DataRow(body) => {
                self.is_read_only = Row::new(body).text(0) == Ok(Some("on"));
                Ok(None)
            }
            Message::ReadyForQuery(_) if self.is_read_only && self.settings.read_write => Err(self
                .fail(
                    Kind::ReadOnly,
                    "it is read-only: a standby, or configured so",
                )),
            Message::ReadyForQuery(_) => {
                self.state = State::Open;
                Ok(Some(Event::Open))
            }
            Message::RowDescription(_) | Message::CommandComplete(_) => Ok(None),
            _ => Err(self.fail(Kind::Protocol, "an unexpected message")),
        }
    }

    /// A commit that did not wait for its standby counts as a success for the server, which
    /// only sends a warning.
    fn take_notice(&mut self, body: &NoticeResponseBody) {
        if let Some(exchange) = self.exchanges.front_mut()
            && let Some(complaint) = Complaint::of_notice(body)
        {
            exchange.complaint.get_or_insert(complaint);
        }
    }

    fn take_answer(&mut self, message: Message) -> Result<Option<Event>, Failure> {
        if let Message::ErrorResponse(body) = &message {
            let complaint = Complaint::read(body);
            let Some(exchange) = self.exchanges.front_mut().filter(|_| !complaint.is_fatal) else {
                return Err(self.refused(complaint));
            };
            exchange.complaint.get_or_insert(complaint);
            return Ok(None);
        }
        let Some(exchange) = self.exchanges.front_mut() else {
            return Err(self.fail(Kind::Protocol, "an unexpected answer"));
        };
        match message {
            Message::BindComplete => exchange.rows.push(Vec::new()),
            Message::DataRow(body) => {
                exchange.size += body.buffer().len();
                let is_too_much = exchange.size > ANSWER;
                if let Some(rows) = exchange.rows.last_mut() {
                    rows.push(Row::new(body));
                }
                if is_too_much {
                    return Err(self.fail(Kind::Protocol, "an answer without end"));
                }
            }
            Message::ReadyForQuery(body) if body.status() != IDLE => {
                return Err(self.fail(Kind::Protocol, "a transaction that stays open"));
            }
            Message::ReadyForQuery(_) => return Ok(self.finish().map(Event::Answered)),
            Message::ParseComplete
            | Message::CommandComplete(_)
            | Message::NoData
            | Message::RowDescription(_)
            | Message::EmptyQueryResponse => {}
            _ => return Err(self.fail(Kind::Protocol, "an unexpected message")),
        }
        Ok(None)
    }

    fn finish(&mut self) -> Option<Result<Rows, Failure>> {
        let exchange = self.exchanges.pop_front()?;
        if let Some(complaint) = exchange.complaint {
            return Some(Err(self.refused(complaint)));
        }
        if exchange.rows.len() != exchange.statements {
            return Some(Err(self.fail(Kind::Protocol, "an answer is missing")));
        }
        // The rows of the statement with the settings are not needed.
        Some(Ok(exchange.rows.into_iter().skip(1).collect()))
    }

    fn refused(&self, complaint: Complaint) -> Failure {
        let stage = match self.state {
            State::Scram(_) => Stage::Password,
            State::Open => Stage::Session,
            State::AwaitsTls
            | State::Securing
            | State::Authenticates
            | State::Proved
            | State::Checks => Stage::Login,
        };
        complaint.at(&self.place, stage)
    }

    fn fail(&self, kind: Kind, says: impl Into<String>) -> Failure {
        Failure::new(kind, &self.place, says)
    }
}
