//! `wecrelay hosts` while a relay is running, and afterwards.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Relay, TempDir, numbered_event, run, wait_for};

const CHANNEL: &str = "Microsoft-Windows-Sysmon/Operational";

#[test]
fn hosts_are_shown_while_the_relay_runs_and_after() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    send(&dir, &relay, "web1.example.test", &[1, 2, 3]);
    send(&dir, &relay, "web1.example.test", &[7, 8, 11]);
    send(&dir, &relay, "web2.example.test", &[1, 2]);
    let both = wait_for("both hosts in the state folder", || {
        let shown = json(&dir, &[]);
        (shown["states"]["active"] == 2).then_some(shown)
    });
    assert_eq!(both["relay"]["running"], true);
    let host = &both["hosts"][0];
    assert_eq!(host["machine"], "web1.example.test");
    assert_eq!((&host["events"], &host["missing"]), (&6.into(), &5.into()));
    assert_eq!(host["method"], "ntlm-anonymous");
    let gaps = &host["subscriptions"][0]["gaps"][0];
    assert_eq!((&gaps["from"], &gaps["to"]), (&9.into(), &10.into()));
    assert_eq!(gaps["count"], 2);
    // 2025-03-11T09:00:00Z
    assert_eq!(host["subscriptions"][0]["last_created"], 1_741_683_600);
    let only = json(&dir, &["WEB2*", "--state-is", "active"]);
    assert_eq!(only["hosts"].as_array().unwrap().len(), 1);
    assert_eq!(
        json(&dir, &["--state-is", "lost"])["hosts"],
        Value::Array(vec![])
    );

    assert!(relay.process.terminate().success());
    let text = said(&sources(&dir, &[]));
    assert!(text.starts_with("The relay does not run"), "{text}");
    assert!(text.contains("\nHOST "), "{text}");
    let gap = format!("web1.example.test, {CHANNEL}: 5 in 2 gaps, the last one 9-10");
    assert!(text.contains(&gap), "{text}");
    assert!(text.ends_with("2 hosts: 2 active; 8 events\n"), "{text}");
    let mut relay = start(&dir);
    send(&dir, &relay, "web1.example.test", &[12]);
    assert!(relay.process.terminate().success());
    assert_eq!(json(&dir, &["web1"])["hosts"][0]["events"], 7);
}

/// Without permission (sudo was forgotten), the result is an error, not an empty table.
#[test]
fn a_folder_that_may_not_be_read_is_told_from_one_without_hosts() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    send(&dir, &relay, "web1.example.test", &[1]);
    assert!(relay.process.terminate().success());
    let state = dir.file("state");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o000)).unwrap();
    for command in ["hosts", "doctor"] {
        let output = as_nobody(&[command, "--state", &state]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(!output.status.success(), "{command}: {text}");
        assert!(text.contains("Permission denied"), "{command}: {text}");
        assert!(text.contains("as root"), "{command}: {text}");
        assert!(!text.contains("no relay has run"), "{command}: {text}");
    }
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Runs the command as an unprivileged user.
fn as_nobody(arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_wecrelay");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", binary]);
        command
    } else {
        Command::new(binary)
    };
    let with_method = arguments.first() == Some(&"doctor");
    let method = with_method.then_some(["--anonymous", "127.0.0.1"]);
    command.args(arguments).args(method.iter().flatten());
    command.output().unwrap()
}

