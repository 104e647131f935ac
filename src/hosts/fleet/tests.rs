use uuid::Uuid;

use super::*;
use crate::hosts::{Asked, HostName};

const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

fn asked(name: &str) -> Asked<'_> {
    Asked {
        id: Uuid::from_u128(1),
        name,
        heartbeat: 60,
    }
}

fn sender(machine: &str) -> HostName {
    HostName {
        identity: None,
        machine: machine.to_owned(),
        address: [192, 0, 2, 7].into(),
        method: "ntlm-anonymous",
        sid: None,
        former: [].into(),
    }
}

fn running(name: &str) -> Peer {
    Peer {
        name: name.to_owned(),
        started: NOW.saturating_sub(5000),
        age: 10,
        is_stopped: false,
    }
}

/// What a relay knows that a host came to at those times: events, and the offer before them.
fn known(
    relay: &str,
    machine: &str,
    offered: Option<UnixSeconds>,
    events: Option<UnixSeconds>,
) -> Host {
    let mut table = Table::new(NOW.saturating_sub(5000));
    let sender = sender(machine);
    if let Some(at) = offered {
        table.note_enumerated(at, &sender, &[asked("All")], ("http://relay:5985", None));
    }
    if let Some(at) = events {
        table.note_events(at, &sender, &asked("All"));
    }
    let mut host = table.iter().next().unwrap().clone();
    host.relay = Some(relay.to_owned());
    if let Some(followed) = host.subscriptions.first_mut() {
        followed.events = u64::from(events.is_some()) * 10;
    }
    host
}

fn met(relays: &[Peer], hosts: Vec<Host>) -> Met {
    Met {
        now: NOW,
        relays: relays.to_vec(),
        hosts,
        last: None,
    }
}

fn count(counts: &[(&'static str, usize)], name: &str) -> usize {
    counts.iter().find(|(of, _)| *of == name).unwrap().1
}

#[test]
fn counts_add_up_and_the_last_relay_is_known() {
    let mut host = known("a", "ws1", None, Some(NOW.saturating_sub(500)));
    host.merge(&known("b", "ws1", None, Some(NOW.saturating_sub(5))));
    host.merge(&known("c", "ws1", None, Some(NOW.saturating_sub(900))));
    assert_eq!((host.events(), host.relay.as_deref()), (30, Some("b")));
    assert_eq!(
        (host.first_seen, host.last_seen),
        (NOW.saturating_sub(900), NOW.saturating_sub(5))
    );
    assert_eq!(host.last_event(), Some(NOW.saturating_sub(5)));
}

#[test]
fn a_host_that_is_offered_here_and_delivers_there_is_not_silent() {
    let at = Moment {
        now: NOW,
        up_since: NOW.saturating_sub(5000),
    };
    let here = known("a", "ws1", Some(NOW.saturating_sub(600)), None);
    assert_eq!(here.state(at), State::Silent);
    let there = known("b", "ws1", None, Some(NOW.saturating_sub(5)));
    for (mut one, other) in [(here.clone(), there.clone()), (there.clone(), here.clone())] {
        one.merge(&other);
        assert_eq!(one.state(at), State::Active);
    }
    // Offered anew after it was heard of, and silent since.
    let there = known("b", "ws1", None, Some(NOW.saturating_sub(4000)));
    let mut host = here;
    host.merge(&there);
    assert_eq!(host.state(at), State::Silent);
}

#[test]
fn states_of_all_relays_add_up_though_a_host_was_at_each() {
    let relays = ["a", "b"].map(running);
    let hosts = |other: &str| {
        let seen = |machine, age| known(other, machine, None, Some(NOW.saturating_sub(age)));
        vec![seen("ws1", 5), seen("ws2", 50), seen("ws3", 7)]
    };
    let mut sum = 0;
    for (own, other, ages) in [("a", "b", [30, 20]), ("b", "a", [31, 21])] {
        let mut table = Table::new(NOW.saturating_sub(5000));
        for (machine, age) in ["ws1", "ws2"].iter().zip(ages) {
            table.note_events(NOW.saturating_sub(age), &sender(machine), &asked("All"));
        }
        let mut fleet = Fleet::new(own.to_owned());
        assert!(!fleet.take(NOW, met(&relays, hosts(other))));
        let overview = Overview::new(&table, Some(&fleet));
        let at = overview.moment(NOW);
        // Both see three; each counts ws2, which it has seen last by what it knows.
        assert_eq!(overview.hosts().count(), 3);
        assert_eq!(count(&overview.by_state(at), "active"), 1);
        sum += 1;
        // The other one has gone: the first that runs counts its hosts.
        let mut gone = relays.clone();
        for relay in &mut gone {
            relay.age = if relay.name == other { 500 } else { 5 };
        }
        let mut fleet = Fleet::new(own.to_owned());
        fleet.take(NOW, met(&gone, hosts(other)));
        assert_eq!(count(&fleet.by_life(NOW), "gone"), 1);
        let overview = Overview::new(&table, Some(&fleet));
        assert_eq!(count(&overview.by_state(at), "active"), 3);
    }
    assert_eq!(sum, 2);
}

#[test]
fn a_relay_is_gone_when_it_beats_no_more_and_we_never_are() {
    let mut fleet = Fleet::new("a".to_owned());
    let mut relays = ["a", "b", "c"].map(running);
    relays[2].is_stopped = true;
    fleet.take(NOW, met(&relays, Vec::new()));
    let lives = |now| {
        fleet
            .relays(now)
            .map(|relay| relay.life())
            .collect::<Vec<_>>()
    };
    assert_eq!(lives(NOW), [Life::Running, Life::Running, Life::Stopped]);
    assert_eq!(
        lives(NOW.saturating_add(GONE)),
        [Life::Running, Life::Gone, Life::Stopped]
    );
}

#[test]
fn pages_follow_each_other_and_a_whole_round_forgets_what_was_deleted() {
    let mut fleet = Fleet::new("a".to_owned());
    let relays = [running("b")];
    let first = known("b", "ws1", None, Some(NOW));
    let last = Some((Key::of(&first), "b".to_owned()));
    let page = Met {
        last: last.clone(),
        ..met(&relays, vec![first])
    };
    assert_eq!(
        (fleet.inquiry().since.get(), fleet.inquiry().after),
        (0, None)
    );
    assert!(fleet.take(NOW, page));
    assert_eq!(fleet.inquiry().after, last);
    let second = known("b", "ws2", None, Some(NOW));
    assert!(!fleet.take(NOW, met(&relays, vec![second])));
    assert_eq!(fleet.others.len(), 2);
    assert!(fleet.has_heard(&Key::new(None, "WS2"), NOW.saturating_sub(5)));
    assert!(!fleet.has_heard(&Key::new(None, "ws3"), UnixSeconds::default()));
    for _ in 1..ROUNDS {
        assert_eq!(fleet.inquiry().since, NOW.saturating_sub(OVERLAP));
        assert!(!fleet.take(NOW, met(&relays, Vec::new())));
        assert_eq!(fleet.others.len(), 2);
    }
    assert_eq!(fleet.inquiry().since.get(), 0);
    fleet.take(NOW, met(&relays, Vec::new()));
    assert_eq!(fleet.others.len(), 0);
}
