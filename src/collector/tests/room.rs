//! Shares of the room: how much strangers, or one of many sources, can take from others.

use std::net::IpAddr;
use std::time::Duration;

use super::host::Host;
use super::pair::{ADDRESS, Pair, seconds, settings};
use super::peer::End;
use crate::auth::{Certificate, Secured};
use crate::collector::{ConnId, Input, Vacancy};
use crate::connection::{Limits, RefusalKind};

const OUTPUTS: &[&str] = &["tcp://receiver"];
const MIB: usize = 1 << 20;

/// A collector with room for this many connections and handshakes.
fn narrow(connections: usize, handshakes: usize) -> Pair {
    let mut settings = settings();
    settings.rules.allow_unencrypted = true;
    let mut pair = Pair::with_settings(OUTPUTS, settings, 1);
    pair.collector.set_connection_room(connections);
    pair.collector.connections.bounds().handshakes = handshakes;
    pair
}

fn address(number: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, number])
}

/// Accepts a connection as the loop does; `None` if it has to wait.
fn accept(pair: &mut Pair, from: IpAddr, is_secure: bool) -> Option<ConnId> {
    if pair.collector.make_room(pair.now, is_secure) == Vacancy::Full {
        return None;
    }
    let conn = pair.connect_raw(from);
    if is_secure {
        let now = pair.now;
        pair.collector.expect_handshake(now, conn);
    }
    pair.drive();
    Some(conn)
}

fn open(pair: &Pair, all: &[ConnId]) -> usize {
    let is_open = |id: &&ConnId| pair.peers[id].end == End::Open;
    all.iter().filter(is_open).count()
}

fn refused(pair: &Pair, kind: RefusalKind) -> u64 {
    let refusals = &pair.collector.counters().refusals;
    refusals.get(&kind).copied().unwrap_or_default()
}

/// A connection of a host with a certificate for this name.
fn known(pair: &mut Pair, name: &str, from: IpAddr) -> ConnId {
    let conn = accept(pair, from, true).unwrap();
    let certificate = Certificate {
        name: name.into(),
        former: None,
        issuer: "AA".into(),
    };
    let secured = Secured {
        certificate: Some(certificate.into()),
        bindings: None,
    };
    pair.handle(&Input::Secured(conn, &secured));
    pair.drive();
    conn
}

/// A connection with a null session.
fn null_session(pair: &mut Pair, name: &str) -> ConnId {
    let mut host = pair.host(name);
    pair.heartbeat(&mut host);
    let conn = host.conn.unwrap();
    pair.peer(conn).session = None;
    pair.peer(conn).received.clear();
    conn
}

fn begin(pair: &mut Pair, conn: ConnId, length: usize, sent: usize) {
    let head = format!("POST /wsman HTTP/1.1\r\nHost: c\r\nContent-Length: {length}\r\n\r\n");
    pair.send(conn, head.as_bytes());
    pair.send(conn, &vec![b'x'; sent]);
}

#[test]
fn one_address_may_fill_three_quarters_and_then_has_a_share() {
    let mut pair = narrow(80, 80);
    let nat: Vec<_> = (0..60)
        .filter_map(|_| accept(&mut pair, address(1), false))
        .collect();
    pair.advance(seconds(1));
    assert_eq!(open(&pair, &nat), 60, "three quarters of 80");
    let more: Vec<_> = (0..40)
        .filter_map(|_| accept(&mut pair, address(1), false))
        .collect();
    assert_eq!((more.len(), open(&pair, &more)), (40, 40));
    assert_eq!(open(&pair, &nat), 20, "its own oldest have gone");
    assert!(open(&pair, &nat[..40]) == 0);
    assert_eq!(refused(&pair, RefusalKind::Room), 40);
    // All others are accepted.
    let others: Vec<_> = (2..=3)
        .flat_map(|from| (0..10).map(move |_| address(from)))
        .filter_map(|from| accept(&mut pair, from, false))
        .collect();
    assert_eq!((others.len(), open(&pair, &others)), (20, 20));
}

#[test]
fn many_that_come_at_once_do_not_push_each_other_out() {
    let mut pair = narrow(16, 16);
    let all: Vec<_> = (0..100)
        .filter_map(|_| accept(&mut pair, address(1), false))
        .collect();
    assert_eq!((all.len(), open(&pair, &all)), (16, 16), "the others wait");
    assert_eq!(refused(&pair, RefusalKind::Room), 0);
}

#[test]
fn whoever_has_many_goes_before_one_who_is_slow() {
    let mut pair = narrow(16, 16);
    let slow = accept(&mut pair, address(2), false).unwrap();
    let many: Vec<_> = (0..15)
        .filter_map(|_| accept(&mut pair, address(1), false))
        .collect();
    pair.advance(seconds(1));
    for number in 0..13 {
        assert!(accept(&mut pair, address(10 + number), false).is_some());
    }
    assert_eq!(open(&pair, &[slow]), 1);
    assert_eq!(open(&pair, &many), 2, "its share stays");
}

