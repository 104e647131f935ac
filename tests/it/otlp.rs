//! OTLP/HTTP to a real collector and a receiver that parses with opentelemetry-proto: every
//! event arrives with its values, no acknowledged event is lost, and rejected events are found.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Authority, LineEnds, Offer, OtlpReceiver, Relay, Rotel, Server, Source, TempDir,
    numbered_event, run, send_samples, wait_for,
};

const MACHINE: &str = "ws-07.example.test";
const BATCHES: usize = 60;
const BATCH: usize = 10;
/// The number of the event that is rejected, and identifies it in a record.
const POISON: usize = 666_666;
const NAME: &str = "\"666666\"";

#[test]
fn a_receiver_gets_every_event_with_its_values() {
    for settings in ["", "?compress=none"] {
        let receiver = OtlpReceiver::start();
        let output = receiver.otlp_url(settings);
        receiver.check_samples(&["--output", &output], LineEnds::Kept);
    }
}

#[test]
fn a_receiver_gets_every_event_over_tls() {
    let authority = Authority::new("log authority");
    let receiver = OtlpReceiver::tls(&authority, &authority.issue(&["log.example.test"]));
    let own = authority.issue(&["relay.example.test"]);
    let output = format!(
        "otlp+https://127.0.0.1:{}?ca={}&cert={}&key={}&name=log.example.test",
        receiver.port(),
        authority.file(),
        own.certificate,
        own.key
    );
    receiver.check_samples(&["--output", &output], LineEnds::Kept);
    let found = check(&["--probe", "--output", &output]);
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(text.contains("OTLP: HTTP 200"), "{text}");
}

#[test]
fn a_real_collector_hands_on_every_event_with_its_values() {
    let receiver = OtlpReceiver::start();
    let rotel = Rotel::to(&receiver);
    receiver.check_samples(&["--output", &rotel.url()], LineEnds::Kept);
}

#[test]
fn events_have_their_time_severity_and_number() {
    let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    let relay = start(&dir, &receiver.otlp_url(""));
    send_samples(&relay);
    let records = receiver.wait_for(10);
    let record = records.iter().find(|r| r.message_id == "4625").unwrap();
    let value = |name| record.value("event", name).unwrap().to_owned();
    // 2025-03-11T08:15:31.0000005Z.
    assert_eq!(value("Time"), "1741680931000000500");
    assert_eq!(value("Severity"), "Warning");
    assert_eq!(value("Uid").len(), 36);
}

