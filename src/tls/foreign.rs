//! What a file contains instead of what a flag requires, and how to convert it.

use std::path::Path;

use openssl::pkcs7::Pkcs7;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::{X509, X509Crl, X509Req};

/// Labels of PEM blocks (RFC 7468), and how to describe them.
const BLOCKS: [(&str, &str); 6] = [
    (
        "PKCS7",
        "it is a PKCS #7 bundle; convert it: openssl pkcs7 -print_certs -in FILE -out FILE.pem",
    ),
    (
        "CERTIFICATE REQUEST",
        "it contains a certificate request; an authority must issue a certificate for it",
    ),
    ("X509 CRL", "it contains a revocation list"),
    ("CERTIFICATE", "it contains a certificate"),
    ("PRIVATE KEY", "it contains a private key"),
    ("PUBLIC KEY", "it contains a public key"),
];

/// A clause for an error message; `None` if nothing is recognized. The command in it can be
/// run as it is.
pub(crate) fn describe(bytes: &[u8], path: &Path) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok();
    if bytes.is_empty() {
        return None;
    }
    let words = match text.and_then(pem) {
        Some(words) => words,
        None => binary(bytes)?,
    };
    Some(words.replace("FILE", &path.display().to_string()))
}

fn pem(text: &str) -> Option<&'static str> {
    let label = |line: &str| {
        let label = line.trim().strip_prefix("-----BEGIN ")?;
        let label = label.strip_suffix("-----")?;
        let known = BLOCKS.iter().find(|(name, _)| label.ends_with(name));
        known.map(|(_, words)| *words)
    };
    text.lines().find_map(label)
}

fn binary(bytes: &[u8]) -> Option<&'static str> {
    let words = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "it is UTF-16; convert it: iconv -f UTF-16 -t ASCII FILE >FILE.pem"
        }
        _ if X509::from_der(bytes).is_ok() => {
            "it is a certificate in DER; convert it: openssl x509 -inform der -in FILE -out FILE.pem"
        }
        _ if X509Crl::from_der(bytes).is_ok() => {
            "it is a revocation list in DER; convert it: openssl crl -inform der -in FILE -out FILE.pem"
        }
        _ if Pkcs12::from_der(bytes).is_ok() => {
            "it is PKCS #12 (.pfx, .p12), certificate and key together; separate them: openssl \
             pkcs12 -in FILE -nokeys -out FILE.pem; openssl pkcs12 -in FILE -nocerts -nodes -out FILE.key"
        }
        _ if Pkcs7::from_der(bytes).is_ok() => {
            "it is a PKCS #7 bundle in DER; convert it: openssl pkcs7 -inform der -print_certs \
             -in FILE -out FILE.pem"
        }
        _ if PKey::private_key_from_der(bytes).is_ok() => {
            "it is a private key in DER; convert it: openssl pkey -inform der -in FILE -out FILE.pem"
        }
        _ if X509Req::from_der(bytes).is_ok() => {
            "it is a certificate request; an authority must issue a certificate for it"
        }
        _ => return None,
    };
    Some(words)
}
