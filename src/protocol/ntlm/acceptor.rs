//! The states of the collector's side (MS-NLMP 3.2.5).

use crate::base::clock::FileTime;
use crate::protocol::ntlm::crypto::{self, Key, NtHash};
use crate::protocol::ntlm::messages::{
    AV_MIC_PRESENT, Authenticate, Challenge, Flags, Negotiate, NtResponse, ParseError, V2Response,
    Version,
};
use crate::protocol::ntlm::{Account, Accounts, Error, Name, Reason, Rules, Server, Session};

/// Longest NEGOTIATE in bytes: it is kept until the MIC is checked; 40 bytes and
/// two short names are usual.
pub const MAX_NEGOTIATE: usize = 2048;

/// What both sides must be able to do where NTLM itself protects the messages.
pub(super) const SEALED: Flags = Flags::from_bits(
    Flags::UNICODE.bits()
        | Flags::SIGN.bits()
        | Flags::SEAL.bits()
        | Flags::NTLM.bits()
        | Flags::ESS.bits()
        | Flags::KEY_128.bits()
        | Flags::KEY_EXCH.bits(),
);

/// And inside TLS, which does that better: curl, for one, can neither seal nor agree on a key.
const WITHIN_TLS: Flags = Flags::from_bits(Flags::NTLM.bits() | Flags::ESS.bits());

/// What is taken if the source asks for it.
const OPTIONAL: Flags = Flags::from_bits(
    Flags::REQUEST_TARGET.bits()
        | Flags::ALWAYS_SIGN.bits()
        | Flags::VERSION.bits()
        | Flags::KEY_56.bits(),
);

/// What ends the exchange.
const REFUSED: Flags =
    Flags::from_bits(Flags::DATAGRAM.bits() | Flags::REQUEST_NON_NT_SESSION_KEY.bits());

/// Before the first message.
#[derive(Clone, Copy, Debug)]
pub struct ExpectNegotiate {
    required: Flags,
}

impl ExpectNegotiate {
    /// For a connection on which bodies are to be sealed.
    #[must_use]
    pub const fn sealed() -> Self {
        Self { required: SEALED }
    }

    /// For a TLS connection: the source may leave out sealing, keys, and Unicode.
    #[must_use]
    pub const fn within_tls() -> Self {
        let required = WITHIN_TLS;
        Self { required }
    }

    /// Takes NEGOTIATE, gives CHALLENGE. `server_challenge` must be fresh random
    /// bytes, `now` the wall time.
    pub fn handle(
        self,
        token: &[u8],
        server: &Server,
        server_challenge: [u8; 8],
        now: FileTime,
    ) -> Result<(Vec<u8>, ExpectAuthenticate), Error> {
        if token.len() > MAX_NEGOTIATE {
            let length = token.len();
            return Err(ParseError::TooLong { length }.into());
        }
        let asked = Negotiate::parse(token)?.flags;
        check_flags(asked, self.required)?;
        let offered = (asked & (SEALED | OPTIONAL | self.characters(asked)?))
            | Flags::TARGET_INFO
            | Flags::TARGET_TYPE_SERVER;
        let challenge = Challenge {
            flags: offered,
            server_challenge,
            target_name: server.computer.clone(),
            target_info: server.target_info(now),
            version: offered
                .contains(Flags::VERSION)
                .then_some(Version::WINDOWS_10),
        };
        let challenge = challenge.emit();
        let next = ExpectAuthenticate {
            negotiate: token.to_vec(),
            challenge: challenge.clone(),
            server_challenge,
            offered,
            required: self.required,
        };
        Ok((challenge, next))
    }

    /// One way to write names; Unicode where the source can (MS-NLMP 2.2.2.5, flags A and B).
    fn characters(self, asked: Flags) -> Result<Flags, Error> {
        let all = [Flags::UNICODE, Flags::OEM];
        let known = all.into_iter().find(|flag| asked.contains(*flag));
        known.ok_or(Error::Missing(Flags::UNICODE))
    }
}

