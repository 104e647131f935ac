//! What makes a certificate useless that OpenSSL reads without a word, or refuses in words
//! that name no file.

use std::path::Path;

use openssl::pkey::Id;
use openssl::x509::X509;

use super::{Error, Files, end_point, facts, names, pem};

/// Fewest bits of an RSA key that OpenSSL and Windows take.
const RSA_BITS: u32 = 2048;

/// What of these files cannot work, each with flag, file and remedy.
///
/// # Errors
/// A file cannot be read, or holds no certificate.
pub fn weaknesses(files: &Files) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for (path, _) in &files.pairs {
        let chain = pem::certificates("--tls-cert", path)?;
        let leaf = chain.first().into_iter();
        let weak = |leaf| of_our_own(leaf).or_else(|| purpose(leaf));
        let weak = leaf.filter_map(|leaf| weak(leaf).or_else(|| unbound(leaf)));
        found.extend(weak.map(|why| at("--tls-cert", path, &why)));
    }
    if let Some(path) = &files.client_ca {
        let authorities = pem::certificates("--client-ca", path)?;
        let weak = authorities.iter().filter_map(of_an_authority);
        found.extend(weak.map(|why| at("--client-ca", path, &why)));
    }
    Ok(found)
}

/// Our own certificate has to be one that TLS can be done with at all.
pub(super) fn need_strong(path: &Path, chain: &[X509]) -> Result<(), Error> {
    match chain.first().and_then(of_our_own) {
        Some(why) => Err(Error::Content("--tls-cert", path.to_owned(), why)),
        None => Ok(()),
    }
}

fn at(flag: &str, path: &Path, why: &str) -> String {
    format!("{flag} {}: {why}", path.display())
}

fn of_our_own(leaf: &X509) -> Option<String> {
    let remedy = "hosts and OpenSSL reject it: get a new one with RSA 2048 or P-256, and SHA-256 (\"wecrelay ca server\" creates one)";
    // Nobody looks at the signature that a certificate has put below itself.
    let is_own = facts::is_issued_by(leaf, leaf);
    weak_key(leaf)
        .or_else(|| weak_signature(leaf).filter(|_| !is_own))
        .map(|why| format!("{why}; {remedy}"))
}

fn of_an_authority(authority: &X509) -> Option<String> {
    let name = names::display(authority.subject_name());
    if !facts::is_authority(authority) {
        return Some(format!(
            "{name} is not an authority (CA:FALSE), so it allows no certificate but itself; use \
             the certificate of the authority that issued it"
        ));
    }
    let is_root = facts::is_issued_by(authority, authority);
    let weak = weak_key(authority).or_else(|| weak_signature(authority).filter(|_| !is_root));
    weak.map(|why| {
        format!(
            "{why}; OpenSSL rejects every certificate that it issued: renew the authority with RSA \
             2048 or P-256, and SHA-256"
        )
    })
}

fn purpose(leaf: &X509) -> Option<String> {
    let name = names::display(leaf.subject_name());
    (!facts::serves(leaf)).then(|| {
        format!(
            "{name} is not for server authentication, so no host will connect; get one with the \
             purpose 1.3.6.1.5.5.7.3.1 (serverAuth)"
        )
    })
}

/// The algorithm, where hosts and we have nothing to bind to (RFC 5929 4.1).
pub(super) fn unbound(certificate: &X509) -> Option<String> {
    let algorithm = certificate.signature_algorithm().object().nid();
    let algorithm = algorithm.long_name().unwrap_or("an unknown algorithm");
    let name = names::display(certificate.subject_name());
    end_point::of(certificate).is_none().then(|| {
        format!(
            "{name} is signed with {algorithm}, for which channel bindings are not defined \
             (tls-server-end-point): NTLM and Kerberos are accepted only with sealed bodies; get one that is signed with SHA-256"
        )
    })
}

fn weak_key(certificate: &X509) -> Option<String> {
    let key = certificate.public_key().ok()?;
    let name = names::display(certificate.subject_name());
    let (bits, is_weak) = (key.bits(), key.id() == Id::RSA && key.bits() < RSA_BITS);
    is_weak.then(|| format!("{name} has an RSA key of {bits} bits"))
}

fn weak_signature(certificate: &X509) -> Option<String> {
    let nid = certificate.signature_algorithm().object().nid();
    let algorithm = nid.long_name().unwrap_or_default();
    let is_weak = ["sha1", "md5"]
        .iter()
        .any(|weak| algorithm.to_ascii_lowercase().contains(weak));
    let name = names::display(certificate.subject_name());
    is_weak.then(|| format!("{name} is signed with {algorithm}"))
}
