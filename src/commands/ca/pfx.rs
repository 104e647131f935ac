//! PKCS #12 files (.pfx), which contain certificate and key and are protected by a
//! password, for import on Windows hosts.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use zeroize::Zeroizing;

use super::authority::Issued;
use crate::cli::PfxKind;

/// Letters and digits without those that look alike.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Number of characters: about 116 bits, more than the 112 bits of the weaker encryption.
const LENGTH: usize = 20;
/// Iterations of key derivation. Windows rejects more than 600,000.
const ROUNDS: u32 = 10_000;

/// Builds the file (RFC 7292). It does not contain the authority's certificate, which the
/// host's script installs.
pub(super) fn build(
    issued: &Issued,
    name: &str,
    password: &str,
    kind: PfxKind,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    // OpenSSL's default provider includes 3DES, but not RC2, the former default.
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

/// Generates a password that is easy to type.
pub(super) fn random_password() -> Result<Zeroizing<String>, ErrorStack> {
    let mut password = Zeroizing::new(String::with_capacity(LENGTH));
    while password.len() < LENGTH {
        let mut byte = [0];
        openssl::rand::rand_priv_bytes(&mut byte)?;
        // Values outside the alphabet are discarded, so that all characters are equally
        // likely.
        let [place] = byte.map(|byte| usize::from(byte & 63));
        password.extend(ALPHABET.get(place).map(|&byte| char::from(byte)));
    }
    Ok(password)
}
