//! Two hosts with the same name, and what only resembles them.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::host::Host;
use super::pair::{Pair, seconds};
use crate::system::kept_log::warnings;

const NAME: &str = "clone.example.com";

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// Delivers batches from these addresses, each on a new connection unless it stays open; returns
/// the number of clones found, and the bookmark that hosts get at the end.
fn run(is_open: bool, batches: &[(u8, RangeInclusive<u64>)]) -> (u64, u64) {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut hosts: Vec<(u8, Host)> = Vec::new();
    for (from, records) in batches {
        if !is_open {
            hosts.iter_mut().for_each(|(_, host)| pair.hang_up(host));
        }
        let at = hosts.iter().position(|(of, _)| of == from);
        let at = at.unwrap_or_else(|| {
            let mut host = Host::new(NAME);
            host.address = address(*from);
            pair.enumerate(&mut host);
            hosts.push((*from, host));
            hosts.len() - 1
        });
        let host = &mut hosts[at].1;
        pair.post(host, records.clone());
        assert_eq!(pair.answer(host), Some(200));
        pair.advance(seconds(60));
    }
    let handed_out = pair.host(NAME).handed_back().unwrap();
    (pair.collector.counters().clones, handed_out)
}

#[test]
fn two_hosts_that_take_turns_are_clones_and_get_the_lower_bookmark() {
    for is_open in [false, true] {
        let turns = [
            (7, 100..=109),
            (8, 9000..=9009),
            (7, 110..=119),
            (8, 9010..=9019),
        ];
        assert_eq!(run(is_open, &turns[..3]), (1, 119), "{is_open}");
        assert_eq!(run(is_open, &turns), (1, 119), "said once");
        let turns = [(7, 9000..=9009), (8, 100..=109), (7, 9010..=9019)];
        assert_eq!(run(is_open, &turns), (1, 109), "{is_open}");
        let turns = [
            (8, 9000..=9009),
            (7, 100..=109),
            (8, 9010..=9019),
            (7, 110..=300),
        ];
        assert_eq!(
            run(is_open, &turns),
            (1, 300),
            "it goes on with the slower one"
        );
    }
}

#[test]
fn a_host_that_moves_is_no_clone() {
    for batches in [
        // A single change, also with a gap, or to a log that was cleared.
        &[(7, 100..=109), (8, 110..=119), (8, 120..=129)][..],
        &[(7, 100..=109), (8, 9000..=9009), (8, 9010..=9019)],
        &[(7, 9000..=9009), (8, 1..=10), (8, 11..=20)],
        // Alternating addresses: DHCP, VPN, IPv4 and IPv6; also with filtered ids, and with
        // repeats.
        &[
            (7, 100..=109),
            (8, 110..=119),
            (7, 120..=129),
            (8, 130..=139),
        ],
        &[
            (7, 100..=109),
            (8, 150..=159),
            (7, 190..=199),
            (8, 500..=509),
        ],
        &[
            (7, 100..=109),
            (8, 100..=109),
            (7, 110..=119),
            (8, 110..=119),
            (7, 120..=120),
        ],
        &[(7, 100..=109), (8, 105..=119), (7, 120..=129)],
        // A log that is cleared in between.
        &[(7, 9000..=9009), (8, 1..=10), (7, 11..=20), (8, 21..=30)],
        // Two connections from one address.
        &[(7, 100..=109), (7, 110..=119), (7, 500..=509)],
    ] {
        let (clones, handed_out) = run(false, batches);
        let last = *batches.last().unwrap().1.end();
        assert_eq!((clones, handed_out), (0, last), "{batches:?}");
    }
}

#[test]
fn two_open_connections_that_deliver_at_once_are_two_hosts_behind_one_address() {
    for wait in [0, 9, 11] {
        let mut pair = Pair::new(&["tcp://receiver"]);
        let (mut first, mut second) = (pair.host(NAME), pair.host(NAME));
        pair.post(&mut first, 100..=109);
        pair.advance(seconds(wait));
        pair.post(&mut second, 9000..=9009);
        assert_eq!(
            (pair.answer(&first), pair.answer(&second)),
            (Some(200), Some(200))
        );
        let handed_out = pair.host(NAME).handed_back();
        match wait {
            11 => assert_eq!(
                (pair.collector.counters().clones, handed_out),
                (0, Some(9009))
            ),
            _ => assert_eq!(
                (pair.collector.counters().clones, handed_out),
                (1, Some(109))
            ),
        }
        // The first one continues from its own position, on its old connection.
        pair.post(&mut first, 110..=119);
        let handed_out = pair.host(NAME).handed_back();
        assert_eq!(
            (pair.collector.counters().clones, handed_out),
            (1, Some(119))
        );
    }
}

#[test]
fn clones_are_told_and_remembered_by_the_next_relay() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let (mut first, mut second) = (pair.host(NAME), pair.host(NAME));
    pair.post(&mut first, 100..=109);
    pair.post(&mut second, 9000..=9009);
    let at = pair.collector.moment(pair.now);
    let why = pair.collector.hosts().iter().next().unwrap().why(at);
    assert!(why.unwrap().contains("two hosts have this name"));
    pair.save_all_hosts();
    pair.restart();
    pair.load();
    let mut second = pair.host(NAME);
    pair.post(&mut second, 9010..=9019);
    assert_eq!(pair.answer(&second), Some(200));
    assert_eq!(
        pair.host(NAME).handed_back(),
        Some(109),
        "the first has not come yet"
    );
    let mut first = pair.host(NAME);
    pair.post(&mut first, 110..=119);
    assert_eq!(pair.host(NAME).handed_back(), Some(119));
}

#[test]
fn a_clone_that_goes_away_is_forgotten_after_a_day() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let (mut first, mut second) = (pair.host(NAME), pair.host(NAME));
    pair.post(&mut first, 100..=109);
    pair.post(&mut second, 9000..=9009);
    pair.hang_up(&mut first);
    pair.hang_up(&mut second);
    pair.advance(seconds(86_500));
    let mut second = pair.host(NAME);
    pair.post(&mut second, 9010..=9019);
    pair.post(&mut second, 9020..=9029);
    assert_eq!(pair.host(NAME).handed_back(), Some(9029));
}

#[test]
fn clones_are_warned_of_once_with_both_addresses_and_the_remedy() {
    let turns = [
        (7, 100..=109),
        (8, 9000..=9009),
        (7, 110..=119),
        (8, 9010..=9019),
    ];
    let warned = warnings(|| assert_eq!(run(false, &turns), (1, 119)));
    assert_eq!(warned.len(), 1, "{warned:?}");
    for word in [NAME, "192.0.2.7", "192.0.2.8", "sysprep /generalize"] {
        assert!(warned[0].contains(word), "{word}: {warned:?}");
    }
}
