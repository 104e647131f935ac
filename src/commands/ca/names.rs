//! Validation of names for certificates and files.

use std::net::IpAddr;

use super::Error;

/// Maximum length of a common name (`ub-common-name`, RFC 5280 appendix A.1).
const LONGEST_COMMON_NAME: usize = 64;
/// Maximum length of a DNS name in text form, and of each of its labels (RFC 1035, section
/// 2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Dns(String),
    Address(IpAddr),
}

impl Name {
    /// Parses the DNS name or address of a server.
    pub(super) fn server(text: &str) -> Result<Self, Error> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => dns(text).map(Self::Dns),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Dns(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        }
    }
}

/// Checks the name of a host, which must also be usable as a common name, and converts it
/// to lower case.
pub(super) fn host(text: &str) -> Result<String, Error> {
    if text.parse::<IpAddr>().is_ok() {
        let why = "a host is identified by its name: use the full computer name";
        return Err(refuse(text, why));
    }
    let name = dns(text)?;
    common(&name)?;
    Ok(name)
}

/// Checks that a text can be a common name.
pub(super) fn common(text: &str) -> Result<(), Error> {
    if text.is_empty() || text.len() > LONGEST_COMMON_NAME || text.contains(char::is_control) {
        let why = "a common name has 1 to 64 bytes and no control characters: use a shorter one";
        return Err(refuse(text, why));
    }
    Ok(())
}

fn dns(text: &str) -> Result<String, Error> {
    let is_label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > LONGEST_NAME || !text.split('.').all(is_label) {
        let why = "not a host name: use letters, digits, hyphens and underscores, separated by dots, such as ws1.example.com";
        return Err(refuse(text, why));
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    if text.contains('.') && last.chars().all(|c| c.is_ascii_digit()) {
        return Err(refuse(text, "neither a host name nor an address"));
    }
    Ok(text.to_ascii_lowercase())
}

fn refuse(text: &str, why: &str) -> Error {
    Error::Refused(format!("{text:?}: {why}"))
}

/// Parses `NAME[:PORT]` of a collector. The port defaults to
/// [`PORT`](super::windows::PORT).
pub(super) fn collector(text: &str) -> Result<(String, u16), Error> {
    let wrong = |_| refuse(text, "not a port after the colon: use 1 to 65535");
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            (name, port.parse().map_err(wrong)?)
        }
        _ => (text, super::windows::PORT),
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match Name::server(bare)? {
        Name::Address(IpAddr::V6(address)) => Ok((format!("[{address}]"), port)),
        other => Ok((other.text(), port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_that_fit_a_certificate_and_a_file() {
        assert_eq!(host("WS1.Example.com").unwrap(), "ws1.example.com");
        assert_eq!(host("DESKTOP-4_X").unwrap(), "desktop-4_x");
        let long = format!("{}.example.com", "x".repeat(60));
        for wrong in [
            "", ".", "a..b", "-a", "a-", "../x", "a/b", "a b", "a\n", "ü", "1.2.3.4", "1.2.3",
            "*.x", "'x", &long,
        ] {
            host(wrong).unwrap_err();
        }
    }

    #[test]
    fn collectors_have_a_port() {
        let of = |text| collector(text).ok();
        assert_eq!(of("C.example"), Some(("c.example".to_owned(), 5986)));
        assert_eq!(of("c:80"), Some(("c".to_owned(), 80)));
        assert_eq!(of("::1"), Some(("[::1]".to_owned(), 5986)));
        assert_eq!(of("[::1]:80"), Some(("[::1]".to_owned(), 80)));
        assert_eq!(of("c:x"), None);
        assert_eq!(of("c:70000"), None);
        assert_eq!(of("c,IssuerCA=1"), None);
    }
}
