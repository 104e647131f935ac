//! The content of a certificate, for people and for commands.

use std::path::Path;
use std::time::SystemTime;

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKeyRef, Public};
use openssl::x509::{X509ExtendedKeyUsage, X509Ref};

use super::{Error, extension, names, pem, validity};

/// The content of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Subject, as `CN=a, O=b`.
    pub subject: String,
    /// Who issued it, in the same form.
    pub issuer: String,
    /// The names that it is valid for, in lower case.
    pub names: Vec<String>,
    /// SHA-1 fingerprint, as Windows displays and expects it.
    pub thumbprint: String,
    /// Start of its validity; `None` if that is before 1970.
    pub begin: Option<SystemTime>,
    /// End of its validity.
    pub end: Option<SystemTime>,
    /// Whether it is a CA certificate.
    pub is_authority: bool,
    /// Whether it is self-issued.
    pub is_root: bool,
    /// Whether it may be used by servers.
    pub serves: bool,
    /// Type and size of its key, such as `RSA 2048`.
    pub key: String,
    /// The certificate in PEM.
    pub pem: String,
}

impl Facts {
    /// Parses a certificate.
    ///
    /// # Errors
    /// OpenSSL cannot parse it.
    pub fn of(certificate: &X509Ref) -> Result<Self, Error> {
        let thumbprint = certificate.digest(MessageDigest::sha1())?;
        let key = certificate.public_key();
        Ok(Self {
            subject: names::display(certificate.subject_name()),
            issuer: names::display(certificate.issuer_name()),
            names: names::names(certificate),
            thumbprint: names::hex(&thumbprint),
            begin: validity::time(certificate.not_before()),
            end: validity::time(certificate.not_after()),
            is_authority: is_authority(certificate),
            is_root: is_issued_by(certificate, certificate),
            serves: serves(certificate),
            key: key.map_or_else(|_| "unknown".to_owned(), |key| kind(&key)),
            pem: String::from_utf8_lossy(&certificate.to_pem()?).into_owned(),
        })
    }

    /// Whether it is valid for this host, possibly through `*.example.com`.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.names.iter().any(|name| super::fits(name, &host))
    }

    /// Whether it is valid at this time.
    #[must_use]
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.begin.is_none_or(|begin| begin <= now) && self.end.is_none_or(|end| now <= end)
    }

    /// One line with names, dates, issuer, key, and thumbprint.
    #[must_use]
    pub fn line(&self) -> String {
        let day = |at: Option<SystemTime>| match at {
            Some(at) => humantime::format_rfc3339_seconds(at).to_string(),
            None => "before 1970".to_owned(),
        };
        let names = self.names.join(", ");
        let (issuer, key, thumbprint) = (&self.issuer, &self.key, &self.thumbprint);
        format!(
            "for {names}, from {} to {}, issued by {issuer}, {key}, thumbprint {thumbprint}",
            day(self.begin),
            day(self.end)
        )
    }

    /// Whether one of `others` has issued it, judged by names.
    #[must_use]
    pub fn has_issuer_in(&self, others: &[Self]) -> bool {
        others.iter().any(|other| other.subject == self.issuer)
    }
}

/// The certificates of a PEM file, in its order.
///
/// # Errors
/// It cannot be read, or holds none. `flag` is named then.
pub fn certificates(flag: &'static str, path: &Path) -> Result<Vec<Facts>, Error> {
    let found = pem::certificates(flag, path)?;
    found.iter().map(|found| Facts::of(found)).collect()
}

/// The revocation lists of a PEM file: issuer, and when the next one is due.
///
/// # Errors
/// The file cannot be read, or contains none.
pub fn lists(path: &Path) -> Result<Vec<(String, Option<SystemTime>)>, Error> {
    let found = pem::revocation_lists(path)?;
    let facts = found.iter().map(|list| {
        let end = list.next_update().and_then(validity::time);
        (names::display(list.issuer_name()), end)
    });
    Ok(facts.collect())
}

/// Whether a certificate may issue others (RFC 5280 4.2.1.9).
pub(super) fn is_authority(certificate: &X509Ref) -> bool {
    let is_authority = |der: Vec<u8>| extension::is_authority(&der);
    certificate.to_der().is_ok_and(is_authority)
}

pub(super) fn serves(certificate: &X509Ref) -> bool {
    // Without the extension a certificate is valid for all purposes (RFC 5280 4.2.1.12).
    let either = X509ExtendedKeyUsage::SSL_SERVER | X509ExtendedKeyUsage::ANYEKU;
    certificate
        .extended_key_usage()
        .is_none_or(|usage| usage.intersects(either))
}

pub(super) fn is_issued_by(certificate: &X509Ref, issuer: &X509Ref) -> bool {
    names::are_equal(certificate.issuer_name(), issuer.subject_name())
        && issuer
            .public_key()
            .and_then(|key| certificate.verify(&key))
            .is_ok_and(|good| good)
}

fn kind(key: &PKeyRef<Public>) -> String {
    let bits = key.bits();
    match key.id() {
        Id::RSA => format!("RSA {bits}"),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            let curve = curve.unwrap_or(Nid::UNDEF).short_name().unwrap_or("?");
            format!("EC {curve}")
        }
        Id::ED25519 => "Ed25519".to_owned(),
        _ => format!("{bits} bits"),
    }
}
