#![expect(clippy::disallowed_methods, reason = "the tests damage files")]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use uuid::Uuid;

use super::*;
use crate::bookmark::BatchFacts;
use crate::hosts::{self, Asked, HostName, Pulse, Table};
use crate::store::sqlite::Sqlite;

/// A separate folder for a test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wecrelay-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(&self.0).unwrap()
    }

    fn database(&self) -> PathBuf {
        self.0.join("wecrelay.db")
    }

    /// The database as another program reads it.
    fn connect(&self) -> Connection {
        Connection::open(self.database()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(number: u128) -> Key {
    let subscription = Uuid::from_u128(number % 2);
    let machine = format!("host{}.example", number / 2);
    Key::authenticated(subscription, "ACME\\host$", &machine).unwrap()
}

fn bookmark(id: u64) -> Bookmark {
    let item = format!(r#"<Bookmark Channel="X" RecordId="{id}" IsCurrent="true"/>"#);
    Bookmark::parse(&format!("<BookmarkList>{item}</BookmarkList>")).unwrap()
}

fn stored(id: u64) -> Stored {
    let mut facts = BatchFacts::new();
    if id.is_multiple_of(2) {
        facts.note_bookmark_event();
    }
    Stored::new(&bookmark(id), &facts)
}

fn stamp(seconds: u64) -> Stamp {
    Stamp {
        wall: UnixSeconds::new(1_700_000_000 + seconds),
        ran: seconds,
        network: None,
    }
}

fn put(store: &mut dyn Store, key: &Key, id: u64) -> Result<(), Error> {
    store.put(key, Change::Latest(&stored(id)), stamp(id))
}

fn position(store: &mut dyn Store, key: &Key) -> Option<u64> {
    let stored = store.bookmark(key).unwrap();
    stored.and_then(|stored| stored.position("X"))
}

/// What either store contains for a key.
fn entries(folder: &Folder, key: &Key, act: impl Fn(&mut dyn Store)) -> Option<Entry> {
    let (mut memory, mut sqlite) = (Memory::new(), folder.open());
    act(&mut memory);
    act(&mut sqlite);
    let entry = sqlite.entry(key);
    assert_eq!(entry, memory.entry(key));
    entry
}

/// Runs a scenario on both stores.
fn on_both(name: &str, scenario: impl Fn(&mut dyn Store)) {
    let folder = Folder::new(name);
    scenario(&mut Memory::new());
    scenario(&mut folder.open());
}

#[test]
fn a_bookmark_comes_back_after_commit_and_reopening() {
    let folder = Folder::new("reopen");
    let mut store = folder.open();
    assert_eq!(store.bookmark(&key(1)).unwrap(), None);
    put(&mut store, &key(1), 7).unwrap();
    store.commit().unwrap();
    drop(store);
    assert_eq!(folder.open().bookmark(&key(1)).unwrap(), Some(stored(7)));
}

#[test]
fn what_is_not_committed_is_gone_after_reopening() {
    let folder = Folder::new("uncommitted");
    let mut store = folder.open();
    put(&mut store, &key(1), 7).unwrap();
    assert_eq!(position(&mut store, &key(1)), Some(7));
    drop(store);
    assert_eq!(position(&mut folder.open(), &key(1)), None);
}

#[test]
fn keys_that_differ_in_one_part_have_bookmarks_of_their_own() {
    on_both("keys", |store| {
        let [one, two] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let keys = [
            Key::anonymous(one, "a").unwrap(),
            Key::authenticated(one, "", "a").unwrap(),
            Key::authenticated(one, "i", "a").unwrap(),
            Key::authenticated(one, "i", "b").unwrap(),
            Key::authenticated(two, "i", "a").unwrap(),
        ];
        for (key, id) in keys.iter().zip(1..) {
            assert_eq!(position(store, key), None);
            put(store, key, id).unwrap();
        }
        for (key, id) in keys.iter().zip(1..) {
            assert_eq!(position(store, key), Some(id));
        }
    });
}

#[test]
fn the_last_two_bookmarks_and_the_one_kept_aside_are_there() {
    let folder = Folder::new("entry");
    let key = key(1);
    let entry = entries(&folder, &key, |store| {
        for id in [5, 6, 7, 7] {
            put(store, &key, id).unwrap();
        }
        let aside = Change::Aside(&bookmark(2), "why");
        store.put(&key, aside, stamp(9)).unwrap();
    });
    let aside = Aside {
        xml: bookmark(2).to_xml(),
        reason: "why".to_owned(),
    };
    let expected = Entry {
        latest: Some(stored(7)),
        previous: Some(stored(6).to_xml()),
        aside: Some(aside),
        stamp: stamp(9),
    };
    assert_eq!(entry, Some(expected));
}

#[test]
fn those_kept_aside_are_told_with_whose_they_are() {
    let folder = Folder::new("told");
    assert_eq!(sqlite::kept_aside(&folder.0).unwrap(), []);
    let mut store = folder.open();
    put(&mut store, &key(1), 7).unwrap();
    put(&mut store, &key(2), 7).unwrap();
    let aside = Change::Aside(&bookmark(2), "why");
    store.put(&key(2), aside, stamp(9)).unwrap();
    store.commit().unwrap();
    let told = KeptAside {
        key: key(2),
        reason: "why".to_owned(),
    };
    assert_eq!(sqlite::kept_aside(&folder.0).unwrap(), [told]);
}

#[test]
fn a_bookmark_kept_aside_alone_takes_no_room() {
    let folder = Folder::new("aside");
    let none = entries(&folder, &key(1), |store| {
        let aside = Change::Aside(&bookmark(2), "why");
        store.put(&key(1), aside, stamp(9)).unwrap();
        assert_eq!(store.bookmark(&key(1)).unwrap(), None);
    });
    assert_eq!(none, None);
}

#[test]
fn what_a_version_0_1_kept_is_there_and_begins_to_age_now() {
    let folder = Folder::new("upgrade");
    fs::create_dir(&folder.0).unwrap();
    let old = include_str!("../../tests/data/state-0.1.0.sql");
    folder.connect().execute_batch(old).unwrap();
    let keys = [
        Key::anonymous(Uuid::from_u128(1), "old.example").unwrap(),
        Key::authenticated(Uuid::from_u128(1), "acme\\host$", "weak.example").unwrap(),
    ];
    assert_eq!(
        sqlite::read_hosts(&folder.0).unwrap().unwrap().hosts.len(),
        1
    );
    let mut store = folder.open();
    let first = store.bookmark(&keys[0]).unwrap().unwrap();
    let weak = store.bookmark(&keys[1]).unwrap().unwrap();
    assert_eq!(first.read_up_to("security"), Some(41));
    assert_eq!(
        (weak.read_up_to("Security"), weak.position("Security")),
        (None, Some(60))
    );
    let offered = "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"41\" IsCurrent=\"true\"/>\
                   <Bookmark Channel=\"System\" RecordId=\"7\" IsCurrent=\"false\"/></BookmarkList>";
    assert_eq!(first.offer(true).as_deref(), Some(offered));
    let ages = store.walk(None, 10).unwrap();
    assert!(
        ages.iter().all(|(_, ran)| *ran == 0) && ages.len() == 2,
        "{ages:?}"
    );
    let saved = store.load_hosts().unwrap();
    assert_eq!(
        (saved.hosts.len(), saved.hosts[0].ran, saved.pulse.ran),
        (1, 0, 0)
    );
    assert_eq!(saved.pulse.written.get(), 1_772_000_000);
    let usage = store.usage().unwrap();
    assert_eq!(usage.len(), 2);
    assert!(
        usage
            .iter()
            .any(|(owner, _)| *owner == Owner::Network(None))
    );
}

#[test]
fn bookmarks_are_walked_in_order_and_sifted() {
    on_both("walk", |store| {
        let keys: Vec<_> = (0..7).map(key).collect();
        for (key, id) in keys.iter().zip(1..) {
            put(store, key, id).unwrap();
        }
        store.commit().unwrap();
        let walk = |store: &mut dyn Store| {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let some = store.walk(after.as_ref(), 3).unwrap();
                after = some.last().map(|(key, _)| key.clone());
                found.extend(some);
                if after.is_none() {
                    return found;
                }
            }
        };
        let mut sorted = keys.clone();
        sorted.sort();
        let found: Vec<_> = walk(store).into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, sorted);
        store.sift(&keys[..5], &keys[5..6], 99).unwrap();
        let mut left = walk(store);
        left.sort_by_key(|(_, ran)| *ran);
        assert_eq!(left, [(keys[6].clone(), 7), (keys[5].clone(), 99)]);
    });
}

#[test]
fn it_is_known_how_much_belongs_to_whom() {
    on_both("usage", |store| {
        let stamp = |number: u8| Stamp {
            network: Some([192, 0, 2, number].into()),
            ..stamp(1)
        };
        for (machine, number) in [("a", 1), ("b", 1), ("c", 2)] {
            let key = Key::anonymous(Uuid::nil(), machine).unwrap();
            store
                .put(&key, Change::Latest(&stored(1)), stamp(number))
                .unwrap();
            // A source at another address is still counted where it was first seen.
            store
                .put(&key, Change::Latest(&stored(1)), stamp(9))
                .unwrap();
        }
        put(store, &key(1), 1).unwrap();
        store.commit().unwrap();
        let room = Room::new(store.usage().unwrap());
        let bytes = 4 * u64::try_from(stored(1).to_xml().len()).unwrap();
        assert_eq!(room.all(), Usage { rows: 4, bytes });
        let owners: Vec<_> = store.usage().unwrap();
        let rows = |owner: Owner| {
            let of = owners.iter().filter(|(of, _)| *of == owner);
            of.map(|(_, usage)| usage.rows).sum::<u64>()
        };
        let network = |number: u8| Owner::Network(Some([192, 0, 2, number].into()));
        assert_eq!(
            (rows(network(1)), rows(network(2)), rows(network(9))),
            (2, 1, 0)
        );
        assert_eq!(rows(Owner::Identity("acme\\host$".to_owned())), 1);
    });
}

#[test]
fn the_bounds_of_rows_and_bytes_hold_from_both_sides() {
    let one = Usage { rows: 1, bytes: 1 };
    let network = || Owner::Network(Some([192, 0, 2, 1].into()));
    for (owner, bound) in [
        (network(), OF_NETWORK),
        (Owner::Identity("x".to_owned()), OF_IDENTITY),
        (Owner::Network(None), OF_ALL),
    ] {
        for full in [
            Usage {
                rows: bound.rows - 1,
                bytes: 0,
            },
            Usage {
                rows: 0,
                bytes: bound.bytes - 1,
            },
        ] {
            let mut room = Room::new(vec![(owner.clone(), full)]);
            assert!(room.has(&owner, one));
            room.note(owner.clone(), one);
            assert!(!room.has(&owner, one));
            let other = Owner::Network(Some([192, 0, 2, 2].into()));
            assert_eq!(
                room.has(&other, one),
                bound != OF_ALL,
                "nobody pays for another"
            );
        }
    }
    let mut room = Room::default();
    for _ in 0..WITHOUT_EVENTS {
        assert!(room.takes_without_events(&network()));
    }
    assert!(!room.takes_without_events(&network()));
    assert!(room.takes_without_events(&Owner::Network(None)));
}

#[test]
fn an_ipv6_network_is_a_64() {
    let of = |text: &str| network(text.parse().unwrap()).to_string();
    assert_eq!(of("2001:db8::1:2:3"), "2001:db8::");
    assert_eq!(of("192.0.2.7"), "192.0.2.7");
}

#[test]
fn rollback_leaves_what_was_committed() {
    on_both("rollback", |store| {
        put(store, &key(1), 1).unwrap();
        store.commit().unwrap();
        put(store, &key(1), 2).unwrap();
        store.rollback();
        store.commit().unwrap();
        assert_eq!(position(store, &key(1)), Some(1));
    });
}

#[test]
fn hosts_come_back_and_the_forgotten_do_not() {
    on_both("hosts", |store| {
        assert_eq!(store.load_hosts().unwrap(), Saved::default());
        let sender = |machine: &str| HostName {
            identity: None,
            machine: machine.to_owned(),
            address: [192, 0, 2, 7].into(),
            method: "anonymous",
            sid: None,
            former: [].into(),
        };
        let mut table = Table::new(UnixSeconds::new(5));
        let asked = Asked {
            id: Uuid::from_u128(1),
            name: "s",
            heartbeat: 60,
        };
        table.note_heartbeat(UnixSeconds::new(9), &sender("A"), &asked);
        let kept = table
            .note_events(UnixSeconds::new(9), &sender("b"), &asked)
            .unwrap();
        let pulse = Pulse {
            started: UnixSeconds::new(5),
            written: UnixSeconds::new(9),
            is_stopped: false,
            ran: 4,
        };
        let changes = Changes {
            relays_after: None,
            hosts: table.iter().cloned().collect(),
            forgotten: vec![],
            refusals: None,
            pulse,
        };
        store.save_hosts(&changes).unwrap();
        let again = Changes {
            hosts: vec![table.get(&kept).unwrap().clone()],
            forgotten: vec![hosts::Key::new(None, "a")],
            ..changes
        };
        store.save_hosts(&again).unwrap();
        let saved = store.load_hosts().unwrap();
        assert_eq!(saved.hosts, [table.get(&kept).unwrap().clone()]);
        assert_eq!(saved.pulse, pulse);
    });
}

#[test]
fn a_folder_of_version_1_gets_the_tables_that_it_lacks() {
    let folder = Folder::new("older");
    let mut store = folder.open();
    put(&mut store, &key(1), 7).unwrap();
    store.commit().unwrap();
    drop(store);
    let older = "DROP TABLE host; DROP TABLE refusal; DROP TABLE relay; \
                 ALTER TABLE bookmark DROP COLUMN ran; ALTER TABLE bookmark DROP COLUMN network; \
                 PRAGMA user_version = 1";
    folder.connect().execute_batch(older).unwrap();
    assert_eq!(sqlite::read_hosts(&folder.0).unwrap(), None);
    let mut store = folder.open();
    assert_eq!(position(&mut store, &key(1)), Some(7));
    assert_eq!(store.load_hosts().unwrap(), Saved::default());
    assert!(sqlite::read_hosts(&folder.0).unwrap().is_some());
}

#[test]
fn what_stands_under_a_former_name_is_found_once_and_rewritten() {
    on_both("rename", |store| {
        let (new, former) = (key(1), key(2));
        put(store, &former, 7).unwrap();
        store.commit().unwrap();
        let names = vec![key(4), former.clone()];
        let found = look_up(store, &new, &names);
        assert_eq!(found.stored, Some(stored(7)));
        assert_eq!(found.former, Some(former.clone()));
        assert_eq!(position(store, &former), Some(7), "only looked at");

        let row = Write {
            key: new.clone(),
            generation: 0,
            former: found.former,
            latest: Some(stored(9)),
            aside: None,
            network: None,
        };
        let job = Job::Write(vec![row], Stamp::default());
        let wrote = perform(store, 1, job).done;
        assert!(matches!(wrote, Done::Written(Ok(wrote)) if wrote == [Wrote::Done]));
        assert_eq!(position(store, &former), None);
        assert_eq!(position(store, &new), Some(9));

        // Nothing is migrated later.
        put(store, &former, 3).unwrap();
        store.commit().unwrap();
        let found = look_up(store, &new, &names);
        assert_eq!((found.stored, found.former), (Some(stored(9)), None));
        assert_eq!(position(store, &former), Some(3));
    });
}

fn look_up(store: &mut dyn Store, key: &Key, former: &[Key]) -> Found {
    let (key, former) = (key.clone(), former.to_vec());
    match perform(store, 1, Job::Read(vec![Lookup { key, former }])).done {
        Done::Read(found) => found.unwrap().remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_former_name_replaces_what_there_is() {
    on_both("rename over", |store| {
        let (new, former) = (key(1), key(2));
        put(store, &former, 7).unwrap();
        put(store, &new, 8).unwrap();
        assert!(store.rename(&former, &new).unwrap());
        assert!(!store.rename(&former, &new).unwrap(), "it is gone");
        store.commit().unwrap();
        assert_eq!(position(store, &new), Some(7));
    });
}

#[test]
fn a_failed_change_fails_the_whole_turn_and_the_next_one_works() {
    let folder = Folder::new("full");
    let mut store = folder.open();
    put(&mut store, &key(1), 1).unwrap();
    store.commit().unwrap();
    store.limit_pages(4);
    let failure = (10..10_000)
        .find_map(|id| put(&mut store, &key(id.into()), id).err())
        .unwrap();
    assert!(matches!(failure, Error::Full { .. }), "{failure}");
    store.limit_pages(10_000);
    assert!(matches!(
        put(&mut store, &key(1), 2),
        Err(Error::TurnFailed)
    ));
    assert!(matches!(store.commit(), Err(Error::TurnFailed)));
    assert_eq!(position(&mut store, &key(10)), None);
    put(&mut store, &key(1), 3).unwrap();
    store.commit().unwrap();
    assert_eq!(position(&mut store, &key(1)), Some(3));
}

#[test]
fn a_database_that_another_program_holds_fails_the_turn_only() {
    let folder = Folder::new("busy");
    let mut store = folder.open();
    let other = folder.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(
        put(&mut store, &key(1), 1),
        Err(Error::Busy { .. })
    ));
    other.execute_batch("ROLLBACK").unwrap();
    store.rollback();
    put(&mut store, &key(1), 2).unwrap();
    store.commit().unwrap();
    assert_eq!(position(&mut store, &key(1)), Some(2));
}

#[test]
fn a_reader_does_not_hold_up_commits() {
    let folder = Folder::new("reader");
    let mut store = folder.open();
    put(&mut store, &key(1), 1).unwrap();
    store.commit().unwrap();
    let other = folder.connect();
    other
        .execute_batch("BEGIN; SELECT count(*) FROM bookmark;")
        .unwrap();
    put(&mut store, &key(1), 2).unwrap();
    store.commit().unwrap();
    assert_eq!(position(&mut store, &key(1)), Some(2));
}

#[test]
fn a_database_that_cannot_be_written_says_so() {
    let folder = Folder::new("read-only");
    let mut store = folder.open();
    store.pretend_read_only(true);
    let error = put(&mut store, &key(1), 1).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    store.pretend_read_only(false);
    store.rollback();
    put(&mut store, &key(1), 1).unwrap();
    store.commit().unwrap();
}

#[test]
fn two_relays_never_share_a_folder() {
    let folder = Folder::new("lock");
    let first = folder.open();
    let error = Sqlite::open(&folder.0).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&folder.0.display().to_string()));
    assert!(error.to_string().contains("--state"));
    drop(first);
    folder.open();
}

