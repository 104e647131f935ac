//! A store that is slow, fails, answers in any order or not at all, and is shared with other
//! relays.

use super::host::Host;
use super::pair::{Pair, seconds};
use crate::bookmark::Key;
use crate::store::{Answer, Memory};

const NAME: &str = "a.example.com";

fn slow_pair() -> (Pair, Host) {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let host = pair.host(NAME);
    pair.is_store_slow = true;
    (pair, host)
}

#[test]
fn behind_a_slow_store_only_who_needs_it_waits() {
    let (mut pair, mut host) = slow_pair();
    pair.post(&mut host, 1..=2);
    assert_eq!(pair.answer(&host), None);
    assert_eq!(pair.outputs[0].records(), [1, 2], "delivered meanwhile");
    let mut other = Host::new("b.example.com");
    other.offered.clone_from(&host.offered);
    pair.heartbeat(&mut other);
    assert_eq!(pair.answer(&other), Some(200));
    assert!(pair.collector.troubles().is_empty());
    while !pair.jobs.is_empty() {
        pair.answer_job(0);
        pair.drive();
    }
    assert_eq!(pair.answer(&host), Some(200));
}

#[test]
fn what_comes_during_a_write_is_written_at_once_after_it() {
    let (mut pair, mut first) = slow_pair();
    pair.post(&mut first, 1..=1);
    let names = ["b.example.com", "c.example.com", "d.example.com"];
    pair.is_store_slow = false;
    let mut hosts = names.map(|name| pair.host(name));
    for host in &mut hosts {
        pair.post(host, 1..=1);
        assert_eq!(pair.answer(host), Some(200));
    }
    assert_eq!(pair.answer(&first), Some(200));
    pair.is_store_slow = true;
    pair.post(&mut first, 2..=2);
    assert_eq!(pair.jobs.len(), 1, "one write under way");
    for host in &mut hosts {
        pair.post(host, 2..=2);
    }
    assert_eq!(pair.jobs.len(), 1, "the rows of the others are known");
    let commits = pair.store.commits();
    while !pair.jobs.is_empty() {
        pair.answer_job(0);
        pair.drive();
    }
    assert_eq!(pair.store.commits(), commits + 2);
    for host in hosts.iter().chain([&first]) {
        assert_eq!(pair.answer(host), Some(200));
    }
}

#[test]
fn a_host_whose_bookmark_is_known_waits_for_one_job_only() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(NAME);
    pair.post(&mut host, 1..=1);
    assert_eq!(pair.answer(&host), Some(200));
    pair.is_store_slow = true;
    for record in 2..5 {
        pair.post(&mut host, record..=record);
        assert_eq!(pair.jobs.len(), 1);
        pair.answer_job(0);
        pair.drive();
        assert_eq!(pair.answer(&host), Some(200));
    }
}

#[test]
fn what_the_store_does_not_answer_is_handed_back_in_time() {
    let (mut pair, mut host) = slow_pair();
    pair.post(&mut host, 1..=2);
    let asking = pair.start_enumerate(&Host::new("b.example.com"));
    pair.advance(seconds(60));
    assert_eq!(pair.answer(&host), Some(503));
    assert_eq!(pair.status(asking), Some(503));
    // What is repeated is not delivered again, and waits for the same write.
    pair.post(&mut host, 1..=2);
    pair.is_store_slow = false;
    pair.drive();
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].records(), [1, 2]);
    assert!(pair.collector.is_finished());
}

#[test]
fn a_host_that_goes_away_while_the_store_is_asked_leaves_nothing() {
    let (mut pair, mut host) = slow_pair();
    let asking = pair.start_enumerate(&Host::new("b.example.com"));
    pair.post(&mut host, 1..=1);
    pair.close(asking);
    pair.hang_up(&mut host);
    pair.is_store_slow = false;
    pair.drive();
    assert!(pair.collector.is_finished());
    assert_eq!(pair.collector.questions.len(), 0);
    let key = Key::anonymous(super::pair::settings().subscriptions[0].id(), NAME).unwrap();
    assert!(pair.store.lasting(&key).is_some(), "it was delivered");
}

#[test]
fn a_commit_whose_answer_is_lost_is_settled_when_the_batch_comes_again() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host(NAME);
    pair.post(&mut host, 1..=1);
    assert_eq!(pair.answer(&host), Some(200));
    pair.is_store_slow = true;
    pair.post(&mut host, 2..=2);
    pair.lose_answer(0);
    pair.drive();
    assert_eq!(pair.answer(&host), Some(503));
    pair.is_store_slow = false;
    pair.post(&mut host, 2..=2);
    assert_eq!(pair.answer(&host), Some(200));
    pair.enumerate(&mut host);
    assert_eq!(host.handed_back(), Some(2));
}

