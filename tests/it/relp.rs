//! RELP to a real rsyslogd, plain and over TLS: every event arrives once, and no acknowledged
//! event is lost, whichever side is killed.

use std::io::Read;
use std::net::TcpListener;

use crate::support::{
    Authority, LineEnds, Offer, Relay, Rsyslog, Source, TempDir, numbered_event, wait_for,
};

const MACHINE: &str = "ws-07.example.test";
const BATCHES: usize = 60;
const BATCH: usize = 10;

#[test]
fn rsyslog_gets_every_event_once_over_relp() {
    let rsyslog = Rsyslog::relp();
    let output = format!("relp://127.0.0.1:{}", rsyslog.port());
    rsyslog.check_samples(&["--output", &output], LineEnds::Kept);
}

#[test]
fn rsyslog_gets_every_event_once_over_relp_with_tls() {
    let authority = Authority::new("log authority");
    let rsyslog = Rsyslog::relp_tls(
        &authority,
        &authority.issue(&["log.example.test"]),
        "relay.example.test",
    );
    let own = authority.issue(&["relay.example.test"]);
    let output = format!(
        "relp+tls://127.0.0.1:{}?ca={}&cert={}&key={}&name=log.example.test",
        rsyslog.port(),
        authority.file(),
        own.certificate,
        own.key
    );
    rsyslog.check_samples(&["--output", &output], LineEnds::Kept);
}

#[test]
fn nothing_is_lost_when_rsyslog_is_killed_in_mid_session() {
    let (mut rsyslog, dir) = (Rsyslog::relp(), TempDir::new());
    let output = format!("relp://127.0.0.1:{}", rsyslog.port());
    let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    for batch in 0..BATCHES {
        if batch % 20 == 10 {
            rsyslog.kill_and_restart();
        }
        deliver(&mut source, &offer, batch);
    }
    wait_for("every acknowledged event", || {
        (rsyslog.sequences().len() == BATCHES * BATCH).then_some(())
    });
}

#[test]
fn nothing_is_lost_when_the_relay_and_rsyslog_are_killed_in_turn() {
    let (mut rsyslog, dir) = (Rsyslog::relp(), TempDir::new());
    let output = format!("relp://127.0.0.1:{}", rsyslog.port());
    let arguments = ["--output", output.as_str(), "--allow-unencrypted"];
    let mut relay = Relay::start(&dir, &arguments);
    let mut source = relay.source(MACHINE);
    let mut offer = source.subscribe();
    for batch in 0..BATCHES {
        if batch % 20 == 5 {
            rsyslog.kill_and_restart();
        }
        if batch % 20 == 15 {
            relay.process.kill();
            relay = Relay::start_on(relay.port(), &dir, &arguments);
            source = relay.source(MACHINE);
            offer = source.subscribe();
        }
        deliver(&mut source, &offer, batch);
    }
    wait_for("every acknowledged event", || {
        (rsyslog.sequences().len() == BATCHES * BATCH).then_some(())
    });
}

#[test]
fn a_receiver_that_never_answers_is_given_up_and_named_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dir = TempDir::new();
    let output = format!("relp://127.0.0.1:{port}");
    let mut relay = Relay::start(&dir, &["--output", &output]);
    let (mut first, _) = listener.accept().unwrap();
    relay.process.wait_for_log("does not answer the RELP open");
    let mut open = Vec::new();
    first.read_to_end(&mut open).unwrap();
    assert!(open.starts_with(b"1 open "), "{open:?}");
    // It reconnects without a log line.
    listener.accept().unwrap();
    assert_eq!(relay.process.log().matches("RELP open").count(), 1);
}

#[test]
fn the_session_is_closed_at_the_end() {
    let rsyslog = Rsyslog::relp();
    let dir = TempDir::new();
    let output = format!("relp://127.0.0.1:{}", rsyslog.port());
    let mut relay = Relay::start(&dir, &["--output", &output]);
    relay.process.wait_for_log(": open");
    let began = std::time::Instant::now();
    assert!(relay.process.terminate().success());
    assert!(
        began.elapsed().as_secs() < 1,
        "it waited for the answer in vain"
    );
}

/// As Windows does: sends the same batch until it is acknowledged.
fn deliver(source: &mut Source, offer: &Offer, batch: usize) {
    let numbers = batch * BATCH..(batch + 1) * BATCH;
    let events: Vec<String> = numbers.map(numbered_event).collect();
    wait_for("an Ack", || source.deliver(offer, &events, 1).then_some(()));
}
