//! Connections: time limits, order, and access.

use super::host::Host;
use super::pair::{ADDRESS, Pair, seconds, settings};
use super::peer::End;
use crate::collector::{ConnId, Settings};
use crate::connection::{Limits, RefusalKind};
use crate::protocol::wsman::source;
use crate::system::kept_log::warnings;

const OUTPUTS: &[&str] = &["tcp://receiver"];

/// A collector that accepts unencrypted bodies, and an authenticated connection to which the test
/// writes.
fn open_connection() -> (Pair, Host, ConnId) {
    let mut settings: Settings = settings();
    settings.rules.allow_unencrypted = true;
    let mut pair = Pair::with_settings(OUTPUTS, settings, 1);
    let mut host = pair.host("a.example.com");
    pair.heartbeat(&mut host);
    let conn = host.conn.unwrap();
    pair.peer(conn).session = None;
    pair.peer(conn).received.clear();
    (pair, host, conn)
}

fn head(length: usize, headers: &str) -> Vec<u8> {
    format!(
        "POST /wsman HTTP/1.1\r\nHost: c\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n\
         Content-Length: {length}\r\n{headers}\r\n"
    )
    .into_bytes()
}

fn request(body: &str) -> Vec<u8> {
    [&head(body.len(), ""), body.as_bytes()].concat()
}

fn heartbeat(pair: &mut Pair, host: &Host) -> String {
    let message = pair.new_uuid();
    source::heartbeat(&host.sender("", message), host.reference())
}

fn events(pair: &mut Pair, host: &Host, record: u64) -> String {
    let message = pair.new_uuid();
    let event = host.event(record);
    source::events(&host.sender("", message), host.reference(), None, [&*event])
}

#[test]
fn pipelined_requests_are_answered_in_order_and_one_at_a_time() {
    let (mut pair, host, conn) = open_connection();
    pair.outputs[0].acknowledges = false;
    let (first, second) = (events(&mut pair, &host, 1), events(&mut pair, &host, 2));
    let third = source::end(pair.new_uuid(), pair.new_uuid());
    let all = [request(&first), request(&second), request(&third)].concat();
    pair.send(conn, &all);
    assert_eq!(pair.peer(conn).statuses(), [0; 0]);
    assert_eq!(
        pair.outputs[0].records(),
        [1],
        "the second is not looked at"
    );
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    assert_eq!(pair.peer(conn).statuses(), [200, 200, 204]);
    assert_eq!(pair.outputs[0].records(), [1, 2]);
}

#[test]
fn requests_cut_anywhere_are_answered_all_the_same() {
    let (mut pair, host, conn) = open_connection();
    let text = heartbeat(&mut pair, &host);
    let both = [request(&text), request(&text)].concat();
    for cut in (0..both.len()).step_by(7) {
        pair.peer(conn).received.clear();
        pair.send(conn, &both[..cut]);
        pair.send(conn, &both[cut..]);
        assert_eq!(pair.peer(conn).statuses(), [200, 200], "cut at {cut}");
    }
}

#[test]
fn a_source_that_asks_first_is_told_to_continue() {
    let (mut pair, host, conn) = open_connection();
    let text = heartbeat(&mut pair, &host);
    pair.send(conn, &head(text.len(), "Expect: 100-continue\r\n"));
    assert_eq!(pair.peer(conn).text(), "HTTP/1.1 100 Continue\r\n\r\n");
    pair.send(conn, text.as_bytes());
    assert_eq!(pair.peer(conn).statuses(), [100, 200]);
}

#[test]
fn an_idle_connection_ends_after_its_time() {
    let (mut pair, _, conn) = open_connection();
    let idle = Limits::default().idle_time;
    pair.advance(idle - seconds(1));
    assert_eq!(pair.peer(conn).end, End::Open);
    pair.advance(seconds(1));
    assert_eq!(pair.peer(conn).end, End::Closed);
    assert_eq!(pair.collector.connections.len(), 0);
}

