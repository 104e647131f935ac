//! `wecrelay send` to the relay: accounts, compressed bodies, many hosts.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::support::{Issued, Line, Relay, TempDir, Use, lines_of, numbered_file};

const PASSWORD: &str = "correct horse";

#[test]
fn an_account_logs_on_with_the_password_of_a_file() {
    let dir = TempDir::new();
    let relay = start_with_account(&dir);
    std::fs::write(dir.file("password"), format!("{PASSWORD}\n")).unwrap();
    let arguments = ["--user", "ACME\\host", "--password-file"];
    let output = send(&relay, &[&arguments[..], &[&dir.file("password")]].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("acknowledged: 4 events in 1 batch"));
    for line in written(&dir) {
        assert_eq!(line.value("event", "Auth"), "ntlm", "{line:?}");
        assert_ne!(line.value("event", "Identity"), "", "{line:?}");
    }
}

#[test]
fn an_account_logs_on_with_the_password_of_standard_input() {
    let dir = TempDir::new();
    let relay = start_with_account(&dir);
    let output = send_with_input(&relay, &["--user", "ACME\\host"], PASSWORD);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(written(&dir).len(), 4);
}

#[test]
fn a_wrong_password_is_refused_and_sends_nothing() {
    let dir = TempDir::new();
    let relay = start_with_account(&dir);
    let output = send_with_input(&relay, &["--user", "ACME\\host"], "wrong");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("rejects the logon with 401: wrong account or password"));
    assert_eq!(written(&dir).len(), 0);
}

