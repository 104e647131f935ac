//! Names, addresses, and time limits of each step.

use std::net::SocketAddr;

use super::*;

fn look_up(scene: &mut Scene) {
    while scene.tick() != Some(Task::LookUp) {}
}

/// Advances time, deadline by deadline, until the link connects; returns the address and the time.
fn next_address(scene: &mut Scene) -> (SocketAddr, Duration) {
    let before = scene.now.monotonic;
    loop {
        if let Some(Task::Connect(address)) = scene.tick() {
            return (address, scene.now.monotonic - before);
        }
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn each_address_has_a_few_seconds_and_the_next_one_follows_at_once() {
    for url in ["tcp://h", "tls://h", "relp://h"] {
        let mut scene = scene(url);
        look_up(&mut scene);
        let all = [address(1), address(2), address(3)];
        scene.link.handle_resolved(scene.now, Ok(&all));
        assert_eq!(next_address(&mut scene), (all[0], Duration::ZERO));
        // The first address drops SYNs.
        assert_eq!(next_address(&mut scene), (all[1], seconds(3)));
        // The second one rejects the connection.
        scene.link.handle_failed(scene.now, "refused");
        assert_eq!(next_address(&mut scene), (all[2], Duration::ZERO));
        scene.link.handle_opened(scene.now);
        if url.starts_with("relp") {
            scene.settle();
        }
        assert!(scene.link.facts().up, "{url}");
        assert_eq!(scene.link.facts().trouble, None, "{url}");
    }
}

#[test]
fn an_address_that_accepts_and_says_nothing_costs_a_few_seconds_more() {
    let mut scene = scene("relp+tls://h");
    look_up(&mut scene);
    let all = [address(1), address(2), address(3)];
    scene.link.handle_resolved(scene.now, Ok(&all));
    next_address(&mut scene);
    scene.wait(seconds(2));
    // It accepts the connection, but does not support TLS.
    scene.link.handle_reached(scene.now);
    assert_eq!(next_address(&mut scene), (all[1], seconds(3)));
    // This one supports TLS, but not RELP.
    scene.link.handle_reached(scene.now);
    scene.link.handle_opened(scene.now);
    assert_eq!(next_address(&mut scene), (all[2], seconds(3)));
    scene.link.handle_opened(scene.now);
    scene.wire.clear();
    scene.settle();
    assert!(scene.link.facts().up);
}

#[test]
fn the_only_address_has_more_time() {
    let mut scene = scene("tls://192.0.2.7:6514");
    let (first, _) = next_address(&mut scene);
    assert_eq!(first, "192.0.2.7:6514".parse().unwrap());
    scene.wait(seconds(9));
    scene.link.handle_reached(scene.now);
    let before = scene.now.monotonic;
    assert_eq!(scene.tick(), Some(Task::Close));
    assert_eq!(scene.now.monotonic - before, OPENING_TIME);
    let trouble = scene.link.facts().trouble.unwrap();
    assert!(trouble.contains("is this port for TLS?"), "{trouble}");
}

#[test]
fn after_a_failure_the_next_address_comes_first_and_the_name_is_asked_anew() {
    let mut scene = scene("tcp://h");
    let all = [address(1), address(2)];
    let mut firsts = Vec::new();
    for _ in 0..4 {
        look_up(&mut scene);
        scene.link.handle_resolved(scene.now, Ok(&all));
        firsts.push(next_address(&mut scene).0);
        scene.link.handle_opened(scene.now);
        scene.link.handle_failed(scene.now, "ended");
    }
    assert_eq!(firsts, [all[0], all[1], all[0], all[1]]);
}

#[test]
fn a_round_that_reaches_nobody_pauses_and_tells_each_address_once() {
    let mut scene = scene("tcp://h");
    let all = [address(1), address(2)];
    let mut pauses = Vec::new();
    for _ in 0..3 {
        look_up(&mut scene);
        scene.link.handle_resolved(scene.now, Ok(&all));
        for _ in 0..2 {
            next_address(&mut scene);
            scene.link.handle_failed(scene.now, "refused");
        }
        pauses.push(scene.link.poll_timeout().unwrap() - scene.now.monotonic);
    }
    assert_eq!(pauses, [250, 500, 1000].map(Duration::from_millis));
    let trouble = scene.link.facts().trouble.unwrap();
    assert!(trouble.contains("192.0.2.1:601: refused"), "{trouble}");
    assert!(trouble.contains("192.0.2.2:601: refused"), "{trouble}");
}

#[test]
fn a_late_answer_is_used_as_soon_as_it_comes() {
    let mut scene = scene("tcp://h");
    look_up(&mut scene);
    let before = scene.now.monotonic;
    // Given up after a while and still pending, but not requested again.
    assert_eq!(scene.tick(), None);
    assert_eq!(scene.now.monotonic - before, seconds(10));
    assert!(scene.link.facts().trouble.unwrap().contains("name server"));
    for _ in 0..5 {
        assert_eq!(scene.tick(), None);
    }
    scene.link.handle_resolved(scene.now, Ok(&[address(1)]));
    assert_eq!(next_address(&mut scene), (address(1), Duration::ZERO));
    scene.link.handle_opened(scene.now);
    assert!(scene.link.facts().up);
}

#[test]
fn the_last_good_address_is_used_while_the_name_server_is_slow_or_fails() {
    let mut scene = scene("tcp://h");
    scene.open();
    scene.link.handle_failed(scene.now, "ended");
    look_up(&mut scene);
    // The name server does not answer.
    assert_eq!(next_address(&mut scene), (address(1), seconds(2)));
    scene.link.handle_failed(scene.now, "refused");
    // Still no answer: the lookup is not repeated.
    let (again, _) = next_address(&mut scene);
    assert_eq!(again, address(1));
    // The answer arrives while the link connects, and is used in the next round.
    scene.link.handle_resolved(scene.now, Ok(&[address(2)]));
    scene.link.handle_failed(scene.now, "refused");
    look_up(&mut scene);
    // This time the lookup fails.
    scene.link.handle_resolved(scene.now, Err("SERVFAIL"));
    assert_eq!(next_address(&mut scene), (address(2), Duration::ZERO));
}

#[test]
fn a_name_that_is_not_known_is_told_and_asked_again() {
    let mut scene = scene("tcp://h");
    for found in [Err("no such name"), Ok(&[][..])] {
        look_up(&mut scene);
        scene.link.handle_resolved(scene.now, found);
        assert!(!scene.link.facts().up);
    }
    let trouble = scene.link.facts().trouble.unwrap();
    assert_eq!(trouble, "the name has no address");
}

#[test]
fn what_has_no_address_is_opened_at_once() {
    let mut scene = scene("unix:/dev/log");
    assert_eq!(scene.tick(), Some(Task::Open));
}
