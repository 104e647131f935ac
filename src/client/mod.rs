//! A small Windows source, for `wecrelay send` and the tests. Sans-IO.
//!
//! A [`Session`] is one connection: it authenticates with its first message (NTLM, raw
//! tokens under `Negotiate`) and seals everything, compressed if requested. Inside TLS
//! nothing is sealed, as with Windows; a certificate or channel bindings authenticate it.

mod response;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::base::clock::FileTime;
use crate::base::wire::{self, Charset};
use crate::protocol::http::ContentType;
use crate::protocol::http::multipart::{self, Mechanism, Style};
use crate::protocol::ntlm::initiator::{self, Client, ExpectChallenge, Nonces};
use crate::protocol::ntlm::{self, Session as Security};
use crate::protocol::sldc;
use response::Response;

/// Why a session cannot continue.
#[derive(Debug)]
pub enum Error {
    /// The address is not `http://HOST[:PORT]/PATH`, nor the same with `https`.
    Address(String),
    /// The answer is not HTTP, or larger than those of collectors.
    Http(String),
    /// The collector does not accept NTLM: status and offered schemes.
    NotOffered(u16, Vec<String>),
    /// The collector rejected the credentials: status and offered schemes.
    Refused(u16, Vec<String>),
    /// The collector's challenge is not acceptable.
    Ntlm(ntlm::Error),
    /// The answer is not sealed as it should be.
    Sealing(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => {
                write!(
                    f,
                    "{text:?} is not http://HOST:PORT/PATH or https://HOST:PORT/PATH"
                )
            }
            Self::Http(why) => write!(f, "the answer is malformed HTTP: {why}"),
            Self::NotOffered(status, offers)
                if offers.is_empty() && (401..=403).contains(status) =>
            {
                write!(
                    f,
                    "the collector accepts neither accounts nor null sessions ({status}): if it \
                     accepts certificates, give one with --cert and --key, or --pfx"
                )
            }
            Self::NotOffered(status, offers) if offers.is_empty() => write!(
                f,
                "the answer to the logon is {status}, which a collector does not send: check the \
                 address"
            ),
            Self::NotOffered(status, offers) => write!(
                f,
                "the collector does not offer NTLM, the only method of this command besides \
                 certificates ({status}); it offers: {}",
                schemes(offers)
            ),
            Self::Refused(status, offers) => {
                let why = match status {
                    401 => "wrong account or password, or a null session that is not allowed",
                    403 => "authenticated, but not allowed",
                    429 => "too many failed logons; retry after a minute",
                    _ => "see its log",
                };
                write!(f, "the collector rejects the logon with {status}: {why}")?;
                if offers.is_empty() {
                    Ok(())
                } else {
                    write!(f, " (it offers: {})", schemes(offers))
                }
            }
            Self::Ntlm(error) => write!(f, "the collector's challenge: {error}"),
            Self::Sealing(why) => write!(f, "the answer is not sealed correctly: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// The names of schemes, without parameters, each once.
fn schemes(offers: &[String]) -> String {
    let words = offers
        .iter()
        .filter_map(|offer| offer.split_whitespace().next());
    let mut words: Vec<_> = words.collect();
    words.dedup();
    words.join(", ")
}

/// The address of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port, as in a `Host` header.
    pub authority: String,
    /// Path, with its leading slash.
    pub path: String,
    /// Whether it is an https address.
    pub secure: bool,
}

impl Endpoint {
    /// Parses `http://HOST[:PORT]/PATH`; the default port is 5985, for https 5986.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = || Error::Address(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let secure = scheme.eq_ignore_ascii_case("https");
        if !secure && !scheme.eq_ignore_ascii_case("http") {
            return Err(wrong());
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_graphic()) {
            return Err(wrong());
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = match (has_port, secure) {
            (true, _) => host.to_owned(),
            (false, false) => format!("{host}:5985"),
            (false, true) => format!("{host}:5986"),
        };
        Ok(Self {
            authority,
            path: format!("/{path}"),
            secure,
        })
    }

    /// The host alone; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let (host, _) = self
            .authority
            .rsplit_once(':')
            .unwrap_or((&self.authority, ""));
        host.trim_matches(['[', ']'])
    }
}

enum State {
    /// Nothing has been sent.
    Fresh(Client),
    /// NEGOTIATE has been sent; this message waits for the challenge.
    Challenged(ExpectChallenge, Vec<u8>),
    Sealed(Box<Security>),
    /// TLS authenticates and protects; nothing is sealed.
    Plain,
    Broken,
}

/// The answer to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status of the answer.
    pub status: u16,
    /// The envelope, unsealed; `None` for an empty body.
    pub text: Option<String>,
}