#[test]
fn a_head_has_to_arrive_within_its_time_however_it_trickles() {
    let (mut pair, _, conn) = open_connection();
    for byte in b"POST /wsm" {
        pair.send(conn, &[*byte]);
        assert_eq!(pair.peer(conn).statuses(), [0; 0]);
        pair.advance(seconds(1));
    }
    pair.advance(seconds(1));
    assert_eq!(pair.peer(conn).statuses(), [408]);
    assert_eq!(refused(&pair, RefusalKind::Timeout), 1);
    assert_eq!(pair.peer(conn).end, End::ShutDown);
    pair.send(conn, b"an");
    pair.advance(seconds(2));
    assert_eq!(pair.peer(conn).end, End::Closed);
}

#[test]
fn a_body_comes_with_a_thousand_bytes_a_second_or_not_at_all() {
    // Bytes at a time, the interval in seconds, how often, and when the connection ends.
    for (bytes, pause, times, end) in [
        (1000, 1, 60, None),
        (9_000, 9, 10, None),
        (900, 1, 150, Some(91)),
        (1, 1, 60, Some(11)),
        (0, 1, 11, Some(10)),
        (5_000_000, 11, 1, Some(10)),
    ] {
        let (mut pair, _, conn) = open_connection();
        pair.send(conn, &head(7_000_000, ""));
        let start = pair.now.monotonic;
        let mut ended = None;
        for _ in 0..times {
            pair.send(conn, &vec![b'x'; bytes]);
            for _ in 0..pause {
                pair.advance(seconds(1));
                if ended.is_none() && pair.peer(conn).statuses() == [408] {
                    ended = Some(pair.now.monotonic.duration_since(start).as_secs());
                }
            }
        }
        assert_eq!(ended, end, "{bytes} bytes every {pause} s");
    }
}

#[test]
fn a_strangers_body_comes_at_the_pace_of_a_slow_link_or_not_at_all() {
    // Bytes per second, for how many seconds, and after how many the connection ends.
    for (pace, lasts, end) in [
        (16_000, 32, None),
        (9_000, 60, None),
        (2_000, 100, Some(40)),
        (1, 100, Some(30)),
        (500_000, 1, Some(30)),
        (9_000, 200, Some(120)),
    ] {
        let mut pair = Pair::new(OUTPUTS);
        let conn = pair.connect_raw(ADDRESS);
        pair.send(conn, &head(7_000_000, ""));
        let mut ended = None;
        for second in 1..=200 {
            if pair.peer(conn).statuses() == [408] {
                ended = Some(second - 1);
                break;
            }
            if second <= lasts {
                pair.send(conn, &vec![b'x'; pace]);
            } else if end.is_none() {
                break;
            }
            pair.advance(seconds(1));
        }
        assert_eq!(ended, end, "{pace} bytes a second for {lasts} s");
    }
}

#[test]
fn a_connection_that_is_not_authenticated_in_time_ends() {
    let mut pair = Pair::new(OUTPUTS);
    let silent = pair.connect_raw(ADDRESS);
    let asking = pair.connect_raw(ADDRESS);
    for _ in 0..6 {
        pair.advance(seconds(4));
        pair.send(asking, &head(0, ""));
    }
    assert_eq!(pair.peer(asking).statuses(), [401; 6]);
    assert!(
        pair.peer(asking)
            .text()
            .contains("WWW-Authenticate: Negotiate\r\n")
    );
    pair.advance(seconds(5));
    assert_eq!(
        (pair.peer(silent).end, pair.peer(asking).end),
        (End::Open, End::Open)
    );
    pair.advance(seconds(1));
    assert_eq!(
        (pair.peer(silent).end, pair.peer(asking).end),
        (End::Closed, End::Closed)
    );
}

