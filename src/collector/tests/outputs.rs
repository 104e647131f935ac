//! Outputs that open, fail, and do not keep up.

use std::rc::Rc;

use super::host::Host;
use super::pair::{Pair, seconds};
use super::receiver::Reach;
use crate::collector::outputs::HOLD_TIME;
use crate::collector::{Input, OutputId};
use crate::output::link::CAPACITY;
use crate::output::queue::{BatchId, Frames};

#[test]
fn an_output_that_refuses_is_tried_again_with_longer_pauses() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    pair.cut_output(0);
    pair.outputs[0].reach = Reach::Refusing;
    pair.advance(seconds(60));
    let tries = pair.outputs[0].tries;
    assert!((8..15).contains(&tries), "{tries}");
    pair.outputs[0].reach = Reach::Listening;
    pair.advance(seconds(15));
    assert!(pair.outputs[0].is_open);
}

#[test]
fn an_output_that_never_answers_is_given_up_and_tried_again() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    pair.cut_output(0);
    pair.outputs[0].reach = Reach::Silent;
    pair.advance(seconds(11));
    assert_eq!((pair.outputs[0].tries, pair.outputs[0].is_open), (3, false));
    pair.outputs[0].reach = Reach::Listening;
    pair.advance(seconds(11));
    assert!(pair.outputs[0].is_open);
}

#[test]
fn a_best_effort_output_never_holds_sources_back() {
    let mut pair = Pair::new(&["tcp://one", "tcp://two?required=no"]);
    pair.outputs[1].room = 0;
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=2);
    assert_eq!(pair.answer(&host), Some(200));
    pair.outputs[1].room = usize::MAX;
    pair.drive();
    assert_eq!(pair.outputs[1].records(), [1, 2]);
}

#[test]
fn a_full_best_effort_output_drops_and_counts() {
    let mut pair = Pair::new(&["tcp://one", "tcp://two?required=no"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[1].room = 0;
    fill(&mut pair, 1, CAPACITY - 1);
    pair.post(&mut host, 1..=2);
    assert_eq!((pair.answer(&host), dropped(&pair)), (Some(200), 0));
    pair.post(&mut host, 3..=5);
    assert_eq!((pair.answer(&host), dropped(&pair)), (Some(200), 3));
    assert!(pair.collector.is_reading(pair.now));
    pair.outputs[1].room = usize::MAX;
    pair.drive();
    pair.post(&mut host, 6..=6);
    assert_eq!(pair.outputs[0].records(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(pair.outputs[1].records(), [0, 1, 2, 6]);
    assert_eq!(dropped(&pair), 3);
}

fn dropped(pair: &Pair) -> u64 {
    pair.collector.link(OutputId(1)).unwrap().dropped()
}

fn is_full(pair: &Pair) -> bool {
    let waiting = pair.collector.batches.waiting();
    pair.collector.batches.outputs().is_full(waiting)
}

/// Queues one message of `size` bytes, whose source is gone.
fn fill(pair: &mut Pair, output: usize, size: usize) {
    let head = format!("{} ", size - 9);
    let mut bytes = vec![b'x'; size];
    bytes[..head.len()].copy_from_slice(head.as_bytes());
    let ends = vec![size];
    let frames = Rc::new(Frames { bytes, ends });
    let now = pair.now;
    let outputs = pair.collector.batches.outputs_mut();
    let link = outputs.get_mut(OutputId(output));
    link.unwrap().push(now, BatchId(u64::MAX), &frames);
}

#[test]
fn a_full_output_holds_sources_back_then_sheds_then_recovers() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut late = pair.host("late.example.com");
    pair.heartbeat(&mut late);
    assert_eq!(pair.answer(&late), Some(200));
    pair.outputs[0].room = 0;
    fill(&mut pair, 0, CAPACITY - 1);
    pair.drive();
    assert!(
        pair.collector.is_reading(pair.now),
        "there is room for a byte"
    );
    let mut host = pair.host("a.example.com");
    host.timeout = seconds(120);
    pair.post(&mut host, 1..=2);
    assert!(!pair.collector.is_reading(pair.now));

    pair.post(&mut late, 1..=1);
    pair.advance(HOLD_TIME - seconds(1));
    assert!(!pair.collector.is_reading(pair.now));
    assert_eq!(pair.answer(&late), None, "it is not even read");
    let told = pair.answer_within(&late, seconds(46));
    assert_eq!(told, Some(503), "it is told to come again");
    pair.heartbeat(&mut late);
    assert_eq!(
        pair.answer(&late),
        Some(200),
        "what needs no output is served"
    );

    pair.outputs[0].room = usize::MAX;
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&host), Some(200));
    pair.post(&mut late, 7..=7);
    assert_eq!(pair.answer(&late), Some(200));
    assert_eq!(pair.outputs[0].records(), [0, 1, 2, 7]);
    fill(&mut pair, 0, CAPACITY);
    pair.outputs[0].room = 0;
    pair.handle(&Input::Timeout);
    assert!(
        !pair.collector.is_reading(pair.now),
        "the next time begins anew"
    );
}

#[test]
fn the_time_that_a_batch_lay_unread_counts_for_its_503() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut late = pair.host("late.example.com");
    pair.heartbeat(&mut late);
    assert_eq!(pair.answer(&late), Some(200));
    pair.outputs[0].room = 0;
    fill(&mut pair, 0, CAPACITY - 1);
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=2);
    assert!(!pair.collector.is_reading(pair.now));
    pair.post(&mut late, 1..=1);
    pair.advance(HOLD_TIME - seconds(1));
    assert_eq!(pair.collector.batches.len(), 1, "it is not even read");
    // Then there is room, but nothing is delivered afterwards.
    pair.outputs[0].room = CAPACITY + 100;
    pair.drive();
    pair.advance(seconds(1));
    assert_eq!(pair.collector.batches.len(), 2);
    pair.advance(seconds(44));
    assert_eq!(pair.answer(&late), None);
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&late), Some(503));
}

