//! Kerberos in the exchange of headers: raw, or within SPNEGO.

use std::time::SystemTime;

use crate::auth::scheme::Scheme;
use crate::auth::ties::{self, Shown};
use crate::auth::{Error, Identity, Policy, Protocol, SecurityContext, Step};
use crate::protocol::kerberos::{Accepted, Refused, Rules, Session};
use crate::protocol::spnego::{NegState, NegTokenResp, Negotiation};

pub(super) use crate::protocol::kerberos::is_token;

/// Source of bytes that nobody can guess.
type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// One token with all that decides about it.
pub(super) struct Turn<'a> {
    pub(super) scheme: Scheme,
    pub(super) policy: &'a Policy,
    pub(super) is_secure: bool,
    /// Those that a source's are compared with, if they are.
    pub(super) channel_bindings: Option<[u8; 16]>,
    pub(super) wall: SystemTime,
}

impl Turn<'_> {
    /// A token without SPNEGO around it.
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

    /// A token within SPNEGO. With `Some` the source has to sign its list yet.
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
            // Who sends the last token of the mechanism signs first (RFC 4178 5).
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

    /// The ticket is good; it has to be for us, and its owner on our connection.
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

/// A source that Kerberos let in within SPNEGO.
#[derive(Debug)]
pub(super) struct Proven {
    scheme: Scheme,
    admitted: Admitted,
    negotiation: Negotiation,
    /// Our signature of the list is out.
    signed: bool,
}

impl Proven {
    /// The source's signature of its list, which ends the negotiation.
    pub(super) fn complete(mut self, resp: &NegTokenResp) -> Result<Step, Error> {
        let mic = resp.mic.as_ref().ok_or(Error::MechanismsUnsigned)?;
        let ours = self.exchange_mics(mic)?;
        Ok(self.accept(None, ours))
    }

    /// Verifies the source's signature of its list, and gives ours if it is not out yet.
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

/// Who is let in, and what it is answered.
#[derive(Debug)]
struct Admitted {
    identity: Identity,
    session: Session,
    reply: Option<Vec<u8>>,
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
