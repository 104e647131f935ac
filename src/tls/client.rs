//! What a completed handshake reveals about the client.

use std::fmt;
use std::time::SystemTime;

use openssl::ssl::SslRef;
use openssl::x509::X509;

use super::names::Unidentified;
use super::refusal::{self, Ended};
use super::site;
use crate::auth::Secured;

/// Why a host is refused after its handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The connection was made by nothing of ours.
    NoSettings,
    /// Its certificate identifies no host.
    Unidentified(Unidentified),
    /// The certificate of the session that it continues counts no longer.
    Ended(Ended),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSettings => write!(f, "TLS: the connection has no settings"),
            Self::Unidentified(why) => write!(f, "{why}"),
            Self::Ended(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for ClientError {}

/// What a completed handshake reveals about the client. If it resumed an earlier session,
/// the certificate of that session is judged as of `now`.
///
/// # Errors
/// A certificate without a name, or one that is no longer valid.
pub fn client(ssl: &SslRef, now: SystemTime) -> Result<Secured, ClientError> {
    let site = site::site(ssl).ok_or(ClientError::NoSettings)?;
    let identify = |certificate: X509| {
        let verdict = refusal::verified(ssl).or_else(|| site.verdicts().find(&certificate, now));
        match verdict {
            Some(verdict) => verdict.identity.clone().map_err(ClientError::Unidentified),
            None => Err(ClientError::Ended(refusal::ended(&certificate, now))),
        }
    };
    let certificate = ssl.peer_certificate().map(identify);
    Ok(Secured {
        certificate: certificate.transpose()?,
        bindings: site.bindings(),
    })
}
