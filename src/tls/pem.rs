//! Certificates, keys and revocation lists from PEM files.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::ssl::SslContextBuilder;
use openssl::x509::{X509, X509Crl};

use super::{Error, foreign};
use crate::files::secret;

const LIST_BEGIN: &str = "-----BEGIN X509 CRL-----";
const LIST_END: &str = "-----END X509 CRL-----";

/// All certificates of a file; at least one.
pub(super) fn certificates(flag: &'static str, path: &Path) -> Result<Vec<X509>, Error> {
    let bytes = read(flag, path)?;
    let found = X509::stack_from_pem(&bytes)
        .map_err(|error| broken(flag, path, "a certificate", &error))?;
    if found.is_empty() {
        let why = "no certificate in PEM (-----BEGIN CERTIFICATE-----)";
        return Err(missing(flag, path, why, &bytes));
    }
    Ok(found)
}

/// A file with something in PEM that cannot be decoded.
fn broken(flag: &'static str, path: &Path, what: &str, error: &ErrorStack) -> Error {
    let first = error.errors().first();
    let why = first.and_then(openssl::error::Error::reason);
    let why = why.unwrap_or("unreadable");
    let why = format!("{what} in it is broken: {why}");
    Error::Content(flag, path.to_owned(), why)
}

/// A file without what the flag asks for.
fn missing(flag: &'static str, path: &Path, why: &str, bytes: &[u8]) -> Error {
    let why = match foreign::describe(bytes, path) {
        Some(what) => format!("{why}: {what}"),
        None => why.to_owned(),
    };
    Error::Content(flag, path.to_owned(), why)
}

/// The key of the first certificate of a chain.
pub(super) fn private_key(
    flag: &'static str,
    path: &Path,
    certificate: &Path,
    chain: &[X509],
) -> Result<PKey<Private>, Error> {
    let wrong = |why: String| Error::Content(flag, path.to_owned(), why);
    let pem = secret::read(path, "this key identifies the relay");
    let pem = pem.map_err(|error| Error::Read(flag, path.to_owned(), error))?;
    let mut asked = false;
    // Without a callback OpenSSL would ask the terminal for a password, and wait.
    let key = PKey::private_key_from_pem_callback(&pem, |_| {
        asked = true;
        Ok(0)
    });
    if asked {
        let how = format!("openssl pkey -in {} -out FILE", path.display());
        return Err(wrong(format!("the key has a password; remove it: {how}")));
    }
    let key = key.map_err(|_| missing(flag, path, "no private key in PEM", &pem))?;
    let fits = |leaf: &X509| leaf.public_key().is_ok_and(|own| own.public_eq(&key));
    // OpenSSL itself compares only keys of the same kind.
    if !chain.first().is_some_and(fits) {
        return Err(wrong(foreign_key(certificate, chain.iter().any(fits))));
    }
    Ok(key)
}

/// Gives the other side a certificate, which comes first, and those of its issuers.
pub(super) fn present(
    builder: &mut SslContextBuilder,
    chain: impl IntoIterator<Item = X509>,
    key: &PKeyRef<Private>,
) -> Result<(), ErrorStack> {
    let mut chain = chain.into_iter();
    if let Some(own) = chain.next() {
        builder.set_certificate(&own)?;
    }
    for issuer in chain {
        builder.add_extra_chain_cert(issuer)?;
    }
    builder.set_private_key(key)
}

/// Why a key does not fit a chain; it may fit another certificate than the first.
fn foreign_key(certificate: &Path, is_within: bool) -> String {
    let certificate = certificate.display();
    if is_within {
        format!(
            "this is the key of a later certificate in {certificate}: the relay's own must come \
             first, then its issuer, and so on"
        )
    } else {
        format!("this is not the key of {certificate}")
    }
}

/// All revocation lists of a file; at least one.
pub(super) fn revocation_lists(path: &Path) -> Result<Vec<X509Crl>, Error> {
    let bytes = read("--crl", path)?;
    let lists =
        lists_in(&bytes).map_err(|error| broken("--crl", path, "a revocation list", &error))?;
    if lists.is_empty() {
        return Err(no_list(path, &bytes));
    }
    Ok(lists)
}

/// All revocation lists in PEM.
///
/// # Errors
/// One of them is none.
pub fn lists_in(pem: &[u8]) -> Result<Vec<X509Crl>, ErrorStack> {
    let text = String::from_utf8_lossy(pem);
    let blocks = text
        .split_inclusive(LIST_END)
        .filter(|block| block.contains(LIST_BEGIN));
    blocks
        .map(|block| X509Crl::from_pem(block.as_bytes()))
        .collect()
}

fn no_list(path: &Path, bytes: &[u8]) -> Error {
    let why = format!("no revocation list in PEM ({LIST_BEGIN})");
    missing("--crl", path, &why, bytes)
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    #[expect(clippy::disallowed_methods, reason = "reading these files is the task")]
    std::fs::read(path).map_err(|error| Error::Read(flag, path.to_owned(), error))
}