/// One connection of a source.
pub struct Session {
    endpoint: Endpoint,
    compress: bool,
    state: State,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Session {
    /// A connection to `endpoint` on which nothing has been sent.
    #[must_use]
    pub fn new(endpoint: Endpoint, client: Client) -> Self {
        Self::in_state(endpoint, State::Fresh(client))
    }

    /// The same inside TLS, authenticated by a certificate.
    #[must_use]
    pub fn with_certificate(endpoint: Endpoint) -> Self {
        Self::in_state(endpoint, State::Plain)
    }

    fn in_state(endpoint: Endpoint, state: State) -> Self {
        Self {
            endpoint,
            compress: false,
            state,
            outgoing: Vec::new(),
            incoming: Vec::new(),
        }
    }

    /// The same with bodies compressed by SLDC, for a subscription that asks for it.
    #[must_use]
    pub fn compressed(self, compress: bool) -> Self {
        Self { compress, ..self }
    }

    /// Sends an envelope; the reply to the previous one must have been received.
    pub fn call(&mut self, envelope: &str) {
        self.call_encoded(wire::encode_text(envelope, Charset::Utf16));
    }

    /// The same for an envelope that is already in UTF-16.
    pub fn call_encoded(&mut self, mut plain: Vec<u8>) {
        if self.compress {
            plain = sldc::encode(&plain);
        }
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Fresh(client) => {
                let (token, next) = initiator::start(client);
                self.post(Some(&token), None);
                self.state = State::Challenged(next, plain);
            }
            State::Sealed(mut security) => {
                let body = seal(&mut security, plain);
                self.state = State::Sealed(security);
                self.post(None, Some(&body));
            }
            State::Plain => {
                self.state = State::Plain;
                self.post(None, Some(&plain));
            }
            other => self.state = other,
        }
    }

    /// Removes and returns the bytes to write.
    #[must_use]
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Handles bytes from the collector. A handshake continues by itself, with fresh
    /// `nonces`: while there is no reply, write [`Session::take_outgoing`].
    ///
    /// # Errors
    /// The session cannot continue.
    pub fn handle_received(
        &mut self,
        bytes: &[u8],
        nonces: &Nonces,
    ) -> Result<Option<Reply>, Error> {
        self.incoming.extend_from_slice(bytes);
        let Some(response) = response::take(&mut self.incoming)? else {
            return Ok(None);
        };
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Challenged(expect, plain) => {
                let (token, mut security) = authenticate(expect, &response, nonces)?;
                if self.endpoint.secure {
                    self.state = State::Plain;
                    self.post(Some(&token), Some(&plain));
                    return Ok(None);
                }
                let body = seal(&mut security, plain);
                self.state = State::Sealed(Box::new(security));
                self.post(Some(&token), Some(&body));
                Ok(None)
            }
            State::Sealed(mut security) => {
                let reply = open(&mut security, response)?;
                self.state = State::Sealed(security);
                Ok(Some(reply))
            }
            State::Plain => {
                self.state = State::Plain;
                open_plain(response).map(Some)
            }
            State::Fresh(_) | State::Broken => Err(Error::Http("an answer to nothing".into())),
        }
    }

    fn post(&mut self, token: Option<&[u8]>, body: Option<&[u8]>) {
        let Endpoint {
            authority, path, ..
        } = &self.endpoint;
        let kind = match body {
            Some(_) if !self.endpoint.secure => multipart::content_type(Mechanism::Spnego),
            _ => "application/soap+xml;charset=UTF-16",
        };
        let token = token.map(|token| BASE64.encode(token));
        let token = token.map_or(String::new(), |t| {
            format!("Authorization: Negotiate {t}\r\n")
        });
        let encoding = if self.compress {
            "Content-Encoding: SLDC\r\n"
        } else {
            ""
        };
        let body = body.unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nConnection: Keep-Alive\r\nContent-Type: {kind}\r\n{encoding}{token}\
             User-Agent: wecrelay send\r\nContent-Length: {}\r\nHost: {authority}\r\n\r\n",
            body.len()
        );
        self.outgoing.extend_from_slice(head.as_bytes());
        self.outgoing.extend_from_slice(body);
    }
}