/// After the challenge was sent.
#[derive(Clone, Debug)]
pub struct ExpectAuthenticate {
    negotiate: Vec<u8>,
    challenge: Vec<u8>,
    server_challenge: [u8; 8],
    offered: Flags,
    required: Flags,
}

/// After success.
#[derive(Debug)]
pub struct Established {
    /// Who came, as it said.
    pub account: Account,
    /// The account of ours that it is; `None` for a null session, or where the domain has
    /// spoken.
    pub known: Option<Name>,
    /// It is on our TLS connection, as its channel bindings show.
    pub is_bound: bool,
    /// A MIC protects the handshake, or it is one of NTLMv1, which has none.
    pub has_mic: bool,
    /// It can seal its bodies, with a key of full length.
    pub seals: bool,
    /// The service that it means to talk to, if it says so.
    pub target: Option<String>,
    /// Keys and sequence numbers of this connection.
    pub session: Session,
}

/// What AUTHENTICATE leads to.
#[derive(Debug)]
pub enum Progress {
    /// The source is known.
    Established(Box<Established>),
    /// Only its domain can tell.
    Ask(Box<ExpectVerdict>),
}

impl ExpectAuthenticate {
    /// Takes AUTHENTICATE; there is no answer to it. No domain is asked.
    pub fn handle(
        self,
        token: &[u8],
        accounts: &dyn Accounts,
        rules: &Rules,
    ) -> Result<Established, Error> {
        match self.handle_or_ask(token, accounts, rules)? {
            Progress::Established(established) => Ok(*established),
            Progress::Ask(expect) => Err(Error::Denied {
                reason: Reason::UnknownAccount,
                claimed: expect.account(),
            }),
        }
    }

    /// Takes AUTHENTICATE; with [`Rules::domain`] an account that is not among
    /// `accounts` is one to ask for.
    pub fn handle_or_ask(
        self,
        token: &[u8],
        accounts: &dyn Accounts,
        rules: &Rules,
    ) -> Result<Progress, Error> {
        let message = Authenticate::parse(token)?;
        // A source may clear what we offered and say that it is anonymous, no more.
        let flags = message.flags & (self.offered | Flags::ANONYMOUS);
        check_flags(flags, self.required)?;
        let encrypted = match message.encrypted_session_key {
            _ if !flags.contains(Flags::KEY_EXCH) => None,
            None => {
                let name = "EncryptedRandomSessionKey";
                return Err(ParseError::Length { name, length: 0 }.into());
            }
            key => key,
        };
        let key = self.key_exchange_key(&message, accounts, rules);
        let claims = Claims {
            token: token.to_vec(),
            message,
            encrypted,
            flags,
            channel_bindings: rules.channel_bindings,
        };
        let may_ask = rules.domain && !claims.message.user.is_empty();
        match key {
            Err(Reason::UnknownAccount) if may_ask => {
                let handshake = self;
                Ok(Progress::Ask(Box::new(ExpectVerdict { handshake, claims })))
            }
            key => {
                let established = self.establish(&claims, key)?;
                Ok(Progress::Established(Box::new(established)))
            }
        }
    }

    /// What is left once the KeyExchangeKey is known (MS-NLMP 3.2.5.1.2).
    fn establish(
        self,
        claims: &Claims,
        proved: Result<Proved, Reason>,
    ) -> Result<Established, Error> {
        let Claims { message, flags, .. } = claims;
        let account = Account::claimed(message);
        let proved = proved.and_then(|proved| {
            let key = match &claims.encrypted {
                Some(encrypted) => crypto::exchange_key(&proved.key, encrypted),
                None => proved.key,
            };
            let has_mic = self.check_mic(message, &claims.token, &key)?;
            let is_bound = check_bindings(message, claims.channel_bindings)?;
            Ok((proved.known, key, has_mic, is_bound))
        });
        match proved {
            Ok((known, key, has_mic, is_bound)) => Ok(Established {
                account,
                known,
                is_bound,
                has_mic: has_mic || !matches!(message.response, NtResponse::V2(_)),
                seals: flags.first_missing(SEALED).is_none(),
                target: target(message),
                session: Session::collector(&key, *flags),
            }),
            Err(reason) => Err(Error::Denied {
                reason,
                claimed: account,
            }),
        }
    }

