//! NTLM, the host's side; for `wecrelay send` and the tests.

use crate::base::clock::FileTime;
use crate::protocol::ntlm::acceptor::{SEALED, check_flags};
use crate::protocol::ntlm::crypto::{self, Key, NtHash};
use crate::protocol::ntlm::messages::{
    AV_MIC_PRESENT, Authenticate, AvPair, AvPairs, Challenge, Flags, MIC_OFFSET, Negotiate,
    NtResponse, V2Response, Version,
};
use crate::protocol::ntlm::{Error, Session};

/// The flags that Windows 10 sends.
const WINDOWS_FLAGS: Flags = Flags::from_bits(0xe208_82b7);

/// The identity of the client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Workstation name: upper case, at most 15 characters by NetBIOS rules.
    pub workstation: String,
    /// The account; `None` for a null session.
    pub account: Option<ClientAccount>,
    /// Service principal name to put into the response, such as
    /// `HTTP/collector.example.test`.
    pub target: Option<String>,
    /// MD5 of the TLS connection's channel bindings.
    pub channel_bindings: Option<[u8; 16]>,
}

/// An account and its password hash.
#[derive(Clone, Debug)]
pub struct ClientAccount {
    /// User name, in any case.
    pub user: String,
    /// Domain; may be empty.
    pub domain: String,
    /// NT hash of the password.
    pub hash: NtHash,
}

impl Client {
    /// A workgroup host without credentials.
    #[must_use]
    pub fn anonymous(workstation: &str) -> Self {
        Self {
            workstation: workstation.to_uppercase().chars().take(15).collect(),
            account: None,
            target: None,
            channel_bindings: None,
        }
    }

    /// A host with an account.
    #[must_use]
    pub fn with_account(workstation: &str, account: ClientAccount) -> Self {
        Self {
            account: Some(account),
            ..Self::anonymous(workstation)
        }
    }
}

/// Random bytes for one exchange; must not be reused.
#[derive(Clone, Debug, Default)]
pub struct Nonces {
    /// ExportedSessionKey, which the client chooses.
    pub session_key: [u8; 16],
    /// Client challenge of NTLMv2.
    pub client_challenge: [u8; 8],
}

/// Returns NEGOTIATE as Windows 10 sends it, and the next state.
#[must_use]
pub fn start(client: Client) -> (Vec<u8>, ExpectChallenge) {
    let negotiate = Negotiate {
        flags: WINDOWS_FLAGS,
        domain: Vec::new(),
        workstation: Vec::new(),
        version: Some(Version::WINDOWS_10),
    };
    let negotiate = negotiate.emit();
    let next = ExpectChallenge {
        negotiate: negotiate.clone(),
        client,
    };
    (negotiate, next)
}

/// Waits for CHALLENGE.
#[derive(Clone, Debug)]
pub struct ExpectChallenge {
    negotiate: Vec<u8>,
    client: Client,
}

impl ExpectChallenge {
    /// Handles CHALLENGE; returns AUTHENTICATE with a MIC, and the session. `now` is used
    /// if the challenge contains no time.
    pub fn handle(
        self,
        token: &[u8],
        nonces: &Nonces,
        now: FileTime,
    ) -> Result<(Vec<u8>, Session), Error> {
        let challenge = Challenge::parse(token)?;
        let flags = challenge.flags & (WINDOWS_FLAGS | Flags::TARGET_INFO);
        check_flags(flags, SEALED)?;
        let answer = match &self.client.account {
            None => Answer::anonymous(),
            Some(account) => {
                let temp = self.temp(&challenge, nonces, now);
                Answer::ntlmv2(account, &challenge.server_challenge, temp)
            }
        };
        let session_key = Key::new(nonces.session_key);
        let encrypted = crypto::exchange_key(&answer.key_exchange_key, &nonces.session_key);
        let session = Session::source(&session_key, flags);
        let message = self.message(flags, answer, &encrypted);
        Ok((self.with_mic(message, &session_key, token), session))
    }

    /// The part of the response that the proof covers (MS-NLMP 3.1.5.1.2).
    fn temp(&self, challenge: &Challenge, nonces: &Nonces, now: FileTime) -> Vec<u8> {
        let time = challenge.target_info.timestamp().unwrap_or(now);
        let flags = challenge.target_info.flags() | AV_MIC_PRESENT;
        let mut pairs = challenge.target_info.0.clone();
        pairs.retain(|pair| !matches!(pair, AvPair::Flags(_)));
        pairs.push(AvPair::Flags(flags));
        pairs.extend(self.client.target.clone().map(AvPair::TargetName));
        pairs.extend(self.client.channel_bindings.map(AvPair::ChannelBindings));
        V2Response::temp(time, nonces.client_challenge, &AvPairs(pairs))
    }

    fn message(&self, flags: Flags, answer: Answer, encrypted: &Key) -> Authenticate {
        let account = self.client.account.as_ref();
        let (user, domain) = account.map_or_else(Default::default, |account| {
            (account.user.clone(), account.domain.clone())
        });
        let anonymous = account.map_or(Flags::ANONYMOUS, |_| Flags::default());
        Authenticate {
            flags: flags | anonymous,
            lm_response: answer.lm_response,
            response: answer.response,
            domain,
            user,
            workstation: self.client.workstation.clone(),
            encrypted_session_key: Some(*encrypted.as_bytes()),
            version: Some(Version::WINDOWS_10),
            mic: Some([0; 16]),
        }
    }

    fn with_mic(&self, message: Authenticate, key: &Key, challenge: &[u8]) -> Vec<u8> {
        let unsigned = message.emit();
        let mic = crypto::mic(key, &self.negotiate, challenge, &unsigned);
        let signed = Authenticate {
            mic: Some(mic),
            ..message
        };
        debug_assert_eq!(unsigned.get(..MIC_OFFSET), signed.emit().get(..MIC_OFFSET));
        signed.emit()
    }
}

/// The response to a challenge.
struct Answer {
    lm_response: Vec<u8>,
    response: NtResponse,
    key_exchange_key: Key,
}

impl Answer {
    /// Null session: one zero byte of LM response, no NT response (MS-NLMP 3.2.5.1.2).
    fn anonymous() -> Self {
        Self {
            lm_response: vec![0],
            response: NtResponse::Absent,
            key_exchange_key: Key::NULL_SESSION,
        }
    }

    /// NTLMv2 (MS-NLMP 3.3.2), without an LMv2 response, as for servers that send their
    /// time.
    fn ntlmv2(account: &ClientAccount, server: &[u8; 8], temp: Vec<u8>) -> Self {
        let key = account.hash.response_key(&account.user, &account.domain);
        let proof = crypto::ntlmv2_proof(&key, server, &temp);
        Self {
            lm_response: vec![0; 24],
            response: NtResponse::V2(V2Response {
                proof,
                temp,
                pairs: AvPairs::default(),
            }),
            key_exchange_key: crypto::ntlmv2_key(&key, &proof),
        }
    }
}
