//! Stopping, and new settings.

use super::host::Host;
use super::pair::{ADDRESS, Pair, seconds, settings};
use super::peer::End;
use crate::protocol::wsman::subscribe::{ContentFormat, Subscription};

fn busy() -> (Pair, Host) {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].acknowledges = false;
    pair.post(&mut host, 1..=2);
    (pair, host)
}

#[test]
fn what_is_in_flight_is_finished_and_the_connection_ends_with_it() {
    let (mut pair, host) = busy();
    pair.collector.stop(pair.now);
    pair.advance(seconds(1));
    assert!(!pair.collector.is_finished());
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.store.commits(), 1);
    let conn = host.conn.unwrap();
    assert!(pair.peer(conn).text().contains("Connection: close"));
    assert_eq!(pair.peer(conn).end, End::ShutDown);
    assert!(pair.collector.is_finished());
}

#[test]
fn idle_connections_end_at_once_and_take_nothing_more() {
    let (mut pair, _) = busy();
    let mut other = pair.host("b.example.com");
    pair.heartbeat(&mut other);
    assert_eq!(pair.answer(&other), Some(200));
    let raw = pair.connect_raw(ADDRESS);
    pair.send(raw, b"POST / HTTP/1.1\r\n");
    pair.collector.stop(pair.now);
    pair.drive();
    let conn = other.conn.unwrap();
    assert_eq!(
        (pair.peer(conn).end, pair.peer(raw).end),
        (End::ShutDown, End::ShutDown)
    );
    pair.post(&mut other, 1..=9);
    assert_eq!(pair.answer(&other), None);
    assert_eq!(pair.outputs[0].records(), [1, 2]);
    pair.advance(seconds(2));
    assert_eq!(
        (pair.peer(conn).end, pair.peer(raw).end),
        (End::Closed, End::Closed)
    );
}

#[test]
fn a_request_that_was_sent_ahead_is_not_taken_any_more() {
    let (mut pair, mut host) = busy();
    let conn = host.conn.unwrap();
    pair.start_post(&mut host, 3..=4);
    pair.drive();
    pair.collector.stop(pair.now);
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    assert_eq!(pair.peer(conn).statuses(), [401, 200]);
    assert_eq!(pair.outputs[0].records(), [1, 2]);
    assert!(pair.collector.is_finished());
}

#[test]
fn a_best_effort_output_does_not_put_the_end_off() {
    let mut pair = Pair::new(&["tcp://one", "tcp://two?required=no"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[1].room = 0;
    pair.post(&mut host, 1..=2);
    pair.collector.stop(pair.now);
    pair.drive();
    assert!(pair.collector.is_finished());
}

#[test]
fn new_settings_hold_from_then_on_and_batches_in_flight_are_finished() {
    let (mut pair, mut host) = busy();
    let mut settings = settings();
    settings.subscriptions = vec![Subscription::new("other", "", ContentFormat::Events)];
    pair.collector.replace_settings(settings);
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&host), Some(200));
    pair.post(&mut host, 3..=3);
    assert_eq!(pair.answer(&host), Some(404));
    pair.enumerate(&mut host);
    assert_eq!(host.offered.as_ref().unwrap().name, "other");
}
