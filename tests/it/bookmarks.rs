//! Bookmarks: the positions from which sources resume, across restarts and crashes, and in
//! cases that could cause a source to skip events.

use crate::support::{Relay, TempDir, numbered_event, run, wait_for};

const MACHINE: &str = "ws-07.example.test";

/// Event 111, which a source without a bookmark sends first.
const EVENT_111: &str = "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\">\
    <System><Provider Name=\"Microsoft-Windows-EventForwarder\"/><EventID>111</EventID>\
    <TimeCreated SystemTime=\"2025-03-11T08:00:00.000Z\"/><Computer>ws-07.example.test</Computer>\
    </System><SubscriptionBookmarkEvent><SubscriptionId></SubscriptionId></SubscriptionBookmarkEvent></Event>";

#[test]
fn the_last_bookmark_is_handed_back() {
    let dir = TempDir::new();
    let relay = start(0, &dir);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    assert_eq!(offer.record, None, "a bookmark from nowhere");
    for record in [11, 12, 13] {
        let event = numbered_event(usize::try_from(record).unwrap());
        assert!(source.deliver(&offer, &[event], record));
    }
    assert_eq!(source.subscribe().record, Some(13));
}

#[test]
fn bookmarks_and_versions_survive_a_restart() {
    let dir = TempDir::new();
    let mut relay = start(0, &dir);
    let mut source = relay.source(MACHINE);
    let before = source.subscribe();
    assert!(source.deliver(&before, &[numbered_event(41)], 41));
    assert!(relay.process.terminate().success());
    let relay = start(relay.port(), &dir);
    let after = relay.source(MACHINE).subscribe();
    assert_eq!(after.record, Some(41));
    let same = crate::support::Offer {
        record: before.record,
        ..after
    };
    assert_eq!(same, before, "the source would drop its subscription");
}

#[test]
fn what_was_acknowledged_before_a_crash_is_not_asked_for_again() {
    let dir = TempDir::new();
    let mut relay = start(0, &dir);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    let mut acknowledged = 0;
    for record in 1..=5 {
        for step in 0..20 {
            let record = record * 100 + step;
            let event = numbered_event(usize::try_from(record).unwrap());
            if source.deliver(&offer, &[event], record) {
                acknowledged = record;
            }
        }
        relay.process.kill();
        let port = relay.port();
        drop(relay);
        relay = start(port, &dir);
        source.disconnect();
        // Data that the kernel has survives SIGKILL, so the last commit counts.
        assert_eq!(relay.source(MACHINE).subscribe().record, Some(acknowledged));
    }
}

#[test]
fn each_source_has_its_own_bookmark() {
    let dir = TempDir::new();
    let relay = start(0, &dir);
    for (machine, record) in [("ws-01.example.test", 5), ("ws-02.example.test", 9)] {
        let mut source = relay.source(machine);
        let offer = source.subscribe();
        assert_eq!(offer.record, None);
        assert!(source.deliver(&offer, &[numbered_event(0)], record));
    }
    assert_eq!(
        relay.source("ws-01.example.test").subscribe().record,
        Some(5)
    );
    assert_eq!(
        relay.source("ws-02.example.test").subscribe().record,
        Some(9)
    );
}

#[test]
fn event_111_is_acknowledged_but_never_replaces_a_good_bookmark() {
    let dir = TempDir::new();
    let relay = start(0, &dir);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    assert!(source.deliver(&offer, &[numbered_event(70)], 70));
    let backward = "<BookmarkList Direction=\"backward\">\
        <Bookmark Channel=\"Microsoft-Windows-Sysmon/Operational\" RecordId=\"120\" IsCurrent=\"true\"/></BookmarkList>";
    let reply = source.try_deliver_with(&offer, &[EVENT_111.to_owned()], backward);
    assert_eq!(reply.unwrap().status, 200);
    assert_eq!(
        source.subscribe().record,
        Some(70),
        "50 events would be skipped"
    );
    let written = std::fs::read_to_string(dir.file("out")).unwrap();
    assert_eq!(
        written.lines().count(),
        1,
        "event 111 is no log event: {written}"
    );
}

#[test]
fn event_111_gives_the_first_bookmark_where_there_is_none() {
    let dir = TempDir::new();
    let relay = start(0, &dir);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    let backward = "<BookmarkList Direction=\"backward\">\
        <Bookmark Channel=\"Microsoft-Windows-Sysmon/Operational\" RecordId=\"120\" IsCurrent=\"true\"/></BookmarkList>";
    let reply = source.try_deliver_with(&offer, &[EVENT_111.to_owned()], backward);
    assert_eq!(reply.unwrap().status, 200);
    assert_eq!(source.subscribe().record, Some(120));
}

