use super::refusals::Refusals;
use super::*;
use crate::base::clock::{FileTime, Now, UnixSeconds};
use crate::bookmark::{BatchFacts, Stored};
use crate::windows::remedies;

const HEARTBEAT: u32 = 60;
/// Where to deliver, without a bookmark to go on from.
const OFFER: (&str, Option<std::time::Duration>) = ("http://relay:5985", None);

fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds)
}

fn asked() -> Asked<'static> {
    Asked {
        id: Uuid::from_u128(1),
        name: "all",
        heartbeat: HEARTBEAT,
    }
}

fn sender() -> HostName {
    HostName {
        identity: Some("WEB1$@ACME.TEST".into()),
        machine: "Web1.acme.test".into(),
        address: [192, 0, 2, 7].into(),
        method: "kerberos",
        sid: None,
        former: [].into(),
    }
}

fn state(table: &Table, now: u64) -> State {
    table.iter().next().unwrap().state(table.moment(at(now)))
}

fn stored(id: u64, weak: bool) -> Stored {
    let xml = format!("<BookmarkList><Bookmark Channel='X' RecordId='{id}'/></BookmarkList>");
    Stored::parse(&xml, weak).unwrap()
}

fn facts(ids: &[u64]) -> BatchFacts {
    let mut facts = BatchFacts::new();
    ids.iter().for_each(|id| facts.note("X", *id, None));
    facts
}

/// Sums and place of the gaps after these batches, each with the bookmark before it.
fn gaps(batches: &[(Option<Stored>, &[u64])]) -> Vec<(u64, u64, u64, u64)> {
    let mut table = Table::new(at(0));
    let whole = ["x".to_owned()];
    for (before, ids) in batches {
        let key = table.note_events(at(9), &sender(), &asked()).unwrap();
        let count = u64::try_from(ids.len()).unwrap();
        let (facts, before) = (facts(ids), before.as_ref());
        table.note_acknowledged(at(9), &key, asked().id, (count, &facts), (before, &whole));
    }
    let host = table.iter().next().unwrap();
    let gaps = host.subscriptions.iter().flat_map(|s| &s.gaps);
    gaps.map(|g| (g.count, g.missing, g.from, g.to)).collect()
}

#[test]
fn a_host_ages_from_active_to_lost() {
    let mut table = Table::new(at(0));
    table.note_events(at(1000), &sender(), &asked());
    assert_eq!(state(&table, 1010), State::Active);
    table.note_heartbeat(at(1070), &sender(), &asked());
    assert_eq!(state(&table, 1100), State::Alive);
    assert_eq!(state(&table, 1070 + 76), State::Late);
    assert_eq!(state(&table, 1070 + 3 * 60 + 16), State::Lost);
}

#[test]
fn a_relay_that_was_down_does_not_call_its_hosts_lost_at_once() {
    let mut before = Table::new(at(0));
    before.note_heartbeat(at(1000), &sender(), &asked());
    let mut table = Table::new(at(90_000));
    table.load(before.iter().cloned().collect(), 0);
    assert_eq!(state(&table, 90_010), State::Alive);
    assert_eq!(state(&table, 90_500), State::Lost);
}

#[test]
fn who_fetches_and_sends_nothing_is_silent_until_it_sends() {
    let mut table = Table::new(at(0));
    table.note_enumerated(at(1000), &sender(), &[asked()], OFFER);
    assert_eq!(state(&table, 1300), State::Waiting);
    // It refreshes: that is no sign of life of the subscription.
    table.note_enumerated(at(1290), &sender(), &[asked()], OFFER);
    assert_eq!(state(&table, 1301), State::Silent);
    let host = table.iter().next().unwrap();
    let why = host.why(table.moment(at(1301))).unwrap();
    assert!(why.contains("Event Log Readers"), "{why}");
    table.note_heartbeat(at(1302), &sender(), &asked());
    assert_eq!(state(&table, 1303), State::Alive);
}

#[test]
fn what_a_host_said_at_its_end_is_why_it_is_lost() {
    let mut table = Table::new(at(0));
    table.note_heartbeat(at(1000), &sender(), &asked());
    let end = (Some(5004), "SourceCancelling, error 5004");
    table.note_ended(at(1001), &sender(), Some(&asked()), end);
    let host = table.iter().next().unwrap();
    let why = host.why(table.moment(at(9000))).unwrap();
    assert!(
        why.contains("5004") && why.contains("Event Log Readers"),
        "{why}"
    );
}

