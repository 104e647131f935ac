//! Basic authentication: name and password in clear text (RFC 7617).
//!
//! The password is wiped from memory after use. Basic is offered only inside TLS unless
//! configured otherwise; see [`super::passwords`].

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::digest::quoted;

/// Maximum size of the credentials in bytes of base64; RFC 7617 sets no limit.
const MAX_BASE64: usize = 4 * 1024;

/// Padding is optional: some clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request claims; not verified yet.
#[derive(PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) password: Zeroizing<String>,
}

impl Claim {
    /// Parses what follows the word `Basic`. The error completes a log message.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.len() > MAX_BASE64 {
            return Err("name and password are too long");
        }
        // Reserve everything up front: a buffer that grows leaves an unwiped copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        BASE64
            .decode_vec(text, &mut bytes)
            .map_err(|_| "not base64")?;
        let text = decode(&bytes);
        let (name, password) = text.split_once(':').ok_or("no ':' after the name")?;
        if name.is_empty() || text.contains(char::is_control) {
            return Err("no name, or a control character (RFC 7617 2)");
        }
        Ok(Self {
            name: name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        })
    }
}

/// Decodes UTF-8, which the challenge asks for (RFC 7617 2.1), or else Latin-1, which
/// clients that ignore `charset` send.
fn decode(bytes: &[u8]) -> Zeroizing<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Zeroizing::new(text.to_owned()),
        Err(_) => {
            let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
            text.extend(bytes.iter().map(|byte| char::from(*byte)));
            text
        }
    }
}

/// A value of `WWW-Authenticate`.
pub(super) fn challenge(realm: &str) -> String {
    format!("Basic realm={}, charset=\"UTF-8\"", quoted(realm))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<(String, String), &'static str> {
        Claim::parse(&STANDARD.encode(bytes)).map(|claim| (claim.name, claim.password.to_string()))
    }

    fn pair(name: &str, password: &str) -> Result<(String, String), &'static str> {
        Ok((name.to_owned(), password.to_owned()))
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        let read = |text: &str| {
            let claim = Claim::parse(text)?;
            Ok((claim.name, claim.password.to_string()))
        };
        // RFC 7617 2 and 2.1.
        assert_eq!(
            read("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            pair("Aladdin", "open sesame")
        );
        assert_eq!(read("dGVzdDoxMjPCow=="), pair("test", "123£"));
        assert_eq!(read(" dGVzdDoxMjPCow "), pair("test", "123£"));
    }

    #[test]
    fn the_first_colon_parts_and_a_password_may_be_empty() {
        assert_eq!(parse(b"ACME\\host:a:b"), pair("ACME\\host", "a:b"));
        assert_eq!(parse(b"host:"), pair("host", ""));
    }

    #[test]
    fn what_is_no_utf8_is_latin_1() {
        assert_eq!(parse(b"test:123\xa3"), pair("test", "123£"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [
            &b""[..],
            b"host",
            b":password",
            b"host:a\nb",
            b"ho\0st:a",
            b"host:\x9f",
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
        for text in ["%", "QQ=Q", "QWxhZGRpbjpvcGVuIHNlc2FtZQ== x"] {
            assert!(Claim::parse(text).is_err(), "{text}");
        }
        let name = |length| format!("{}:", "a".repeat(length));
        assert!(parse(name(3071).as_bytes()).is_ok());
        assert!(parse(name(3072).as_bytes()).is_err());
    }
}
