//! The last step of NTLM: at once, or after the account's domain has spoken.

use std::net::IpAddr;

use crate::auth::scheme::Scheme;
use crate::auth::ties::{self, Shown};
use crate::auth::{Error, Identity, Policy, SecurityContext, Step};
use crate::protocol::ntlm::crypto::Key;
use crate::protocol::ntlm::{Established, ExpectVerdict, Question};
use crate::protocol::spnego::Negotiation;

/// What a domain says of a [`Question`].
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The answer is right; the SessionBaseKey.
    Proven(Key),
    /// It is not, in the domain's words.
    Refused(String),
    /// The domain cannot be asked, and why.
    Unavailable(String),
}

/// What SPNEGO around NTLM still needs.
#[derive(Debug)]
pub(super) struct Within {
    pub(super) scheme: Scheme,
    pub(super) negotiation: Negotiation,
    /// The source's signature of its list of mechanisms.
    pub(super) mic: Option<Vec<u8>>,
}

/// An answer that waits for a verdict.
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

/// The proof was right; within SPNEGO the list of mechanisms has to be signed too
/// (RFC 4178 5).
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