#[test]
fn gaps_are_between_batches_and_within() {
    assert_eq!(gaps(&[(None, &[7, 8, 9])]), []);
    assert_eq!(gaps(&[(Some(stored(6, false)), &[7, 8])]), []);
    assert_eq!(gaps(&[(Some(stored(4, false)), &[7, 8])]), [(1, 2, 5, 6)]);
    assert_eq!(gaps(&[(None, &[7, 10, 11])]), [(1, 2, 8, 9)]);
    let both: &[(Option<Stored>, &[u64])] = &[
        (Some(stored(4, false)), &[7, 10]),
        (Some(stored(10, false)), &[12]),
    ];
    assert_eq!(gaps(both), [(3, 5, 11, 11)]);
}

#[test]
fn what_comes_again_or_begins_anew_is_no_gap() {
    assert_eq!(gaps(&[(Some(stored(9, false)), &[7, 9])]), []);
    assert_eq!(gaps(&[(Some(stored(5000, false)), &[1, 2])]), []);
    // The bookmark of event 111 names the end of the log, not what was read.
    assert_eq!(gaps(&[(Some(stored(4, true)), &[7, 8])]), []);
}

#[test]
fn only_what_has_changed_is_stored_and_once() {
    let mut table = Table::new(at(0));
    table.note_heartbeat(at(1), &sender(), &asked());
    table.note_heartbeat(at(2), &sender(), &asked());
    let keys = table.take_dirty(10);
    assert_eq!((keys.len(), table.is_dirty()), (1, false));
    table.put_back(&keys);
    assert_eq!(table.take_dirty(10).len(), 1);
}

fn moment() -> Now {
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let monotonic = std::time::Instant::now();
    let wall = std::time::SystemTime::UNIX_EPOCH;
    Now { monotonic, wall }
}

/// Saves some of the changes. Returns how many hosts that were, and whether more has to be saved
/// at once.
fn save(registry: &mut Registry, now: Now) -> Option<(usize, bool)> {
    let changes = registry.take_changes(now)?;
    let is_all = registry.note_saved(now, &Ok::<_, String>(1));
    Some((changes.hosts.len(), !is_all))
}

#[test]
fn a_round_of_saving_ends_although_hosts_change_all_the_time() {
    let now = moment();
    let mut registry = Registry::new(now, &[], None);
    let post = |registry: &mut Registry, number: u64| {
        let machine = format!("web{number}");
        let name = HostName {
            machine,
            ..sender()
        };
        registry.table_mut().note_events(at(1), &name, &asked());
    };
    (0..250).for_each(|number| post(&mut registry, number));
    assert_eq!(save(&mut registry, now), Some((200, true)));
    (0..30).for_each(|number| post(&mut registry, number));
    assert_eq!(save(&mut registry, now), Some((50, false)));
    assert_eq!(save(&mut registry, now), Some((30, false)));
    assert_eq!(save(&mut registry, now), None);
}

#[test]
fn what_changes_while_the_relay_stops_is_saved_and_that_it_stops() {
    let now = moment();
    let mut registry = Registry::new(now, &[], None);
    registry
        .table_mut()
        .note_heartbeat(at(1), &sender(), &asked());
    let before = registry.take_changes(now).unwrap();
    registry.end();
    assert!(!registry.note_saved(now, &Ok::<_, String>(1)) && registry.awaits_end());
    let last = registry.take_changes(now).unwrap();
    registry
        .table_mut()
        .note_heartbeat(at(2), &sender(), &asked());
    assert!(!registry.note_saved(now, &Ok::<_, String>(1)) && registry.awaits_end());
    assert_eq!(
        [&before, &last].map(|changes| changes.pulse.is_stopped),
        [false, true]
    );
    assert_eq!(save(&mut registry, now), Some((1, false)));
    assert!(!registry.awaits_end());
}

#[test]
fn refusals_are_counted_and_bounded() {
    let refusal = |number: u32| Refusal {
        address: std::net::Ipv4Addr::from(number).into(),
        kind: "authentication".into(),
        method: None,
        identity: None,
        status: 401,
        reason: "wrong\u{1b}password".into(),
        count: 1,
        first: at(number.into()),
        last: at(number.into()),
    };
    let mut refusals = Refusals::default();
    for number in 0..2000 {
        refusals.note(refusal(number));
    }
    refusals.note(refusal(1999));
    assert_eq!(refusals.iter().count(), MOST_REFUSALS);
    assert!(refusals.iter().all(|refusal| refusal.first >= at(1000)));
    let last = refusals.iter().find(|refusal| refusal.first == at(1999));
    let last = last.unwrap();
    assert_eq!((last.count, last.reason.as_str()), (2, "wrong password"));
}

