//! The last step of NTLM: immediately for local accounts, or after the account's domain has
//! answered.

use std::net::IpAddr;

use crate::auth::scheme::Scheme;
use crate::auth::ties::{self, Shown};
use crate::auth::{Error, Identity, Policy, SecurityContext, Step};
use crate::protocol::ntlm::crypto::Key;
use crate::protocol::ntlm::{Established, ExpectVerdict, Question};
use crate::protocol::spnego::Negotiation;

/// A domain's answer to a [`Question`].
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The response is correct; the SessionBaseKey (MS-NLMP 3.4.5.1) for this session.
    Proven(Key),
    /// The response is wrong, or the account may not log on; the domain's words.
    Refused(String),
    /// The domain cannot be asked; the reason. Not the host's fault, so it is not counted
    /// as a guess.
    Unavailable(String),
}

/// What SPNEGO around NTLM still needs.
#[derive(Debug)]
pub(super) struct Within {
    pub(super) scheme: Scheme,
    pub(super) negotiation: Negotiation,
    /// The host's signature over its list of mechanisms.
    pub(super) mic: Option<Vec<u8>>,
}

/// A response that waits for a verdict.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) expect: Box<ExpectVerdict>,
    pub(super) within: Option<Within>,
}

impl Asked {
    pub(super) fn question(&self) -> Question {
        self.expect.question()
    }

    pub(super) fn handle(
        self,
        verdict: Verdict,
        peer: IpAddr,
        policy: &Policy,
        is_secure: bool,
    ) -> Result<Step, Error> {
        let claimed = self.expect.account();
        let key = match verdict {
            Verdict::Proven(key) => key,
            Verdict::Refused(why) => return Err(Error::Domain { claimed, why }),
            Verdict::Unavailable(why) => return Err(Error::DomainUnavailable { claimed, why }),
        };
        let established = self.expect.handle(key);
        let established =
            established.map_err(|error| Error::ntlm(error, peer, policy.has_accounts))?;
        let identity = Identity::domain_account(&established.account);
        accept(identity, established, self.within, policy, is_secure)
    }
}

/// Completes authentication after a correct proof: checks target and connection, and inside
/// SPNEGO the signature over the list of mechanisms (RFC 4178 5).
pub(super) fn accept(
    identity: Identity,
    established: Established,
    within: Option<Within>,
    policy: &Policy,
    is_secure: bool,
) -> Result<Step, Error> {
    if let Some(target) = &established.target {
        ties::check_target(&policy.names, &identity, target)?;
    }
    let shown = Shown {
        is_bound: established.is_bound,
        has_mic: established.has_mic,
        seals: established.seals,
    };
    let unsealed = ties::check_connection(policy, is_secure, &identity, &shown)?;
    let mut session = established.session;
    let token = match within {
        None => None,
        Some(Within {
            scheme,
            negotiation,
            mic,
        }) => {
            let list = negotiation.list();
            let mic = match mic {
                None if negotiation.mic_required() => return Err(Error::MechanismsUnsigned),
                None => None,
                Some(mic) => {
                    let verified = session.verify_mechanisms(&mic, list);
                    verified.map_err(|_| Error::MechanismsChanged)?;
                    Some(session.sign_mechanisms(list).to_vec())
                }
            };
            Some(scheme.value(&negotiation.accept(mic)))
        }
    };
    Ok(Step::Accept {
        identity,
        context: Some(SecurityContext::Ntlm(Box::new(session))),
        token,
        unsealed,
    })
}