#[test]
fn a_source_that_does_not_read_its_answer_is_let_go() {
    let (mut pair, host, conn) = open_connection();
    pair.peer(conn).reads = false;
    let text = heartbeat(&mut pair, &host);
    pair.send(conn, &request(&text));
    pair.advance(Limits::default().stall_time - seconds(1));
    assert_eq!(pair.peer(conn).end, End::Open);
    pair.advance(seconds(1));
    assert_eq!(pair.peer(conn).end, End::Closed);
}

#[test]
fn a_source_that_waits_for_its_ack_is_not_timed_out() {
    let (mut pair, mut host, conn) = open_connection();
    host.timeout = seconds(500);
    pair.outputs[0].acknowledges = false;
    let text = events(&mut pair, &host, 1);
    pair.send(conn, &request(&text));
    pair.advance(seconds(490));
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    assert_eq!(pair.peer(conn).statuses(), [200]);
}

#[test]
fn a_batch_that_takes_long_to_arrive_is_handed_back_before_its_source_gives_up() {
    let (mut pair, host, conn) = open_connection();
    pair.outputs[0].acknowledges = false;
    let text = events(&mut pair, &host, 1);
    send_in(&mut pair, conn, &request(&text), 30);
    pair.advance(seconds(24));
    assert_eq!(pair.peer(conn).statuses(), [0; 0]);
    pair.advance(seconds(1));
    assert_eq!(pair.peer(conn).statuses(), [503]);
}

#[test]
fn a_batch_that_comes_at_the_last_moment_is_still_delivered() {
    let (mut pair, host, conn) = open_connection();
    let text = events(&mut pair, &host, 1);
    send_in(&mut pair, conn, &request(&text), 87);
    assert_eq!(pair.peer(conn).statuses(), [200]);
}

/// Sends a request so that its last piece arrives after this many seconds: as slowly as permitted,
/// and with spaces after its text if it would be too slow otherwise.
fn send_in(pair: &mut Pair, conn: ConnId, request: &[u8], time: u64) {
    let text = String::from_utf8_lossy(request).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = usize::try_from(time * 1000).unwrap().max(body.len());
    let before = format!("Content-Length: {}", body.len());
    assert!(head.contains(&before));
    let head = head.replace(&before, &format!("Content-Length: {length}"));
    let spaces = " ".repeat(length - body.len());
    let padded = format!("{head}\r\n\r\n{body}{spaces}");
    let size = padded.len().div_ceil(usize::try_from(time).unwrap() + 1);
    for (index, piece) in padded.as_bytes().chunks(size).enumerate() {
        if index > 0 {
            pair.advance(seconds(1));
        }
        pair.send(conn, piece);
    }
}

#[test]
fn too_many_failures_block_an_address_for_a_minute() {
    let mut pair = Pair::new(OUTPUTS);
    for _ in 0..10 {
        assert_eq!(knock(&mut pair, "wrong"), [401, 401]);
    }
    assert_eq!(refused(&pair, RefusalKind::Authentication), 10);
    assert_eq!(knock(&mut pair, "password"), [401, 429]);
    let mut host = Host::with_password("b.example.com", "password");
    host.address = "198.51.100.1".parse().unwrap();
    pair.enumerate(&mut host);
    pair.advance(seconds(70));
    assert_eq!(knock(&mut pair, "password"), [401, 200]);
}

#[test]
fn failures_are_counted_by_the_whole_ipv6_network_of_a_host() {
    let mut pair = Pair::new(OUTPUTS);
    for number in 1..=10 {
        let address = format!("2001:db8:1:2:{number}::1");
        assert_eq!(knock_from(&mut pair, &address, "wrong"), [401, 401]);
    }
    let neighbour = "2001:db8:1:2:ffff:ffff:ffff:ffff";
    assert_eq!(knock_from(&mut pair, neighbour, "password"), [401, 429]);
    let stranger = "2001:db8:1:3::1";
    assert_eq!(knock_from(&mut pair, stranger, "password"), [401, 200]);
}

