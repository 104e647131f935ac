//! `wecrelay doctor` reports nothing without a problem, and reports each problem that exists.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::assert_all;
use crate::support::{
    Authority, Issued, Kdc, Relay, Rsyslog, SERVICE, StreamSink, TempDir, Use, free_port, run,
};

fn doctor(arguments: &[&str]) -> (String, Option<i32>) {
    let output = run(&[&["doctor"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    (text + &log, output.status.code())
}

/// Its output without a running relay, which is an additional finding.
fn sick(arguments: &[&str]) -> String {
    let listen = format!("http://127.0.0.1:{}", free_port());
    let (text, code) = doctor(&[&["--listen", &listen], arguments].concat());
    assert_eq!(code, Some(1), "{text}");
    text
}

#[test]
fn nothing_is_found_where_all_is_well() {
    let (authority, dir) = (Authority::new("log authority"), TempDir::new());
    let rsyslog = Rsyslog::relp_tls(
        &authority,
        &authority.issue(&["log.example.test"]),
        "relay.example.test",
    );
    let own = authority.issue(&["relay.example.test"]);
    let output = format!(
        "relp+tls://127.0.0.1:{}?ca={}&name=log.example.test&cert={}&key={}",
        rsyslog.port(),
        authority.file(),
        own.certificate,
        own.key
    );
    let (root, ours) = (Issued::root("Hosts"), Issued::root("Collectors"));
    let (ca, _) = root.write(&dir, "ca");
    let (certificate, key) = ours.issue("localhost", Use::Server, 60).write(&dir, "own");
    let flags = [
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--client-ca",
        &ca,
        "--hostname",
        "localhost",
        "--output",
        &output,
        "--anonymous",
        "127.0.0.0/8",
    ];
    let relay = Relay::start_secure(&dir, &flags);
    let listen = format!("https://127.0.0.1:{}", relay.secure_port());
    let state = dir.file("state");
    let more = ["--listen", &listen, "--state", &state, "127.0.0.1"];
    let (text, code) = doctor(&[&flags[..], &more[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert_all(
        &text,
        &[
            "the relay would start with them",
            "localhost is 127.0.0.1",
            "ours: for localhost, from ",
            "IssuerCA=",
            &format!("{listen}: a relay answers, and offers Negotiate"),
            "RELP: relp_version=0",
            "writable",
            "\nnothing found\n",
            "wevtutil qe Microsoft-Windows-Forwarding/Operational",
        ],
    );
}

#[test]
fn a_keytab_for_another_name_is_told_with_what_to_type() {
    let kdc = Kdc::start("aes256-cts-hmac-sha1-96");
    let keytab = kdc.keytab();
    let text = sick(&["--keytab", &keytab, "--hostname", "nowhere.invalid"]);
    assert_all(
        &text,
        &[
            "--hostname nowhere.invalid has no address",
            "run on the Windows host: nslookup nowhere.invalid",
            "the keytab has no key of HTTP/nowhere.invalid; it has HTTP/localhost@EXAMPLE.TEST",
            "setspn -S HTTP/nowhere.invalid ACCOUNT",
            "run on the Windows host: klist get HTTP/nowhere.invalid",
        ],
    );
    let text = sick(&["--keytab", &keytab, "--hostname", "localhost"]);
    assert_all(
        &text,
        &["key of HTTP/localhost@EXAMPLE.TEST, kvno 1, aes256-cts"],
    );
    assert!(!text.contains("no key of"), "{text}");
}

#[test]
fn keys_that_are_never_taken_are_told() {
    let kdc = Kdc::start("rc4-hmac");
    let keytab = kdc.keytab();
    let flags = ["--keytab", &keytab, "--hostname", "localhost"];
    let text = sick(&flags);
    assert_all(
        &text,
        &["only RC4 keys of HTTP/localhost", "export the AES keys"],
    );
    let text = sick(&[&flags[..], &["--kerberos-rc4"]].concat());
    assert!(!text.contains("only RC4"), "{text}");
    assert!(SERVICE.ends_with("localhost"));
}

/// The flags of an https listener.
fn secured<'a>(listen: &'a str, certificate: &'a str, key: &'a str) -> [&'a str; 6] {
    [
        "--listen",
        listen,
        "--tls-cert",
        certificate,
        "--tls-key",
        key,
    ]
}

#[test]
fn certificates_that_hosts_would_not_take_are_told() {
    let dir = TempDir::new();
    let root = Issued::root("Root");
    let listen = format!("https://127.0.0.1:{}", free_port());
    let examine = |own: &Issued, ca: &Issued, more: &[&str]| {
        let (certificate, key) = own.write(&dir, "own");
        let (ca, _) = ca.write(&dir, "ca");
        let flags = secured(&listen, &certificate, &key);
        let (text, code) = doctor(&[&flags, &["--client-ca", &ca][..], more].concat());
        assert_eq!(code, Some(1), "{text}");
        text
    };
    let good = root.issue("localhost", Use::Server, 60);
    let text = examine(&good, &root, &["--hostname", "localhost"]);
    assert!(!text.contains("no --tls-cert"), "{text}");
    let other = root.issue("other.example.test", Use::Server, 60);
    let text = examine(&other, &root, &["--hostname", "localhost"]);
    assert_all(
        &text,
        &[
            "no --tls-cert is for localhost, only for other.example.test",
            "Test-WSMan localhost",
        ],
    );
    let text = examine(&root.issue("localhost", Use::Client, 60), &root, &[]);
    assert_all(
        &text,
        &["is not for server authentication", "1.3.6.1.5.5.7.3.1"],
    );
    let text = examine(&root.issue("localhost", Use::Server, 5), &root, &[]);
    assert_all(&text, &["--tls-cert: CN=localhost ends on 20", "renew it"]);
    let text = examine(&good, &root.issue("ws-07", Use::Client, 60), &[]);
    assert_all(&text, &["--client-ca: CN=ws-07 is not an authority"]);
    // An old certificate with another key: the relay would not start.
    let authority = Authority::new("old");
    let old = authority.issue_expired(&["localhost"]);
    let flags = secured(&listen, &old.certificate, &old.key);
    let (text, _) = doctor(&[&flags[..], &["--anonymous", "192.0.2.1"]].concat());
    assert_all(
        &text,
        &[
            "the relay does not start: ",
            "expired on",
            "CN=localhost is valid only from 20",
        ],
    );
    let (certificate, _) = good.write(&dir, "mine");
    let (_, key) = other.write(&dir, "other");
    let flags = secured(&listen, &certificate, &key);
    let (text, _) = doctor(&[&flags[..], &["--anonymous", "192.0.2.1"]].concat());
    assert_all(&text, &["this is not the key of"]);
}

#[test]
fn an_old_revocation_list_is_told() {
    let (dir, root) = (TempDir::new(), Issued::root("Root"));
    let own = root.issue("localhost", Use::Server, 60);
    let (certificate, key) = own.write(&dir, "own");
    let (ca, _) = root.write(&dir, "ca");
    let crl = root.revoke(&dir, &own.certificate);
    let listen = format!("https://127.0.0.1:{}", free_port());
    let flags = secured(&listen, &certificate, &key);
    let all = [&flags[..], &["--client-ca", &ca, "--crl", &crl]].concat();
    let (text, _) = doctor(&all);
    assert_all(&text, &["revocation list of CN=Root, good until 20"]);
    let (key, certificate) = (dir.file("revoking.key"), dir.file("revoking.pem"));
    let made = Command::new("openssl")
        .args([
            "ca",
            "-gencrl",
            "-config",
            &dir.file("ca.conf"),
            "-out",
            &crl,
        ])
        .args(["-keyfile", &key, "-cert", &certificate])
        .args(["-crl_lastupdate", "20240101000000Z"])
        .args(["-crl_nextupdate", "20240201000000Z"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let (text, _) = doctor(&all);
    assert_all(
        &text,
        &[
            "--crl: the list of CN=Root is good until 2024-02-01",
            "wecrelay ca crl",
        ],
    );
}

#[test]
fn ports_without_a_relay_are_told() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let flags = ["--anonymous", "192.0.2.0/24", "--listen", &url];
    let (text, code) = doctor(&flags);
    assert_eq!(code, Some(1), "{text}");
    assert_all(
        &text,
        &[
            &format!("no relay answers at {url}"),
            &format!("Test-NetConnection COLLECTOR -Port {port}"),
            "one finding keeps events from arriving",
        ],
    );
    // Another program on this port.
    let other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nServer: other\r\n\r\n")
            .unwrap();
    });
    let (text, code) = doctor(&flags);
    answering.join().unwrap();
    assert_eq!(code, Some(1), "{text}");
    assert_all(
        &text,
        &[&format!("the server at {url} is not wecrelay"), "ss -ltnp"],
    );
}

#[test]
fn a_dead_output_a_lost_host_and_other_flags_are_told() {
    let (dir, sink) = (TempDir::new(), StreamSink::tcp());
    let relay = Relay::start(&dir, &["--output", &sink.url()]);
    let listen = format!("http://127.0.0.1:{}", relay.port());
    let (state, dead) = (
        dir.file("state"),
        format!("tcp://127.0.0.1:{}", free_port()),
    );
    let flags = [
        "--listen",
        &listen,
        "--state",
        &state,
        "--anonymous",
        "192.0.2.0/24",
    ];
    let (text, code) = doctor(&[&flags[..], &["--output", &dead, "127.0.0.1"]].concat());
    assert_eq!(code, Some(1), "{text}");
    assert_all(
        &text,
        &[
            &format!("--output {dead}: 127.0.0.1:"),
            "hosts get 503",
            "127.0.0.1 (127.0.0.1) is in no --anonymous network",
            "2 findings, 2 of which keep events from arriving:",
        ],
    );
    let kdc = Kdc::start("aes256-cts-hmac-sha1-96");
    let keytab = kdc.keytab();
    let url = sink.url();
    let (text, _) = doctor(&[&flags[..], &["--output", &url, "--keytab", &keytab]].concat());
    assert_all(&text, &["runs with different flags: it offers Negotiate"]);
    fs::write(dir.file("file"), "").unwrap();
    let text = sick(&["--anonymous", "192.0.2.1", "--state", &dir.file("file")]);
    assert_all(&text, &["is not a folder"]);
}

#[test]
fn codes_are_explained() {
    for what in ["105", "0x803380E4", "-2144108316", "authentication"] {
        let (text, code) = doctor(&["--explain", what]);
        assert_eq!(code, Some(0), "{text}");
        assert_all(&text, &["meaning: ", "\ndo: ", "\nlook at: "]);
    }
    let (text, code) = doctor(&["--explain", "99"]);
    assert_eq!(code, Some(2), "{text}");
    assert_all(&text, &["--explain 99: not a known event id"]);
}
