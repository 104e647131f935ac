//! Certificates for tests: authorities and the certificates that they issue, as PEM files.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use super::TempDir;

/// An authority with a folder for its certificates.
pub(crate) struct Authority {
    dir: TempDir,
    certificate: X509,
    key: PKey<Private>,
}

/// The file format of a private key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyForm {
    /// `BEGIN PRIVATE KEY`, elliptic curve.
    Pkcs8,
    /// `BEGIN EC PRIVATE KEY`.
    Sec1,
    /// `BEGIN RSA PRIVATE KEY`.
    Pkcs1,
    /// Encrypted with a password.
    Encrypted,
}

/// A certificate and its key in files.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = ec_key();
        let mut builder = unsigned(name, name, &key, -1..30);
        let constraints = BasicConstraints::new().critical().ca().build();
        builder.append_extension(constraints.unwrap()).unwrap();
        let mut usage = KeyUsage::new();
        let usage = usage.critical().key_cert_sign().crl_sign().build();
        builder.append_extension(usage.unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let (dir, certificate) = (TempDir::new(), builder.build());
        std::fs::write(dir.file("ca.pem"), certificate.to_pem().unwrap()).unwrap();
        Self {
            dir,
            certificate,
            key,
        }
    }

    /// The file with the authority's own certificate.
    pub(crate) fn file(&self) -> String {
        self.dir.file("ca.pem")
    }

    /// A certificate for names and addresses; the first is its common name.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_as(names, KeyForm::Pkcs8)
    }

    pub(crate) fn issue_as(&self, names: &[&str], form: KeyForm) -> Pair {
        self.issue_for(names, form, -1..30)
    }

    /// An expired certificate.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Pair {
        self.issue_for(names, KeyForm::Pkcs8, -30..-1)
    }

    fn issue_for(&self, names: &[&str], form: KeyForm, days: std::ops::Range<i64>) -> Pair {
        let (key, pem) = new_key(form);
        let issuer = common_name(&self.certificate);
        let mut builder = unsigned(names[0], &issuer, &key, days);
        let mut alternatives = SubjectAlternativeName::new();
        for name in names {
            match name.parse::<IpAddr>() {
                Ok(_) => alternatives.ip(name),
                Err(_) => alternatives.dns(name),
            };
        }
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let alternatives = alternatives.build(&context).unwrap();
        builder.append_extension(alternatives).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        self.write(names[0], &builder.build(), &pem)
    }

    fn write(&self, name: &str, certificate: &X509, key: &[u8]) -> Pair {
        let number = std::fs::read_dir(self.dir.path()).unwrap().count();
        let pair = Pair {
            certificate: self.dir.file(&format!("{name}-{number}.pem")),
            key: self.dir.file(&format!("{name}-{number}.key")),
        };
        std::fs::write(&pair.certificate, certificate.to_pem().unwrap()).unwrap();
        std::fs::write(&pair.key, key).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&pair.key, private).unwrap();
        pair
    }
}

fn new_key(form: KeyForm) -> (PKey<Private>, Vec<u8>) {
    match form {
        KeyForm::Pkcs1 => {
            let rsa = Rsa::generate(2048).unwrap();
            let pem = rsa.private_key_to_pem().unwrap();
            (PKey::from_rsa(rsa).unwrap(), pem)
        }
        KeyForm::Sec1 => {
            let key = ec_key();
            let pem = key.ec_key().unwrap().private_key_to_pem().unwrap();
            (key, pem)
        }
        KeyForm::Pkcs8 => {
            let key = ec_key();
            let pem = key.private_key_to_pem_pkcs8().unwrap();
            (key, pem)
        }
        KeyForm::Encrypted => {
            let key = ec_key();
            let cipher = openssl::symm::Cipher::aes_256_cbc();
            let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret");
            (key, pem.unwrap())
        }
    }
}

fn ec_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn unsigned(
    name: &str,
    issuer: &str,
    key: &PKey<Private>,
    days: std::ops::Range<i64>,
) -> X509Builder {
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = serial.to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&name_of(name)).unwrap();
    builder.set_issuer_name(&name_of(issuer)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&in_days(days.start)).unwrap();
    builder.set_not_after(&in_days(days.end)).unwrap();
    builder
}

fn in_days(days: i64) -> Asn1Time {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    Asn1Time::from_unix(now.as_secs() as i64 + days * 86_400).unwrap()
}

fn name_of(common_name: &str) -> openssl::x509::X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", common_name).unwrap();
    name.build()
}

fn common_name(certificate: &X509) -> String {
    let mut entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    entries.next().unwrap().data().to_string().unwrap()
}