    fn key_exchange_key(
        &self,
        message: &Authenticate,
        accounts: &dyn Accounts,
        rules: &Rules,
    ) -> Result<Proved, Reason> {
        match &message.response {
            NtResponse::V2(response) => self.check_v2(message, response, accounts),
            NtResponse::V1(_) if !rules.ntlmv1 => Err(Reason::Ntlmv1NotAllowed),
            NtResponse::V1(response) => self.check_v1(message, response, accounts),
            NtResponse::Absent if !message.user.is_empty() => Err(Reason::LmOnly),
            NtResponse::Absent if message.lm_response.len() > 1 => Err(Reason::LmOnly),
            NtResponse::Absent if rules.anonymous => Ok(Proved::by(Key::NULL_SESSION)),
            NtResponse::Absent => Err(Reason::AnonymousNotAllowed),
        }
    }

    /// Verifies an NTLMv2 response (MS-NLMP 3.3.2).
    fn check_v2(
        &self,
        message: &Authenticate,
        response: &V2Response,
        accounts: &dyn Accounts,
    ) -> Result<Proved, Reason> {
        prove(message, accounts, |hash| {
            let keys = hash.response_keys(&message.user, &message.domain);
            let tried = keys.map(|key| {
                let proof = crypto::ntlmv2_proof(&key, &self.server_challenge, &response.temp);
                let valid = crypto::equal(&proof, &response.proof);
                valid.then(|| crypto::ntlmv2_key(&key, &proof))
            });
            tried.fold(None, Option::or)
        })
    }

    /// MS-NLMP 3.3.1, with extended session security.
    fn check_v1(
        &self,
        message: &Authenticate,
        response: &[u8; 24],
        accounts: &dyn Accounts,
    ) -> Result<Proved, Reason> {
        let client = message.lm_response.first_chunk().ok_or(Reason::LmOnly)?;
        prove(message, accounts, |hash| {
            let expected = hash.ntlmv1_response(&self.server_challenge, client);
            let valid = crypto::equal(&expected, response);
            valid.then(|| hash.ntlmv1_key(&self.server_challenge, client))
        })
    }

    /// A MIC that is announced must be right; one that is not announced must be
    /// right or zero (MS-NLMP 3.2.5.1.2). Answers whether there is one.
    fn check_mic(&self, message: &Authenticate, token: &[u8], key: &Key) -> Result<bool, Reason> {
        let announced = match &message.response {
            NtResponse::V2(response) => response.pairs.flags() & AV_MIC_PRESENT != 0,
            _ => false,
        };
        let carried = match message.mic {
            Some(mic) if announced || mic != [0; 16] => mic,
            None if announced => return Err(Reason::BadMic),
            _ => return Ok(false),
        };
        let expected = crypto::mic(key, &self.negotiate, &self.challenge, token);
        let same = crypto::equal(&expected, &carried);
        same.then_some(true).ok_or(Reason::BadMic)
    }
}

/// An AUTHENTICATE and what it was measured against.
#[derive(Clone, Debug)]
struct Claims {
    token: Vec<u8>,
    message: Authenticate,
    /// Where the source chose the session key.
    encrypted: Option<[u8; 16]>,
    flags: Flags,
    channel_bindings: Option<[u8; 16]>,
}

/// While the domain is asked.
#[derive(Clone, Debug)]
pub struct ExpectVerdict {
    handshake: ExpectAuthenticate,
    claims: Claims,
}

