//! The schemes of an `Authorization` header (RFC 9110 11) that carry tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The scheme words that carry NTLM, Kerberos, or SPNEGO tokens. Any of them may carry any
/// token: what counts is the token's first bytes; the answer uses the request's word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scheme {
    Negotiate,
    Ntlm,
    Kerberos,
}

impl Scheme {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Negotiate => "Negotiate",
            Self::Ntlm => "NTLM",
            Self::Kerberos => "Kerberos",
        }
    }

    /// A complete header value: word and base64 token.
    pub(super) fn value(self, token: &[u8]) -> String {
        let mut value = format!("{} ", self.word());
        BASE64.encode_string(token, &mut value);
        value
    }
}