fn authenticate(
    expect: ExpectChallenge,
    response: &Response,
    nonces: &Nonces,
) -> Result<(Vec<u8>, Security), Error> {
    let mut offers = response.challenges.iter();
    let token = offers
        .find_map(|offer| offer.strip_prefix("Negotiate "))
        .and_then(|t| BASE64.decode(t.trim()).ok());
    let token = token.filter(|_| response.status == 401);
    let refused = || {
        let offers = response.challenges.clone();
        if response.status == 429 {
            Error::Refused(response.status, offers)
        } else {
            Error::NotOffered(response.status, offers)
        }
    };
    let token = token.ok_or_else(refused)?;
    expect
        .handle(&token, nonces, FileTime::default())
        .map_err(Error::Ntlm)
}

fn seal(security: &mut Security, mut plain: Vec<u8>) -> Vec<u8> {
    let token = security.seal(&mut plain);
    let mut body = Vec::with_capacity(plain.len() + 400);
    multipart::emit(
        Style::windows(Mechanism::Spnego, Charset::Utf16),
        plain.len(),
        &token,
        &plain,
        &mut body,
    );
    body
}

fn open(security: &mut Security, response: Response) -> Result<Reply, Error> {
    let Response {
        status,
        content_type,
        mut body,
        challenges,
    } = response;
    if status == 401 || status == 429 {
        return Err(Error::Refused(status, challenges));
    }
    if body.is_empty() {
        return Ok(Reply { status, text: None });
    }
    let wrong = |why: String| Error::Sealing(why);
    let content_type = ContentType::parse(&content_type);
    let content_type = content_type.ok_or_else(|| wrong("no Content-Type".into()))?;
    let sealed = multipart::parse(&content_type, &body).map_err(|e| wrong(e.to_string()))?;
    let token = body.get(sealed.token).unwrap_or_default().to_vec();
    let data = body.get_mut(sealed.data).unwrap_or_default();
    security
        .unseal(&token, data)
        .map_err(|e| wrong(e.to_string()))?;
    let (text, _) = wire::decode_text(data, sealed.style.charset);
    Ok(Reply {
        status,
        text: Some(text.into_owned()),
    })
}

/// The same for an answer that only TLS protects.
fn open_plain(response: Response) -> Result<Reply, Error> {
    let status = response.status;
    if status == 401 || status == 429 {
        return Err(Error::Refused(status, response.challenges));
    }
    if response.body.is_empty() {
        return Ok(Reply { status, text: None });
    }
    let content_type = ContentType::parse(&response.content_type);
    let charset = content_type.and_then(|content_type| content_type.charset());
    let (text, _) = wire::decode_text(&response.body, charset.unwrap_or_default());
    Ok(Reply {
        status,
        text: Some(text.into_owned()),
    })
}
