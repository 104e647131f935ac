//! Why TLS failed, by the error codes of OpenSSL and of alerts, not by their texts.

use std::fmt;
use std::io;

use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode, HandshakeError};
use openssl::x509::X509VerifyResult;

/// `ERR_LIB_SSL`, the library of the reason codes below (`openssl/sslerr.h`).
const LIBRARY: i32 = 20;
const CERTIFICATE_VERIFY_FAILED: i32 = 134;
const HTTP_REQUEST: i32 = 156;
const NO_PROTOCOLS_AVAILABLE: i32 = 191;
const NO_SHARED_CIPHER: i32 = 193;
const PACKET_LENGTH_TOO_LONG: i32 = 198;
const UNSUPPORTED_PROTOCOL: i32 = 258;
const WRONG_VERSION_NUMBER: i32 = 267;
const UNEXPECTED_EOF: i32 = 294;
const RECORD_LAYER_FAILURE: i32 = 313;
const VERSION_TOO_LOW: i32 = 396;
/// `SSL_AD_REASON_OFFSET`: a received alert has this reason plus its number.
const ALERTS: i32 = 1000;

/// The cause of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The peer's certificate is not accepted, for this reason (`X509_V_ERR_`).
    Certificate(i32),
    /// The peer sent this alert (RFC 8446 6.2).
    Alert(u8),
    /// The peer speaks HTTP without TLS.
    Http,
    /// The peer speaks something other than TLS.
    NotTls,
    /// There is no common TLS version.
    Version,
    /// There is no common cipher.
    Ciphers,
    /// The peer closed the connection.
    Closed,
    /// The peer did not answer in time.
    Slow,
    /// Something else.
    Other,
}

/// Why a handshake, or a connection after it, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong.
    pub kind: Kind,
    /// The text of OpenSSL or the system.
    pub words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// From a handshake in which the peer's certificate was judged as `verified`.
    #[must_use]
    pub fn new(error: &ssl::Error, verified: X509VerifyResult) -> Self {
        let kind = kind(error, verified);
        let words = match (&kind, error.ssl_error().and_then(first_reason)) {
            (Kind::Certificate(_), _) => verified.error_string().to_owned(),
            (Kind::Closed, _) => "the connection was closed".to_owned(),
            (_, Some(reason)) => reason.to_owned(),
            (_, None) => error.to_string(),
        };
        Self { kind, words }
    }

    /// From a handshake as a client.
    pub(super) fn of_handshake<S>(error: &HandshakeError<S>) -> Self {
        match error {
            HandshakeError::SetupFailure(stack) => Self::other(stack),
            HandshakeError::Failure(stream) => {
                Self::new(stream.error(), stream.ssl().verify_result())
            }
            HandshakeError::WouldBlock(_) => Self {
                kind: Kind::Slow,
                words: "no answer to the handshake in time".to_owned(),
            },
        }
    }

    /// From reading or writing a TLS connection; `None` if TLS is not at fault.
    #[must_use]
    pub fn of_stream(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<ssl::Error>()?;
        Some(Self::new(error, X509VerifyResult::OK))
    }

    pub(super) fn other(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Other,
            words: why.to_string(),
        }
    }

    /// Whether a certificate is at fault: the peer's, or, according to the peer, ours.
    #[must_use]
    pub fn is_of_certificate(&self) -> bool {
        matches!(self.kind, Kind::Certificate(_)) || self.refuses_our_certificate()
    }

    /// Whether the peer does not accept our certificate, or that there is none.
    #[must_use]
    pub fn refuses_our_certificate(&self) -> bool {
        // RFC 8446 6.2: from bad_certificate to certificate_unknown, unknown_ca, access_denied,
        // certificate_required; RFC 6101 5.4.2: no_certificate.
        matches!(self.kind, Kind::Alert(41..=46 | 48 | 49 | 116))
    }
}

fn kind(error: &ssl::Error, verified: X509VerifyResult) -> Kind {
    let Some(stack) = error.ssl_error() else {
        return match error.code() {
            ErrorCode::SYSCALL | ErrorCode::ZERO_RETURN if error.io_error().is_none() => {
                Kind::Closed
            }
            _ => Kind::Other,
        };
    };
    let errors = stack.errors().iter();
    let reasons = errors.filter(|error| error.library_code() == LIBRARY);
    let mut kinds = reasons.map(|error| of_reason(error.reason_code(), verified));
    let known = kinds.rfind(|kind| *kind != Kind::Other);
    known.unwrap_or(Kind::Other)
}

fn of_reason(reason: i32, verified: X509VerifyResult) -> Kind {
    match reason {
        CERTIFICATE_VERIFY_FAILED => Kind::Certificate(verified.as_raw()),
        HTTP_REQUEST => Kind::Http,
        WRONG_VERSION_NUMBER | PACKET_LENGTH_TOO_LONG | RECORD_LAYER_FAILURE => Kind::NotTls,
        UNSUPPORTED_PROTOCOL | NO_PROTOCOLS_AVAILABLE | VERSION_TOO_LOW => Kind::Version,
        NO_SHARED_CIPHER => Kind::Ciphers,
        UNEXPECTED_EOF => Kind::Closed,
        _ => match u8::try_from(reason - ALERTS) {
            Ok(alert) => Kind::Alert(alert),
            Err(_) => Kind::Other,
        },
    }
}

fn first_reason(stack: &ErrorStack) -> Option<&'static str> {
    stack.errors().first()?.reason()
}

#[cfg(test)]
mod tests;