#[test]
fn each_cause_of_an_address_is_kept_and_none_pushes_out_others() {
    let refusal = |address: u8, reason: &str, last| Refusal {
        address: [192, 0, 2, address].into(),
        kind: "tls".into(),
        method: None,
        identity: None,
        status: 0,
        reason: reason.into(),
        count: 1,
        first: at(last),
        last: at(last),
    };
    let mut refusals = Refusals::default();
    refusals.note(refusal(
        1,
        "client certificate a.example: certificate revoked",
        1,
    ));
    refusals.note(refusal(
        1,
        "client certificate b.example: certificate has expired",
        2,
    ));
    refusals.note(refusal(
        1,
        "client certificate c.example: certificate revoked",
        3,
    ));
    let mut counts: Vec<_> = refusals.iter().map(|refusal| refusal.count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
    for number in 0..2000 {
        let word: String = format!("{number:b}").replace('0', "a").replace('1', "b");
        refusals.note(refusal(2, &word, 10));
    }
    assert!(refusals.iter().count() < 30);
    assert!(refusals.iter().any(|refusal| refusal.count == 2));
}

#[test]
fn a_long_reason_is_known_again_after_a_restart() {
    let refusal = || Refusal {
        address: [192, 0, 2, 1].into(),
        kind: "soap".into(),
        method: None,
        identity: None,
        status: 400,
        reason: "not well-formed ".repeat(200),
        count: 1,
        first: at(1),
        last: at(1),
    };
    let (mut before, mut refusals) = (Refusals::default(), Refusals::default());
    before.note(refusal());
    refusals.load(before.iter().cloned().collect());
    refusals.note(refusal());
    let counts: Vec<_> = refusals.iter().map(|refusal| refusal.count).collect();
    assert_eq!(counts, [2]);
}

/// A host that has taken these reports: event, subject, text.
fn reporting(reports: &[(u16, &str, &str)]) -> Table {
    let mut table = Table::new(at(0));
    let key = table.note_events(at(9), &sender(), &asked()).unwrap();
    for (created, (event, subject, message)) in (1..).zip(reports) {
        let report = Report {
            created: FileTime::new(created),
            event: *event,
            data: &[("Subject", *subject)],
            message,
        };
        table.note_report(&key, &report);
        // As a batch that comes again.
        table.note_report(&key, &report);
    }
    table
}

fn reported(table: &Table) -> Vec<(u16, Option<u32>, u64)> {
    let reports = table.iter().next().unwrap().reports.iter();
    reports.map(|r| (r.event, r.code, r.count)).collect()
}

#[test]
fn reports_are_kept_until_the_host_says_that_it_is_over() {
    let denied = (102, "all", "cannot be created. The error code is 5004.");
    let away = (105, "http://a", "Error code is 0x80338126 and more");
    let table = reporting(&[denied, away, denied]);
    assert_eq!(
        reported(&table),
        [(105, Some(0x8033_8126), 1), (102, Some(5004), 2)]
    );
    let table = reporting(&[denied, away, (104, "http://a", ""), (100, "other", "")]);
    assert_eq!(reported(&table), [(102, Some(5004), 1)]);
    assert!(reported(&reporting(&[denied, (100, "ALL", "")])).is_empty());
}

#[test]
fn a_report_says_why_a_host_is_silent_and_what_a_living_one_cannot_read() {
    let away = (105, "http://a", "Error code is 12029.");
    let table = reporting(&[away]);
    let host = table.iter().next().unwrap();
    assert_eq!(host.why(table.moment(at(10))), None);
    let why = host.why(table.moment(at(9999))).unwrap();
    assert!(why.contains("event 105, error 12029"), "{why}");
    assert!(
        why.contains(remedies::code(12029).unwrap().meaning),
        "{why}"
    );
    let table = reporting(&[away, (101, "all", "")]);
    let why = table
        .iter()
        .next()
        .unwrap()
        .why(table.moment(at(10)))
        .unwrap();
    assert!(why.contains("channels of its subscription"), "{why}");
}

#[test]
fn the_subscription_for_reports_does_not_make_a_silent_host_alive() {
    let mut table = Table::new(at(0));
    let reports = Asked {
        id: Uuid::from_u128(2),
        name: crate::protocol::wsman::subscribe::SELF_REPORTS,
        heartbeat: 3600,
    };
    let offered = [asked(), reports];
    table.note_enumerated(at(0), &sender(), &offered, OFFER);
    table.note_heartbeat(at(9), &sender(), &reports);
    assert_eq!(state(&table, 301), State::Silent);
    table.note_heartbeat(at(302), &sender(), &asked());
    assert_eq!(state(&table, 303), State::Alive);
}

#[test]
fn a_host_of_a_former_name_goes_on_under_its_new_one() {
    let former = HostName {
        identity: Some("ACME\\WEB1$".into()),
        ..sender()
    };
    let mut before = Table::new(at(0));
    before.note_events(at(5), &former, &asked()).unwrap();
    let hosts: Vec<_> = before.iter().cloned().collect();
    let mut table = Table::new(at(100));
    table.load(hosts, 0);
    let renamed = HostName {
        former: ["ACME\\web1$".to_owned()].into(),
        ..sender()
    };
    // What calls itself otherwise is another host.
    let other = HostName {
        machine: "web2".into(),
        ..renamed.clone()
    };
    table.note_heartbeat(at(110), &other, &asked());
    assert!(table.make_room().is_empty());
    let key = table.note_events(at(120), &renamed, &asked()).unwrap();
    assert_eq!(table.len(), 2);
    let host = table.get(&key).unwrap();
    assert_eq!((host.first_seen, host.last_seen), (at(5), at(120)));
    assert_eq!(host.identity, renamed.identity);
    // The store has it under the new key only.
    assert!(table.is_dirty());
    let gone = table.make_room();
    assert_eq!(
        gone,
        [Rc::new(Key::new(
            former.identity.as_deref(),
            &former.machine
        ))]
    );
    assert!(table.take_dirty(9).contains(&key));
    // One that came by that name since the start keeps it.
    table.note_events(at(130), &former, &asked());
    table.note_events(at(140), &renamed, &asked());
    assert_eq!(table.len(), 3);
    assert!(table.make_room().is_empty());
}

#[test]
fn a_host_that_sends_nothing_is_reported_once() {
    let mut table = Table::new(at(0));
    let silent = |table: &mut Table, now| table.report_silent(at(now), |_, _| false);
    table.note_enumerated(at(1000), &sender(), &[asked()], OFFER);
    assert_eq!(silent(&mut table, 1299), 0);
    assert_eq!(silent(&mut table, 1300), 1);
    table.note_enumerated(at(1301), &sender(), &[asked()], OFFER);
    assert_eq!(silent(&mut table, 9000), 0, "that was told");
    table.note_heartbeat(at(9001), &sender(), &asked());
    table.note_enumerated(at(9002), &sender(), &[asked()], OFFER);
    assert_eq!(silent(&mut table, 99_000), 0, "it has sent something once");
}

#[test]
fn a_host_that_goes_on_from_a_bookmark_has_time_until_its_heartbeat() {
    let mut table = Table::new(at(0));
    let heartbeat = std::time::Duration::from_secs(3600);
    let offer = (OFFER.0, Some(heartbeat));
    table.note_enumerated(at(1000), &sender(), &[asked()], offer);
    assert_eq!(table.report_silent(at(1000 + 3659), |_, _| false), 0);
    assert_eq!(table.report_silent(at(1000 + 3660), |_, _| false), 1);
}

#[test]
fn a_host_that_another_relay_has_heard_is_not_silent() {
    let mut table = Table::new(at(0));
    table.note_enumerated(at(1000), &sender(), &[asked()], OFFER);
    let is_heard = |key: &Key, since| *key == sender().key() && since == at(1000);
    assert_eq!(table.report_silent(at(2000), is_heard), 0);
    assert_eq!(table.report_silent(at(3000), |_, _| false), 0);
}

#[test]
fn neither_a_clock_that_is_set_nor_reports_end_the_wait_for_a_host() {
    let mut table = Table::new(at(0));
    table.note_enumerated(at(1000), &sender(), &[asked()], OFFER);
    table.shift(50_000);
    assert_eq!(table.report_silent(at(51_299), |_, _| false), 0);
    let reports = Asked {
        name: crate::protocol::wsman::subscribe::SELF_REPORTS,
        ..asked()
    };
    table.note_events(at(51_299), &sender(), &reports);
    assert_eq!(table.report_silent(at(51_300), |_, _| false), 1);
}

#[test]
fn a_host_without_a_subscription_is_news_once_and_after_each_reload() {
    let mut table = Table::new(at(0));
    assert!(table.note_refused(at(1), &sender(), "no subscription"));
    assert!(!table.note_refused(at(2), &sender(), "no subscription"));
    table.forget_refused();
    assert!(table.note_refused(at(3), &sender(), "no subscription"));
    // It was let in meanwhile.
    table.note_enumerated(at(4), &sender(), &[asked()], OFFER);
    assert!(table.note_refused(at(5), &sender(), "no subscription"));
    let mut next = Table::new(at(10));
    next.load(table.iter().cloned().collect(), 0);
    let is_news = next.note_refused(at(11), &sender(), "no subscription");
    assert!(is_news, "after a restart, too");
}