#[test]
fn sources_with_little_patience_are_not_left_unread_for_long() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut late = pair.host("late.example.com");
    pair.heartbeat(&mut late);
    assert_eq!(pair.answer(&late), Some(200));
    pair.outputs[0].room = 0;
    fill(&mut pair, 0, CAPACITY - 1);
    let mut host = pair.host("a.example.com");
    (host.timeout, late.timeout) = (seconds(8), seconds(8));
    pair.post(&mut host, 1..=2);
    assert!(!pair.collector.is_reading(pair.now));
    pair.post(&mut late, 1..=1);
    assert_eq!(pair.answer_within(&late, seconds(6)), Some(503));
}

#[test]
fn a_batch_that_is_handed_back_makes_room_in_a_full_output() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    pair.outputs[0].room = 0;
    fill(&mut pair, 0, CAPACITY - 1);
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=2);
    pair.advance(seconds(54));
    assert!(is_full(&pair));
    pair.advance(seconds(1));
    assert_eq!(pair.answer(&host), Some(503));
    assert!(!is_full(&pair));
    assert!(pair.collector.is_reading(pair.now));
}

/// How often each record of a host arrived at an output.
fn most_often(pair: &Pair, output: usize) -> usize {
    let mut counts = std::collections::BTreeMap::new();
    for message in pair.outputs[output].messages() {
        *counts.entry(message).or_insert(0) += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

#[test]
fn while_one_output_is_down_for_an_hour_the_other_gets_nothing_twice() {
    let mut pair = Pair::new(&["tcp://one?replay=0", "tcp://two?replay=0"]);
    let mut hosts = ["a.example.com", "b.example.com"].map(|name| pair.host(name));
    // One batch is delivered to the first output only, when the second one fails.
    pair.outputs[1].acknowledges = false;
    pair.post(&mut hosts[0], 1..=3);
    pair.cut_output_after(1, 0);
    pair.outputs[1].reach = Reach::Refusing;
    let mut waits = [true, false];
    for _ in 0..60 {
        for (host, waits) in hosts.iter_mut().zip(&mut waits) {
            if !std::mem::replace(waits, true) {
                pair.start_post(host, 1..=3);
                pair.drive();
            }
        }
        pair.advance(seconds(60));
        for (host, waits) in hosts.iter().zip(&mut waits) {
            let answer = pair.answer(host);
            assert!(matches!(answer, None | Some(503)), "{answer:?}");
            *waits = answer.is_none();
        }
    }
    pair.outputs[1].reach = Reach::Listening;
    pair.outputs[1].acknowledges = true;
    pair.advance(seconds(60));
    for host in &mut hosts {
        assert_eq!(pair.answer(host), None);
        pair.post(host, 1..=3);
        pair.advance(seconds(1));
        assert_eq!(pair.answer(host), Some(200));
    }
    assert_eq!(pair.outputs[1].records(), [1, 2, 3, 1, 2, 3]);
    assert_eq!(most_often(&pair, 0), 1);
    assert_eq!(pair.collector.counters().events, 6);
}

#[test]
fn while_the_state_cannot_be_written_outputs_get_nothing_twice() {
    let mut pair = Pair::new(&["tcp://one?replay=0"]);
    let mut hosts = ["a", "b", "c", "d"].map(|name| pair.host(name));
    pair.store.fail_commits(usize::MAX);
    for _ in 0..20 {
        for host in &mut hosts {
            pair.post(host, 1..=3);
        }
        pair.advance(seconds(60));
        for host in &hosts {
            assert_eq!(pair.answer(host), Some(503));
        }
    }
    pair.store.fail_commits(0);
    for host in &mut hosts {
        pair.post(host, 1..=3);
        pair.advance(seconds(6));
        assert_eq!(pair.answer(host), Some(200));
    }
    assert_eq!(most_often(&pair, 0), 1);
    assert_eq!(pair.outputs[0].records().len(), 12);
}

#[test]
fn a_batch_that_arrives_too_late_counts_when_it_comes_again() {
    let mut pair = Pair::new(&["tcp://one?replay=0"]);
    let mut host = pair.host("a.example.com");
    pair.outputs[0].acknowledges = false;
    pair.post(&mut host, 1..=3);
    pair.advance(seconds(56));
    assert_eq!(pair.answer(&host), Some(503));
    // It is repeated while the first one is still in flight, and waits for that.
    pair.post(&mut host, 1..=3);
    pair.advance(seconds(56));
    assert_eq!(pair.answer(&host), Some(503));
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    pair.post(&mut host, 1..=3);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].records(), [1, 2, 3]);
    pair.post(&mut host, 1..=3);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].records().len(), 6, "an Ack ends the memory");
}

