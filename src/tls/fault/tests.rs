//! Each kind of fault, as a real handshake has it.

#![allow(
    clippy::disallowed_methods,
    reason = "a test has the clock and threads"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::spawn;
use std::time::{Duration, SystemTime};

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    SslAcceptor, SslAcceptorBuilder, SslConnector, SslConnectorBuilder, SslMethod, SslOptions,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::extension::SubjectAlternativeName;

use super::*;
use crate::tls::tests::{ec_key, unsigned};

const NAME: &str = "log.example";

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Self-signed, and for [`NAME`].
fn pair(from: u64, to: u64) -> (X509, PKey<Private>) {
    let key = ec_key();
    let mut builder = unsigned(NAME, &key, from, to);
    let mut names = SubjectAlternativeName::new();
    let names = names
        .dns(NAME)
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

fn valid() -> (X509, PKey<Private>) {
    pair(now() - 3600, now() + 3600)
}

fn server((certificate, key): &(X509, PKey<Private>)) -> SslAcceptorBuilder {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(certificate).unwrap();
    builder.set_private_key(key).unwrap();
    builder
}

fn client(trusted: &X509) -> SslConnectorBuilder {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.cert_store_mut().add_cert(trusted.clone()).unwrap();
    builder
}

/// What went wrong for the client, and for the server. Where the handshake is done, each
/// reads: with TLS 1.3 the server judges the client after that.
fn shake(
    client: SslConnectorBuilder,
    server: SslAcceptorBuilder,
    name: &str,
) -> (Option<Fault>, Option<Fault>) {
    let (near, far) = UnixStream::pair().unwrap();
    let other = spawn(move || fault_of(server.build().accept(far)));
    let mine = fault_of(client.build().connect(name, near));
    (mine, other.join().unwrap())
}

fn fault_of(result: Result<SslStream<UnixStream>, HandshakeError<UnixStream>>) -> Option<Fault> {
    match result {
        Ok(mut stream) => {
            let _ = stream.shutdown();
            let error = stream.read(&mut [0; 16]).err()?;
            Fault::of_stream(&error)
        }
        Err(error) => Some(Fault::of_handshake(&error)),
    }
}

/// What the client makes of a peer that is no server of TLS.
fn answered_with(bytes: &'static [u8], is_open: bool) -> Fault {
    let (near, mut far) = UnixStream::pair().unwrap();
    let patience = Some(Duration::from_millis(200));
    near.set_read_timeout(patience).unwrap();
    let other = spawn(move || {
        let _ = far.read(&mut [0; 4096]);
        far.write_all(bytes).unwrap();
        is_open.then_some(far)
    });
    let fault = fault_of(client(&valid().0).build().connect(NAME, near));
    drop(other.join().unwrap());
    fault.unwrap()
}

#[test]
fn a_certificate_is_at_fault_by_the_code_of_its_verification() {
    let (good, other) = (valid(), valid());
    assert_eq!(shake(client(&good.0), server(&good), NAME), (None, None));

    let (ours, theirs) = shake(client(&other.0), server(&good), NAME);
    let fault = ours.unwrap();
    assert_eq!(fault.kind, Kind::Certificate(18), "{fault}");
    assert!(fault.is_of_certificate() && !fault.refuses_our_certificate());
    let theirs = theirs.unwrap();
    assert_eq!(theirs.kind, Kind::Alert(48), "{theirs}");
    assert!(theirs.refuses_our_certificate());

    let (ours, _) = shake(client(&good.0), server(&good), "other.example");
    assert_eq!(ours.unwrap().kind, Kind::Certificate(62));
    let (ours, _) = shake(client(&good.0), server(&good), "192.0.2.1");
    assert_eq!(ours.unwrap().kind, Kind::Certificate(64));

    let old = pair(now() - 7200, now() - 3600);
    let (ours, theirs) = shake(client(&old.0), server(&old), NAME);
    assert_eq!(ours.unwrap().kind, Kind::Certificate(10));
    assert_eq!(theirs.unwrap().kind, Kind::Alert(45));
    let new = pair(now() + 3600, now() + 7200);
    let (ours, _) = shake(client(&new.0), server(&new), NAME);
    assert_eq!(ours.unwrap().kind, Kind::Certificate(9));
}

#[test]
fn a_client_without_a_certificate_is_told_so_by_an_alert() {
    let own = valid();
    for (version, alert, is_ours) in [
        (SslVersion::TLS1_3, 116, true),
        (SslVersion::TLS1_2, 40, false),
    ] {
        let mut server = server(&own);
        server.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        server.set_max_proto_version(Some(version)).unwrap();
        let (ours, _) = shake(client(&own.0), server, NAME);
        let fault = ours.unwrap();
        assert_eq!(fault.kind, Kind::Alert(alert), "{fault}");
        assert_eq!(fault.refuses_our_certificate(), is_ours, "{fault}");
        assert_eq!(fault.is_of_certificate(), is_ours, "{fault}");
    }
}

#[test]
fn versions_and_ciphers_that_do_not_meet_are_told_apart() {
    let own = valid();
    let mut old = client(&own.0);
    old.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    let mut new = server(&own);
    new.clear_options(SslOptions::NO_TLSV1_3);
    new.set_min_proto_version(Some(SslVersion::TLS1_3)).unwrap();
    let (ours, theirs) = shake(old, new, NAME);
    assert_eq!(ours.unwrap().kind, Kind::Alert(70));
    assert_eq!(theirs.unwrap().kind, Kind::Version);

    let mut rsa = client(&own.0);
    rsa.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    rsa.set_cipher_list("ECDHE-RSA-AES128-GCM-SHA256").unwrap();
    let (ours, theirs) = shake(rsa, server(&own), NAME);
    assert_eq!(ours.unwrap().kind, Kind::Alert(40));
    assert_eq!(theirs.unwrap().kind, Kind::Ciphers);
}

#[test]
fn what_speaks_no_tls_is_told_from_what_says_nothing() {
    let greeting = b"220 mail.example ESMTP ready\r\n";
    assert_eq!(answered_with(greeting, true).kind, Kind::NotTls);
    assert_eq!(answered_with(b"", false).kind, Kind::Closed);
    assert_eq!(answered_with(b"", true).kind, Kind::Slow);

    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(b"POST /wsman HTTP/1.1\r\n\r\n").unwrap();
    let fault = fault_of(server(&valid()).build().accept(far)).unwrap();
    assert_eq!(fault.kind, Kind::Http, "{fault}");
}

#[test]
fn an_error_of_the_socket_is_no_fault_of_tls() {
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(Fault::of_stream(&reset), None);
}
