//! What a completed handshake reveals about the client.

use std::time::SystemTime;

use openssl::ssl::SslRef;
use openssl::x509::X509;

use super::{refusal, site};
use crate::auth::Secured;

/// What a completed handshake reveals about the client. If it resumed an earlier session,
/// the certificate of that session is judged as of `now`.
///
/// # Errors
/// A certificate without a name, or one that is no longer valid.
pub fn client(ssl: &SslRef, now: SystemTime) -> Result<Secured, String> {
    let site = site::site(ssl).ok_or("TLS: the connection has no settings")?;
    let identify = |certificate: X509| {
        let verdict = refusal::verified(ssl).or_else(|| site.verdicts().find(&certificate, now));
        match verdict {
            Some(verdict) => verdict.identity.clone(),
            None => Err(refusal::ended(&certificate, now)),
        }
    };
    let certificate = ssl.peer_certificate().map(identify);
    Ok(Secured {
        certificate: certificate.transpose()?,
        bindings: site.bindings(),
    })
}
