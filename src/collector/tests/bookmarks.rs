//! Where a source resumes after it or the relay was down.

use super::host::{Host, backward_bookmark, bookmark, bookmark_event};
use super::pair::{Pair, seconds};

const MACHINE: &str = "a.example.com";

#[test]
fn after_a_restart_the_source_gets_its_bookmark_back() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(MACHINE);
    assert_eq!(host.handed_back(), None);
    pair.post(&mut host, 1..=3);
    assert_eq!(pair.answer(&host), Some(200));
    pair.restart();
    let host = pair.host(MACHINE);
    assert_eq!(host.handed_back(), Some(3));
}

#[test]
fn a_restart_between_delivery_and_ack_costs_repeats_only() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(MACHINE);
    pair.post(&mut host, 1..=3);
    assert_eq!(pair.answer(&host), Some(200));
    pair.outputs[0].acknowledges = false;
    pair.post(&mut host, 4..=6);
    pair.restart();
    pair.outputs[0].acknowledges = true;
    let mut host = pair.host(MACHINE);
    assert_eq!(host.handed_back(), Some(3));
    pair.post(&mut host, 4..=7);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].records(), [1, 2, 3, 4, 5, 6, 4, 5, 6, 7]);
}

#[test]
fn a_relay_that_is_killed_at_any_step_hands_back_what_it_has_delivered_or_less() {
    let mut acknowledged = 0;
    for fuel in 1..40 {
        let mut pair = Pair::new(&["tcp://receiver"]);
        let mut host = pair.host(MACHINE);
        pair.post(&mut host, 1..=1);
        assert_eq!(pair.answer(&host), Some(200));
        pair.fuel = Some(fuel);
        pair.post(&mut host, 2..=3);
        let has_ack = pair.answer(&host) == Some(200);
        acknowledged += usize::from(has_ack);
        pair.restart();
        let back = pair.host(MACHINE).handed_back().unwrap();
        assert!(
            back == 1 || pair.outputs[0].records().contains(&back),
            "{fuel}"
        );
        assert!(back == 3 || !has_ack, "{fuel}");
    }
    assert!((1..39).contains(&acknowledged), "{acknowledged}");
}

#[test]
fn bookmark_events_are_acknowledged_and_not_forwarded() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(MACHINE);
    let events = [bookmark_event(MACHINE)];
    pair.post_of(&mut host, &events, Some(&backward_bookmark(120)));
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].text(), "");
    assert_eq!(pair.collector.counters().bookmark_events, 1);
    pair.enumerate(&mut host);
    assert_eq!(
        host.handed_back(),
        Some(120),
        "there is none yet: it is a beginning"
    );
    pair.post(&mut host, 100..=101);
    assert_eq!(pair.answer(&host), Some(200));
    pair.enumerate(&mut host);
    assert_eq!(host.handed_back(), Some(101), "any normal one is better");
}

#[test]
fn a_bookmark_to_the_end_of_the_log_never_replaces_a_good_one() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(MACHINE);
    pair.post(&mut host, 69..=70);
    assert_eq!(pair.answer(&host), Some(200));
    pair.restart();
    let mut host = pair.host(MACHINE);
    let events = [bookmark_event(MACHINE)];
    for bookmark in [backward_bookmark(120), bookmark(120)] {
        pair.post_of(&mut host, &events, Some(&bookmark));
        assert_eq!(pair.answer(&host), Some(200));
        pair.enumerate(&mut host);
        assert_eq!(host.handed_back(), Some(70));
    }
    assert_eq!(pair.collector.counters().bookmarks_aside, 2);
    pair.post(&mut host, 71..=75);
    pair.enumerate(&mut host);
    assert_eq!(host.handed_back(), Some(75));
}

#[test]
fn an_anonymous_source_neither_reads_nor_moves_the_bookmark_of_an_authenticated_one() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = Host::with_password(MACHINE, "password");
    pair.enumerate(&mut host);
    pair.post(&mut host, 1..=50);
    assert_eq!(pair.answer(&host), Some(200));
    let mut other = pair.host(MACHINE);
    assert_eq!(other.handed_back(), None);
    pair.post(&mut other, 1..=99);
    assert_eq!(pair.answer(&other), Some(200));
    pair.enumerate(&mut other);
    pair.enumerate(&mut host);
    assert_eq!(
        (other.handed_back(), host.handed_back()),
        (Some(99), Some(50))
    );
}

#[test]
fn a_bookmark_that_cannot_be_read_costs_the_bookmark_not_the_batch() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(MACHINE);
    pair.post(&mut host, 1..=1);
    for bookmark in [Some("<Other/>"), Some("text"), None] {
        let events = [host.event(2)];
        pair.answer(&host);
        pair.post_of(&mut host, &events, bookmark);
        assert_eq!(pair.answer(&host), Some(200), "{bookmark:?}");
    }
    pair.enumerate(&mut host);
    assert_eq!(host.handed_back(), Some(1));
}

#[test]
fn the_bookmark_of_a_batch_that_was_handed_back_is_not_stored() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(MACHINE);
    pair.outputs[0].room = 10;
    pair.post(&mut host, 1..=2);
    pair.advance(seconds(60));
    assert_eq!(pair.answer(&host), Some(503));
    pair.outputs[0].room = usize::MAX;
    pair.advance(seconds(1));
    pair.enumerate(&mut host);
    assert_eq!(host.handed_back(), None);
}

#[test]
fn events_that_no_output_gets_are_acknowledged_and_move_the_bookmark() {
    let outputs = [
        "tcp://receiver?drop=id:7036",
        "tcp://other?only=channel:Security",
    ];
    let mut pair = Pair::new(&outputs);
    let mut host = pair.host(MACHINE);
    pair.post(&mut host, 1..=3);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!((pair.outputs[0].count(), pair.outputs[1].count()), (0, 0));
    let kept: Vec<_> = pair.collector.snapshot(pair.now).outputs;
    let kept: Vec<_> = kept.into_iter().flat_map(|output| output.kept).collect();
    let expected = [("drop=id:7036", 3), ("only=channel:Security", 3)];
    assert_eq!(kept, expected.map(|(rule, count)| (rule.to_owned(), count)));
    pair.restart();
    assert_eq!(pair.host(MACHINE).handed_back(), Some(3));
}

#[test]
fn an_event_that_one_output_gets_waits_for_that_one() {
    let outputs = ["tcp://receiver?drop=level:information", "tcp://other"];
    let mut pair = Pair::new(&outputs);
    let mut host = pair.host(MACHINE);
    pair.outputs[1].acknowledges = false;
    pair.post(&mut host, 1..=2);
    assert_eq!(pair.answer(&host), None);
    pair.outputs[1].acknowledges = true;
    pair.drive();
    assert_eq!(pair.outputs[0].count(), 0);
    assert_eq!(pair.outputs[1].records(), [1, 2]);
}