#[test]
fn nothing_is_lost_when_the_receiver_and_the_relay_are_killed_in_turn() {
    let (mut receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    let output = receiver.otlp_url("");
    let arguments = ["--output", output.as_str(), "--allow-unencrypted"];
    let mut relay = Relay::start(&dir, &arguments);
    let mut source = relay.source(MACHINE);
    let mut offer = source.subscribe();
    for batch in 0..BATCHES {
        if batch % 20 == 5 {
            receiver.kill_and_restart();
        }
        if batch % 20 == 15 {
            relay.process.kill();
            relay = Relay::start_on(relay.port(), &dir, &arguments);
            source = relay.source(MACHINE);
            offer = source.subscribe();
        }
        deliver(&mut source, &offer, batch);
    }
    all_have_come(&receiver);
}

#[test]
fn a_receiver_that_stops_holds_hosts_back_and_loses_nothing() {
    let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    let relay = start(&dir, &receiver.otlp_url(""));
    let mut source = relay.source(MACHINE).with_timeout(4);
    let offer = source.subscribe();
    deliver(&mut source, &offer, 0);
    receiver.signal(Signal::STOP);
    let reply = source.try_deliver(&offer, &events(BATCH..2 * BATCH), 1);
    assert_eq!(reply.unwrap().status, 503);
    receiver.signal(Signal::CONT);
    for batch in 1..BATCHES {
        deliver(&mut source, &offer, batch);
    }
    all_have_come(&receiver);
}

#[test]
fn a_busy_receiver_is_told_of_and_left_alone() {
    let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    receiver.set_mode(&json!({"status": 503, "retry_after": 2}));
    let mut relay = start(&dir, &receiver.otlp_url(""));
    let mut source = relay.source(MACHINE).with_timeout(20);
    let offer = source.subscribe();
    let host = std::thread::spawn(move || source.deliver(&offer, &events(0..BATCH), 1));
    relay
        .process
        .wait_for_log("HTTP 503: so it is told; trying again; hosts wait");
    receiver.set_mode(&json!({}));
    assert!(host.join().unwrap());
    assert_eq!(receiver.sequences().len(), BATCH);
}

#[test]
fn a_request_that_is_too_large_is_cut_until_it_fits() {
    let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    receiver.set_mode(&json!({"max": 6000}));
    let relay = start(&dir, &receiver.otlp_url(""));
    let mut source = relay.source(MACHINE).with_timeout(20);
    let offer = source.subscribe();
    assert!(source.deliver(&offer, &events(0..40), 1));
    let records = receiver.wait_for(40);
    assert_eq!((records.len(), receiver.sequences().len()), (40, 40));
}

#[test]
fn an_event_that_is_too_large_alone_is_refused_with_the_remedy() {
    let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    receiver.set_mode(&json!({"max": 100}));
    let mut relay = start(&dir, &receiver.otlp_url("?refused=drop"));
    let mut source = relay.source(MACHINE).with_timeout(20);
    let offer = source.subscribe();
    assert!(source.deliver(&offer, &events([1, 2]), 1));
    let told = relay
        .process
        .wait_for_log("the receiver refuses an event of");
    assert!(
        told.contains("HTTP 413") && told.contains("max_request_body_size"),
        "{told}"
    );
    receiver.set_mode(&json!({}));
    assert!(source.deliver(&offer, &events([3]), 1));
    assert_eq!(receiver.sequences(), [3].into());
}

#[test]
fn a_refused_event_stays_with_its_host_and_harms_no_other() {
    for partial in [false, true] {
        let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
        receiver.set_mode(&json!({"poison": NAME, "partial": partial}));
        let mut relay = start(&dir, &receiver.otlp_url(""));
        let mut source = relay.source("poison.example.test").with_timeout(20);
        assert_eq!(deliver_poison(&mut source), 503);
        let told = relay
            .process
            .wait_for_log("the receiver refuses an event of");
        assert!(
            told.contains("EventRecordID 666666") && told.contains("not this one"),
            "{told}"
        );
        let mut other = relay.source("good.example.test");
        let offer = other.subscribe();
        for batch in 0..5 {
            deliver(&mut other, &offer, batch);
        }
        receiver.set_mode(&json!({}));
        wait_for("the repeat", || {
            (deliver_poison(&mut source) == 200).then_some(())
        });
        assert!(receiver.sequences().contains(&POISON));
    }
}

#[test]
fn a_refused_event_may_go_into_a_file_in_json() {
    let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    receiver.set_mode(&json!({"poison": NAME}));
    let file = dir.file("refused");
    let relay = start(&dir, &receiver.otlp_url(&format!("?refused=file:{file}")));
    let mut source = relay.source("poison.example.test").with_timeout(20);
    assert_eq!(deliver_poison(&mut source), 200);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    let record = &line["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    let attributes = record["attributes"].as_array().unwrap();
    let number = json!({"key": "winlog.record_id", "value": {"intValue": "666666"}});
    assert!(attributes.contains(&number), "{text}");
    assert!(!receiver.sequences().contains(&POISON));
}

#[test]
fn credentials_come_from_a_file_that_others_cannot_read() {
    let (receiver, dir) = (OtlpReceiver::start(), TempDir::new());
    receiver.set_mode(&json!({"key": "s3cret"}));
    let file = dir.file("headers");
    std::fs::write(&file, "# for the receiver\nX-Api-Key: wrong\n").unwrap();
    let output = receiver.otlp_url(&format!("?headers={file}"));
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let refused = check(&["--output", &output]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("chmod o="), "{text}");
    mode(0o600);
    let mut relay = start(&dir, &output);
    let mut source = relay.source(MACHINE).with_timeout(4);
    let offer = source.subscribe();
    assert!(!source.deliver(&offer, &events(0..BATCH), 1));
    relay
        .process
        .wait_for_log("HTTP 401: who are you?; it requires credentials: see ?headers=");
    std::fs::write(&file, "X-Api-Key: s3cret\n").unwrap();
    relay.process.signal(Signal::HUP);
    relay.process.wait_for_log("reloaded");
    for batch in 0..BATCHES {
        deliver(&mut source, &offer, batch);
    }
    all_have_come(&receiver);
    assert!(!relay.process.log().contains("s3cret"));
    std::fs::write(&file, "no header s3cret\n").unwrap();
    let refused = check(&["--output", &output]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("line 1") && !text.contains("s3cret"),
        "{text}"
    );
}

#[test]
fn the_probe_tells_what_is_wrong() {
    let receiver = OtlpReceiver::start();
    let probe = |output: &str| {
        let found = check(&["--probe", "--output", output]);
        let text = String::from_utf8(found.stdout).unwrap();
        (found.status.success(), text)
    };
    let (is_good, text) = probe(&receiver.otlp_url(""));
    assert!(
        is_good && text.contains("OTLP: HTTP 200 in answer to an empty export"),
        "{text}"
    );
    let (is_good, text) = probe(&receiver.otlp_url("/v2/logs"));
    assert!(
        !is_good && text.contains("it accepts no logs at this path"),
        "{text}"
    );
    receiver.set_mode(&json!({"key": "x"}));
    let (is_good, text) = probe(&receiver.otlp_url(""));
    assert!(!is_good && text.contains("see ?headers="), "{text}");
}

fn check(arguments: &[&str]) -> std::process::Output {
    run(&[&["check", "--anonymous", "127.0.0.0/8"], arguments].concat())
}

fn start(dir: &TempDir, output: &str) -> Relay {
    Relay::start(dir, &["--output", output, "--allow-unencrypted"])
}

fn events(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(numbered_event).collect()
}

/// As Windows does: sends the same batch until it is acknowledged.
fn deliver(source: &mut Source, offer: &Offer, batch: usize) {
    let events = events(batch * BATCH..(batch + 1) * BATCH);
    wait_for("an Ack", || source.deliver(offer, &events, 1).then_some(()));
}

/// Delivers the rejected event between two others, and returns the status of the answer.
fn deliver_poison(source: &mut Source) -> u16 {
    let offer = source.subscribe();
    let events = events([900_001, POISON, 900_002]);
    source.try_deliver(&offer, &events, 1).unwrap().status
}

#[track_caller]
fn all_have_come(receiver: &Server) {
    wait_for("every acknowledged event", || {
        let arrived = receiver.sequences();
        (0..BATCHES * BATCH)
            .all(|number| arrived.contains(&number))
            .then_some(())
    });
}
