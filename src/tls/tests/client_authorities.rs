//! Authorities in `--client-ca` that are not fit for all that is asked of them.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread::spawn;

use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::extension::{BasicConstraints, KeyUsage};

use super::*;
use crate::tls::revocation::{Revocation, Verdict};

/// An authority that is valid in this time, with its key.
struct Authority(X509, PKey<Private>);

impl Authority {
    fn new(name: &str, signs_lists: bool, from: u64, to: u64) -> Self {
        let key = ec_key();
        let mut builder = unsigned(name, &key, from, to);
        let constraints = BasicConstraints::new().critical().ca().build();
        builder.append_extension(constraints.unwrap()).unwrap();
        let mut usage = KeyUsage::new();
        usage.critical().key_cert_sign();
        if signs_lists {
            usage.crl_sign();
        }
        builder.append_extension(usage.build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self(builder.build(), key)
    }

    /// A host's certificate with this serial number.
    fn issue(&self, name: &str, serial: u32, from: u64, to: u64) -> (X509, PKey<Private>) {
        let key = ec_key();
        let mut builder = unsigned(name, &key, from, to);
        let serial = BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_issuer_name(self.0.subject_name()).unwrap();
        builder.sign(&self.1, MessageDigest::sha256()).unwrap();
        (builder.build(), key)
    }

    /// A revocation list for January 2026 that names serial number 9, made by OpenSSL's own
    /// program, which does not ask what the key may sign.
    fn list(&self, folder: &Folder) -> PathBuf {
        let path = |file: PathBuf| file.display().to_string();
        let revoked = "R\t390101000000Z\t240101000000Z\t09\tunknown\t/CN=lost\n";
        let index = path(folder.write("index.txt", revoked.as_bytes()));
        let settings = format!("[ca]\ndefault_ca=a\n[a]\ndatabase={index}\ndefault_md=sha256\n");
        let settings = path(folder.write("ca.conf", settings.as_bytes()));
        let certificate = path(folder.write("ca.pem", &self.0.to_pem().unwrap()));
        let key = path(folder.write("ca.key", &self.1.private_key_to_pem_pkcs8().unwrap()));
        let dates = [
            "-crl_lastupdate",
            "251231000000Z",
            "-crl_nextupdate",
            "260131000000Z",
        ];
        let made = Command::new("openssl")
            .args(["ca", "-gencrl", "-config", &settings])
            .args(["-cert", &certificate, "-keyfile", &key])
            .args(dates)
            .output()
            .expect("openssl");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        folder.write("list.pem", &made.stdout)
    }
}

/// RFC 5280 6.3.3 (f): a key usage without cRLSign rules out the list.
#[test]
fn a_list_of_an_authority_without_crl_sign_does_not_count_and_the_start_says_why() {
    let folder = Folder::new("crl-sign");
    let (from, to) = (NOW - 10 * DAY, NOW + 40 * DAY);
    for signs_lists in [true, false] {
        let authority = Authority::new("Issuing", signs_lists, from, to);
        let list = authority.list(&folder);
        let (lost, _) = authority.issue("lost.example", 9, from, to);
        let (good, _) = authority.issue("ws1.example", 10, from, to);
        let judge = |host: &X509, partial: bool| {
            let known = std::slice::from_ref(&authority.0);
            let lists = Revocation::read(&list, known, partial).unwrap();
            (lists.check(&[host, &authority.0], now()), lists.unlisted())
        };
        if signs_lists {
            let (verdict, unlisted) = judge(&lost, false);
            assert!(matches!(verdict, Err(Verdict::Revoked(_))), "{verdict:?}");
            assert_eq!(unlisted, Vec::<String>::new());
            assert_eq!(judge(&good, false).0, Ok(()));
            continue;
        }
        for host in [&lost, &good] {
            let (verdict, unlisted) = judge(host, false);
            let Err(Verdict::Unknown(why)) = verdict else {
                panic!("{verdict:?}");
            };
            for word in [
                "CN=Issuing does not count",
                "lacks cRLSign: renew",
                "--crl-partial",
            ] {
                assert!(why.contains(word), "{word}: {why}");
            }
            assert!(!why.contains("put it there"), "{why}");
            for word in ["CN=Issuing does not count", "lacks cRLSign", "are rejected"] {
                assert!(unlisted.concat().contains(word), "{word}: {unlisted:?}");
            }
            let (verdict, unlisted) = judge(host, true);
            assert_eq!(verdict, Ok(()), "as without a list");
            assert!(unlisted.concat().contains("not checked"), "{unlisted:?}");
        }
    }
}

#[test]
fn an_authority_that_is_not_yet_valid_is_logged_at_the_start() {
    let folder = Folder::new("early");
    let key = ec_key();
    let own = certificate("collector.example", &[], &key);
    let early = Authority::new("Early", true, NOW + DAY, NOW + 100 * DAY);
    let files = Files {
        client_ca: Some(folder.write("ca.pem", &early.0.to_pem().unwrap())),
        ..folder.pair(&own, &key.private_key_to_pem_pkcs8().unwrap())
    };
    let acceptor = Acceptor::load(&files, now()).unwrap();
    let due = acceptor.validity.due(now());
    let [(Level::Error, line)] = &*due else {
        panic!("{due:?}");
    };
    for part in [
        "--client-ca ",
        "CN=Early is not valid before 2026-01-02T00:00:00Z",
        "hosts with its certificates are rejected until then",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(acceptor.validity.due(now() + days(1)), []);
}

/// A handshake is judged by the clock of the machine.
#[test]
fn hosts_of_an_authority_that_is_not_yet_valid_are_refused_with_the_reason() {
    let folder = Folder::new("early-host");
    let real = SystemTime::now();
    let since = real.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let since = since.as_secs();
    let (from, to) = (since - DAY, since + 100 * DAY);
    let own = Authority::new("Own", true, from, to).issue("collector.example", 8, from, to);
    for (begin, expected) in [
        (from, None),
        (since + DAY, Some("certificate is not yet valid")),
    ] {
        let authority = Authority::new("Early", true, begin, to);
        let files = Files {
            client_ca: Some(folder.write("ca.pem", &authority.0.to_pem().unwrap())),
            ..folder.pair(&own.0, &own.1.private_key_to_pem_pkcs8().unwrap())
        };
        let mut acceptor = Acceptor::load(&files, real).unwrap();
        let ssl = acceptor.start(real).unwrap();
        let (host, host_key) = authority.issue("ws1.example", 9, from, to);
        let (near, far) = UnixStream::pair().unwrap();
        let client = spawn(move || {
            let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
            builder.set_verify(SslVerifyMode::NONE);
            builder.set_certificate(&host).unwrap();
            builder.set_private_key(&host_key).unwrap();
            // With TLS 1.3 a refusal comes with the first bytes that are read.
            let stream = builder.build().connect("collector.example", near);
            stream.is_ok_and(|mut stream| stream.read(&mut [0; 1]).is_ok())
        });
        let why = match ssl.accept(far) {
            Ok(_) => None,
            Err(HandshakeError::Failure(failed)) => Some(failure(failed.ssl(), failed.error())),
            Err(other) => panic!("{other}"),
        };
        client.join().unwrap();
        match (expected, why) {
            (None, None) => {}
            (Some(expected), Some(why)) => {
                for part in [expected, "CN=Early", "compare the clocks"] {
                    assert!(why.contains(part), "{part}: {why}");
                }
            }
            (_, why) => panic!("{why:?}"),
        }
    }
}
