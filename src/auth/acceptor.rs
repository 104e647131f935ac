//! The token exchange in the `Authorization` and `WWW-Authenticate` headers of one
//! connection.
//!
//! [`Acceptor`] owns the state between the legs of NTLM, Kerberos, and SPNEGO; the
//! mechanisms themselves are in [`crate::protocol`]. Every leg consumes the state and
//! returns the next one, so that a challenge can be answered only once.
//!
//! Sources: RFC 4559 (Negotiate over HTTP), RFC 4178 (SPNEGO), MS-NLMP 3.2.5.

use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::auth::kerberos::{self, Proven};
use crate::auth::ntlm_domain::{self, Asked, Within};
use crate::auth::scheme::Scheme;
use crate::auth::{Bindings, Error, Identity, Policy, Step, Verdict};
use crate::protocol::ntlm::{
    self, ExpectAuthenticate, ExpectNegotiate, Progress, Question, messages,
};
use crate::protocol::spnego::{self, Mechanism, NegTokenResp, Negotiation};

/// Longest base64 text of a token, in bytes: [`spnego::MAX_TOKEN`] with padding.
pub const MAX_BASE64: usize = spnego::MAX_TOKEN.div_ceil(3) * 4;

/// Mechanisms accepted from an SPNEGO list when there is no keytab.
const NTLM: [Mechanism; 1] = [Mechanism::Ntlm];
/// The same with a keytab: Kerberos under its own OID and under the one that Windows uses
/// (1.2.840.48018.1.2.2), then NTLM.
const WITH_KERBEROS: [Mechanism; 3] = [
    Mechanism::Kerberos,
    Mechanism::KerberosMicrosoft,
    Mechanism::Ntlm,
];

/// Padding is optional: some hosts leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Authentication state of one connection.
///
/// After a [`Step::Accept`] or [`Step::Deny`], a further header starts a new exchange; the
/// caller must then drop the earlier [`SecurityContext`](super::SecurityContext).
#[derive(Debug, Default)]
pub struct Acceptor {
    state: State,
    // None on a connection without TLS.
    tls: Option<Tls>,
}

/// What the TLS handshake established.
#[derive(Clone, Copy, Debug)]
struct Tls {
    /// MD5 of the channel bindings; `None` if they are not defined for the certificate, as
    /// with Ed25519.
    bindings: Option<[u8; 16]>,
}

#[derive(Debug, Default)]
/// What the next header must contain. Only legal legs are representable: a token that does
/// not fit its state is [`Error::OutOfTurn`].
pub(super) enum State {
    #[default]
    Start,
    /// SPNEGO has selected a mechanism; its first token is still missing.
    Chosen(Box<Negotiation>),
    /// An NTLM challenge has been sent.
    Challenged(Box<Challenged>),
    /// Kerberos has succeeded; the host's signature over its list of mechanisms is still
    /// missing (RFC 4178 5).
    Proven(Box<Proven>),
    /// The AUTHENTICATE message is complete; only the account's domain can verify it.
    Asked(Box<Asked>),
}

/// What waits for the answer to an NTLM challenge. Like all of [`State`], boxed, because most
/// connections have authenticated, and wait for nothing.
#[derive(Debug)]
pub(super) struct Challenged {
    ntlm: ExpectAuthenticate,
    /// `None` outside SPNEGO.
    negotiation: Option<Negotiation>,
}

impl State {
    fn challenged(ntlm: ExpectAuthenticate, negotiation: Option<Negotiation>) -> Self {
        Self::Challenged(Box::new(Challenged { ntlm, negotiation }))
    }
}

impl Acceptor {
    /// For a connection without TLS.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For a TLS connection. `bindings` is the MD5 of its channel bindings (RFC 5929 4).
    #[must_use]
    pub fn within_tls(bindings: Option<[u8; 16]>) -> Self {
        Self {
            state: State::Start,
            tls: Some(Tls { bindings }),
        }
    }

