//! What is stored: damaged rows, limits, ages, and changes of the clock.

use std::time::Duration;

use super::host::{Host, backward_bookmark, bookmark, bookmark_event, event};
use super::pair::{Pair, seconds, settings};
use crate::bookmark::Key;
use crate::hosts::State;
use crate::store::{Condition, WITHOUT_EVENTS};
use crate::system::kept_log::warnings;

const DAY: u64 = 86_400;

fn states(pair: &Pair) -> Vec<State> {
    let at = pair.collector.moment(pair.now);
    pair.collector
        .hosts()
        .iter()
        .map(|host| host.state(at))
        .collect()
}

/// Saves what has changed, as the loop does when it is due.
fn save(pair: &mut Pair) {
    for _ in 0..100 {
        pair.save_hosts();
    }
}

fn set_clock(pair: &mut Pair, by: i64) {
    let seconds = Duration::from_secs(by.unsigned_abs());
    pair.now.wall = if by > 0 {
        pair.now.wall + seconds
    } else {
        pair.now.wall - seconds
    };
}

#[test]
fn a_row_that_cannot_be_written_costs_none_of_its_neighbours() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let names = ["a.example.com", "bad.example.com", "c.example.com"];
    let mut hosts = names.map(|name| pair.host(name));
    let id = settings().subscriptions[0].id();
    pair.store.damage(Key::anonymous(id, names[1]).unwrap());
    // Kept until all of them are delivered in one turn.
    pair.outputs[0].acknowledges = false;
    for host in &mut hosts {
        pair.post(host, 1..=3);
    }
    pair.outputs[0].acknowledges = true;
    pair.advance(seconds(1));
    let answers: Vec<_> = hosts.iter().map(|host| pair.answer(host)).collect();
    assert_eq!(answers, [Some(200), Some(503), Some(200)]);
    assert_eq!(pair.store.commits(), 1, "one transaction for the others");
    pair.store.repair();
    pair.post(&mut hosts[1], 1..=3);
    assert_eq!(pair.answer(&hosts[1]), Some(200));
    assert_eq!(pair.collector.snapshot(pair.now).damaged_rows, 1);
}

#[test]
fn what_is_wrong_with_the_state_is_told() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.store.set_condition(Condition {
        damaged: 3,
        notice: Some("3 rows".into()),
        trouble: Some("state folder: it is gone".into()),
    });
    pair.post(&mut host, 1..=1);
    let snapshot = pair.collector.snapshot(pair.now);
    assert_eq!(
        (snapshot.damaged_rows, snapshot.storing, snapshot.ready),
        (3, false, false)
    );
    assert_eq!(pair.collector.troubles(), ["state folder: it is gone"]);
    assert_eq!(pair.collector.notices(pair.now), ["3 rows"]);
    pair.store.set_condition(Condition::default());
    save(&mut pair);
    assert!(pair.collector.troubles().is_empty() && pair.collector.notices(pair.now).is_empty());
}

#[test]
fn an_empty_batch_moves_no_position_of_a_host_without_a_credential() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("victim.example.com");
    pair.post(&mut host, 98..=100);
    let mut thief = pair.host("victim.example.com");
    pair.post_of(&mut thief, &[], Some(&bookmark(9_999_999_999)));
    assert_eq!(pair.answer(&thief), Some(200));
    assert_eq!(pair.host("victim.example.com").handed_back(), Some(100));
    let events = [event("victim.example.com", 101, 0)];
    pair.post_of(&mut thief, &events, Some(&bookmark(9_999_999_999)));
    assert_eq!(pair.host("victim.example.com").handed_back(), Some(101));
    assert_eq!(pair.collector.counters().bookmarks_aside, 2);
    // An authenticated source may state its own position.
    let mut known = Host::with_password("known.example.com", "password");
    pair.enumerate(&mut known);
    pair.post(&mut known, 98..=100);
    pair.post_of(&mut known, &[], Some(&bookmark(5000)));
    pair.enumerate(&mut known);
    assert_eq!(known.handed_back(), Some(5000));
}

#[test]
fn a_host_whose_bookmark_is_not_used_is_warned_of_once_until_one_is_used() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("victim.example.com");
    pair.post(&mut host, 98..=100);
    let mut forge = |pair: &mut Pair| {
        let forged = bookmark(9_999_999_999);
        let warned = warnings(|| (0..3).for_each(|_| pair.post_of(&mut host, &[], Some(&forged))));
        assert_eq!(warned.len(), 1, "{warned:?}");
        for word in ["victim.example.com", "bookmark not used", "9999999999"] {
            assert!(warned[0].contains(word), "{word}: {warned:?}");
        }
        let used = warnings(|| pair.post(&mut host, 101..=101));
        assert_eq!(used, Vec::<String>::new());
    };
    forge(&mut pair);
    forge(&mut pair);
}

