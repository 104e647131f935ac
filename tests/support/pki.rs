//! A temporary authority and the certificates that it issues.

use std::process::Command;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use super::TempDir;

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

/// The purpose of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Authority,
    Server,
    Client,
}

impl Issued {
    /// A root authority.
    pub(crate) fn root(name: &str) -> Self {
        issue(name, Use::Authority, 1000, None)
    }

    /// A certificate of this authority, valid for `days` days from yesterday.
    pub(crate) fn issue(&self, name: &str, purpose: Use, days: i64) -> Self {
        issue(name, purpose, days, Some(self))
    }

    /// Writes `NAME.pem` and `NAME.key`; returns both paths.
    pub(crate) fn write(&self, dir: &TempDir, name: &str) -> (String, String) {
        let paths = (
            dir.file(&format!("{name}.pem")),
            dir.file(&format!("{name}.key")),
        );
        std::fs::write(&paths.0, self.certificate.to_pem().unwrap()).unwrap();
        std::fs::write(&paths.1, self.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        paths
    }

    /// A revocation list of this authority that lists `revoked`.
    pub(crate) fn revoke(&self, dir: &TempDir, revoked: &X509) -> String {
        self.list(dir, "crl", Some(revoked), "", &[])
    }

    /// Writes a revocation list to a file of that name, with these extensions of the list, in
    /// the syntax of `openssl`'s configuration, and additional arguments for `openssl ca`.
    pub(crate) fn list(
        &self,
        dir: &TempDir,
        name: &str,
        revoked: Option<&X509>,
        extensions: &str,
        arguments: &[&str],
    ) -> String {
        let (certificate, key) = self.write(dir, "revoking");
        let line = |revoked: &X509| {
            let serial = revoked.serial_number().to_bn().unwrap();
            let serial = serial.to_hex_str().unwrap();
            format!("R\t390101000000Z\t240101000000Z\t{serial}\tunknown\t/CN=revoked\n")
        };
        let index = revoked.map_or_else(String::new, line);
        std::fs::write(dir.file("index.txt"), index).unwrap();
        let section = match extensions {
            "" => String::new(),
            _ => format!("crl_extensions=e\n[e]\n{extensions}\n"),
        };
        let settings = format!(
            "[ca]\ndefault_ca=a\n[a]\ndatabase={}\ndefault_md=sha256\ndefault_crl_days=30\n\
             {section}",
            dir.file("index.txt")
        );
        std::fs::write(dir.file("ca.conf"), settings).unwrap();
        let list = dir.file(&format!("{name}.pem"));
        let made = Command::new("openssl")
            .args([
                "ca",
                "-gencrl",
                "-config",
                &dir.file("ca.conf"),
                "-out",
                &list,
            ])
            .args(["-keyfile", &key, "-cert", &certificate])
            .args(arguments)
            .output()
            .expect("openssl is missing: apt-get install openssl");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        list
    }
}

fn issue(name: &str, purpose: Use, days: i64, issuer: Option<&Issued>) -> Issued {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial
        .rand(100, openssl::bn::MsbOption::ONE, false)
        .unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&subject).unwrap();
    let issuer_name = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
    builder.set_issuer_name(issuer_name).unwrap();
    builder.set_not_before(&at(days.min(0) - 1)).unwrap();
    builder.set_not_after(&at(days)).unwrap();
    builder.set_pubkey(&key).unwrap();
    let extension = match purpose {
        Use::Authority => BasicConstraints::new().critical().ca().build(),
        Use::Server => ExtendedKeyUsage::new().server_auth().build(),
        Use::Client => ExtendedKeyUsage::new().client_auth().build(),
    };
    builder.append_extension(extension.unwrap()).unwrap();
    let context = builder.x509v3_context(None, None);
    let names = SubjectAlternativeName::new()
        .dns(name)
        .build(&context)
        .unwrap();
    if purpose != Use::Authority {
        builder.append_extension(names).unwrap();
    }
    let signer = issuer.map_or(&key, |issuer| &issuer.key);
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    Issued {
        certificate: builder.build(),
        key,
    }
}