/// A host's name must not contain terminal control sequences or change the order of letters
/// when it is displayed; JSON contains it unchanged.
#[test]
fn what_nobody_would_see_in_a_name_is_written_out() {
    let name = "web1\u{202e}tset\u{2028}\u{200b}x";
    let shown = "web1\\u{202e}tset\\u{2028}\\u{200b}x";
    let dir = TempDir::new();
    let mut relay = start(&dir);
    send(&dir, &relay, name, &[1]);
    relay.process.wait_for_log(shown);
    assert!(relay.process.terminate().success());
    let text = said(&sources(&dir, &[]));
    assert!(text.contains(&format!("\n{shown} ")), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    assert_eq!(json(&dir, &[])["hosts"][0]["machine"], name);
    // Programs read the same name, and a terminal shows it escaped.
    let text = said(&sources(&dir, &["--json"]));
    assert!(text.contains("web1\\u202etset\\u2028\\u200bx"), "{text}");
}

#[test]
fn pruned_hosts_are_gone_and_bookmarks_stay_unless_asked() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    send(&dir, &relay, "web1", &[1]);
    send(&dir, &relay, "web2", &[1]);
    assert!(relay.process.terminate().success());
    let none = said(&sources(&dir, &["--prune", "1d"]));
    assert_eq!(none, "0 hosts forgotten, bookmarks stay\n");
    // An age is at least a second.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let one = said(&sources(&dir, &["--prune", "0s", "web1"]));
    assert_eq!(one, "1 host forgotten, bookmarks stay\n");
    assert_eq!(bookmarks(&dir), ["web1", "web2"]);
    let other = said(&sources(&dir, &["--prune", "0s", "--with-bookmarks"]));
    assert_eq!(other, "1 host forgotten, with 2 bookmarks\n");
    // The one that the first prune kept is removed, too.
    assert_eq!(bookmarks(&dir), Vec::<String>::new());
    assert_eq!(json(&dir, &[])["hosts"], Value::Array(vec![]));
}

#[test]
fn a_state_folder_of_an_older_relay_opens() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    send(&dir, &relay, "web1", &[1]);
    assert!(relay.process.terminate().success());
    let older = "DROP TABLE host; DROP TABLE refusal; DROP TABLE relay; \
                 ALTER TABLE bookmark DROP COLUMN ran; ALTER TABLE bookmark DROP COLUMN network; \
                 PRAGMA user_version = 1";
    database(&dir).execute_batch(older).unwrap();
    let refused = sources(&dir, &[]);
    assert_eq!(refused.status.code(), Some(2));
    let mut relay = start(&dir);
    send(&dir, &relay, "web2", &[1]);
    assert!(relay.process.terminate().success());
    assert_eq!(json(&dir, &[])["hosts"][0]["machine"], "web2");
    assert_eq!(bookmarks(&dir), ["web1", "web2"]);
}

#[test]
fn who_is_refused_is_shown_with_the_reason() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    let mut stranger = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    stranger
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Negotiate AAAA\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    assert!(stranger.read(&mut [0; 100]).unwrap() > 0);
    assert!(relay.process.terminate().success());
    let shown = json(&dir, &[]);
    let refusal = &shown["refusals"][0];
    assert_eq!(refusal["address"], "127.0.0.1", "{shown}");
    assert_eq!(refusal["kind"], "authentication", "{shown}");
    let text = said(&sources(&dir, &[]));
    assert!(text.contains("Rejected requests"), "{text}");
}

/// A query for one host does not list rejections of others.
#[test]
fn refusals_are_those_of_the_host_that_is_asked_for() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    let mut stranger = relay.source("stranger").from([127, 0, 0, 2].into());
    assert_eq!(stranger.post("/wsman", "x").unwrap().status, 400);
    send(&dir, &relay, "web1.example.test", &[1]);
    assert!(relay.process.terminate().success());
    let refusals = |host: &str| {
        let shown = json(&dir, &[host]);
        shown["refusals"].as_array().unwrap().len()
    };
    assert_eq!((refusals("web1"), refusals("127.0.0.2")), (0, 1));
    assert!(!said(&sources(&dir, &["web1"])).contains("Rejected requests"));
}

