#![expect(clippy::disallowed_methods, reason = "the tests damage files")]

use std::fs;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::*;
use crate::base::clock::UnixSeconds;
use crate::bookmark::{BatchFacts, Bookmark};
use crate::hosts::{Asked, HostName, Pulse, Table};

const ROWS: u64 = 600;

/// A separate folder for a test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = format!("wecrelay-sqlite-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }

    /// A folder with the bookmarks of `ROWS` hosts, and with these hosts.
    fn full(name: &str) -> Self {
        let folder = Self::new(name);
        let mut store = folder.open();
        let mut table = Table::new(UnixSeconds::new(1));
        let asked = Asked {
            id: Uuid::nil(),
            name: "s",
            heartbeat: 60,
        };
        for number in 0..ROWS {
            put(&mut store, number, 5);
            table.note_heartbeat(UnixSeconds::new(1), &sender(number), &asked);
        }
        store.commit().unwrap();
        let changes = Changes {
            relays_after: None,
            hosts: table.iter().cloned().collect(),
            forgotten: vec![],
            refusals: None,
            pulse: Pulse::default(),
        };
        store.save_hosts(&changes).unwrap();
        folder
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(&self.0).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn database(&self) -> PathBuf {
        self.file("wecrelay.db")
    }

    /// Damages the pages that contain the bookmarks of these hosts.
    fn damage(&self, hosts: &[u64]) {
        let mut bytes = fs::read(self.database()).unwrap();
        for host in hosts {
            // The names also occur among the hosts, within JSON.
            let needle = format!("{}<BookmarkList>", machine(*host));
            let found = bytes
                .windows(needle.len())
                .position(|w| w == needle.as_bytes());
            let page = found.unwrap() / 4096 * 4096;
            bytes[page..page + 4096].fill(0xa5);
        }
        fs::write(self.database(), bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn machine(number: u64) -> String {
    format!("host{number:05}.example.test")
}

fn sender(number: u64) -> HostName {
    HostName {
        identity: None,
        machine: machine(number),
        address: [192, 0, 2, 7].into(),
        method: "anonymous",
        sid: None,
        former: [].into(),
    }
}

fn key(number: u64) -> Key {
    Key::anonymous(Uuid::nil(), &machine(number)).unwrap()
}

fn put(store: &mut Sqlite, number: u64, record: u64) {
    let item = format!(r#"<Bookmark Channel="X" RecordId="{record}" IsCurrent="true"/>"#);
    let bookmark = Bookmark::parse(&format!("<BookmarkList>{item}</BookmarkList>")).unwrap();
    let stored = Stored::new(&bookmark, &BatchFacts::new());
    store
        .put(&key(number), Change::Latest(&stored), Stamp::default())
        .unwrap();
}

fn position(store: &mut Sqlite, number: u64) -> Option<u64> {
    let stored = store.bookmark(&key(number)).unwrap();
    stored.and_then(|stored| stored.position("X"))
}

fn readable(store: &mut Sqlite) -> u64 {
    let there = (0..ROWS).filter(|number| position(store, *number).is_some());
    there.count().try_into().unwrap()
}

#[test]
fn a_row_that_is_no_bookmark_is_none_is_counted_once_and_heals() {
    let folder = Folder::full("row");
    let bad = [
        "UPDATE bookmark SET latest = '<Bookm' WHERE machine_id LIKE 'host00007%'",
        "UPDATE bookmark SET latest = CAST(x'ff' AS TEXT) WHERE machine_id LIKE 'host00008%'",
    ];
    let other = Connection::open(folder.database()).unwrap();
    bad.iter().for_each(|bad| other.execute_batch(bad).unwrap());
    let mut store = folder.open();
    for _ in 0..2 {
        assert_eq!(
            (position(&mut store, 7), position(&mut store, 8)),
            (None, None)
        );
        assert_eq!(
            (position(&mut store, 9), store.condition().damaged),
            (Some(5), 2)
        );
    }
    let notice = store.condition().notice.unwrap();
    assert!(notice.contains("2 stored rows"), "{notice}");
    put(&mut store, 7, 9);
    store.commit().unwrap();
    assert_eq!(position(&mut store, 7), Some(9));
    assert_eq!(store.condition().trouble, None);
}

#[test]
fn a_host_that_cannot_be_read_is_none_too() {
    let folder = Folder::full("host");
    let bad = [
        "UPDATE host SET facts = '{' WHERE machine LIKE 'host00007%'",
        "UPDATE host SET facts = CAST(x'ff' AS TEXT) WHERE machine LIKE 'host00008%'",
    ];
    let other = Connection::open(folder.database()).unwrap();
    bad.iter().for_each(|bad| other.execute_batch(bad).unwrap());
    let mut store = folder.open();
    let hosts = u64::try_from(store.load_hosts().unwrap().hosts.len()).unwrap();
    assert_eq!((hosts, store.condition().damaged), (ROWS - 2, 2));
}

#[test]
fn a_database_with_damaged_pages_is_written_anew_with_all_the_others() {
    for (name, damaged) in [("page", &[300][..]), ("pages", &[100, 300, 500])] {
        let folder = Folder::full(name);
        folder.damage(damaged);
        let mut store = folder.open();
        let left = readable(&mut store);
        let lost = ROWS - left;
        let pages = u64::try_from(damaged.len()).unwrap();
        // A page holds about 30 of them.
        assert!(
            (pages..60 * pages).contains(&lost),
            "{name}: {lost} of {ROWS} lost"
        );
        let condition = store.condition();
        assert!(condition.damaged > 0 && condition.trouble.is_none());
        let notice = condition.notice.unwrap();
        assert!(notice.contains(&format!("{left} bookmarks")), "{notice}");
        assert!(folder.file("wecrelay.db.damaged").exists());
        assert_eq!(position(&mut store, damaged[0]), None);
        put(&mut store, damaged[0], 9);
        put(&mut store, 1, 9);
        store.commit().unwrap();
        drop(store);
        let mut store = folder.open();
        assert_eq!(store.condition(), Condition::default());
        assert_eq!(
            (position(&mut store, damaged[0]), position(&mut store, 1)),
            (Some(9), Some(9))
        );
    }
}

#[test]
fn a_page_that_goes_bad_later_costs_one_turn_of_its_host() {
    let folder = Folder::full("later");
    let mut store = folder.open();
    folder.damage(&[300]);
    store.forget_pages();
    assert_eq!(position(&mut store, 300), None);
    put(&mut store, 1, 6);
    let stored = Stored::default();
    let failed = store.put(&key(300), Change::Latest(&stored), Stamp::default());
    let error = failed.unwrap_err();
    assert!(error.is_of_one_row(), "{error}");
    assert!(matches!(store.commit(), Err(Error::TurnFailed)));
    for number in [1, 300] {
        put(&mut store, number, 7);
    }
    store.commit().unwrap();
    assert_eq!(
        (position(&mut store, 1), position(&mut store, 300)),
        (Some(7), Some(7))
    );
    assert!(readable(&mut store) > ROWS - 60);
    assert!(store.condition().notice.unwrap().contains("is rebuilt"));
}

/// Checks that what `delete` deletes while the relay is running exists again after the next commit.
#[track_caller]
fn survives(name: &str, delete: impl Fn(&Folder)) {
    let folder = Folder::full(name);
    let mut store = folder.open();
    put(&mut store, 1, 6);
    store.commit().unwrap();
    delete(&folder);
    put(&mut store, 2, 7);
    store.commit().unwrap();
    assert_eq!(store.condition().trouble, None);
    let error = Sqlite::open(&folder.0).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    put(&mut store, 3, 8);
    store.commit().unwrap();
    drop(store);
    let mut store = folder.open();
    let positions = [1, 2, 3, 4].map(|number| position(&mut store, number));
    assert_eq!(positions, [Some(6), Some(7), Some(8), Some(5)]);
    assert_eq!(
        (readable(&mut store), store.condition()),
        (ROWS, Condition::default())
    );
}

#[test]
fn what_is_deleted_while_the_relay_runs_is_written_again() {
    let remove =
        |name: &'static str| move |folder: &Folder| fs::remove_file(folder.file(name)).unwrap();
    survives("gone-db", remove("wecrelay.db"));
    survives("gone-wal", remove("wecrelay.db-wal"));
    survives("gone-shm", remove("wecrelay.db-shm"));
    survives("gone-lock", remove("wecrelay.lock"));
    survives("gone-all", |folder| fs::remove_dir_all(&folder.0).unwrap());
    survives("gone-content", |folder| {
        fs::remove_dir_all(&folder.0).unwrap();
        fs::create_dir(&folder.0).unwrap();
    });
}

#[test]
fn without_its_lock_file_a_folder_is_still_locked() {
    let folder = Folder::full("lock");
    let _first = folder.open();
    fs::remove_file(folder.file("wecrelay.lock")).unwrap();
    let error = Sqlite::open(&folder.0).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
}

#[test]
fn nothing_is_acknowledged_on_a_database_that_took_our_place() {
    let folder = Folder::full("replaced");
    let mut store = folder.open();
    let other = Folder::full("replacement");
    fs::rename(other.database(), folder.database()).unwrap();
    for _ in 0..2 {
        put(&mut store, 1, 6);
        let error = store.commit().unwrap_err();
        assert!(matches!(error, Error::Gone { .. }), "{error}");
        assert!(error.to_string().contains("restart the relay"), "{error}");
        assert!(store.condition().trouble.is_some());
    }
    // An idle relay saves hosts, too, and detects it that way.
    let changes = Changes {
        relays_after: None,
        hosts: vec![],
        forgotten: vec![],
        refusals: None,
        pulse: Pulse::default(),
    };
    assert!(store.save_hosts(&changes).is_err());
    drop(store);
    assert_eq!(
        position(&mut folder.open(), 1),
        Some(5),
        "the other one is untouched"
    );
}

#[test]
fn a_folder_that_cannot_be_made_again_is_trouble_until_it_can() {
    let outer = Folder::new("outer");
    let inner = outer.file("state");
    let mut store = Sqlite::open(&inner).unwrap();
    put(&mut store, 1, 6);
    store.commit().unwrap();
    fs::remove_dir_all(&outer.0).unwrap();
    fs::write(&outer.0, "a file").unwrap();
    put(&mut store, 1, 7);
    assert!(matches!(store.commit(), Err(Error::Gone { .. })));
    assert!(store.condition().trouble.is_some());
    fs::remove_file(&outer.0).unwrap();
    put(&mut store, 1, 8);
    store.commit().unwrap();
    assert_eq!(
        (position(&mut store, 1), store.condition().trouble),
        (Some(8), None)
    );
    assert!(Path::new(&inner).join("wecrelay.db").exists());
}

fn log_length(folder: &Folder) -> u64 {
    fs::metadata(folder.file("wecrelay.db-wal")).unwrap().len()
}

fn commit(store: &mut Sqlite, record: u64) {
    put(store, 1, record);
    store.commit().unwrap();
}

/// Commits until the log has more than 1,000 pages, each with a head of 24 bytes.
fn lengthen_log(folder: &Folder, store: &mut Sqlite) {
    let mut record = 0;
    while log_length(folder) < 1001 * (4096 + 24) {
        record += 1;
        commit(store, record);
    }
}

#[test]
fn a_checkpoint_waits_until_the_log_is_long_again() {
    let folder = Folder::full("checkpoints");
    let mut store = folder.open();
    let mut checkpoints = store.checkpoints();
    let database = || fs::read(folder.database()).unwrap();
    let at_first = database();
    lengthen_log(&folder, &mut store);
    assert!(database() == at_first, "SQLite makes none of its own");
    checkpoints.run();
    let whole = database();
    assert!(whole != at_first);
    // The log begins anew in a file that stays as long.
    let length = log_length(&folder);
    commit(&mut store, 1);
    checkpoints.run();
    assert!(database() == whole);
    assert_eq!(log_length(&folder), length);
}

#[test]
fn checkpoints_go_on_after_the_files_were_replaced() {
    let folder = Folder::full("checkpoints-again");
    let mut store = folder.open();
    let mut checkpoints = store.checkpoints();
    commit(&mut store, 1);
    fs::remove_file(folder.database()).unwrap();
    commit(&mut store, 2);
    lengthen_log(&folder, &mut store);
    let before = fs::read(folder.database()).unwrap();
    checkpoints.run();
    assert!(fs::read(folder.database()).unwrap() != before);
}