#[test]
fn where_existing_events_are_read_the_bookmark_of_event_111_is_not_handed_out() {
    let mut settings = settings();
    settings.subscriptions[0].read_existing = true;
    let mut pair = Pair::with_settings(&["tcp://receiver"], settings, 1);
    let mut host = Host::new("a.example.com");
    pair.enumerate(&mut host);
    let earliest = host.offered.clone().unwrap().bookmark;
    let events = [bookmark_event("a.example.com")];
    pair.post_of(&mut host, &events, Some(&backward_bookmark(77_777)));
    assert_eq!(pair.answer(&host), Some(200));
    pair.enumerate(&mut host);
    assert_eq!(host.offered.clone().unwrap().bookmark, earliest);
    pair.post(&mut host, 1..=2);
    pair.enumerate(&mut host);
    assert_eq!(host.handed_back(), Some(2));
}

#[test]
fn invented_names_without_events_leave_few_bookmarks_behind() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("first.example.com");
    for number in 0..WITHOUT_EVENTS + 50 {
        host.machine = format!("fake{number}");
        pair.post_of(&mut host, &[], Some(&bookmark(1)));
        assert_eq!(pair.answer(&host), Some(200));
    }
    let stored = u64::try_from(pair.store.len()).unwrap();
    assert_eq!(
        (stored, pair.collector.counters().bookmarks_crowded),
        (WITHOUT_EVENTS, 50)
    );
    // These names do not prevent a host with events, or with event 111, from storing a bookmark.
    host.machine = "real.example.com".to_owned();
    pair.post(&mut host, 1..=2);
    host.machine = "new.example.com".to_owned();
    let events = [bookmark_event("new.example.com")];
    pair.post_of(&mut host, &events, Some(&backward_bookmark(9)));
    assert_eq!(pair.host("real.example.com").handed_back(), Some(2));
    assert_eq!(pair.host("new.example.com").handed_back(), Some(9));
}

#[test]
fn bookmarks_without_room_are_warned_of_less_and_less_often() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("first.example.com");
    let mut bring = |numbers: std::ops::Range<u64>| {
        warnings(|| {
            for number in numbers {
                host.machine = format!("fake{number}");
                pair.post_of(&mut host, &[], Some(&bookmark(1)));
            }
        })
    };
    assert_eq!(bring(0..WITHOUT_EVENTS), Vec::<String>::new());
    let warned = bring(WITHOUT_EVENTS..WITHOUT_EVENTS + 50);
    // After 1, 2, 4, 8, 16, and 32 of them.
    assert_eq!(warned.len(), 6, "{warned:?}");
    for line in &warned {
        for word in ["bookmark not stored", "192.0.2.", "--anonymous"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
}

#[test]
fn states_and_lags_survive_a_clock_that_is_set() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    let interval = settings().subscriptions[0].heartbeat.as_secs();
    pair.post(&mut host, 1..=1);
    assert_eq!(pair.answer(&host), Some(200));
    let lag = |pair: &Pair| {
        let at = pair.collector.moment(pair.now);
        pair.collector
            .hosts()
            .iter()
            .next()
            .unwrap()
            .lag(at.now)
            .unwrap()
    };
    for by in [3650 * 86_400, -3650 * 86_400, 3600, -3600, -3650 * 86_400] {
        pair.advance(seconds(10));
        let before = lag(&pair);
        set_clock(&mut pair, by);
        pair.advance(seconds(1));
        assert_eq!(states(&pair), [State::Active], "{by}");
        assert_eq!(lag(&pair), before + 1, "{by}");
        // Silence is detected after the time it takes, neither immediately nor years later.
        pair.advance(seconds(4 * interval + 120));
        assert_eq!(states(&pair), [State::Lost], "{by}");
        pair.heartbeat(&mut host);
        assert_eq!(pair.answer(&host), Some(200));
        assert_eq!(states(&pair), [State::Alive], "{by}");
        pair.post(&mut host, 2..=2);
        assert_eq!(pair.answer(&host), Some(200));
    }
}

