//! The states of the collector's side (MS-NLMP 3.2.5), each of which consumes itself: a
//! challenge cannot be answered twice.

use crate::base::clock::FileTime;
use crate::protocol::ntlm::crypto::{self, Key, NtHash};
use crate::protocol::ntlm::messages::{
    AV_MIC_PRESENT, Authenticate, Challenge, Flags, Negotiate, NtResponse, ParseError, V2Response,
    Version,
};
use crate::protocol::ntlm::{Account, Accounts, Error, Name, Reason, Rules, Server, Session};

/// Maximum size of a NEGOTIATE message in bytes. It is kept until the MIC is checked; usual
/// ones have 40 bytes and two short names.
pub const MAX_NEGOTIATE: usize = 2048;

/// Flags that both sides must support where NTLM itself protects the messages.
pub(super) const SEALED: Flags = Flags::from_bits(
    Flags::UNICODE.bits()
        | Flags::SIGN.bits()
        | Flags::SEAL.bits()
        | Flags::NTLM.bits()
        | Flags::ESS.bits()
        | Flags::KEY_128.bits()
        | Flags::KEY_EXCH.bits(),
);

/// The same inside TLS, which protects better. curl, for one, can neither seal nor exchange
/// a key.
const WITHIN_TLS: Flags = Flags::from_bits(Flags::NTLM.bits() | Flags::ESS.bits());

/// Flags that are granted if the client asks for them.
const OPTIONAL: Flags = Flags::from_bits(
    Flags::REQUEST_TARGET.bits()
        | Flags::ALWAYS_SIGN.bits()
        | Flags::VERSION.bits()
        | Flags::KEY_56.bits(),
);

/// Flags that end the exchange.
const REFUSED: Flags =
    Flags::from_bits(Flags::DATAGRAM.bits() | Flags::REQUEST_NON_NT_SESSION_KEY.bits());

/// Waits for NEGOTIATE.
#[derive(Clone, Copy, Debug)]
pub struct ExpectNegotiate {
    required: Flags,
}

impl ExpectNegotiate {
    /// For a connection on which bodies must be sealed.
    #[must_use]
    pub const fn sealed() -> Self {
        Self { required: SEALED }
    }

    /// For a TLS connection: the client may omit sealing, key exchange, and Unicode.
    #[must_use]
    pub const fn within_tls() -> Self {
        let required = WITHIN_TLS;
        Self { required }
    }

    /// Handles NEGOTIATE and returns CHALLENGE. `server_challenge` must be fresh random
    /// bytes; `now` goes into TargetInfo.
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

    /// Selects the character set of names: Unicode if the client supports it (MS-NLMP
    /// 2.2.2.5, flags A and B).
    fn characters(self, asked: Flags) -> Result<Flags, Error> {
        let all = [Flags::UNICODE, Flags::OEM];
        let known = all.into_iter().find(|flag| asked.contains(*flag));
        known.ok_or(Error::Missing(Flags::UNICODE))
    }
}

/// Waits for AUTHENTICATE.
#[derive(Clone, Debug)]
pub struct ExpectAuthenticate {
    // NEGOTIATE and CHALLENGE as sent, because the MIC covers them.
    negotiate: Vec<u8>,
    challenge: Vec<u8>,
    server_challenge: [u8; 8],
    offered: Flags,
    required: Flags,
}

/// The result of a successful exchange.
#[derive(Debug)]
pub struct Established {
    /// The account as the client spelled it.
    pub account: Account,
    /// The matching configured account; `None` for a null session or an account verified by
    /// its domain.
    pub known: Option<Name>,
    /// Whether the client sent channel bindings, and they match.
    pub is_bound: bool,
    /// Whether a MIC protects the handshake, or NTLMv1 was used, which has none.
    pub has_mic: bool,
    /// Whether bodies can be sealed with a key of full length.
    pub seals: bool,
    /// The service that the client meant to talk to, if it names one.
    pub target: Option<String>,
    /// Keys and sequence numbers of this connection.
    pub session: Session,
}

/// The result of AUTHENTICATE.
#[derive(Debug)]
pub enum Progress {
    /// The client is authenticated.
    Established(Box<Established>),
    /// Only the account's domain can verify the proof.
    Ask(Box<ExpectVerdict>),
}

impl ExpectAuthenticate {
    /// Handles AUTHENTICATE, the last message. Does not ask a domain.
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

    /// Like [`Self::handle`], but with [`Rules::domain`] an unknown account leads to a
    /// question for its domain.
    pub fn handle_or_ask(
        self,
        token: &[u8],
        accounts: &dyn Accounts,
        rules: &Rules,
    ) -> Result<Progress, Error> {
        let message = Authenticate::parse(token)?;
        // A client may clear flags that we offered and set ANONYMOUS, nothing else.
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

    /// Completes the exchange once the KeyExchangeKey is known (MS-NLMP 3.2.5.1.2).
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

    /// Verifies an NTLMv2 response (MS-NLMP 3.3.2), in constant time over the ways to
    /// upper-case the user name.
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

    /// Verifies an NTLMv1 response with extended session security (MS-NLMP 3.3.1).
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

    /// Verifies the MIC. One that is announced must match; one that is not announced must
    /// match or be zero (MS-NLMP 3.2.5.1.2). Returns whether there is one.
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

/// An AUTHENTICATE message and what is needed to verify it.
#[derive(Clone, Debug)]
struct Claims {
    token: Vec<u8>,
    message: Authenticate,
    /// The session key as encrypted by the client, if it chose one.
    encrypted: Option<[u8; 16]>,
    flags: Flags,
    channel_bindings: Option<[u8; 16]>,
}

/// Waits for the domain's answer.
#[derive(Clone, Debug)]
pub struct ExpectVerdict {
    handshake: ExpectAuthenticate,
    claims: Claims,
}

/// The question for a domain controller: is this response correct for this account and
/// challenge?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// User name as the client sent it.
    pub user: String,
    /// Domain as the client sent it; empty if `user` has the form `user@domain`.
    pub domain: String,
    /// The challenge that the response answers.
    pub challenge: [u8; 8],
    /// NTLMv2 or NTLMv1 response.
    pub response: Vec<u8>,
}

impl ExpectVerdict {
    /// The account that the client claims.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::claimed(&self.claims.message)
    }

    /// What to ask the domain.
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

    /// Continues after the domain has confirmed the response; `base` is the SessionBaseKey
    /// (MS-NLMP 3.3.1, 3.3.2).
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

/// A correct proof.
struct Proved {
    known: Option<Name>,
    key: Key,
}

impl Proved {
    /// By an account that is not configured here.
    const fn by(key: Key) -> Self {
        Self { known: None, key }
    }
}

/// Verifies a proof with the account's hash. Unknown accounts get a hash that no password
/// has, so that they cost the same time as a wrong password.
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

/// Returns whether the client sent this connection's channel bindings; different ones are
/// an error, because they show an attacker or a proxy in between.
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

/// The target name in an NTLMv2 response; `None` if it is empty.
fn target(message: &Authenticate) -> Option<String> {
    let NtResponse::V2(response) = &message.response else {
        return None;
    };
    let name = response.pairs.target_name();
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Checks for forbidden flags first, then for missing ones.
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
