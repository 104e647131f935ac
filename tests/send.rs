//! `wecrelay send` against the relay: accounts, compressed bodies, many hosts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code may panic and use files"
)]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use support::{Line, Relay, TempDir, lines_of, numbered_file};

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
    assert!(said(&output).contains("refused us with 401"));
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
        let output = support::run(arguments);
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
    // A command that asks for nothing may have ended already.
    let _ = writeln!(child.stdin.take().unwrap(), "{input}");
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn written(dir: &TempDir) -> Vec<Line> {
    lines_of(&std::fs::read(dir.file("out")).unwrap_or_default())
}