#[test]
fn what_came_while_the_clock_was_ahead_is_not_old_for_ever() {
    const YEARS: i64 = 3650 * 86_400;
    let mut pair = Pair::new(&["tcp://receiver"]);
    let lag = |pair: &Pair| {
        let at = pair.collector.moment(pair.now);
        pair.collector.hosts().iter().next().unwrap().lag(at.now)
    };
    pair.advance(seconds(1));
    set_clock(&mut pair, YEARS);
    pair.advance(seconds(1));
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=1);
    assert_eq!(pair.answer(&host), Some(200));
    assert!(lag(&pair) > Some(300_000_000));
    // A larger jump of the clock, and back.
    for by in [-2 * YEARS, YEARS] {
        set_clock(&mut pair, by);
        pair.advance(seconds(1));
    }
    assert!(lag(&pair) < Some(10), "{:?}", lag(&pair));
    pair.advance(seconds(500));
    assert!((500..510).contains(&lag(&pair).unwrap()));
}

#[test]
fn one_event_from_the_future_does_not_blind_the_lag() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    let future = event("a.example.com", 1, 0).replace("2027-01-15", "2060-01-01");
    pair.post_of(&mut host, &[future], Some(&bookmark(1)));
    pair.advance(seconds(500));
    let at = pair.collector.moment(pair.now);
    let lag = pair.collector.hosts().iter().next().unwrap().lag(at.now);
    assert_eq!(lag, Some(500));
}

#[test]
fn times_ahead_in_the_store_count_as_now_at_the_next_start() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    set_clock(&mut pair, 1_000_000_000);
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=1);
    pair.save_all_hosts();
    set_clock(&mut pair, -1_000_000_000);
    pair.restart();
    pair.load();
    pair.advance(seconds(DAY));
    assert_eq!(states(&pair), [State::Lost]);
}

/// A pair after some days in which a quiet host sends heartbeats and another one is gone.
fn after(days: u64, restarts: bool) -> Pair {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let (mut quiet, mut gone) = (
        pair.host("quiet.example.com"),
        pair.host("gone.example.com"),
    );
    pair.post(&mut quiet, 1..=1);
    pair.post(&mut gone, 1..=1);
    pair.hang_up(&mut gone);
    for _ in 0..days {
        // Nothing ages while it is down, or when the clock is set.
        if restarts {
            pair.save_all_hosts();
            pair.now = pair.now + seconds(100 * DAY);
            pair.restart();
            pair.load();
            set_clock(&mut pair, 1_000_000);
        }
        pair.hang_up(&mut quiet);
        pair.enumerate(&mut quiet);
        pair.heartbeat(&mut quiet);
        pair.advance(seconds(DAY));
        save(&mut pair);
    }
    pair
}

#[test]
fn what_was_not_heard_of_for_long_is_forgotten_and_quiet_hosts_are_not() {
    for restarts in [false, true] {
        let mut pair = after(89, restarts);
        let names = |pair: &Pair| pair.collector.hosts().len();
        assert_eq!((names(&pair), pair.store.len()), (2, 2), "{restarts}");
        pair.advance(seconds(2 * DAY));
        save(&mut pair);
        assert_eq!((names(&pair), pair.store.len()), (1, 1), "{restarts}");
        assert_eq!(pair.host("quiet.example.com").handed_back(), Some(1));
        assert_eq!(pair.host("gone.example.com").handed_back(), None);
    }
}

#[test]
fn bookmarks_of_a_renamed_subscription_are_forgotten_too() {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=1);
    let mut renamed = settings();
    renamed.subscriptions[0].name = "another".into();
    pair.collector.replace_settings(renamed);
    pair.hang_up(&mut host);
    for record in 1..=91 {
        pair.enumerate(&mut host);
        pair.post(&mut host, record..=record);
        assert_eq!(pair.answer(&host), Some(200));
        pair.hang_up(&mut host);
        pair.advance(seconds(DAY));
        save(&mut pair);
    }
    assert_eq!(pair.store.len(), 1);
    assert_eq!(pair.host("a.example.com").handed_back(), Some(91));
}

#[test]
fn nothing_is_forgotten_where_that_is_asked_for() {
    let mut never = settings();
    never.forget_after = None;
    let mut pair = Pair::with_settings(&["tcp://receiver"], never, 1);
    let mut host = pair.host("a.example.com");
    pair.post(&mut host, 1..=1);
    pair.hang_up(&mut host);
    pair.advance(seconds(400 * DAY));
    save(&mut pair);
    assert_eq!((pair.collector.hosts().len(), pair.store.len()), (1, 1));
}