#[test]
fn a_bad_account_and_a_missing_password_file_are_bad_flags() {
    for arguments in [
        &["send", "--user", "a:b"][..],
        &["send", "--user", "a", "--password-file", "/nonexistent"],
        &["send", "--password-file", "/nonexistent"],
        &["send", "ftp://127.0.0.1/"],
    ] {
        let output = crate::support::run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn compressed_bodies_arrive_whole() {
    let dir = TempDir::new();
    let relay = start(&dir, &[]);
    let events = numbered_file(&dir, 120);
    let output = send(&relay, &["--sldc", "--events", &events, "--count", "300"]);
    assert!(output.status.success(), "{}", said(&output));
    let sequences: Vec<_> = written(&dir).iter().map(Line::sequence).collect();
    let expected: Vec<_> = (0..300).map(|number| number % 120).collect();
    assert_eq!(sequences, expected);
}

#[test]
fn many_hosts_share_a_count_and_have_names_of_their_own() {
    let dir = TempDir::new();
    let relay = start(&dir, &[]);
    let arguments = ["--hosts", "40", "--count", "1001", "--machine", "ws.test"];
    let output = send(&relay, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("acknowledged: 1001 events from 40 hosts in 40 batches"));
    let mut hosts: BTreeMap<String, BTreeMap<String, Vec<u64>>> = BTreeMap::new();
    for line in written(&dir) {
        let record = line.value("event", "EventRecordID").parse().unwrap();
        let channel = line.value("event", "Channel");
        let channels = hosts.entry(line.hostname).or_default();
        channels.entry(channel).or_default().push(record);
    }
    let names: Vec<_> = (1..=40).map(|n| format!("ws-{n:04}.test")).collect();
    assert_eq!(hosts.keys().cloned().collect::<Vec<_>>(), names);
    for records in hosts.values().flat_map(BTreeMap::values) {
        assert_eq!(records, &(1..).take(records.len()).collect::<Vec<_>>());
    }
    let count = |name: &String| hosts[name].values().map(Vec::len).sum::<usize>();
    assert_eq!((count(&names[0]), count(&names[39])), (26, 25));
}

/// An https relay for `localhost`, and hosts of the same authority.
struct Site {
    dir: TempDir,
    root: Issued,
    authority: String,
}

impl Site {
    fn new() -> Self {
        let (dir, root) = (TempDir::new(), Issued::root("Test Root"));
        let (authority, _) = root.write(&dir, "root");
        Self {
            dir,
            root,
            authority,
        }
    }

    fn start(&self, arguments: &[&str]) -> Relay {
        let server = self.root.issue("localhost", Use::Server, 100);
        let (certificate, key) = server.write(&self.dir, "collector");
        let output = format!("file:{}", self.dir.file("out"));
        let own = [
            "--tls-cert",
            &certificate,
            "--tls-key",
            &key,
            "--output",
            &output,
        ];
        Relay::start_secure(&self.dir, &[&own[..], arguments].concat())
    }

    fn send(&self, relay: &Relay, arguments: &[&str], input: &str) -> Output {
        let url = format!("https://localhost:{}/wsman", relay.port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_wecrelay"));
        command
            .args(["send", &url, "--ca", &self.authority])
            .args(arguments);
        with_input(command, input)
    }

    fn users(&self) -> String {
        let account: wecrelay::files::accounts::Account = "ACME\\host".parse().unwrap();
        let line = wecrelay::files::accounts::line(&account, PASSWORD);
        std::fs::write(self.dir.file("users"), line.as_str()).unwrap();
        self.dir.file("users")
    }
}

#[track_caller]
fn assert_sent(output: &Output, relay: &Relay) {
    let log = relay.process.log();
    assert!(output.status.success(), "{}{log}", said(output));
}

/// Bodies are not sealed inside TLS; instead, the relay requires channel bindings.
#[test]
fn an_account_comes_by_https_bound_to_its_connection() {
    let site = Site::new();
    let relay = site.start(&["--users", &site.users()]);
    let output = site.send(&relay, &["--user", "ACME\\host"], PASSWORD);
    assert_sent(&output, &relay);
    let lines = written(&site.dir);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0].value("event", "Auth"), "ntlm");
}

#[test]
fn a_certificate_is_enough_by_https_in_pem_or_pfx() {
    let site = Site::new();
    let relay = site.start(&["--client-ca", &site.authority]);
    let host = site.root.issue("ws7.example.com", Use::Client, 100);
    let (certificate, key) = host.write(&site.dir, "ws7");
    let output = site.send(&relay, &["--cert", &certificate, "--key", &key], "");
    assert_sent(&output, &relay);
    let pfx = site.dir.file("ws7.pfx");
    let made = Command::new("openssl")
        .args(["pkcs12", "-export", "-in", &certificate, "-inkey", &key])
        .args(["-passout", "pass:secret", "-out", &pfx])
        .status();
    assert!(made.unwrap().success());
    let output = site.send(&relay, &["--pfx", &pfx], "secret");
    assert_sent(&output, &relay);
    let lines = written(&site.dir);
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[7].value("event", "Identity"), "ws7.example.com");
    let output = site.send(&relay, &["--pfx", &pfx], "other");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("its password is wrong"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_refusal_says_what_to_do() {
    let site = Site::new();
    let relay = site.start(&["--client-ca", &site.authority]);
    let output = site.send(&relay, &[], "");
    assert!(
        said(&output).contains("--cert and --key"),
        "{}",
        said(&output)
    );
    drop(relay);
    let relay = site.start(&["--users", &site.users(), "--basic"]);
    let output = site.send(&relay, &["--user", "ACME\\host"], "wrong");
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("401: wrong account or password"), "{text}");
    assert!(text.contains("(it offers: Negotiate, Basic)"), "{text}");
    // An unknown authority.
    let other = Issued::root("Other Root").write(&site.dir, "other").0;
    let url = format!("https://localhost:{}/wsman", relay.port());
    let output = crate::support::run(&["send", &url, "--ca", &other]);
    assert!(
        said(&output).contains("from an authority in --ca"),
        "{}",
        said(&output)
    );
    // Certificates can be used only with https.
    let output = crate::support::run(&["send", "http://localhost:5985/", "--ca", &site.authority]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("https://"), "{}", said(&output));
}

#[test]
fn a_name_that_leads_nowhere_is_told_to_be_the_relay_s_hostname() {
    let dir = TempDir::new();
    let arguments = [
        "--anonymous",
        "127.0.0.0/8",
        "--hostname",
        "collector.invalid",
    ];
    let relay = start(&dir, &arguments);
    let output = send(&relay, &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("collector.invalid"), "{text}");
    assert!(text.contains("--hostname"), "{text}");
}

fn start(dir: &TempDir, arguments: &[&str]) -> Relay {
    let output = format!("file:{}", dir.file("out"));
    Relay::start(dir, &[&["--output", &output], arguments].concat())
}

fn start_with_account(dir: &TempDir) -> Relay {
    let users = dir.file("users");
    let mut made = Command::new(env!("CARGO_BIN_EXE_wecrelay"));
    made.args(["passwd", "ACME\\host"]);
    let made = with_input(made, PASSWORD);
    std::fs::write(&users, made.stdout).unwrap();
    start(dir, &["--users", &users])
}

fn send(relay: &Relay, arguments: &[&str]) -> Output {
    send_with_input(relay, arguments, "")
}

fn send_with_input(relay: &Relay, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecrelay"));
    command.args(["send", &relay.url()]).args(arguments);
    with_input(command, input)
}

fn with_input(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not prompt may have ended already.
    let _ = writeln!(child.stdin.take().unwrap(), "{input}");
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn written(dir: &TempDir) -> Vec<Line> {
    lines_of(&std::fs::read(dir.file("out")).unwrap_or_default())
}
