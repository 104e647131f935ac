//! The relay's wall clock jumps forward and back by years: hosts are not affected.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::AtomicBool;

use super::scene::{Scene, TIMEOUT};
use crate::support::{Ledger, Player, Random, Relay, Tally, read_reply, wait_for};

const YEAR: i64 = 365 * 86_400;

#[test]
fn hosts_deliver_across_jumps_of_the_clock() {
    let mut scene = Scene::empty("clock", |dir| format!("file:{}", dir.file("out")));
    let mut host = Player::new(1, scene.relay().port(), Random::new(1), TIMEOUT);
    let never = AtomicBool::new(false);
    let first = year(scene.relay());
    let mut last = 0;
    for years in [20, -20, 0, 1, -40] {
        scene.clock.set(years * YEAR);
        // Check that the jump was effective.
        let expected = (first + years - 1)..=(first + years + 1);
        wait_for("the jump", || {
            expected.contains(&year(scene.relay())).then_some(())
        });
        last += 100;
        host.deliver_all(last, &Ledger::default(), &never);
    }
    scene.end_relay();
    let tally = Tally::default();
    assert_eq!(super::file::read_file(&scene.dir.file("out"), &tally), 0);
    assert_eq!(tally.errors(), Vec::<String>::new());
    assert!(tally.missing(1, last).is_empty());
    assert_eq!((tally.arrivals(), tally.out_of_order()), (500, vec![]));
}

/// The year of the relay's clock.
fn year(relay: &Relay) -> i64 {
    let mut stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: c\r\n\r\n")
        .unwrap();
    let reply = read_reply(&mut stream).unwrap();
    let date = reply.header("Date").unwrap();
    date.split(' ').nth(3).unwrap().parse().unwrap()
}
