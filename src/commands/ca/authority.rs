//! The authority: its key and certificate, and signing (RFC 5280).

use std::path::Path;
use std::time::{Duration, SystemTime};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{
    CrlNumber, X509, X509Builder, X509Crl, X509CrlBuilder, X509Name, X509NameBuilder,
    X509RevokedBuilder,
};
use zeroize::Zeroizing;

use super::index::{Entry, Kind};
use super::names::Name;
use super::{Error, files};
use crate::cli::KeyKind;

const DAY: Duration = Duration::from_secs(86_400);
/// How far in the past validity begins, because the clocks of workgroup hosts can be wrong.
const BACKDATED: Duration = DAY;

/// An authority with its private key.
pub(super) struct Authority {
    pub(super) certificate: X509,
    key: PKey<Private>,
}

/// An issued certificate with its key and its entry in the index.
pub(super) struct Issued {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
    pub(super) entry: Entry,
}

/// The properties of a certificate to issue.
pub(super) struct Wish<'a> {
    pub(super) kind: Kind,
    /// At least one name. The first becomes the common name.
    pub(super) names: &'a [Name],
    pub(super) days: u32,
    pub(super) key: KeyKind,
}

impl Authority {
    /// Creates an authority with a self-signed certificate.
    pub(super) fn make(
        name: &str,
        kind: KeyKind,
        days: u32,
        now: SystemTime,
    ) -> Result<Self, ErrorStack> {
        let key = generate(kind)?;
        let subject = common_name(name)?;
        let (mut builder, _) = unsigned(&subject, &subject, &key, now, now + DAY * days)?;
        let constraints = BasicConstraints::new().critical().ca().pathlen(0).build()?;
        builder.append_extension(constraints)?;
        let mut usage = KeyUsage::new();
        builder.append_extension(usage.critical().key_cert_sign().crl_sign().build()?)?;
        identify_keys(&mut builder, None)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let certificate = builder.build();
        Ok(Self { certificate, key })
    }

    /// Reads an authority from PEM files, and checks that certificate and key match.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let wrong = |path: &Path, why: &str| Error::Content(path.to_owned(), why.to_owned());
        let found = read_certificate(certificate)?;
        let pem = Zeroizing::new(files::read(key)?);
        // Without a callback, OpenSSL prompts for a password on the terminal.
        let own = PKey::private_key_from_pem_callback(&pem, |_| Ok(0))
            .map_err(|_| wrong(key, "no private key in PEM without a password"))?;
        if !found.public_key()?.public_eq(&own) {
            return Err(wrong(key, "the key does not belong to ca.pem"));
        }
        Ok(Self {
            certificate: found,
            key: own,
        })
    }

    pub(super) fn key_pem(&self) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        key_pem(&self.key)
    }

    /// Issues a certificate. An error if it would be valid longer than the authority.
    pub(super) fn issue(&self, wish: &Wish<'_>, now: SystemTime) -> Result<Issued, Error> {
        let end = now + DAY * wish.days;
        let last = self.certificate.not_after();
        if *last < *time(end)? {
            let left = time(now)?.diff(last)?.days;
            return Err(Error::Refused(match left {
                1.. => format!(
                    "the certificate would outlast the authority, which expires on {last}: use \
                     --days {left} or less"
                ),
                _ => format!(
                    "the authority has expired or expires today ({last}): create a new one with \
                     wecrelay ca init --dir OTHER"
                ),
            }));
        }
        Ok(self.sign(wish, now, end)?)
    }

    fn sign(
        &self,
        wish: &Wish<'_>,
        now: SystemTime,
        end: SystemTime,
    ) -> Result<Issued, ErrorStack> {
        let names: Vec<_> = wish.names.iter().map(Name::text).collect();
        let subject = common_name(names.first().map_or("", String::as_str))?;
        let key = generate(wish.key)?;
        let issuer = self.certificate.subject_name().to_owned()?;
        let (mut builder, serial) = unsigned(&subject, &issuer, &key, now, end)?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        let mut usage = KeyUsage::new();
        usage.critical().digital_signature();
        if wish.key != KeyKind::P256 {
            // For RSA key exchange without Diffie-Hellman.
            usage.key_encipherment();
        }
        builder.append_extension(usage.build()?)?;
        let mut extended = ExtendedKeyUsage::new();
        let extended = match wish.kind {
            Kind::Server => extended.server_auth(),
            Kind::Host => extended.client_auth(),
        };
        builder.append_extension(extended.build()?)?;
        let mut alternatives = SubjectAlternativeName::new();
        for name in wish.names {
            match name {
                Name::Dns(name) => alternatives.dns(name),
                Name::Address(address) => alternatives.ip(&address.to_string()),
            };
        }
        let alternatives = alternatives.build(&builder.x509v3_context(None, None))?;
        builder.append_extension(alternatives)?;
        identify_keys(&mut builder, Some(&self.certificate))?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        let entry = Entry {
            serial,
            kind: wish.kind,
            names,
            end,
            revoked: None,
        };
        Ok(Issued {
            certificate: builder.build(),
            key,
            entry,
        })
    }

    /// Creates the revocation list with all revoked entries. Its CRL number is one more
    /// than that of `before`.
    pub(super) fn revocation_list(
        &self,
        entries: &[Entry],
        before: Option<&X509Crl>,
        days: u32,
        now: SystemTime,
    ) -> Result<X509Crl, ErrorStack> {
        let mut builder = X509CrlBuilder::new()?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        // Backdated, so that relays whose clock is behind accept it.
        builder.set_last_update(&*time(now - BACKDATED)?)?;
        builder.set_next_update(&*time(now + DAY * days)?)?;
        for entry in entries {
            let Some(at) = entry.revoked else { continue };
            let mut revoked = X509RevokedBuilder::new()?;
            revoked.set_revocation_date(&*time(at)?)?;
            revoked.set_serial_number(&*integer(&entry.serial)?)?;
            builder.add_revoked(revoked.build())?;
        }
        builder.sort()?;
        let context = X509Builder::new()?;
        let context = context.x509v3_context(Some(&self.certificate), None);
        let issuer = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(issuer)?;
        builder.append_extension(CrlNumber::new(next_number(before)?)?.build()?)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        builder.build()
    }
}

