//! Why a handshake failed, and what to do about it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslRef};
use openssl::x509::{X509Ref, X509StoreContext, X509StoreContextRef};

use super::fault::{Fault, Kind};
use super::revocation::Verdict as Listed;
use super::verdicts::Verdict;
use super::{names, validity};

/// What a handshake notes of the certificate that it judged: of one that was refused nothing
/// else is left after it.
#[derive(Default)]
pub(super) enum Note {
    /// None was judged.
    #[default]
    Nothing,
    /// It lets its host in.
    Verified(Arc<Verdict>),
    /// It was refused. Boxed, because every connection keeps a note.
    Refused(Box<Refused>),
}

/// A certificate that was refused.
pub(super) struct Refused {
    /// Whose it was.
    pub(super) whose: String,
    /// Why, where that was our own judgment and not OpenSSL's.
    pub(super) why: Option<String>,
}

type Place = Index<Ssl, Mutex<Note>>;

/// OpenSSL gives indices out once a process, and never takes them back.
static PLACE: OnceLock<Place> = OnceLock::new();

/// OpenSSL's `X509_V_ERR_CERT_NOT_YET_VALID`.
const NOT_YET_VALID: i32 = 9;
/// OpenSSL's `X509_V_ERR_CERT_HAS_EXPIRED`.
const EXPIRED: i32 = 10;
/// OpenSSL's `X509_V_ERR_CERT_REVOKED`.
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

/// What is noted of a certificate that the revocation lists keep out.
pub(super) fn listed(shown: &X509Ref, listed: Listed) -> Note {
    let (whose, why) = match listed {
        Listed::Revoked(whose) => (whose, format!("certificate revoked: {}", remedy(REVOKED))),
        Listed::Unknown(why) => (names::describe(shown), why),
    };
    let why = Some(why);
    Note::Refused(Box::new(Refused { whose, why }))
}

/// The connection that a certificate is judged for.
pub(super) fn connection(context: &X509StoreContextRef) -> Option<&SslRef> {
    let index = X509StoreContext::ssl_idx().ok()?;
    context.ex_data(index)
}

pub(super) fn note(context: &X509StoreContextRef, note: Note) {
    if let Some(ssl) = connection(context) {
        replace(ssl, note);
    }
}

fn replace(ssl: &SslRef, note: Note) -> Option<Note> {
    let place = ssl.ex_data(*PLACE.get()?)?;
    Some(std::mem::replace(&mut *place.lock().ok()?, note))
}

/// What was found of the certificate in this very handshake, to be asked for once.
pub(super) fn verified(ssl: &SslRef) -> Option<Arc<Verdict>> {
    match replace(ssl, Note::Nothing)? {
        Note::Verified(verdict) => Some(verdict),
        _ => None,
    }
}

/// Why a session is refused whose certificate has no verdict that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    whose: String,
    why: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Expired,
    NotYetValid,
    /// Its issuer, which came along with it then, has expired.
    Changed,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client certificate {}: ", self.whose)?;
        match self.why {
            End::Expired => write!(f, "certificate has expired: {}", remedy(EXPIRED)),
            End::NotYetValid => {
                write!(f, "certificate is not yet valid: {}", remedy(NOT_YET_VALID))
            }
            End::Changed => write!(
                f,
                "the facts that its TLS session was accepted by have changed: the host must start \
                 a new session"
            ),
        }
    }
}

/// Why the certificate of a session counts no longer.
pub(super) fn ended(certificate: &X509Ref, now: SystemTime) -> Ended {
    let is_over = validity::time(certificate.not_after()).is_none_or(|end| end < now);
    let is_early = validity::time(certificate.not_before()).is_some_and(|begin| now < begin);
    Ended {
        whose: names::describe(certificate),
        why: match (is_over, is_early) {
            (true, _) => End::Expired,
            (_, true) => End::NotYetValid,
            _ => End::Changed,
        },
    }
}

/// Why a handshake failed, and what to do.
#[must_use]
pub fn failure(ssl: &SslRef, error: &openssl::ssl::Error) -> String {
    let fault = Fault::new(error, ssl.verify_result());
    if let Kind::Certificate(code) = fault.kind {
        let (whose, why) = match replace(ssl, Note::Nothing) {
            Some(Note::Refused(refused)) => (refused.whose, refused.why),
            _ => (String::new(), None),
        };
        let why = why.unwrap_or_else(|| format!("{fault}: {}", remedy(code)));
        return format!("client certificate {whose}: {why}");
    }
    match advice(&fault) {
        Some(advice) => format!("TLS handshake: {fault}: {advice}"),
        None => format!("TLS handshake: {fault}"),
    }
}

/// What to do about a certificate that was refused with this `X509_V_ERR_`.
fn remedy(code: i32) -> &'static str {
    match code {
        2 | 18..=21 => {
            "to allow its hosts, add the issuer's certificate to --client-ca and send SIGHUP"
        }
        NOT_YET_VALID => "compare the clocks of issuer, host and relay",
        EXPIRED => "renew it; the issuer of the new one must be in --client-ca",
        REVOKED => "issue a new one to the host from an authority in --client-ca, or correct --crl",
        26 => {
            "it must be for Client Authentication (1.3.6.1.5.5.7.3.2); issue one that is, from an \
             authority in --client-ca"
        }
        _ => "issue one for client authentication to the host from an authority in --client-ca",
    }
}

fn advice(fault: &Fault) -> Option<&'static str> {
    match fault.kind {
        Kind::Http => {
            Some("this is plain HTTP: Server= in the host's policy must begin with https://")
        }
        Kind::NotTls => Some(
            "this is not TLS: plain HTTP, or a PROXY header from an address that is not in \
             --proxy-protocol",
        ),
        Kind::Version => Some("the host offers only old versions of TLS: enable TLS 1.2 on it"),
        Kind::Ciphers => Some(
            "the host offers only ciphers that are weak or do not match this relay's certificate: \
             update the host, or use an ECDSA certificate (--tls-cert)",
        ),
        Kind::Alert(_) if fault.refuses_our_certificate() => Some(
            "the host does not trust this relay's certificate: the authority of --tls-cert must be \
             in its Root store, and the name in Server= must be in the certificate",
        ),
        _ => None,
    }
}
