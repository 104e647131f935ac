//! Sources behind a load balancer.

use std::net::{IpAddr, Ipv4Addr};

use super::host::Host;
use super::pair::{ADDRESS, Pair, seconds, settings};
use super::peer::End;
use crate::collector::{ConnId, Input};
use crate::connection::{Limits, RefusalKind};
use crate::protocol::wsman::source;

const OUTPUTS: &[&str] = &["tcp://receiver"];
const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 4));
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

fn pair() -> Pair {
    let mut settings = settings();
    settings.balancers = vec![BALANCER.into()];
    Pair::with_settings(OUTPUTS, settings, 1)
}

/// Enumerates on a connection of the balancer with `source` in its PROXY header. Returns all
/// statuses.
fn knock(pair: &mut Pair, mut host: Host, source: Option<IpAddr>) -> Vec<u16> {
    host.address = BALANCER;
    let conn = pair.connect_client(&host, "/wsman/SubscriptionManager/WEC");
    assert!(pair.collector.awaits_proxy(conn));
    pair.handle(&Input::Proxied(conn, source));
    assert!(!pair.collector.awaits_proxy(conn));
    let message = pair.new_uuid();
    pair.call(conn, &source::enumerate(&host.sender("", message)));
    let statuses = pair.peer(conn).statuses();
    pair.close(conn);
    statuses
}

fn refused(pair: &Pair, kind: RefusalKind) -> u64 {
    let refusals = &pair.collector.counters().refusals;
    refusals.get(&kind).copied().unwrap_or_default()
}

#[test]
fn the_source_that_the_balancer_names_is_let_in_or_not() {
    let mut pair = pair();
    let host = || Host::new("a.example.com");
    assert_eq!(knock(&mut pair, host(), Some(ADDRESS)), [401, 200]);
    assert_eq!(knock(&mut pair, host(), Some(OUTSIDE)), [401, 401]);
    // The balancer itself is not a host of 192.0.2.0/24.
    assert_eq!(knock(&mut pair, host(), None), [401, 401]);
}

#[test]
fn failures_count_for_the_source_and_not_for_the_balancer() {
    let mut pair = pair();
    let host = |password| Host::with_password("a.example.com", password);
    for _ in 0..10 {
        assert_eq!(knock(&mut pair, host("wrong"), Some(OUTSIDE)), [401, 401]);
    }
    assert_eq!(
        knock(&mut pair, host("password"), Some(OUTSIDE)),
        [401, 429]
    );
    assert_eq!(
        knock(&mut pair, host("password"), Some(ADDRESS)),
        [401, 200]
    );
}

#[test]
fn a_header_that_does_not_come_ends_the_connection_without_an_answer() {
    let mut pair = pair();
    let silent: Vec<ConnId> = (0..2).map(|_| pair.connect_raw(BALANCER)).collect();
    let wait = Limits::default().head_time;
    pair.advance(wait - seconds(1));
    assert!(silent.iter().all(|id| pair.peers[id].end != End::Closed));
    pair.advance(seconds(1));
    assert_eq!(refused(&pair, RefusalKind::Proxy), 2);
    for id in silent {
        assert_eq!(pair.peer(id).end, End::Closed);
        assert_eq!(pair.peer(id).received, b"");
    }
}

#[test]
fn a_health_check_that_only_connects_is_no_refusal() {
    let mut pair = pair();
    let bare = pair.connect_raw(BALANCER);
    pair.close(bare);
    let local = pair.connect_raw(BALANCER);
    pair.handle(&Input::Proxied(local, None));
    pair.close(local);
    assert_eq!(refused(&pair, RefusalKind::Proxy), 0);
}

#[test]
fn a_header_from_anywhere_else_is_refused() {
    let mut pair = pair();
    let headers: [&[u8]; 2] = [
        b"PROXY TCP4 192.0.2.8 192.0.2.1 50123 5985\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc0\0\x02\x01\xc3\xcb\x17\x61",
    ];
    for header in headers {
        let conn = pair.connect_raw(ADDRESS);
        pair.send(conn, header);
        assert_eq!(pair.peer(conn).statuses(), [400]);
    }
    assert_eq!(refused(&pair, RefusalKind::Proxy), 2);
    assert_eq!(refused(&pair, RefusalKind::Http), 0);
}