    /// Handles the value of one `Authorization` header.
    ///
    /// `peer` decides about null sessions, `wall` about tickets and NTLM time stamps.
    /// `random` must fill its argument with cryptographically secure bytes: NTLM challenges
    /// and Kerberos subkeys come from it.
    pub fn handle(
        &mut self,
        authorization: &str,
        peer: IpAddr,
        policy: &Policy,
        wall: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Step {
        let state = std::mem::take(&mut self.state);
        let mut turn = Turn {
            peer,
            policy,
            wall,
            random,
            tls: self.tls,
        };
        match turn.handle(authorization, state) {
            Ok((state, step)) => {
                self.state = state;
                step
            }
            Err(error) => Step::Deny(error),
        }
    }

    /// The question for the account's domain after [`Step::Ask`]; `None` in every other
    /// state.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        match &self.state {
            State::Asked(asked) => Some(asked.question()),
            _ => None,
        }
    }

    /// Continues after [`Step::Ask`] with the domain's answer to [`Self::question`]. A
    /// verdict in any other state is denied.
    pub fn handle_verdict(&mut self, verdict: Verdict, peer: IpAddr, policy: &Policy) -> Step {
        match std::mem::take(&mut self.state) {
            State::Asked(asked) => asked
                .handle(verdict, peer, policy, self.tls.is_some())
                .unwrap_or_else(Step::Deny),
            _ => Step::Deny(Error::OutOfTurn),
        }
    }
}

/// Splits a header value into its scheme and decoded token. The length is checked before
/// decoding, so that an oversized header costs no memory.
fn parse_authorization(value: &str) -> Result<(Scheme, Vec<u8>), Error> {
    let value = value.trim();
    let (word, text) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    let scheme = [Scheme::Negotiate, Scheme::Ntlm, Scheme::Kerberos]
        .into_iter()
        .find(|scheme| word.eq_ignore_ascii_case(scheme.word()))
        .ok_or_else(|| Error::scheme(word))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::NoToken);
    }
    if text.len() > MAX_BASE64 {
        return Err(Error::TooLong { length: text.len() });
    }
    let token = BASE64.decode(text).map_err(|_| Error::Base64)?;
    Ok((scheme, token))
}

/// One header together with everything that the decision depends on.
struct Turn<'a> {
    peer: IpAddr,
    policy: &'a Policy,
    wall: SystemTime,
    random: &'a mut dyn FnMut(&mut [u8]),
    tls: Option<Tls>,
}

impl<'a> Turn<'a> {
    fn handle(&mut self, authorization: &str, state: State) -> Result<(State, Step), Error> {
        let (scheme, token) = parse_authorization(authorization)?;
        match messages::message_type(&token) {
            Some(kind) => self.handle_raw(scheme, kind, &token, state),
            None if kerberos::is_token(&token) => {
                let step = self.kerberos(scheme).accept(&token, self.random)?;
                Ok((State::Start, step))
            }
            None => self.handle_spnego(scheme, &token, state),
        }
    }

    /// NTLM without SPNEGO, which is what Windows hosts send outside a domain.
    fn handle_raw(
        &mut self,
        scheme: Scheme,
        kind: u32,
        token: &[u8],
        state: State,
    ) -> Result<(State, Step), Error> {
        match (kind, state) {
            (3, State::Challenged(challenged)) if challenged.negotiation.is_none() => {
                self.conclude(challenged.ntlm, token, None)
            }
            (3, _) => Err(Error::OutOfTurn),
            _ => {
                let (challenge, ntlm) = self.negotiate(token)?;
                let state = State::challenged(ntlm, None);
                Ok((state, Step::Challenge(scheme.value(&challenge))))
            }
        }
    }

    fn handle_spnego(
        &mut self,
        scheme: Scheme,
        token: &[u8],
        state: State,
    ) -> Result<(State, Step), Error> {
        match (spnego::Token::parse(token)?, state) {
            (spnego::Token::Init(init), _) => {
                let supported: &[_] = match self.policy.kerberos {
                    Some(_) => &WITH_KERBEROS,
                    None => &NTLM,
                };
                let mic = init.mic.clone();
                let (negotiation, token) = Negotiation::start(init, supported)?;
                self.challenge(scheme, negotiation, token, mic)
            }
            (spnego::Token::Resp(resp), State::Chosen(negotiation)) => {
                let token = resp.token.ok_or(Error::NoToken)?;
                self.challenge(scheme, *negotiation, Some(token), resp.mic)
            }
            (spnego::Token::Resp(resp), State::Proven(proven)) => {
                let step = proven.complete(&resp)?;
                Ok((State::Start, step))
            }
            (spnego::Token::Resp(resp), State::Challenged(challenged)) => {
                let Challenged { ntlm, negotiation } = *challenged;
                let negotiation = negotiation.ok_or(Error::OutOfTurn)?;
                self.complete(scheme, ntlm, negotiation, &resp)
            }
            (spnego::Token::Resp(_), _) => Err(Error::OutOfTurn),
        }
    }