#[test]
fn a_bookmark_that_goes_back_is_kept_aside() {
    let dir = TempDir::new();
    let relay = start(0, &dir);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    assert!(source.deliver(&offer, &[numbered_event(70)], 70));
    // Its record ID is not the highest in its batch, so this is not a recreated log.
    let events = [numbered_event(71), numbered_event(72)];
    assert!(source.deliver(&offer, &events, 20));
    assert_eq!(source.subscribe().record, Some(70));
    // The reason is shown.
    let shown = wait_for("the host in the state folder", || {
        let shown = run(&["hosts", MACHINE, "--json", "--state", &dir.file("state")]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).ok()?;
        shown["hosts"][0].is_object().then_some(shown)
    });
    let host = &shown["hosts"][0];
    let aside = &host["kept_aside"][0];
    assert_eq!(aside["subscription"], host["subscriptions"][0]["name"]);
    let reason = aside["reason"].as_str().unwrap();
    assert!(reason.contains("20") && reason.contains("70"), "{reason}");
}

#[test]
fn a_recreated_log_starts_again_from_its_own_bookmark() {
    let dir = TempDir::new();
    let relay = start(0, &dir);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    assert!(source.deliver(&offer, &[numbered_event(70)], 70));
    assert!(source.deliver(&offer, &[numbered_event(1), numbered_event(2)], 2));
    assert_eq!(source.subscribe().record, Some(2));
}

#[test]
fn a_batch_that_no_output_took_moves_no_bookmark() {
    let dir = TempDir::new();
    let dead = format!("tcp://127.0.0.1:{}", crate::support::free_port());
    let relay = Relay::start(&dir, &["--output", &dead, "--allow-unencrypted"]);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    // The source stops waiting, as in a power failure.
    let waiting = std::thread::spawn(move || source.deliver(&offer, &[numbered_event(1)], 1));
    wait_for("the attempt to deliver", || {
        relay.process.log().contains(&dead[6..]).then_some(())
    });
    assert!(!waiting.is_finished());
    assert_eq!(relay.source(MACHINE).subscribe().record, None);
    drop(relay);
    assert!(!waiting.join().unwrap());
}

fn start(port: u16, dir: &TempDir) -> Relay {
    let output = format!("file:{}", dir.file("out"));
    let arguments = [
        "--output",
        &output,
        "--allow-unencrypted",
        "--channel",
        "Microsoft-Windows-Sysmon/Operational",
    ];
    Relay::start_on(port, dir, &arguments)
}

/// A state folder of 0.1.0, which named this account with the domain that the client sent.
#[test]
fn bookmarks_of_0_1_are_found_under_their_old_name_and_rewritten() {
    let dir = TempDir::new();
    let database = dir.file("state/wecrelay.db");
    std::fs::create_dir(dir.file("state")).unwrap();
    let old = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/state-0.1.0/wecrelay.db"
    );
    std::fs::copy(old, &database).unwrap();
    let before = rows(&database);
    assert_eq!(before[0].0, "corp\\ws7");
    let account: wecrelay::files::accounts::Account = "ws7".parse().unwrap();
    let line = wecrelay::files::accounts::line(&account, "Correct-Horse-7");
    std::fs::write(dir.file("users"), line.as_str()).unwrap();
    std::fs::write(dir.file("password"), "Correct-Horse-7\n").unwrap();
    let users = dir.file("users");
    let mut relay = Relay::start(&dir, &["--users", &users, "--channel", "Security"]);
    let password = dir.file("password");
    let url = relay.url();
    let sent = run(&[
        "send",
        &url,
        "--user",
        "CORP\\ws7",
        "--password-file",
        &password,
        "--machine",
        "ws7.corp.example",
        "--count",
        "8",
    ]);
    assert!(sent.status.success(), "{}", relay.process.log());
    assert!(relay.process.terminate().success());
    let after = rows(&database);
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].0, "account:ws7");
    assert_eq!(after[0].1, before[0].1, "the subscription is the same");
    // The previous bookmark is the one that was the latest before.
    assert_eq!(after[0].3, Some(before[0].2.clone()));
}

/// Identity, subscription, latest and previous bookmark of each row.
fn rows(database: &str) -> Vec<(String, Vec<u8>, String, Option<String>)> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut statement = connection
        .prepare("SELECT identity, subscription, latest, previous FROM bookmark")
        .unwrap();
    let rows = statement.query_map((), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
