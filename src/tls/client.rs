//! What a finished handshake tells of the client.

use std::time::SystemTime;

use openssl::ssl::SslRef;
use openssl::x509::X509;

use super::{refusal, site};
use crate::auth::Secured;

/// What a finished handshake tells of the client, also where it took up a session of an
/// earlier one: then the certificate of that one is judged as of `now`.
///
/// # Errors
/// A certificate that names nobody, or one that no longer lets its host in.
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