#[test]
fn fewer_failures_block_nobody() {
    let mut pair = Pair::new(OUTPUTS);
    for _ in 0..9 {
        assert_eq!(knock(&mut pair, "wrong"), [401, 401]);
    }
    assert_eq!(knock(&mut pair, "password"), [401, 200]);
}

#[test]
fn rubbish_locks_nobody_out() {
    let mut pair = Pair::new(OUTPUTS);
    for _ in 0..20 {
        let conn = pair.connect_raw(ADDRESS);
        let request = "POST /wsman HTTP/1.1\r\nHost: c\r\nAuthorization: Negotiate AAAA\r\n\
                       Content-Length: 0\r\n\r\n";
        pair.send(conn, request.as_bytes());
        assert_eq!(pair.peer(conn).statuses(), [401]);
        pair.close(conn);
    }
    assert_eq!(refused(&pair, RefusalKind::Authentication), 20);
    assert_eq!(knock(&mut pair, "password"), [401, 200]);
}

#[test]
fn whoever_guesses_an_account_elsewhere_does_not_lock_its_host_out() {
    let mut pair = Pair::new(OUTPUTS);
    let own = "203.0.113.7";
    assert_eq!(knock_from(&mut pair, own, "password"), [401, 200]);
    for attacker in 1..=30 {
        let address = format!("198.51.100.{attacker}");
        assert_eq!(knock_from(&mut pair, &address, "wrong"), [401, 401]);
    }
    assert_eq!(
        knock_from(&mut pair, "198.51.100.99", "password"),
        [401, 429]
    );
    assert_eq!(knock_from(&mut pair, own, "password"), [401, 200]);
    pair.advance(seconds(70));
    let address = "198.51.100.99";
    assert_eq!(knock_from(&mut pair, address, "password"), [401, 200]);
}

#[test]
fn a_certificate_is_locked_out_by_nobody() {
    let mut pair = Pair::new(OUTPUTS);
    for _ in 0..10 {
        assert_eq!(knock(&mut pair, "wrong"), [401, 401]);
    }
    let conn = pair.connect_raw(ADDRESS);
    let certificate = crate::auth::Certificate {
        name: "ws7.example.com".into(),
        former: None,
        issuer: "AA".into(),
    };
    let secured = crate::auth::Secured {
        certificate: Some(certificate.into()),
        bindings: None,
    };
    pair.handle(&crate::collector::Input::Secured(conn, &secured));
    let header =
        "Authorization: http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual\r\n";
    pair.send(conn, &head(0, header));
    assert_eq!(pair.peer(conn).statuses(), [200]);
}

#[test]
fn https_without_a_certificate_is_warned_of_once_for_each_address() {
    let mut settings: Settings = settings();
    settings.rules.auth.anonymous = Vec::new();
    settings.rules.auth.has_accounts = false;
    let mut pair = Pair::with_settings(OUTPUTS, settings, 1);
    let secured = crate::auth::Secured {
        certificate: None,
        bindings: None,
    };
    let other = std::net::IpAddr::from([192, 0, 2, 99]);
    let warned = warnings(|| {
        for from in [ADDRESS, ADDRESS, other, ADDRESS, other] {
            let conn = pair.connect_raw(from);
            pair.handle(&crate::collector::Input::Secured(conn, &secured));
            pair.send(conn, &head(0, ""));
            assert_eq!(pair.peer(conn).statuses(), [403]);
            pair.close(conn);
        }
    });
    assert_eq!(warned.len(), 2, "{warned:?}");
    for (line, address) in warned.iter().zip([ADDRESS, other]) {
        assert!(line.contains(&address.to_string()), "{line}");
        assert!(line.contains("private key"), "{line}");
    }
}

#[test]
fn https_to_an_http_port_is_shut_down_at_once_and_warned_of_once() {
    let mut pair = Pair::new(OUTPUTS);
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let warned = warnings(|| {
        for _ in 0..3 {
            let conn = pair.connect_raw(ADDRESS);
            pair.send(conn, hello);
            assert_eq!(pair.peer(conn).end, End::ShutDown);
        }
    });
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("TLS on a port for plain HTTP"),
        "{warned:?}"
    );
}

