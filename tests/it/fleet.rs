//! Monitoring of relays that share a store: the relay that a host last connected to, counts
//! that add up, relays that are gone.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Postgres, Relay, Source, TempDir, numbered_event, run, wait_for};

const MACHINE: &str = "ws-07.example.test";

fn start(dir: &TempDir, url: &str, name: &str) -> (Relay, u16) {
    let output = format!("file:{}", dir.file("out"));
    let arguments = [
        "--output",
        &output,
        "--allow-unencrypted",
        "--channel",
        "Microsoft-Windows-Sysmon/Operational",
        "--store",
        url,
        "--relay-name",
        name,
        "--metrics",
        "127.0.0.1:0",
    ];
    let mut relay = Relay::start(dir, &arguments);
    let port = relay.metrics_port();
    (relay, port)
}

#[track_caller]
fn deliver(source: &mut Source, records: std::ops::Range<u64>) {
    let offer = source.subscribe();
    for record in records {
        let event = numbered_event(usize::try_from(record).unwrap());
        assert!(source.deliver(&offer, &[event], record));
    }
}

/// The output of a command that must succeed.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let ended = run(arguments);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    String::from_utf8(ended.stdout).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn status(port: u16) -> Value {
    let answer = Relay::get(port, "/status.json");
    json(answer.split_once("\r\n\r\n").unwrap().1)
}

fn metric(port: u16, start: &str) -> Option<String> {
    let text = Relay::get(port, "/metrics");
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with(start))?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[test]
fn counts_of_all_relays_add_up_and_the_last_one_is_named() {
    let (postgres, dirs) = (Postgres::start(), [TempDir::new(), TempDir::new()]);
    let url = postgres.url();
    let (mut a, _) = start(&dirs[0], &url, "a");
    deliver(&mut a.source(MACHINE), 1..6);
    assert!(a.process.terminate().success());
    // The table has whole seconds: within one, either relay may be shown as the last.
    thread::sleep(Duration::from_millis(1100));
    let (mut b, _) = start(&dirs[1], &url, "b");
    deliver(&mut b.source(MACHINE), 6..9);
    deliver(&mut b.source("ws-08.example.test"), 1..2);
    assert!(b.process.terminate().success());

    let printed_json = json(&printed(&["hosts", "--store", &url, "--json"]));
    let hosts = printed_json["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 2, "{printed_json}");
    assert_eq!(hosts[0]["events"], 8);
    assert_eq!(hosts[0]["relay"], "b");
    assert_eq!(printed_json["relay"]["running"], false);
    let relays = printed_json["relays"].as_array().unwrap();
    assert!(
        relays.iter().all(|it| it["state"] == "stopped"),
        "{relays:?}"
    );
    let table = printed(&["hosts", "--store", &url]);
    assert!(
        table.contains("RELAY") && table.contains("The relays do not run"),
        "{table}"
    );

    // At startup, a relay reads the hosts of the others.
    let (mut a, port) = start(&dirs[0], &url, "a");
    let status = wait_for("the hosts of the other relay", || {
        let status = status(port);
        (status["hosts"].as_array().unwrap().len() == 2).then_some(status)
    });
    let hosts = status["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host[0] == MACHINE).unwrap();
    assert_eq!(host[6], 8, "events: {host}");
    let relay = usize::try_from(host[13].as_u64().unwrap()).unwrap();
    assert_eq!(status["texts"][relay], "b");
    let known: Vec<_> = status["relays"].as_array().unwrap().iter().collect();
    assert_eq!(
        (known[0][0].as_str(), known[0][1].as_str()),
        (Some("a"), Some("running"))
    );
    assert_eq!(
        (known[1][0].as_str(), known[1][1].as_str()),
        (Some("b"), Some("stopped"))
    );
    // The other relay is not running, so its hosts are counted here.
    let active = metric(port, "wecrelay_sources{state=\"active\"}");
    assert_eq!(active.as_deref(), Some("2"));
    let said = printed(&["hosts", "--store", &url]);
    assert!(!said.contains("not run"), "{said}");
    assert!(a.process.terminate().success());
}

#[test]
fn a_relay_that_is_gone_is_shown_until_it_is_forgotten() {
    let (postgres, dirs) = (Postgres::start(), [TempDir::new(), TempDir::new()]);
    let url = postgres.url();
    let (mut b, _) = start(&dirs[1], &url, "b");
    deliver(&mut b.source(MACHINE), 1..3);
    wait_for("its first beat", || {
        (postgres.sql("SELECT count(*) FROM wecrelay_relay") == "1").then_some(())
    });
    let running = run(&["hosts", "--store", &url, "--forget-relay", "b"]);
    let said = String::from_utf8_lossy(&running.stderr);
    assert_eq!(running.status.code(), Some(2), "{said}");
    assert!(said.contains("it is running"), "{said}");
    let state = dirs[0].file("copy");
    let copy = run(&["store", "copy", &url, &state]);
    let said = String::from_utf8_lossy(&copy.stderr);
    assert_eq!(copy.status.code(), Some(2), "{said}");
    assert!(said.contains("relay b is using it"), "{said}");

    b.process.kill();
    postgres.sql("UPDATE wecrelay_relay SET written = written - 1000");
    let (mut a, port) = start(&dirs[0], &url, "a");
    let line = a.process.wait_for_log("relay b is gone");
    assert!(line.contains("database 10"), "{line}");
    let gone = || metric(port, "wecrelay_relays{state=\"gone\"}");
    assert_eq!(gone().as_deref(), Some("1"));
    let ready = Relay::get(port, "/readyz");
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("relay b is gone"),
        "{ready}"
    );
    let relays = status(port)["relays"].clone();
    assert!(relays.to_string().contains("[\"b\",\"gone\","), "{relays}");
    let table = printed(&["hosts", "--store", &url]);
    assert!(table.contains("gone"), "{table}");
    let listen = format!("http://127.0.0.1:{}", a.port());
    let output = format!("file:{}", dirs[0].file("out"));
    let doctor = run(&[
        "doctor",
        "--listen",
        &listen,
        "--anonymous",
        "127.0.0.0/8",
        "--output",
        &output,
        "--store",
        &url,
    ]);
    let found = String::from_utf8_lossy(&doctor.stdout);
    assert!(
        found.contains("relay b is gone") && found.contains("relay a: running"),
        "{found}"
    );
    assert!(found.contains("--forget-relay b"), "{found}");
    assert!(!found.contains("state folder"), "{found}");

    let said = printed(&["hosts", "--store", &url, "--forget-relay", "b"]);
    assert_eq!(said, "relay b forgotten\n");
    let again = run(&["hosts", "--store", &url, "--forget-relay", "b"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(!printed(&["hosts", "--store", &url]).contains("gone"));
    a.process.signal(Signal::TERM);
    assert!(a.process.wait().success());
}

#[test]
fn who_only_looks_makes_no_tables() {
    let postgres = Postgres::start();
    let looked = run(&["hosts", "--store", &postgres.url()]);
    let said = String::from_utf8_lossy(&looked.stderr);
    assert_eq!(looked.status.code(), Some(2), "{said}");
    assert!(said.contains("no relay has run with it"), "{said}");
    assert_eq!(
        postgres.sql("SELECT to_regclass('wecrelay_state') IS NULL"),
        "t"
    );
}