#[test]
fn only_the_relays_user_can_read_the_state() {
    let folder = Folder::new("modes");
    let mut store = folder.open();
    put(&mut store, &key(1), 1).unwrap();
    store.commit().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    for name in ["wecrelay.db", "wecrelay.db-wal", "wecrelay.lock"] {
        assert_eq!(mode(&folder.0.join(name)), 0o600, "{name}");
    }
}

#[test]
fn the_database_runs_as_designed() {
    let folder = Folder::new("pragmas");
    drop(folder.open());
    let connection = folder.connect();
    let text = |name| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
    assert_eq!(text("journal_mode").unwrap(), "wal");
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 3);
}

#[test]
fn a_database_of_a_later_version_is_refused_untouched() {
    let folder = Folder::new("newer");
    drop(folder.open());
    folder
        .connect()
        .pragma_update(None, "user_version", 4)
        .unwrap();
    let error = Sqlite::open(&folder.0).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Newer {
                found: 4,
                known: 3,
                ..
            }
        ),
        "{error}"
    );
    folder
        .connect()
        .pragma_update(None, "user_version", 3)
        .unwrap();
    folder.open();
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new("garbage");
    fs::create_dir(&folder.0).unwrap();
    fs::write(folder.database(), [b'x'; 4096]).unwrap();
    let error = Sqlite::open(&folder.0).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new("no-folder");
    fs::write(&folder.0, "a file").unwrap();
    let error = Sqlite::open(&folder.0.join("below")).unwrap_err();
    assert!(error.to_string().contains("below"), "{error}");
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn memory_fails_as_it_is_told() {
    let mut store = Memory::new();
    store.fail_commits(1);
    store.commit().unwrap();
    put(&mut store, &key(1), 1).unwrap();
    assert!(store.commit().is_err());
    assert_eq!(store.lasting(&key(1)), None);
    put(&mut store, &key(1), 1).unwrap();
    store.fail_turn();
    assert!(matches!(
        put(&mut store, &key(1), 2),
        Err(Error::TurnFailed)
    ));
    assert!(matches!(store.commit(), Err(Error::TurnFailed)));
    put(&mut store, &key(1), 3).unwrap();
    store.commit().unwrap();
    assert_eq!(store.lasting(&key(1)).unwrap().latest, Some(stored(3)));
    assert_eq!(store.commits(), 1);
}

