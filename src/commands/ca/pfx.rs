//! What a Windows host imports: certificate and key in one file with a password.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use zeroize::Zeroizing;

use super::authority::Issued;
use crate::cli::PfxKind;

/// Letters and digits that are not taken for one another.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// So many of them are above 112 bits, the strength of the weaker encryption.
const LENGTH: usize = 20;
/// Rounds of key derivation; Windows refuses above 600,000.
const ROUNDS: u32 = 10_000;

/// The file (RFC 7292). The authority is not in it: the script brings that.
pub(super) fn build(
    issued: &Issued,
    name: &str,
    password: &str,
    kind: PfxKind,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    // 3DES is in OpenSSL's default provider; RC2, its own old default, is not.
    let (cipher, hash) = match kind {
        PfxKind::TripleDes => (
            Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC,
            MessageDigest::sha1(),
        ),
        PfxKind::Aes256 => (Nid::AES_256_CBC, MessageDigest::sha256()),
    };
    let mut builder = Pkcs12::builder();
    builder.name(name).pkey(&issued.key);
    builder.cert(&issued.certificate);
    builder.key_algorithm(cipher).cert_algorithm(cipher);
    builder.mac_md(hash).key_iter(ROUNDS).mac_iter(ROUNDS);
    builder.build2(password)?.to_der().map(Zeroizing::new)
}

/// A password that can be typed.
pub(super) fn random_password() -> Result<Zeroizing<String>, ErrorStack> {
    let mut password = Zeroizing::new(String::with_capacity(LENGTH));
    while password.len() < LENGTH {
        let mut byte = [0];
        openssl::rand::rand_priv_bytes(&mut byte)?;
        // What is beyond the alphabet is drawn again: each letter is as likely as another.
        let [place] = byte.map(|byte| usize::from(byte & 63));
        password.extend(ALPHABET.get(place).map(|&byte| char::from(byte)));
    }
    Ok(password)
}