#[test]
fn a_network_of_ipv6_is_one_holder() {
    let mut pair = narrow(8, 8);
    let from = |number: u16| format!("2001:db8:1:2:{number:x}::1").parse().unwrap();
    let first: Vec<_> = (0..6)
        .filter_map(|number| accept(&mut pair, from(number), false))
        .collect();
    pair.advance(seconds(1));
    let next: Vec<_> = (6..12)
        .filter_map(|number| accept(&mut pair, from(number), false))
        .collect();
    assert_eq!((open(&pair, &first), open(&pair, &next)), (0, 6));
}

#[test]
fn in_a_full_room_the_oldest_stranger_goes_once_it_had_its_time() {
    let mut pair = narrow(8, 8);
    let host = known(&mut pair, "host.example", ADDRESS);
    let strangers: Vec<_> = (1..=7)
        .filter_map(|from| accept(&mut pair, address(from), false))
        .collect();
    assert_eq!(strangers.len(), 7);
    pair.advance(Duration::from_millis(999));
    assert_eq!(accept(&mut pair, address(9), false), None, "it waits");
    pair.advance(Duration::from_millis(1));
    let late = accept(&mut pair, address(9), false).unwrap();
    assert_eq!(pair.peer(strangers[0]).end, End::Closed);
    assert_eq!(open(&pair, &strangers), 6);
    assert_eq!(open(&pair, &[late, host]), 2);
    assert_eq!(refused(&pair, RefusalKind::Room), 1);
}

#[test]
fn hosts_that_are_let_in_stay_and_new_ones_wait() {
    let mut pair = narrow(8, 8);
    let hosts: Vec<_> = (1..=8)
        .map(|number| known(&mut pair, &format!("host{number}"), address(number)))
        .collect();
    pair.advance(seconds(60));
    assert_eq!(accept(&mut pair, address(9), false), None);
    assert_eq!(open(&pair, &hosts), 8);
    pair.close(hosts[3]);
    assert!(accept(&mut pair, address(9), false).is_some());
}

#[test]
fn an_account_has_a_share_too_and_loses_what_rests() {
    let mut pair = narrow(16, 16);
    let shared: Vec<_> = (1..=12)
        .map(|number| known(&mut pair, "shared", address(number)))
        .collect();
    assert_eq!(open(&pair, &shared), 12);
    pair.advance(seconds(30));
    begin(&mut pair, shared[0], 5000, 100);
    let more = known(&mut pair, "shared", address(13));
    assert_eq!(open(&pair, &[more, shared[0]]), 2, "one that sends stays");
    assert_eq!(pair.peer(shared[1]).end, End::Closed);
    let other = known(&mut pair, "other", address(14));
    assert_eq!(open(&pair, &[other]), 1);
    assert_eq!(open(&pair, &shared), 11);
}

#[test]
fn null_sessions_of_one_address_share_a_full_room_by_turns() {
    let mut pair = narrow(8, 8);
    let first: Vec<_> = (0..8)
        .map(|number| null_session(&mut pair, &format!("host{number}")))
        .collect();
    pair.advance(seconds(4));
    let now = pair.now;
    assert_eq!(pair.collector.make_room(now, false), Vacancy::Full);
    pair.advance(seconds(1));
    let next: Vec<_> = (8..12)
        .map(|number| {
            let now = pair.now;
            assert_ne!(pair.collector.make_room(now, false), Vacancy::Full);
            null_session(&mut pair, &format!("host{number}"))
        })
        .collect();
    assert_eq!(open(&pair, &next), 4);
    assert!(open(&pair, &first) <= 4);
}

#[test]
fn handshakes_that_are_not_done_have_a_room_of_their_own() {
    let mut pair = narrow(1000, 40);
    let all: Vec<_> = (0..30)
        .filter_map(|_| accept(&mut pair, address(1), true))
        .collect();
    pair.advance(seconds(1));
    let more: Vec<_> = (0..15)
        .filter_map(|_| accept(&mut pair, address(1), true))
        .collect();
    assert_eq!(
        (open(&pair, &all), open(&pair, &more)),
        (15, 15),
        "its own oldest"
    );
    let others: Vec<_> = (2..=11)
        .filter_map(|from| accept(&mut pair, address(from), true))
        .collect();
    assert_eq!((others.len(), open(&pair, &others)), (10, 10));
    assert!(accept(&mut pair, address(20), true).is_some());
    assert_eq!(open(&pair, &all), 14, "whoever has many goes first");
    assert!(
        accept(&mut pair, address(20), false).is_some(),
        "no TLS there"
    );
    pair.advance(seconds(1));
    let host = known(&mut pair, "host", address(21));
    assert_eq!(open(&pair, &[host]), 1);
    assert_eq!(
        pair.collector.connections.room().handshakes(),
        39,
        "the oldest has gone, one is done"
    );
}