    /// Continues SPNEGO once a mechanism is selected. Without a token (the client guessed
    /// another mechanism) it asks for the first one.
    fn challenge(
        &mut self,
        scheme: Scheme,
        mut negotiation: Negotiation,
        token: Option<Vec<u8>>,
        mic: Option<Vec<u8>>,
    ) -> Result<(State, Step), Error> {
        let Some(token) = token else {
            let answer = negotiation.challenge(None);
            let step = Step::Challenge(scheme.value(&answer));
            return Ok((State::Chosen(Box::new(negotiation)), step));
        };
        if *negotiation.mechanism() != Mechanism::Ntlm {
            let turn = self.kerberos(scheme);
            let (proven, step) = turn.negotiate(negotiation, &token, mic, self.random)?;
            let state = proven.map_or(State::Start, |proven| State::Proven(Box::new(proven)));
            return Ok((state, step));
        }
        let (challenge, ntlm) = self.negotiate(&token)?;
        let answer = negotiation.challenge(Some(challenge));
        let state = State::challenged(ntlm, Some(negotiation));
        Ok((state, Step::Challenge(scheme.value(&answer))))
    }

    /// The last NTLM leg inside SPNEGO: the proof, and the signatures over the list of
    /// mechanisms (RFC 4178 5).
    fn complete(
        &mut self,
        scheme: Scheme,
        ntlm: ExpectAuthenticate,
        negotiation: Negotiation,
        resp: &NegTokenResp,
    ) -> Result<(State, Step), Error> {
        let token = resp.token.as_ref().ok_or(Error::NoToken)?;
        let within = Within {
            scheme,
            negotiation,
            mic: resp.mic.clone(),
        };
        self.conclude(ntlm, token, Some(within))
    }

    /// The Kerberos step under the same rules as this header.
    fn kerberos(&self, scheme: Scheme) -> kerberos::Turn<'a> {
        kerberos::Turn {
            scheme,
            policy: self.policy,
            is_secure: self.tls.is_some(),
            channel_bindings: self.bindings(),
            wall: self.wall,
        }
    }

    /// Answers an NTLM NEGOTIATE with a CHALLENGE. Outside TLS the session must be able to
    /// seal, because nothing else protects the bodies.
    fn negotiate(&mut self, token: &[u8]) -> Result<(Vec<u8>, ExpectAuthenticate), Error> {
        let mut challenge = [0; 8];
        (self.random)(&mut challenge);
        let server = &self.policy.server;
        let start = match self.tls {
            Some(_) => ExpectNegotiate::within_tls(),
            None => ExpectNegotiate::sealed(),
        };
        start
            .handle(token, server, challenge, self.wall.into())
            .map_err(|error| self.refuse(error))
    }

    /// Verifies the AUTHENTICATE message, or returns [`Step::Ask`] if only the account's
    /// domain can.
    fn conclude(
        &self,
        ntlm: ExpectAuthenticate,
        token: &[u8],
        within: Option<Within>,
    ) -> Result<(State, Step), Error> {
        let rules = ntlm::Rules {
            anonymous: self.policy.takes_anonymous(self.peer),
            ntlmv1: self.policy.ntlmv1,
            domain: self.policy.domain,
            channel_bindings: self.bindings(),
        };
        let progress = ntlm.handle_or_ask(token, &*self.policy.accounts, &rules);
        match progress.map_err(|error| self.refuse(error))? {
            Progress::Established(established) => {
                let known = established.known.clone();
                let identity = Identity::ntlm(&established.account, known);
                let is_secure = self.tls.is_some();
                let step =
                    ntlm_domain::accept(identity, *established, within, self.policy, is_secure)?;
                Ok((State::Start, step))
            }
            Progress::Ask(expect) => {
                let asked = Box::new(Asked { expect, within });
                Ok((State::Asked(asked), Step::Ask))
            }
        }
    }

    /// The bindings that the host's own must equal; `None` turns the comparison off.
    fn bindings(&self) -> Option<[u8; 16]> {
        let bindings = self.tls.and_then(|tls| tls.bindings);
        bindings.filter(|_| self.policy.bindings == Bindings::Require)
    }

    fn refuse(&self, error: ntlm::Error) -> Error {
        Error::ntlm(error, self.peer, self.policy.has_accounts)
    }
}
