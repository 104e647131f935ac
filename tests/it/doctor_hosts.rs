//! `wecrelay doctor` on hosts: their own reports, rejected hosts, silent hosts.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Relay, TempDir, numbered_event, run, wait_for};

const FORWARDER: &str = "Microsoft-Windows-Forwarding/Operational";

/// The report of a host that cannot read any of the requested channels.
fn report() -> String {
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-Forwarding'/><EventID>102</EventID><Level>2</Level>\
         <TimeCreated SystemTime='2025-03-11T09:00:00.0000000Z'/><EventRecordID>17</EventRecordID>\
         <Channel>{FORWARDER}</Channel><Computer>web1.example.test</Computer></System><EventData>\
         <Data Name='SubscriptionName'>wecrelay</Data><Data Name='ErrorCode'>5004</Data>\
         </EventData></Event>"
    )
}

/// The flags except `--listen`, which differs if the running relay is queried.
fn flags(dir: &TempDir) -> Vec<String> {
    let output = format!("file:{}", dir.file("out"));
    let flags = [
        "--allow-unencrypted",
        "--channel",
        FORWARDER,
        "--output",
        &output,
    ];
    flags.map(str::to_owned).to_vec()
}

fn start(dir: &TempDir) -> Relay {
    let flags = flags(dir);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    Relay::start(dir, &flags)
}

fn send(dir: &TempDir, relay: &Relay, machine: &str, event: &str) {
    let file = dir.file("event.xml");
    std::fs::write(&file, event).unwrap();
    let output = run(&[
        "send",
        &relay.url(),
        "--machine",
        machine,
        "--events",
        &file,
    ]);
    assert!(output.status.success(), "{output:?}");
}

/// A client that uses HTTP without NTLM.
fn stranger(relay: &Relay) {
    let mut stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    stream
        .write_all(
            b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Negotiate AAAA\r\nContent-Length: 0\r\n\r\n",
        )
        .unwrap();
    assert!(stream.read(&mut [0; 100]).unwrap() > 0);
}

fn doctor(dir: &TempDir, port: u16, more: &[&str]) -> (String, Option<i32>) {
    let (flags, listen) = (flags(dir), format!("http://127.0.0.1:{port}"));
    let state = dir.file("state");
    let mut all = vec!["doctor", "--listen", &listen, "--state", &state];
    all.extend(["--anonymous", "127.0.0.0/8", "--hostname", "localhost"]);
    all.extend(flags.iter().map(String::as_str));
    all.extend(more);
    let output = run(&all);
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

#[track_caller]
fn assert_all(text: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn a_host_says_itself_what_is_wrong_and_a_refused_one_is_named() {
    let dir = TempDir::new();
    let relay = start(&dir);
    let (text, code) = doctor(&dir, relay.port(), &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_all(
        &text,
        &["hosts:\n  no host has connected yet\n", "nothing found"],
    );
    send(&dir, &relay, "web1.example.test", &report());
    stranger(&relay);
    let (text, code) = wait_for("the refusal in the state folder", || {
        let (text, code) = doctor(&dir, relay.port(), &[]);
        text.contains("refused (").then_some((text, code))
    });
    // Other hosts may be healthy.
    assert_eq!(code, Some(0), "{text}");
    assert_all(
        &text,
        &[
            "  1 host known: 1 active\n",
            ": refused (authentication): 127.0.0.1 (1 time, the last ",
            "  do: the log has the reason",
            "  run on the Windows host: klist get HTTP/localhost\n",
            ": report a problem, event 102, error 5004: web1.example.test\n",
            "no channel of the subscription can be read",
            "  run on the Windows host: net localgroup \"Event Log Readers\"",
            "  look at: event 102 of Microsoft-Windows-Forwarding/Operational\n",
            "2 findings, 0 of which keep events from arriving:\n",
        ],
    );
    let (text, _) = doctor(&dir, relay.port(), &["WEB1"]);
    assert_all(&text, &["report a problem", "refused (authentication)"]);
    let (text, _) = doctor(&dir, relay.port(), &["web2.example.test"]);
    assert_all(
        &text,
        &["web2.example.test has never requested its subscriptions"],
    );
    assert!(
        !text.contains("report a problem") && !text.contains("refused ("),
        "{text}"
    );
}

#[test]
fn a_host_that_gets_in_after_a_refusal_is_no_finding() {
    let dir = TempDir::new();
    let relay = start(&dir);
    stranger(&relay);
    // Times are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    send(&dir, &relay, "web1.example.test", &numbered_event(1));
    let text = wait_for("the host in the state folder", || {
        let (text, _) = doctor(&dir, relay.port(), &[]);
        text.contains("1 host known").then_some(text)
    });
    assert_all(&text, &["nothing found"]);
}

#[test]
fn a_silent_host_is_a_finding_with_what_to_do_there() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    assert_eq!(relay.source("web2.example.test").enumerate().len(), 1);
    let port = relay.port();
    assert!(relay.process.terminate().success());
    // Move that into the past.
    let database = rusqlite::Connection::open(dir.file("state/wecrelay.db")).unwrap();
    let long_ago = "UPDATE relay SET started = 1; UPDATE host SET facts = json_set(facts, \
        '$.subscriptions[0].offered', 1, '$.subscriptions[0].patience', 1)";
    database.execute_batch(long_ago).unwrap();
    let (text, _) = doctor(&dir, port, &[]);
    assert_all(
        &text,
        &[
            "  the relay is not running; this is from ",
            "  1 host known: 1 silent\n",
            ": fetched subscriptions and has sent nothing: web2.example.test\n",
            "  run on the Windows host: Test-NetConnection localhost -Port 5985\n",
            "  look at: event 102 or 105 of",
        ],
    );
}

#[test]
fn a_state_folder_that_was_never_used_is_said_so() {
    let dir = TempDir::new();
    let (text, _) = doctor(&dir, crate::support::free_port(), &[]);
    assert_all(&text, &["has none: no relay has run with it yet"]);
}