#[test]
fn a_batch_shed_on_arrival_passes_its_seal_and_the_connection_goes_on() {
    let mut pair = Pair::new(&["tcp://one?replay=0"]);
    let mut hosts: Vec<_> = (0..4)
        .map(|number| pair.host(&format!("h{number}")))
        .collect();
    pair.outputs[0].room = 10;
    pair.outputs[0].acknowledges = false;
    pair.post(&mut hosts[0], 1..=1);
    pair.advance(seconds(20));
    pair.post(&mut hosts[1], 1..=1);
    let mut late = hosts.pop().unwrap();
    pair.post(&mut late, 1..=1);
    let told = pair.answer_within(&late, seconds(55));
    assert_eq!(told, Some(503), "the output takes nothing");
    let conn = late.conn;
    pair.heartbeat(&mut late);
    assert_eq!(pair.answer(&late), Some(200), "the seal is in step");
    assert_eq!(pair.collector.counters().shed, 1);
    pair.outputs[0].room = usize::MAX;
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    pair.post(&mut late, 1..=1);
    assert_eq!((pair.answer(&late), late.conn), (Some(200), conn));
}

/// An output that accepts nothing, hosts that wait for it, and one more host.
fn stuck() -> (Pair, Vec<Host>) {
    let mut pair = Pair::new(&["tcp://one?replay=0"]);
    let mut hosts: Vec<_> = (0..22)
        .map(|number| pair.host(&format!("h{number}")))
        .collect();
    pair.outputs[0].acknowledges = false;
    for host in &mut hosts[..2] {
        host.timeout = seconds(600);
        pair.post(host, 1..=1);
    }
    pair.advance(seconds(20));
    (pair, hosts.split_off(2))
}

#[test]
fn a_crowd_is_told_at_different_times_to_come_again() {
    let (mut pair, mut hosts) = stuck();
    hosts.iter_mut().for_each(|host| pair.post(host, 1..=1));
    let start = pair.now.monotonic;
    assert_eq!(pair.collector.counters().shed, 20, "nothing of it is kept");
    let mut told = Vec::new();
    for _ in 0..55 {
        pair.advance(seconds(1));
        let count = hosts.iter().filter(|host| pair.answer(host) == Some(503));
        told.push(count.count());
    }
    assert_eq!(told.iter().sum::<usize>(), 20, "in their time: {told:?}");
    assert!(told.iter().all(|count| *count < 5), "{told:?}");
    assert!(pair.now.monotonic <= start + seconds(55));
    pair.post(&mut hosts[0], 1..=1);
    assert_eq!(pair.answer(&hosts[0]), Some(503), "from then on at once");
}

#[test]
fn whoever_is_yet_to_be_told_is_told_when_the_relay_stops() {
    let (mut pair, mut hosts) = stuck();
    hosts.iter_mut().for_each(|host| pair.post(host, 1..=1));
    let timers = pair.collector.connections.timers();
    let mut gone = hosts.pop().unwrap();
    pair.hang_up(&mut gone);
    let left = pair.collector.connections.timers();
    assert_eq!(left, timers - 2, "the connection's and the refusal's");
    pair.collector.stop(pair.now);
    pair.drive();
    assert!(hosts.iter().all(|host| pair.answer(host) == Some(503)));
}
