//! From events to their Ack.

use super::pair::{Pair, seconds};

#[test]
fn a_batch_is_acknowledged_after_it_is_delivered_and_committed() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=3);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].records(), [1, 2, 3]);
    assert_eq!(pair.store.commits(), 1);
    let counters = pair.collector.counters();
    assert_eq!((counters.batches, counters.events), (1, 3));
}

#[test]
fn no_ack_while_the_peers_tcp_has_not_acknowledged() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].acknowledges = false;
    pair.post(&mut host, 1..=3);
    pair.advance(seconds(30));
    assert_eq!(pair.outputs[0].records(), [1, 2, 3]);
    assert_eq!((pair.answer(&host), pair.store.commits()), (None, 0));
    pair.outputs[0].acknowledged = pair.outputs[0].written() - 1;
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&host), None, "one byte is missing");
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    assert_eq!((pair.answer(&host), pair.store.commits()), (Some(200), 1));
}

#[test]
fn what_was_written_but_not_confirmed_is_sent_again_and_acknowledged_once() {
    let mut pair = Pair::new(&["tcp://receiver?replay=0"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].acknowledges = false;
    pair.post(&mut host, 1..=2);
    pair.cut_output(0);
    pair.outputs[0].acknowledges = true;
    assert_eq!(pair.answer(&host), None);
    pair.advance(seconds(1));
    assert_eq!(pair.outputs[0].records_of(0), [1, 2]);
    assert_eq!(pair.outputs[0].records_of(1), [1, 2]);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.collector.counters().events, 2);
}

#[test]
fn an_output_that_fails_at_any_byte_gets_the_whole_batch_on_the_next_connection() {
    for lasts in (0..900).step_by(83) {
        let mut pair = Pair::new(&["tcp://receiver"]);
        let mut host = pair.host("a.example.com");
        pair.outputs[0].fails_after = Some(lasts);
        pair.post(&mut host, 1..=3);
        assert_eq!(pair.answer(&host), None, "{lasts} bytes of more");
        pair.advance(seconds(1));
        assert_eq!(pair.outputs[0].records_of(1), [1, 2, 3]);
        assert_eq!(pair.answer(&host), Some(200));
    }
}

#[test]
fn the_replay_window_comes_first_on_the_next_connection() {
    let mut pair = Pair::new(&["tcp://receiver?replay=400"]);
    let mut host = pair.host("a.example.com");
    for record in 1..=9 {
        pair.post(&mut host, record..=record);
        assert_eq!(pair.answer(&host), Some(200));
    }
    pair.cut_output_after(0, 100);
    pair.advance(seconds(1));
    pair.post(&mut host, 10..=10);
    assert_eq!(pair.answer(&host), Some(200));
    let again = pair.outputs[0].records_of(1);
    assert!(again.len() > 2 && again.len() < 9, "{again:?}");
    assert!(
        again.is_sorted() && again.ends_with(&[8, 9, 10]),
        "{again:?}"
    );
    let size = pair.outputs[0].written() / again.len();
    assert!(size * (again.len() - 1) >= 400, "the window is not full");
}

#[test]
fn with_two_outputs_the_ack_waits_for_both() {
    let mut pair = Pair::new(&["tcp://one", "tcp://two?framing=lf"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[1].room = 100;
    pair.post(&mut host, 1..=2);
    pair.advance(seconds(5));
    assert_eq!(pair.outputs[0].records(), [1, 2]);
    assert_eq!(pair.answer(&host), None);
    pair.outputs[1].room = usize::MAX;
    pair.advance(seconds(1));
    assert_eq!(pair.outputs[1].text().lines().count(), 2);
    assert_eq!(pair.answer(&host), Some(200));
}

#[test]
fn an_output_that_is_not_tcp_delivers_by_writing() {
    let mut pair = Pair::new(&["unix:/run/receiver?type=stream"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].acknowledges = false;
    pair.post(&mut host, 1..=2);
    assert_eq!(pair.answer(&host), Some(200));
}

#[test]
fn a_source_that_is_gone_changes_nothing_but_that_no_ack_is_sent() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].acknowledges = false;
    pair.post(&mut host, 1..=2);
    pair.hang_up(&mut host);
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    assert_eq!(pair.store.commits(), 1);
    assert_eq!(pair.outputs[0].records(), [1, 2]);
    pair.enumerate(&mut host);
    assert_eq!(host.handed_back(), Some(2), "it need not send them again");
}

#[test]
fn a_batch_is_handed_back_before_its_source_gives_up_and_leaves_the_queue() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].room = 0;
    pair.post(&mut host, 1..=2);
    pair.advance(seconds(54));
    assert_eq!(pair.answer(&host), None);
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&host), Some(503));
    pair.outputs[0].room = usize::MAX;
    pair.post(&mut host, 1..=3);
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(
        pair.outputs[0].records(),
        [1, 2, 3],
        "the first try is forgotten"
    );
    assert_eq!(pair.collector.counters().unavailable, 1);
}

#[test]
fn a_batch_that_is_partly_written_is_handed_back_and_finished_all_the_same() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].room = 10;
    pair.post(&mut host, 1..=2);
    pair.advance(seconds(60));
    assert_eq!(pair.answer(&host), Some(503));
    pair.outputs[0].room = usize::MAX;
    pair.advance(seconds(1));
    assert_eq!(pair.outputs[0].records(), [1, 2]);
    assert_eq!(pair.answer(&host), None, "it was answered already");
    assert_eq!(pair.store.commits(), 0, "its source keeps the events");
}

#[test]
fn a_source_with_little_patience_is_answered_within_it() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    host.timeout = seconds(4);
    pair.outputs[0].room = 0;
    pair.post(&mut host, 1..=2);
    pair.advance(seconds(3));
    assert_eq!(pair.answer(&host), Some(503));
}

#[test]
fn when_the_commit_fails_batches_are_handed_back_until_it_works_again() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.store.fail_commits(2);
    for _ in 0..2 {
        pair.post(&mut host, 1..=2);
        assert_eq!(pair.answer(&host), Some(503));
    }
    pair.post(&mut host, 1..=2);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(
        (pair.store.commits(), pair.collector.counters().unavailable),
        (1, 2)
    );
}

#[test]
fn one_turn_commits_the_batches_of_all_sources_at_once() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let names = ["a.example.com", "b.example.com", "c.example.com"];
    let mut hosts = names.map(|name| pair.host(name));
    pair.outputs[0].acknowledges = false;
    for host in &mut hosts {
        pair.post(host, 1..=2);
    }
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    for host in &hosts {
        assert_eq!(pair.answer(host), Some(200));
    }
    assert_eq!(pair.store.commits(), 1);
}
