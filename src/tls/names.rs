//! Whom certificates name.

use std::fmt;
use std::net::IpAddr;

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509NameRef, X509Ref};

use crate::auth::Certificate;

/// Why a verified certificate identifies no host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unidentified {
    /// It has no name; whose it is.
    Nameless(String),
    /// OpenSSL shows no issuer of it.
    NoIssuer,
}

impl fmt::Display for Unidentified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nameless(whose) => write!(
                f,
                "client certificate {whose}: it has neither a common name nor a DNS name: issue \
                 one with the host's name as the common name"
            ),
            Self::NoIssuer => write!(f, "the client certificate was not verified"),
        }
    }
}

impl std::error::Error for Unidentified {}

/// Whom a certificate names that was verified; its chain begins with it.
///
/// # Errors
/// It names nobody.
pub(super) fn identify(
    certificate: &X509Ref,
    chain: &[&X509Ref],
) -> Result<Certificate, Unidentified> {
    let name = host_name(certificate).or_else(|| names(certificate).into_iter().next());
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Unidentified::Nameless(describe(certificate)));
    };
    // A certificate that stands in the bundle itself may be trusted without one.
    let issuer = chain.get(1).or_else(|| chain.first());
    let issuer = issuer.and_then(|issuer| issuer.digest(MessageDigest::sha1()).ok());
    let issuer = issuer.ok_or(Unidentified::NoIssuer)?;
    Ok(Certificate {
        former: first_common_name(certificate).filter(|first| *first != name),
        name,
        issuer: hex(&issuer),
    })
}

/// The names that a certificate is for, in lower case: DNS names, else the common name.
pub(super) fn names(certificate: &X509Ref) -> Vec<String> {
    let alternatives = certificate.subject_alt_names();
    let alternatives = alternatives
        .iter()
        .flatten()
        .filter_map(|name| name.dnsname());
    let mut names: Vec<_> = alternatives.map(str::to_ascii_lowercase).collect();
    if names.is_empty() {
        names.extend(host_name(certificate).map(|name| name.to_ascii_lowercase()));
    }
    names
}

/// The IP addresses that a certificate is for.
pub(super) fn addresses(certificate: &X509Ref) -> Vec<String> {
    let alternatives = certificate.subject_alt_names();
    let bytes = alternatives
        .iter()
        .flatten()
        .filter_map(|name| name.ipaddress());
    let address = |bytes: &[u8]| match bytes.len() {
        4 => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
        16 => Some(IpAddr::from(*bytes.first_chunk::<16>()?)),
        _ => None,
    };
    bytes
        .filter_map(address)
        .map(|address| address.to_string())
        .collect()
}

/// The common name that is nearest to the host: AD CS writes the path of its account, as
/// `DC=example, DC=corp, CN=Computers, CN=WS9`. Some write that the other way round.
fn host_name(certificate: &X509Ref) -> Option<String> {
    let subject = certificate.subject_name();
    let kinds: Vec<_> = subject.entries().map(|e| e.object().nid()).collect();
    let is_container = |nid: &Nid| [Nid::DOMAINCOMPONENT, Nid::COUNTRYNAME].contains(nid);
    let is_reversed = kinds.last().is_some_and(is_container);
    let mut names = subject.entries_by_nid(Nid::COMMONNAME);
    let nearest = if is_reversed {
        names.next()
    } else {
        names.last()
    };
    // An empty one names nobody: then the DNS names count.
    let nearest = nearest?.data().to_string().ok();
    nearest.filter(|name| !name.trim().is_empty())
}

fn first_common_name(certificate: &X509Ref) -> Option<String> {
    let mut entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    entries.next()?.data().to_string().ok()
}

/// Subject and issuer.
pub(super) fn describe(certificate: &X509Ref) -> String {
    let (subject, issuer) = (certificate.subject_name(), certificate.issuer_name());
    format!("{}, issued by {}", display(subject), display(issuer))
}

/// A name as `CN=a, O=b`.
pub(super) fn display(name: &X509NameRef) -> String {
    let entries = name.entries().map(|entry| {
        let key = entry.object().nid().short_name().unwrap_or("?");
        format!("{key}={}", entry.data().to_string().unwrap_or_default())
    });
    entries.collect::<Vec<_>>().join(", ")
}

/// Whether two names are equal as X.509 compares them (RFC 5280 7.1); not if one cannot be read.
pub(super) fn are_equal(one: &X509NameRef, other: &X509NameRef) -> bool {
    one.try_cmp(other).is_ok_and(std::cmp::Ordering::is_eq)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