#[test]
fn drippers_of_one_address_do_not_shut_out_honest_batches() {
    let mut pair = narrow(1000, 100);
    let large = Limits::default().http.body;
    let drippers: Vec<_> = (0..34)
        .map(|number| null_session(&mut pair, &format!("att{number}")))
        .collect();
    for dripper in &drippers {
        begin(&mut pair, *dripper, large, large - 1000);
    }
    let (bytes, _) = pair.collector.connections.room().bytes();
    assert!(bytes <= 192 * MIB, "{bytes}");
    assert!(refused(&pair, RefusalKind::Room) >= 10);
    let mut host = pair.host("honest.example.com");
    for record in 1..20 {
        pair.post(&mut host, record..=record);
        assert_eq!(pair.answer(&host), Some(200));
        for dripper in &drippers {
            pair.send(*dripper, b"x");
        }
        pair.advance(seconds(1));
    }
    assert_eq!(
        pair.collector.connections.room().bytes(),
        (0, 0),
        "none has kept its pace"
    );
}

#[test]
fn slow_bodies_of_strangers_do_not_fill_their_room() {
    let mut pair = narrow(1000, 100);
    let large = Limits::default().http.body;
    let all: Vec<_> = (0..9).map(|_| pair.connect_raw(address(1))).collect();
    for stranger in &all {
        begin(&mut pair, *stranger, large, large - 700_000);
    }
    let (_, strange) = pair.collector.connections.room().bytes();
    assert!(strange <= 48 * MIB, "{strange}");
    for _ in 0..30 {
        for stranger in &all {
            pair.send(*stranger, &[b'x'; 9000]);
        }
        let other = pair.connect_raw(address(1));
        begin(&mut pair, other, 300_000, 250_000);
        assert_eq!(pair.peer(other).end, End::Open, "the largest goes first");
        pair.close(other);
        pair.advance(seconds(1));
    }
}

#[test]
fn when_all_hold_little_the_largest_that_stalls_goes_first() {
    let mut pair = narrow(1000, 100);
    pair.collector.connections.bounds().bytes = 80_000;
    let hosts: Vec<_> = (0..10)
        .map(|number| known(&mut pair, &format!("host{number}"), address(number)))
        .collect();
    begin(&mut pair, hosts[0], 100_000, 8_000);
    begin(&mut pair, hosts[1], 100_000, 9_500);
    pair.advance(seconds(3));
    for host in &hosts[2..8] {
        begin(&mut pair, *host, 100_000, 9_900);
    }
    assert_eq!(open(&pair, &hosts), 10);
    begin(&mut pair, hosts[8], 100_000, 5_000);
    assert_eq!(
        pair.peer(hosts[1]).statuses(),
        [503],
        "the larger one that stalls"
    );
    assert_eq!(pair.peer(hosts[0]).statuses(), [0; 0]);
    assert_eq!(pair.peer(hosts[8]).statuses(), [0; 0]);
    // If no request stalls, the new one is ended.
    pair.send(hosts[0], &[b'x'; 1_900]);
    begin(&mut pair, hosts[9], 100_000, 9_000);
    assert_eq!(pair.peer(hosts[9]).statuses(), [503]);
    let statuses: Vec<_> = hosts.iter().map(|id| pair.peer(*id).statuses()).collect();
    assert_eq!(statuses.concat(), [503, 503], "{statuses:?}");
    assert_eq!(refused(&pair, RefusalKind::Room), 2);
}

#[test]
fn a_hold_of_ours_is_not_held_against_a_body() {
    let mut pair = narrow(100, 100);
    let host = known(&mut pair, "host", address(1));
    begin(&mut pair, host, 100_000, 1000);
    let start = pair.now.monotonic;
    let connection = pair.collector.connections.connection(host);
    connection.note_unread(start, start + seconds(9));
    connection.note_unread(start, start + seconds(9));
    let due = connection.poll_timeout(&Limits::default()).unwrap();
    assert_eq!(due, start + seconds(19), "ten seconds of its own, once");
    pair.advance(seconds(18));
    assert_eq!(pair.peer(host).statuses(), [0; 0]);
    pair.advance(seconds(1));
    assert_eq!(pair.peer(host).statuses(), [408]);
}

#[test]
fn what_leaves_takes_nothing_along() {
    let mut pair = narrow(100, 100);
    let mut host = Host::with_password("a.example.com", "password");
    pair.enumerate(&mut host);
    let conns: Vec<_> = (0..5)
        .filter_map(|from| accept(&mut pair, address(from), from % 2 == 0))
        .collect();
    begin(&mut pair, conns[1], 5000, 100);
    assert_ne!(pair.collector.connections.room().bytes(), (0, 0));
    conns.into_iter().for_each(|conn| pair.close(conn));
    pair.hang_up(&mut host);
    pair.advance(seconds(200));
    assert_eq!(pair.collector.connections.room().bytes(), (0, 0));
    assert_eq!(
        pair.collector.connections.room().connections(),
        pair.collector.connections.len()
    );
    assert_eq!(pair.collector.connections.room().handshakes(), 0);
}
