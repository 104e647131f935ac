//! Lines for Digest: `[DOMAIN\]USER:{DIGEST}REALM:SHA-256=HEX:MD5=HEX`.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::{Account, Reason};
use crate::auth::{Algorithm, Ha1};

/// Maximum length of a realm in bytes.
const MAX_REALM: usize = 255;

/// A line of the accounts file for `account` with this password in `realm`, without a line
/// end.
///
/// # Errors
/// The realm is not allowed.
pub fn digest_line(
    account: &Account,
    realm: &str,
    password: &str,
) -> Result<Zeroizing<String>, Reason> {
    if !is_realm(realm) {
        return Err(Reason::Realm);
    }
    let name = account.to_string();
    let ha1 = Ha1::from_password(&name, realm, password);
    // Reserve everything up front: a buffer that grows leaves an unwiped copy behind.
    let room = name.len() + realm.len() + 128;
    let mut line = Zeroizing::new(String::with_capacity(room));
    // Writing to a String cannot fail.
    let _ = write!(line, "{name}:{{DIGEST}}{realm}");
    for algorithm in Algorithm::ALL {
        let digits = ha1.get(algorithm).unwrap_or_default();
        let _ = write!(line, ":{}={digits}", algorithm.as_str());
    }
    Ok(line)
}

/// Parses what follows `{DIGEST}`.
pub(super) fn parse(text: &str) -> Result<(String, Ha1), Reason> {
    let (realm, hashes) = text.split_once(':').ok_or(Reason::Digest)?;
    if !is_realm(realm) {
        return Err(Reason::Realm);
    }
    let mut ha1 = Ha1::default();
    if hashes.split(':').all(|hash| ha1.add(hash)) {
        Ok((realm.to_owned(), ha1))
    } else {
        Err(Reason::Digest)
    }
}

/// Whether the text needs no quoting in a header, and contains no colon, which separates
/// the fields of a line.
fn is_realm(realm: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b':' | b'"' | b'\\');
    let length = (1..=MAX_REALM).contains(&realm.len());
    length && realm.trim() == realm && realm.bytes().all(fits)
}