pub(super) fn read_certificate(path: &Path) -> Result<X509, Error> {
    let pem = files::read(path)?;
    let wrong = |_| Error::Content(path.to_owned(), "no certificate in PEM".to_owned());
    X509::from_pem(&pem).map_err(wrong)
}

pub(super) fn key_pem(key: &PKey<Private>) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    key.private_key_to_pem_pkcs8().map(Zeroizing::new)
}

/// The SHA-1 hash in hex, by which Windows identifies a certificate.
pub(super) fn thumbprint(certificate: &X509) -> Result<String, ErrorStack> {
    let hash = certificate.digest(MessageDigest::sha1())?;
    Ok(hash.iter().map(|byte| format!("{byte:02X}")).collect())
}

fn next_number(before: Option<&X509Crl>) -> Result<BigNum, ErrorStack> {
    let before = before.and_then(|list| list.extension::<CrlNumber>().ok().flatten());
    let mut number = match before {
        Some((_, number)) => number.to_bn()?,
        None => BigNum::new()?,
    };
    number.add_word(1)?;
    Ok(number)
}

fn generate(kind: KeyKind) -> Result<PKey<Private>, ErrorStack> {
    let bits = match kind {
        KeyKind::P256 => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            return PKey::from_ec_key(EcKey::generate(&group)?);
        }
        KeyKind::Rsa2048 => 2048,
        KeyKind::Rsa3072 => 3072,
    };
    PKey::from_rsa(Rsa::generate(bits)?)
}

fn common_name(name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

/// Starts a certificate with the fields that all certificates have. Also returns its serial
/// number in hex.
fn unsigned(
    subject: &X509Name,
    issuer: &X509Name,
    key: &PKey<Private>,
    now: SystemTime,
    end: SystemTime,
) -> Result<(X509Builder, String), ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    // Random and positive, 127 bits (RFC 5280, section 4.1.2.2).
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let serial = serial.to_hex_str()?.to_string();
    builder.set_serial_number(&*integer(&serial)?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_not_before(&*time(now - BACKDATED)?)?;
    builder.set_not_after(&*time(end)?)?;
    builder.set_pubkey(key)?;
    Ok((builder, serial))
}

fn identify_keys(builder: &mut X509Builder, issuer: Option<&X509>) -> Result<(), ErrorStack> {
    let own = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(own)?;
    let context = builder.x509v3_context(issuer.map(|issuer| &**issuer), None);
    let signer = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
    builder.append_extension(signer)
}

fn integer(hex: &str) -> Result<Asn1Integer, ErrorStack> {
    BigNum::from_hex_str(hex)?.to_asn1_integer()
}

fn time(at: SystemTime) -> Result<Asn1Time, ErrorStack> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    Asn1Time::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}
