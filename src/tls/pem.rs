//! Certificates, keys and revocation lists from PEM files.

use super::Error;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Crl};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Permissions of others than a file's owner.
const OTHERS: u32 = 0o077;
const LIST_BEGIN: &str = "-----BEGIN X509 CRL-----";
const LIST_END: &str = "-----END X509 CRL-----";

/// All certificates of a file; at least one.
pub(super) fn certificates(flag: &'static str, path: &Path) -> Result<Vec<X509>, Error> {
    let found = X509::stack_from_pem(&read(flag, path)?).unwrap_or_default();
    if found.is_empty() {
        let why = "no certificate in PEM (-----BEGIN CERTIFICATE-----)";
        return Err(Error::Content(flag, path.to_owned(), why.to_owned()));
    }
    Ok(found)
}

/// The key of the first certificate of a chain.
pub(super) fn private_key(
    path: &Path,
    certificate: &Path,
    chain: &[X509],
) -> Result<PKey<Private>, Error> {
    let wrong = |why: String| Error::Content("--tls-key", path.to_owned(), why);
    let pem = Zeroizing::new(read("--tls-key", path)?);
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
    let key = key.map_err(|_| wrong("no private key in PEM".to_owned()))?;
    let fits = |leaf: &X509| leaf.public_key().is_ok_and(|own| own.public_eq(&key));
    // OpenSSL itself compares only keys of the same kind.
    if !chain.first().is_some_and(fits) {
        let why = format!("this is not the key of {}", certificate.display());
        return Err(wrong(why));
    }
    note_mode(path);
    Ok(key)
}

fn note_mode(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |found| found.mode());
    if mode & OTHERS != 0 {
        log::warn!(
            "--tls-key {}: others than its owner may use this private key (mode {:03o}): \
             chmod 600 would keep them out",
            path.display(),
            mode & 0o777
        );
    }
}

/// All revocation lists of a file; at least one.
pub(super) fn revocation_lists(path: &Path) -> Result<Vec<X509Crl>, Error> {
    let text = read("--crl", path)?;
    let text = String::from_utf8_lossy(&text);
    let blocks = text
        .split_inclusive(LIST_END)
        .filter(|block| block.contains(LIST_BEGIN));
    let lists: Result<Vec<_>, _> = blocks
        .map(|block| X509Crl::from_pem(block.as_bytes()))
        .collect();
    let lists = lists.unwrap_or_default();
    if lists.is_empty() {
        return Err(no_list(path));
    }
    Ok(lists)
}

pub(super) fn no_list(path: &Path) -> Error {
    let why = format!("no revocation list in PEM ({LIST_BEGIN})");
    Error::Content("--crl", path.to_owned(), why)
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    #[expect(clippy::disallowed_methods, reason = "reading these files is the task")]
    std::fs::read(path).map_err(|error| Error::Read(flag, path.to_owned(), error))
}