#[test]
fn a_row_that_cannot_be_read_costs_those_that_need_it() {
    let (mut pair, mut host) = slow_pair();
    pair.post(&mut host, 1..=1);
    pair.is_store_slow = false;
    pair.drive();
    assert_eq!(pair.answer(&host), Some(200));
    pair.is_store_slow = true;
    let asking = pair.start_enumerate(&Host::new("b.example.com"));
    pair.lose_answer(0);
    pair.drive();
    assert_eq!(pair.status(asking), Some(503));
    pair.is_store_slow = false;
    pair.post(&mut host, 2..=2);
    assert_eq!(pair.answer(&host), Some(200));
}

/// Two relays with one store, which only one of them uses at a time.
struct Two {
    a: Pair,
    b: Pair,
}

impl Two {
    fn new() -> Self {
        let (mut a, mut b) = (
            Pair::new(&["tcp://receiver"]),
            Pair::new(&["tcp://receiver"]),
        );
        a.store = Memory::of_many();
        a.collector.ledger.share();
        b.collector.ledger.share();
        Self { a, b }
    }

    fn swap(&mut self) {
        std::mem::swap(&mut self.a.store, &mut self.b.store);
    }
}

#[test]
fn a_late_write_of_an_old_bookmark_does_not_replace_a_newer_one() {
    let mut two = Two::new();
    let mut at_a = two.a.host(NAME);
    two.a.post(&mut at_a, 1..=1);
    assert_eq!(two.a.answer(&at_a), Some(200));
    two.a.is_store_slow = true;
    two.a.post(&mut at_a, 2..=2);
    assert_eq!(two.a.jobs.len(), 1);
    // The host does not wait, and connects to the other one.
    two.swap();
    let mut at_b = two.b.host(NAME);
    assert_eq!(at_b.handed_back(), Some(1));
    two.b.post(&mut at_b, 2..=5);
    assert_eq!(two.b.answer(&at_b), Some(200));
    two.swap();
    two.a.is_store_slow = false;
    two.a.drive();
    assert_eq!(two.a.collector.counters().bookmark_conflicts, 1);
    two.a.enumerate(&mut at_a);
    assert_eq!(at_a.handed_back(), Some(5), "the newer one stays");
}

/// One relay has written a row, but has not received the answer yet, so the other one cannot know.
fn unheard() -> (Two, Host, Answer) {
    let mut two = Two::new();
    let mut at_a = two.a.host(NAME);
    two.a.post(&mut at_a, 1..=1);
    assert_eq!(two.a.answer(&at_a), Some(200));
    two.a.is_store_slow = true;
    two.a.post(&mut at_a, 2..=2);
    let written = two.a.do_job(0).unwrap();
    (two, at_a, written)
}

impl Two {
    /// The host continues at the other relay, which has acknowledged up to that record then.
    fn go_on_at_b(&mut self, from: u64, last: u64) {
        self.swap();
        let mut at_b = self.b.host(NAME);
        assert_eq!(at_b.handed_back(), Some(from));
        self.b.post(&mut at_b, from + 1..=last);
        assert_eq!(self.b.answer(&at_b), Some(200));
        self.swap();
    }

    /// The bookmark that a host gets at the first relay.
    fn handed_back_at_a(&mut self) -> Option<u64> {
        self.a.is_store_slow = false;
        self.a.drive();
        let mut host = self.a.host(NAME);
        self.a.enumerate(&mut host);
        host.handed_back()
    }
}

#[test]
fn what_is_read_after_another_relay_wrote_counts_more_than_an_own_write_before() {
    let (mut two, mut at_a, written) = unheard();
    two.a.hang_up(&mut at_a);
    two.go_on_at_b(2, 5);
    // The host reconnects before the answer arrives.
    let asking = two.a.start_enumerate(&at_a);
    two.a.give_answer(written);
    two.a.answer_job(0);
    two.a.drive();
    let text = two.a.peer(asking).replies.pop().unwrap().text.unwrap();
    assert!(text.contains("RecordId=\"5\""), "{text}");
}

#[test]
fn a_read_that_tells_of_an_own_write_first_is_not_counted_twice() {
    let (mut two, mut at_a, written) = unheard();
    two.a.start_enumerate(&at_a);
    two.a.answer_job(0);
    two.a.give_answer(written);
    two.a.drive();
    assert_eq!(two.a.answer(&at_a), Some(200));
    two.go_on_at_b(2, 5);
    // A late answer, to an earlier read.
    two.a.post(&mut at_a, 3..=3);
    two.a.answer_job(0);
    assert_eq!(two.a.collector.counters().bookmark_conflicts, 1);
    assert_eq!(two.handed_back_at_a(), Some(5));
}