fn knock_from(pair: &mut Pair, address: &str, password: &str) -> Vec<u16> {
    let mut host = Host::with_password("a.example.com", password);
    host.address = address.parse().unwrap();
    knock_as(pair, &host)
}

fn knock(pair: &mut Pair, password: &str) -> Vec<u16> {
    knock_as(pair, &Host::with_password("a.example.com", password))
}

/// Enumerates on a new connection. Returns all statuses.
fn knock_as(pair: &mut Pair, host: &Host) -> Vec<u16> {
    let conn = pair.connect_client(host, "/wsman/SubscriptionManager/WEC");
    let message = pair.new_uuid();
    pair.call(conn, &source::enumerate(&host.sender("", message)));
    let statuses = pair.peer(conn).statuses();
    pair.close(conn);
    statuses
}

#[test]
fn anonymous_hosts_come_in_only_from_their_networks() {
    let mut pair = Pair::new(OUTPUTS);
    let mut host = Host::new("a.example.com");
    host.address = "198.51.100.1".parse().unwrap();
    let conn = pair.connect_client(&host, "/wsman");
    let message = pair.new_uuid();
    pair.call(conn, &source::enumerate(&host.sender("", message)));
    assert_eq!(pair.peer(conn).statuses(), [401, 401]);
    assert!(pair.peer(conn).broken);
}

#[test]
fn what_comes_after_the_end_is_thrown_away() {
    let mut pair = Pair::new(OUTPUTS);
    let short = pair.connect_raw(ADDRESS);
    pair.send(short, b"no http\r\n\r\n");
    assert_eq!(pair.peer(short).statuses(), [400]);
    for _ in 0..4 {
        pair.send(short, &[b'x'; 16 << 10]);
    }
    assert_eq!(pair.collector.connections.room().bytes(), (0, 0));
    assert_eq!(pair.peer(short).end, End::ShutDown);
    pair.advance(seconds(2));
    assert_eq!(pair.peer(short).end, End::Closed, "after two seconds");
    let long = pair.connect_raw(ADDRESS);
    pair.send(long, b"no http\r\n\r\n");
    pair.send(long, &[b'x'; 64 << 10]);
    assert_eq!(pair.peer(long).end, End::ShutDown);
    pair.send(long, b"x");
    assert_eq!(pair.peer(long).end, End::Closed, "after 64 KiB");
}

#[test]
fn a_refused_handshake_leaves_time_for_its_alert() {
    let mut pair = Pair::new(OUTPUTS);
    let conn = pair.connect_raw(ADDRESS);
    let (now, why) = (pair.now, "no certificate");
    pair.collector.expect_handshake(now, conn);
    pair.handle(&crate::collector::Input::Refused(
        conn,
        RefusalKind::Tls,
        why,
    ));
    pair.drive();
    assert_eq!(refused(&pair, RefusalKind::Tls), 1);
    assert_eq!(pair.peer(conn).end, End::ShutDown);
    pair.send(conn, b"\x16\x03\x03");
    pair.advance(seconds(2));
    assert_eq!(pair.peer(conn).end, End::Closed);
    assert_eq!(pair.peer(conn).received, b"");
}

fn refused(pair: &Pair, kind: RefusalKind) -> u64 {
    let refusals = &pair.collector.counters().refusals;
    refusals.get(&kind).copied().unwrap_or_default()
}

#[test]
fn a_connection_has_one_timer_however_long_it_lives() {
    let mut pair = Pair::new(OUTPUTS);
    let mut host = pair.host("a.example.com");
    for record in 1..100 {
        pair.post(&mut host, record..=record);
        assert_eq!(pair.answer(&host), Some(200));
        pair.advance(seconds(61));
    }
    assert_eq!(pair.collector.connections.timers(), 1);
    pair.hang_up(&mut host);
    assert_eq!(pair.collector.connections.timers(), 0);
}