#[test]
fn a_folder_without_state_and_one_of_a_later_relay_are_refused() {
    let dir = TempDir::new();
    let output = sources(&dir, &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--state"), "{error}");
    assert!(start(&dir).process.terminate().success());
    database(&dir)
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = String::from_utf8(sources(&dir, &[]).stderr).unwrap();
    assert!(
        error.contains("written by a later version of wecrelay"),
        "{error}"
    );
    let wrong = sources(&dir, &["--prune", "90"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_host_reports_by_a_subscription_of_its_own_why_it_cannot_forward() {
    let dir = TempDir::new();
    let mut relay = start(&dir);
    send(&dir, &relay, "web1.example.test", &[1]);
    assert_eq!(relay.source("web1.example.test").enumerate().len(), 1);
    assert!(relay.process.terminate().success());
    // It first connected long ago.
    let settle = "UPDATE host SET facts = json_set(facts, '$.first_seen', 1)";
    database(&dir).execute_batch(settle).unwrap();
    let mut relay = start(&dir);
    let offers = relay.source("web1.example.test").enumerate();
    let names: Vec<_> = offers.iter().map(|offer| offer.name.as_str()).collect();
    assert_eq!(names, ["wecrelay", "wecrelay-self-reports"]);
    assert_eq!(relay.source("web2.example.test").enumerate().len(), 1);
    let file = dir.file("report.xml");
    std::fs::write(&file, REPORT).unwrap();
    let output = run(&[
        "send",
        &relay.url(),
        "--machine",
        "web1.example.test",
        "--subscription",
        "wecrelay-self-reports",
        "--events",
        &file,
    ]);
    said(&output);
    assert!(relay.process.terminate().success());
    let shown = json(&dir, &["web1*"]);
    let report = &shown["hosts"][0]["reports"][0];
    assert_eq!(report["event"], 102, "{shown}");
    assert_eq!(
        (&report["code"], &report["count"]),
        (&5004.into(), &1.into())
    );
    // 2025-03-11T09:00:00Z
    assert_eq!(report["at"], 1_741_683_600);
    let text = said(&sources(&dir, &[]));
    let why = "it reports that it cannot create its subscription \"wecrelay\" (event 102, error 5004): \
               no channel of the subscription can be read";
    assert!(text.contains(why), "{text}");
    let delivered = std::fs::read_to_string(dir.file("out")).unwrap();
    assert!(delivered.contains("Microsoft-Windows-Forwarding/Operational"));

    let relay = start_with(&dir, &["--no-self-reports"]);
    assert_eq!(relay.source("web1.example.test").enumerate().len(), 1);
}

const REPORT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
    <Provider Name='Microsoft-Windows-Forwarding'/><EventID>102</EventID><Level>2</Level>\
    <TimeCreated SystemTime='2025-03-11T09:00:00.0000000Z'/><EventRecordID>17</EventRecordID>\
    <Channel>Microsoft-Windows-Forwarding/Operational</Channel><Computer>WEB1.example.test</Computer>\
    </System><EventData><Data Name='SubscriptionName'>wecrelay</Data><Data Name='ErrorCode'>5004</Data>\
    <Data Name='ErrorMessage'>x</Data></EventData></Event>";

fn start(dir: &TempDir) -> Relay {
    start_with(dir, &[])
}

fn start_with(dir: &TempDir, arguments: &[&str]) -> Relay {
    let output = format!("file:{}", dir.file("out"));
    let all = [
        "--allow-unencrypted",
        "--channel",
        CHANNEL,
        "--output",
        &output,
    ];
    Relay::start(dir, &[&all, arguments].concat())
}

/// Sends events with these record IDs.
fn send(dir: &TempDir, relay: &Relay, machine: &str, records: &[usize]) {
    let events: Vec<_> = records.iter().map(|id| numbered_event(*id)).collect();
    let file = dir.file("events.xml");
    std::fs::write(&file, events.join("\n")).unwrap();
    let url = relay.url();
    let output = run(&["send", &url, "--machine", machine, "--events", &file]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn sources(dir: &TempDir, arguments: &[&str]) -> Output {
    run(&[&["hosts", "--state", &dir.file("state")], arguments].concat())
}

fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(dir: &TempDir, arguments: &[&str]) -> Value {
    let arguments = [&["--json"], arguments].concat();
    let output = sources(dir, &arguments);
    if output.status.success() {
        serde_json::from_slice(&output.stdout).unwrap()
    } else {
        Value::Null
    }
}

fn database(dir: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.file("state/wecrelay.db")).unwrap()
}

fn bookmarks(dir: &TempDir) -> Vec<String> {
    let database = database(dir);
    let query = "SELECT machine_id FROM bookmark ORDER BY 1";
    let mut statement = database.prepare(query).unwrap();
    let names = statement.query_map((), |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}
