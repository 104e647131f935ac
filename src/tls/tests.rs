#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may panic and has files"
)]

mod client_authorities;

use std::time::Duration;

use log::Level;
use openssl::asn1::{Asn1Time, Asn1Type};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs7::{Pkcs7, Pkcs7Flags};
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use super::*;

const DAY: u64 = 86_400;
/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY)
}

pub(super) fn ec_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(super) fn unsigned(name: &str, key: &PKey<Private>, from: u64, to: u64) -> X509Builder {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(key).unwrap();
    let time = |at: u64| Asn1Time::from_unix(i64::try_from(at).unwrap()).unwrap();
    builder.set_not_before(&time(from)).unwrap();
    builder.set_not_after(&time(to)).unwrap();
    builder
}

/// Valid from ten days before to forty days after [`NOW`].
pub(super) fn certificate(name: &str, alternatives: &[&str], key: &PKey<Private>) -> X509 {
    let mut builder = unsigned(name, key, NOW - 10 * DAY, NOW + 40 * DAY);
    if !alternatives.is_empty() {
        let mut names = SubjectAlternativeName::new();
        for name in alternatives {
            names.dns(name);
        }
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
    }
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("wecrelay-tls-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A pair of files; `key` may be another one than that of the certificate.
    fn pair(&self, certificate: &X509, key: &[u8]) -> Files {
        let certificate = self.write("own.pem", &certificate.to_pem().unwrap());
        Files {
            pairs: vec![(certificate, self.write("own.key", key))],
            ..Files::default()
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn refusal(files: &Files, at: SystemTime) -> String {
    Acceptor::load(files, at).unwrap_err().to_string()
}

#[test]
fn all_forms_of_keys_are_read() {
    let folder = Folder::new("forms");
    let key = ec_key();
    let own = certificate("a.example.com", &[], &key);
    for pem in [
        key.private_key_to_pem_pkcs8().unwrap(),
        key.ec_key().unwrap().private_key_to_pem().unwrap(),
    ] {
        Acceptor::load(&folder.pair(&own, &pem), now()).unwrap();
    }
    let rsa = Rsa::generate(2048).unwrap();
    let pem = rsa.private_key_to_pem().unwrap();
    let own = certificate("a.example.com", &[], &PKey::from_rsa(rsa).unwrap());
    Acceptor::load(&folder.pair(&own, &pem), now()).unwrap();
}

#[test]
fn a_key_that_does_not_fit_is_refused_whatever_its_kind() {
    let folder = Folder::new("mismatch");
    let own = certificate("a.example.com", &[], &ec_key());
    let other = ec_key().private_key_to_pem_pkcs8().unwrap();
    let rsa = Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
    for key in [other, rsa] {
        let said = refusal(&folder.pair(&own, &key), now());
        assert!(said.contains("this is not the key of"), "{said}");
    }
}

#[test]
fn a_key_with_a_password_is_refused_without_asking_for_it() {
    let folder = Folder::new("password");
    let key = ec_key();
    let own = certificate("a.example.com", &[], &key);
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret");
    let said = refusal(&folder.pair(&own, &pem.unwrap()), now());
    assert!(
        said.contains("has a password; remove it: openssl pkey"),
        "{said}"
    );
}

#[test]
fn our_certificate_must_be_valid_now_to_the_second() {
    let folder = Folder::new("valid");
    let key = ec_key();
    let own = certificate("a.example.com", &[], &key);
    let files = folder.pair(&own, &key.private_key_to_pem_pkcs8().unwrap());
    let second = Duration::from_secs(1);
    let (begin, end) = (now() - days(10), now() + days(40));
    Acceptor::load(&files, begin).unwrap();
    Acceptor::load(&files, end).unwrap();
    let said = refusal(&files, begin - second);
    assert!(
        said.contains("CN=a.example.com is not valid before"),
        "{said}"
    );
    let said = refusal(&files, end + second);
    assert!(said.contains("CN=a.example.com expired on"), "{said}");
}

#[test]
fn ends_are_told_from_thirty_days_before_on() {
    let folder = Folder::new("ends");
    let key = ec_key();
    let own = certificate("a.example.com", &[], &key);
    let files = Files {
        client_ca: Some(folder.write("ca.pem", &own.to_pem().unwrap())),
        ..folder.pair(&own, &key.private_key_to_pem_pkcs8().unwrap())
    };
    let validity = Acceptor::load(&files, now()).unwrap().validity;
    assert_eq!(validity.due(now() + days(10)), []);
    let due = validity.due(now() + days(10) + Duration::from_secs(1));
    assert_eq!(due.len(), 2, "{due:?}");
    assert!(due.iter().all(|(level, line)| *level == Level::Warn
        && line.contains("CN=a.example.com expires on 2026-02-10T00:00:00Z")));
    let flags: Vec<_> = due
        .iter()
        .map(|(_, line)| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(flags, ["--client-ca", "--tls-cert"]);
    let due = validity.due(now() + days(41));
    assert!(
        due.iter()
            .all(|(level, line)| *level == Level::Error && line.contains(" expired on"))
    );
}

#[test]
fn files_of_something_else_are_refused_by_name() {
    let folder = Folder::new("else");
    let key = ec_key();
    let own = certificate("a.example.com", &[], &key);
    let good = folder.pair(&own, &key.private_key_to_pem_pkcs8().unwrap());
    let nonsense = folder.write("nonsense.pem", b"nonsense");
    let bad_ca = Files {
        client_ca: Some(nonsense.clone()),
        ..good.clone()
    };
    assert!(refusal(&bad_ca, now()).contains("nonsense.pem: no certificate in PEM"));
    let bad_list = Files {
        client_ca: Some(good.pairs[0].0.clone()),
        crl: Some(nonsense),
        ..good
    };
    assert!(refusal(&bad_list, now()).contains("nonsense.pem: no revocation list in PEM"));
    assert!(refusal(&Files::default(), now()).contains("--tls-cert"));
}

#[test]
fn other_forms_are_recognized_with_the_command_that_converts_them() {
    let folder = Folder::new("forms-of-others");
    let key = ec_key();
    let certificate = certificate("ours", &[], &key);
    let mut stack = Stack::new().unwrap();
    stack.push(certificate.clone()).unwrap();
    let flags = Pkcs7Flags::BINARY;
    let bundle = Pkcs7::sign(&certificate, &key, &stack, b"x", flags).unwrap();
    let pfx = Pkcs12::builder()
        .cert(&certificate)
        .pkey(&key)
        .build2("secret")
        .unwrap();
    let utf16: Vec<u8> = "\u{feff}-----BEGIN CERTIFICATE-----"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (content, expected) in [
        (
            certificate.to_der().unwrap(),
            "openssl x509 -inform der -in",
        ),
        (
            bundle.to_der().unwrap(),
            "openssl pkcs7 -inform der -print_certs",
        ),
        (bundle.to_pem().unwrap(), "openssl pkcs7 -print_certs -in"),
        (pfx.to_der().unwrap(), "openssl pkcs12 -in"),
        (utf16, "iconv -f UTF-16"),
        (
            key.private_key_to_pem_pkcs8().unwrap(),
            "no certificate in PEM (-----BEGIN CERTIFICATE-----): it contains a private key",
        ),
        (b"something".to_vec(), "(-----BEGIN CERTIFICATE-----)"),
    ] {
        let mut files = folder.pair(&certificate, &key.private_key_to_pem_pkcs8().unwrap());
        let path = folder.write("other", &content);
        files.pairs[0].0.clone_from(&path);
        let refusal = refusal(&files, now());
        assert!(refusal.contains(expected), "{refusal}");
        assert!(refusal.starts_with(&format!("--tls-cert {}: ", path.display())));
    }
    let mut files = folder.pair(&certificate, b"");
    files.pairs[0].1 = folder.write("key", &key.private_key_to_der().unwrap());
    let refusal = refusal(&files, now());
    assert!(
        refusal.contains("openssl pkey -inform der -in"),
        "{refusal}"
    );
}

#[test]
fn a_chain_the_wrong_way_round_is_told() {
    let folder = Folder::new("reversed");
    let (key, other) = (ec_key(), ec_key());
    let leaf = certificate("ours", &[], &key);
    let mut files = folder.pair(&leaf, &key.private_key_to_pem_pkcs8().unwrap());
    let mut chain = certificate("authority", &[], &other).to_pem().unwrap();
    chain.extend(leaf.to_pem().unwrap());
    files.pairs[0].0 = folder.write("chain", &chain);
    let refusal = refusal(&files, now());
    assert!(refusal.contains("must come first"), "{refusal}");
}

/// AD CS writes the path of the account in the directory, others turn it round.
#[test]
fn the_common_name_that_counts_is_the_one_nearest_to_the_host() {
    let key = ec_key();
    let path = [
        ("DC", "example"),
        ("DC", "corp"),
        ("CN", "Computers"),
        ("CN", "WS9"),
    ];
    let place = [("C", "DE"), ("O", "Example"), ("CN", "WS9")];
    let reversed = |parts: &[(&'static str, &'static str)]| parts.iter().rev().copied().collect();
    let subjects: [Vec<_>; 4] = [path.into(), reversed(&path), place.into(), reversed(&place)];
    for parts in subjects {
        let mut subject = X509NameBuilder::new().unwrap();
        for (kind, value) in &parts {
            subject.append_entry_by_text(kind, value).unwrap();
        }
        let mut builder = unsigned("a", &key, NOW, NOW + DAY);
        builder.set_subject_name(&subject.build()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        assert_eq!(names::names(&builder.build()), ["ws9"], "{parts:?}");
    }
}

/// A certificate with this common name in this type of string, and a DNS name if any.
fn of_type(kind: Asn1Type, name: &str, alternative: Option<&str>) -> X509 {
    let key = ec_key();
    let mut subject = X509NameBuilder::new().unwrap();
    subject
        .append_entry_by_nid_with_type(Nid::COMMONNAME, name, kind)
        .unwrap();
    let mut builder = unsigned("a", &key, NOW, NOW + DAY);
    builder.set_subject_name(&subject.build()).unwrap();
    if let Some(alternative) = alternative {
        let mut names = SubjectAlternativeName::new();
        let names = names.dns(alternative);
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
    }
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    builder.build()
}

#[test]
fn a_common_name_may_be_of_any_type_of_string() {
    let identity = |certificate: &X509| names::identify(certificate, &[certificate, certificate]);
    for (kind, written, name) in [
        (Asn1Type::UTF8STRING, "wsé.example", "wsé.example"),
        (Asn1Type::T61STRING, "ws9.example", "ws9.example"),
        // As Latin-1, which is what issuers write as T61.
        (Asn1Type::T61STRING, "\u{e9}", "\u{c3}\u{a9}"),
        (Asn1Type::IA5STRING, "ws9.example", "ws9.example"),
        (Asn1Type::BMPSTRING, "\0w\0s\09", "ws9"),
        (Asn1Type::UNIVERSALSTRING, "\0\0\0w\0\0\0s", "ws"),
        // What follows a NUL belongs to the name: it must not look like another host.
        (Asn1Type::UTF8STRING, "dc01\0.example", "dc01\0.example"),
    ] {
        let certificate = of_type(kind, written, Some("other.example"));
        assert_eq!(identity(&certificate).unwrap().name, name);
    }
    for empty in ["", " "] {
        let certificate = of_type(Asn1Type::UTF8STRING, empty, Some("ws9.example"));
        assert_eq!(identity(&certificate).unwrap().name, "ws9.example");
        let nobody = of_type(Asn1Type::UTF8STRING, empty, None);
        let refused = identity(&nobody).unwrap_err();
        assert!(
            refused.to_string().contains("neither a common name nor"),
            "{refused}"
        );
    }
}

#[test]
fn names_are_the_dns_names_or_else_the_common_name() {
    let key = ec_key();
    let plain = certificate("A.example.com", &[], &key);
    assert_eq!(names::names(&plain), ["a.example.com"]);
    let several = certificate("a", &["B.example.com", "*.example.net"], &key);
    assert_eq!(names::names(&several), ["b.example.com", "*.example.net"]);
}

#[test]
fn a_wildcard_stands_for_one_label() {
    assert!(fits("a.example.com", "a.example.com"));
    assert!(fits("*.example.com", "a.example.com"));
    assert!(!fits("*.example.com", "a.b.example.com"));
    assert!(!fits("*.example.com", "example.com"));
    assert!(!fits("a.example.com", "b.example.com"));
}

#[test]
fn the_end_point_is_hashed_as_the_certificate_is_signed() {
    let key = ec_key();
    for (signature, expected) in [
        (MessageDigest::sha256(), MessageDigest::sha256()),
        (MessageDigest::sha384(), MessageDigest::sha384()),
        // RFC 5929 4.1: not with what is broken.
        (MessageDigest::sha1(), MessageDigest::sha256()),
    ] {
        let mut builder = unsigned("a", &key, NOW, NOW + DAY);
        builder.sign(&key, signature).unwrap();
        let certificate = builder.build();
        let hash = certificate.digest(expected).unwrap().to_vec();
        assert_eq!(end_point::of(&certificate), Some(hash));
    }
}

/// A self-signed certificate of OpenSSL's own program.
fn made_with(flags: &[&str]) -> X509 {
    let mut command = std::process::Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-nodes",
        "-subj",
        "/CN=a",
        "-keyout",
        "/dev/null",
    ]);
    let made = command.args(flags).output().expect("openssl");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    X509::from_pem(&made.stdout).unwrap()
}

#[test]
fn the_parameters_of_a_pss_signature_name_the_hash_of_the_end_point() {
    let pss = ["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"];
    for (flag, expected) in [
        ("-sha256", MessageDigest::sha256()),
        ("-sha384", MessageDigest::sha384()),
        ("-sha512", MessageDigest::sha512()),
        // The default of the parameters, which then are left out.
        ("-sha1", MessageDigest::sha256()),
    ] {
        let certificate = made_with(&[&pss[..], &[flag]].concat());
        let hash = certificate.digest(expected).unwrap().to_vec();
        assert_eq!(end_point::of(&certificate), Some(hash), "{flag}");
    }
}

#[test]
fn a_signature_without_a_hash_of_its_own_has_no_end_point_and_check_says_so() {
    let certificate = made_with(&["-newkey", "ed25519"]);
    assert_eq!(end_point::of(&certificate), None);
    let why = weakness::unbound(&certificate).unwrap();
    assert!(
        why.contains("ED25519") && why.contains("channel bindings"),
        "{why}"
    );
    assert_eq!(
        weakness::unbound(&made_with(&["-newkey", "rsa:2048"])),
        None
    );
}