/// What a domain controller is asked: is this the answer of that account to this
/// challenge?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// User name as the source wrote it.
    pub user: String,
    /// Domain as the source wrote it; empty where `user` is a `user@domain`.
    pub domain: String,
    /// What the response answers.
    pub challenge: [u8; 8],
    /// NTLMv2 or NTLMv1 response.
    pub response: Vec<u8>,
}

impl ExpectVerdict {
    /// Who the source says it is.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::claimed(&self.claims.message)
    }

    /// What to ask.
    #[must_use]
    pub fn question(&self) -> Question {
        let message = &self.claims.message;
        let server = self.handshake.server_challenge;
        let (challenge, response) = match (&message.response, message.lm_response.first_chunk()) {
            (NtResponse::V2(response), _) => {
                (server, [&response.proof[..], &response.temp].concat())
            }
            (NtResponse::V1(response), Some(client)) => (
                crypto::session_challenge(&server, client),
                response.to_vec(),
            ),
            _ => (server, Vec::new()),
        };
        Question {
            user: message.user.clone(),
            domain: message.domain.clone(),
            challenge,
            response,
        }
    }

    /// The domain says yes, and gives the SessionBaseKey (MS-NLMP 3.3.1, 3.3.2).
    pub fn handle(self, base: Key) -> Result<Established, Error> {
        let message = &self.claims.message;
        let server = &self.handshake.server_challenge;
        let key = match (&message.response, message.lm_response.first_chunk()) {
            (NtResponse::V2(_), _) => Ok(base),
            (NtResponse::V1(_), Some(client)) => Ok(crypto::ntlmv1_exchange(&base, server, client)),
            _ => Err(Reason::LmOnly),
        };
        self.handshake.establish(&self.claims, key.map(Proved::by))
    }
}

/// A proof that was right.
struct Proved {
    known: Option<Name>,
    key: Key,
}

impl Proved {
    /// Of no account of ours.
    const fn by(key: Key) -> Self {
        Self { known: None, key }
    }
}

/// Runs a proof with the account's hash. Unknown accounts get one that no
/// password has, so that they cost the same time as a wrong password.
fn prove(
    message: &Authenticate,
    accounts: &dyn Accounts,
    proof: impl FnOnce(&NtHash) -> Option<Key>,
) -> Result<Proved, Reason> {
    let known = accounts.find(&message.user, &message.domain);
    let nobody = NtHash::from_bytes([0; 16]);
    let hash = known.as_ref().map_or(&nobody, |known| &known.hash);
    let key = proof(hash);
    let name = known.ok_or(Reason::UnknownAccount)?.name;
    Ok(Proved {
        known: Some(name),
        key: key.ok_or(Reason::WrongPassword)?,
    })
}

/// Answers whether the source has sent those of our connection.
fn check_bindings(message: &Authenticate, ours: Option<[u8; 16]>) -> Result<bool, Reason> {
    let NtResponse::V2(response) = &message.response else {
        return Ok(false);
    };
    match (response.pairs.channel_bindings(), ours) {
        (Some(theirs), Some(ours)) => {
            let same = crypto::equal(&theirs, &ours);
            same.then_some(true).ok_or(Reason::ChannelBindings)
        }
        _ => Ok(false),
    }
}

/// The service name in an NTLMv2 answer; an empty one says nothing.
fn target(message: &Authenticate) -> Option<String> {
    let NtResponse::V2(response) = &message.response else {
        return None;
    };
    let name = response.pairs.target_name();
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

pub(super) fn check_flags(flags: Flags, required: Flags) -> Result<(), Error> {
    if let Some(flag) = flags.first_present(REFUSED) {
        return Err(Error::Unsupported(flag));
    }
    flags
        .first_missing(required)
        .map_or(Ok(()), |flag| Err(Error::Missing(flag)))
}

#[cfg(test)]
mod tests;
