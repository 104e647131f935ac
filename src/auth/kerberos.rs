//! Kerberos in the exchange of headers, raw or inside SPNEGO.
//!
//! The ticket itself is verified by [`crate::protocol::kerberos`]; here its result is tied
//! to this connection and to this server's names, and put into the right header.

use std::time::SystemTime;

use crate::auth::scheme::Scheme;
use crate::auth::ties::{self, Shown};
use crate::auth::{Error, Identity, Policy, Protocol, SecurityContext, Step};
use crate::protocol::kerberos::{Accepted, Refused, Rules, Session};
use crate::protocol::spnego::{NegState, NegTokenResp, Negotiation};

pub(super) use crate::protocol::kerberos::is_token;

/// Fills its argument with cryptographically secure bytes.
type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// One token together with everything that the decision depends on.
pub(super) struct Turn<'a> {
    // Scheme of the request; the answer uses the same one.
    pub(super) scheme: Scheme,
    pub(super) policy: &'a Policy,
    // Whether the connection is protected by TLS.
    pub(super) is_secure: bool,
    /// The server's channel bindings, if the host's must equal them.
    pub(super) channel_bindings: Option<[u8; 16]>,
    pub(super) wall: SystemTime,
}

impl Turn<'_> {
    /// Accepts a token without SPNEGO around it.
    pub(super) fn accept(&self, token: &[u8], random: Random<'_>) -> Result<Step, Error> {
        let admitted = self
            .verify(token, random)
            .map_err(|refused| match refused {
                Ok(refused) => self.refuse(refused.error, refused.reply),
                Err(error) => error,
            })?;
        let token = admitted.reply.as_deref().map(|r| self.scheme.value(r));
        Ok(step(self.scheme, admitted, token))
    }

    /// Accepts a token inside SPNEGO. With `Some`, the host must still sign its list of
    /// mechanisms before it counts as authenticated.
    pub(super) fn negotiate(
        &self,
        mut negotiation: Negotiation,
        token: &[u8],
        mic: Option<Vec<u8>>,
        random: Random<'_>,
    ) -> Result<(Option<Proven>, Step), Error> {
        let verified = self.verify(token, random).map_err(|refused| match refused {
            Ok(Refused { error, reply }) => {
                let answer = reply.map(|r| negotiation.answer(NegState::Reject, Some(r), None));
                self.refuse(error, answer)
            }
            Err(error) => error,
        });
        let mut admitted = verified?;
        let reply = admitted.reply.take();
        if mic.is_none() && negotiation.mic_required() {
            // The side that sends the mechanism's last token signs first (RFC 4178 5).
            let ours = admitted.session.sign(negotiation.list());
            let answer = negotiation.answer(NegState::AcceptIncomplete, reply, Some(ours));
            let step = Step::Challenge(self.scheme.value(&answer));
            let proven = Proven {
                scheme: self.scheme,
                admitted,
                negotiation,
                signed: true,
            };
            return Ok((Some(proven), step));
        }
        let mut proven = Proven {
            scheme: self.scheme,
            admitted,
            negotiation,
            signed: false,
        };
        let ours = match mic {
            Some(mic) => proven.exchange_mics(&mic)?,
            None => None,
        };
        Ok((None, proven.accept(reply, ours)))
    }

    /// Verifies ticket and authenticator. The nested error keeps a refusal with a reply for
    /// the host apart from one without.
    fn verify(&self, token: &[u8], random: Random<'_>) -> Result<Admitted, Result<Refused, Error>> {
        let service = self.policy.kerberos.as_ref();
        let service = service.ok_or(Err(Error::NoKeytab))?;
        let rules = Rules {
            channel_bindings: self.channel_bindings,
            sealing: !self.is_secure,
        };
        let accepted = service.accept(token, &rules, self.wall, random);
        self.admit(accepted.map_err(Ok)?).map_err(Err)
    }

    /// Checks that a valid ticket was meant for this server and that its owner is on this
    /// connection.
    fn admit(&self, accepted: Accepted) -> Result<Admitted, Error> {
        let identity = Identity::principal(&accepted);
        let target = accepted.service.to_string();
        let names = [&self.policy.names[..], &accepted.hosts].concat();
        ties::check_target(&names, &identity, &target)?;
        let shown = Shown {
            is_bound: accepted.is_bound,
            has_mic: true,
            seals: accepted.seals,
        };
        Ok(Admitted {
            unsealed: ties::check_connection(self.policy, self.is_secure, &identity, &shown)?,
            identity,
            session: accepted.session,
            reply: accepted.reply,
        })
    }

    fn refuse(&self, error: crate::protocol::kerberos::Error, answer: Option<Vec<u8>>) -> Error {
        Error::Kerberos {
            error,
            answer: answer.map(|answer| self.scheme.value(&answer)),
        }
    }
}

/// A host authenticated by Kerberos whose SPNEGO negotiation is not complete.
#[derive(Debug)]
pub(super) struct Proven {
    scheme: Scheme,
    admitted: Admitted,
    negotiation: Negotiation,
    /// Whether our signature over the list has been sent.
    signed: bool,
}

impl Proven {
    /// Verifies the host's signature over its list, which completes the negotiation.
    pub(super) fn complete(mut self, resp: &NegTokenResp) -> Result<Step, Error> {
        let mic = resp.mic.as_ref().ok_or(Error::MechanismsUnsigned)?;
        let ours = self.exchange_mics(mic)?;
        Ok(self.accept(None, ours))
    }

    /// Verifies the host's signature over its list, and returns ours if it has not been
    /// sent yet.
    fn exchange_mics(&mut self, mic: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let session = &mut self.admitted.session;
        let verified = session.verify(mic, self.negotiation.list());
        verified.map_err(|_| Error::MechanismsChanged)?;
        Ok((!self.signed).then(|| session.sign(self.negotiation.list())))
    }

    fn accept(mut self, reply: Option<Vec<u8>>, mic: Option<Vec<u8>>) -> Step {
        let answer = self
            .negotiation
            .answer(NegState::AcceptCompleted, reply, mic);
        let token = self.scheme.value(&answer);
        step(self.scheme, self.admitted, Some(token))
    }
}

/// An authenticated host and the token to answer with.
#[derive(Debug)]
struct Admitted {
    identity: Identity,
    session: Session,
    reply: Option<Vec<u8>>,
    // Bodies are accepted unsealed, which only TLS can justify.
    unsealed: bool,
}

fn step(scheme: Scheme, admitted: Admitted, token: Option<String>) -> Step {
    let protocol = match scheme {
        Scheme::Kerberos => Protocol::Kerberos,
        Scheme::Negotiate | Scheme::Ntlm => Protocol::Spnego,
    };
    Step::Accept {
        identity: admitted.identity,
        context: Some(SecurityContext::Kerberos(
            Box::new(admitted.session),
            protocol,
        )),
        token,
        unsealed: admitted.unsealed,
    }
}