#[test]
fn a_batch_whose_host_has_left_does_not_take_its_bookmark_back() {
    let mut two = Two::new();
    let mut at_a = two.a.host(NAME);
    two.a.post(&mut at_a, 1..=1);
    assert_eq!(two.a.answer(&at_a), Some(200));
    // On a new connection, the row must be read again.
    two.a.hang_up(&mut at_a);
    two.a.is_store_slow = true;
    two.a.post(&mut at_a, 2..=2);
    assert!(two.a.jobs[0].1.is_read());
    two.a.hang_up(&mut at_a);
    two.go_on_at_b(1, 5);
    assert_eq!(two.handed_back_at_a(), Some(5));
}

#[test]
fn rows_are_read_again_for_a_new_connection_only_if_relays_share_the_store() {
    for is_shared in [false, true] {
        let mut pair = Pair::new(&["tcp://receiver"]);
        if is_shared {
            pair.collector.ledger.share();
        }
        let mut host = pair.host(NAME);
        pair.post(&mut host, 1..=1);
        assert_eq!(pair.answer(&host), Some(200));
        pair.hang_up(&mut host);
        pair.is_store_slow = true;
        pair.post(&mut host, 2..=2);
        assert_eq!(pair.jobs[0].1.is_read(), is_shared);
    }
}

#[test]
fn what_another_commit_shows_is_committed_again_before_it_is_acknowledged() {
    let mut two = Two::new();
    let mut at_a = two.a.host(NAME);
    two.a.post(&mut at_a, 1..=1);
    assert_eq!(two.a.answer(&at_a), Some(200));
    two.a.is_store_slow = true;
    two.a.post(&mut at_a, 2..=2);
    let commits = two.a.store.commits();
    // The database was killed before its standby had the commit, and shows it nevertheless.
    two.a.do_job_unheard(0);
    two.a.answer_job(0);
    assert_eq!(two.a.collector.counters().bookmark_conflicts, 1);
    two.a.answer_job(0);
    assert_eq!(two.a.answer(&at_a), None);
    two.a.answer_job(0);
    two.a.drive();
    assert_eq!(two.a.store.commits(), commits + 2);
    assert_eq!(two.a.answer(&at_a), Some(200));
}

#[test]
fn two_first_writes_race_and_nothing_is_lost() {
    let mut two = Two::new();
    let mut at_a = two.a.host(NAME);
    two.a.is_store_slow = true;
    two.a.post(&mut at_a, 1..=1);
    two.a.answer_job(0);
    two.swap();
    let mut at_b = two.b.host(NAME);
    two.b.post(&mut at_b, 1..=3);
    assert_eq!(two.b.answer(&at_b), Some(200));
    two.swap();
    two.a.is_store_slow = false;
    two.a.drive();
    assert_eq!(two.a.answer(&at_a), Some(200), "its events are delivered");
    assert_eq!(two.a.collector.counters().bookmark_conflicts, 1);
    two.a.enumerate(&mut at_a);
    assert_eq!(at_a.handed_back(), Some(3));
}

#[test]
fn a_host_that_changes_its_relay_all_day_skips_and_repeats_nothing() {
    let mut two = Two::new();
    let mut next = 1;
    let (first, mut second) = (two.a.host(NAME), Host::new(NAME));
    second.offered.clone_from(&first.offered);
    let mut hosts = [first, second];
    for round in 0..40_u64 {
        let [a, b] = &mut hosts;
        let (pair, host) = if round % 2 == 0 {
            (&mut two.a, a)
        } else {
            (&mut two.b, b)
        };
        // It is switched off from time to time, and requests its subscription again.
        if round % 7 == 0 {
            pair.enumerate(host);
            assert_eq!(host.handed_back().unwrap_or(0) + 1, next);
        }
        pair.post(host, next..=next + 2);
        assert_eq!(pair.answer(host), Some(200));
        pair.hang_up(host);
        next += 3;
        two.swap();
    }
    let conflicts = [&two.a, &two.b].map(|pair| pair.collector.counters().bookmark_conflicts);
    assert_eq!(conflicts, [0, 0], "what one knew was old");
    two.a.enumerate(&mut hosts[0]);
    assert_eq!(hosts[0].handed_back(), Some(next - 1));
}
