//! Why a handshake failed, and what to do about it.

use super::client;
use super::revocation::{Revocation, Verdict};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslRef};
use openssl::x509::{X509StoreContext, X509StoreContextRef, X509VerifyResult};
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

/// What a handshake notes of the certificate that it refused: after it, that is gone.
#[derive(Default)]
struct Note {
    /// Whose it was.
    whose: String,
    /// Why, where that was our own judgement and not OpenSSL's.
    why: Option<String>,
}

type Place = Index<Ssl, Mutex<Note>>;

/// OpenSSL gives indices out once a process, and never takes them back.
static PLACE: OnceLock<Place> = OnceLock::new();

/// `X509_V_ERR_CERT_REVOKED`.
const REVOKED: i32 = 23;

/// Makes room for a note.
pub(super) fn prepare(ssl: &mut Ssl) -> Result<(), ErrorStack> {
    let place = match PLACE.get() {
        Some(place) => *place,
        None => {
            let new = Ssl::new_ex_index()?;
            *PLACE.get_or_init(|| new)
        }
    };
    ssl.set_ex_data(place, Mutex::default());
    Ok(())
}

/// OpenSSL's judgement of a certificate in a chain; the last word, when all else is right,
/// is that of the revocation lists.
pub(super) fn verify(
    ok: bool,
    context: &mut X509StoreContextRef,
    revocation: Option<&Revocation>,
) -> bool {
    let whose = context.current_cert().map(client::describe);
    let whose = whose.unwrap_or_default();
    if !ok {
        note(context, Note { whose, why: None });
        return false;
    }
    // The host's certificate comes last.
    let Some(revocation) = revocation.filter(|_| context.error_depth() == 0) else {
        return true;
    };
    #[expect(clippy::disallowed_methods, reason = "a handshake is of this moment")]
    let now = SystemTime::now();
    let chain: Vec<_> = context.chain().into_iter().flatten().collect();
    let (whose, why) = match revocation.check(&chain, now) {
        Ok(()) => return true,
        Err(Verdict::Revoked(whose)) => {
            (whose, format!("certificate revoked: {}", remedy(REVOKED)))
        }
        Err(Verdict::Unknown(why)) => (whose, why),
    };
    let why = Some(why);
    note(context, Note { whose, why });
    context.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
    false
}

fn note(context: &X509StoreContextRef, note: Note) {
    let ssl = X509StoreContext::ssl_idx()
        .ok()
        .and_then(|index| context.ex_data(index));
    let place = PLACE.get().copied();
    let place = place.and_then(|place| ssl?.ex_data(place));
    if let Some(Ok(mut place)) = place.map(Mutex::lock) {
        *place = note;
    }
}

/// Why a handshake failed, and what to do.
#[must_use]
pub fn failure(ssl: &SslRef, error: &openssl::ssl::Error) -> String {
    let verified = ssl.verify_result();
    if verified != X509VerifyResult::OK {
        let place = PLACE.get().and_then(|place| ssl.ex_data(*place));
        let note = place.and_then(|place| Some(std::mem::take(&mut *place.lock().ok()?)));
        let Note { whose, why } = note.unwrap_or_default();
        let why = why.unwrap_or_else(|| {
            format!("{}: {}", verified.error_string(), remedy(verified.as_raw()))
        });
        return format!("client certificate {whose}: {why}");
    }
    let reason = error
        .ssl_error()
        .and_then(|stack| stack.errors().first()?.reason());
    let Some(reason) = reason else {
        return format!("TLS handshake: {error}");
    };
    match advice(reason) {
        Some(advice) => format!("TLS handshake: {reason}: {advice}"),
        None => format!("TLS handshake: {reason}"),
    }
}

/// What to do about a certificate that was refused with this `X509_V_ERR_`.
fn remedy(code: i32) -> &'static str {
    match code {
        2 | 18..=21 => {
            "if its hosts may come in, add the issuer's certificate to --client-ca and send SIGHUP"
        }
        9 => "compare the clocks of issuer, host and relay",
        10 => "renew it; --client-ca must know the issuer of the new one",
        REVOKED => "give the host a new one of an authority in --client-ca, or mend --crl",
        26 => {
            "it must be for Client Authentication (1.3.6.1.5.5.7.3.2); give the host one that is, \
             of an authority in --client-ca"
        }
        _ => "give the host one for client authentication that an authority in --client-ca issued",
    }
}

/// What to do about a handshake that ended for this reason of OpenSSL.
fn advice(reason: &str) -> Option<&'static str> {
    match reason {
        "http request" => {
            Some("this is plain HTTP: Server= in the host's policy must begin with https://")
        }
        "wrong version number" => Some(
            "this is no TLS: plain HTTP, or a PROXY header from an address that is not in \
             --proxy-protocol",
        ),
        "unsupported protocol" | "version too low" => {
            Some("the host offers only old versions of TLS: enable TLS 1.2 on it")
        }
        "no shared cipher" => Some(
            "the host offers only ciphers that are weak or do not fit our certificate: update \
             it, or give it an ECDSA certificate of ours (--tls-cert)",
        ),
        _ if reason.contains("alert") && reason.contains("cert")
            || reason.ends_with("unknown ca") =>
        {
            Some(
                "the host does not trust our certificate: the authority of --tls-cert must be in \
                 its Root store, and the name in Server= must be in the certificate",
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_about_our_certificate_are_told_from_others() {
        for reason in [
            "tlsv1 alert unknown ca",
            "sslv3 alert bad certificate",
            "sslv3 alert certificate expired",
        ] {
            assert!(
                advice(reason).is_some_and(|text| text.contains("--tls-cert")),
                "{reason}"
            );
        }
        assert_eq!(advice("tlsv1 alert internal error"), None);
        assert_eq!(advice("length mismatch"), None);
    }
}