/// Latest, previous, and set-aside record id of each key.
type Model = HashMap<Key, (Option<u64>, Option<u64>, Option<u64>)>;

/// Numbers that are the same in each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Compares both stores with a model, through puts, commits, failures, and restarts.
struct Trial {
    folder: Folder,
    sqlite: Option<Sqlite>,
    memory: Memory,
    lasting: Model,
    turn: Model,
    dice: Dice,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let folder = Folder::new(&format!("model-{seed}"));
        let sqlite = Some(folder.open());
        let (memory, lasting, turn) = (Memory::new(), Model::new(), Model::new());
        Self {
            folder,
            sqlite,
            memory,
            lasting,
            turn,
            dice: Dice(seed),
        }
    }

    fn sqlite(&mut self) -> &mut Sqlite {
        self.sqlite.as_mut().unwrap()
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0..=9 => self.put_latest(),
            10..=12 => self.put_aside(),
            13..=15 => self.commit(),
            16 => self.rollback(),
            17..=18 => self.failing_turn(),
            _ => self.restart(),
        }
        self.compare();
    }

    fn put_latest(&mut self) {
        let (key, id) = (key(self.dice.roll(6).into()), self.dice.roll(5));
        put(self.sqlite(), &key, id).unwrap();
        put(&mut self.memory, &key, id).unwrap();
        let entry = self.turn.entry(key).or_default();
        if entry.0.is_some_and(|latest| latest != id) {
            entry.1 = entry.0;
        }
        entry.0 = Some(id);
    }

    fn put_aside(&mut self) {
        let (key, id) = (key(self.dice.roll(6).into()), self.dice.roll(5));
        let bookmark = bookmark(id);
        let change = Change::Aside(&bookmark, "why");
        self.sqlite().put(&key, change, stamp(id)).unwrap();
        self.memory.put(&key, change, stamp(id)).unwrap();
        if let Some(known) = self.turn.get_mut(&key) {
            known.2 = Some(id);
        }
    }

    fn commit(&mut self) {
        self.sqlite().commit().unwrap();
        self.memory.commit().unwrap();
        self.lasting.clone_from(&self.turn);
    }

    fn rollback(&mut self) {
        self.sqlite().rollback();
        self.memory.rollback();
        self.turn.clone_from(&self.lasting);
    }

    fn failing_turn(&mut self) {
        self.sqlite().pretend_read_only(true);
        assert!(put(self.sqlite(), &key(0), 1).is_err());
        self.sqlite().pretend_read_only(false);
        self.memory.fail_turn();
        assert!(self.sqlite().commit().is_err());
        assert!(self.memory.commit().is_err());
        self.turn.clone_from(&self.lasting);
    }

    fn restart(&mut self) {
        self.sqlite = None;
        self.sqlite = Some(self.folder.open());
        self.memory.rollback();
        self.turn.clone_from(&self.lasting);
    }

    fn compare(&mut self) {
        for number in 0..6 {
            let key = key(number);
            let entry = self.sqlite().entry(&key);
            assert_eq!(entry, self.memory.entry(&key));
            assert_eq!(entry.map(ids), self.turn.get(&key).copied());
        }
    }
}

fn ids(entry: Entry) -> (Option<u64>, Option<u64>, Option<u64>) {
    let id = |xml: String| Bookmark::parse(&xml).unwrap().position("X").unwrap();
    let latest = entry.latest.map(|latest| id(latest.to_xml()));
    (
        latest,
        entry.previous.map(id),
        entry.aside.map(|aside| id(aside.xml)),
    )
}

#[test]
fn both_stores_follow_a_plain_model_through_failures_and_restarts() {
    for seed in 1..=4 {
        let mut trial = Trial::new(seed);
        for _ in 0..400 {
            trial.step();
        }
    }
}
