//! Faults of the state folder: one damaged row, and deleted files.

use rusqlite::{Connection, OpenFlags};

use super::scene::TIMEOUT;
use crate::support::{Ledger, Player, Random, TempDir, host_name, wait_for};

/// The host whose row is damaged: it may start over, and the others must not be affected.
const VICTIM: u32 = 9_999;
/// How often it tries to deliver during other faults.
const TRIES: usize = 10;

pub(crate) struct State {
    database: String,
    victim: Player,
    /// The guarantee does not apply to the victim's events.
    ledger: Ledger,
}

impl State {
    pub(crate) fn new(dir: &TempDir, port: u16, random: Random) -> Self {
        Self {
            database: dir.file("state/wecrelay.db"),
            victim: Player::new(VICTIM, port, random, TIMEOUT),
            ledger: Ledger::default(),
        }
    }

    /// Delivers the victim's events, from the beginning of its log if it has no bookmark.
    pub(crate) fn play(&mut self) {
        let last = self.victim.acknowledged + 5;
        for _ in 0..TRIES {
            if self.victim.acknowledged >= last {
                return;
            }
            self.victim.step(last, &self.ledger);
        }
    }

    /// Damages the victim's row while no relay is running; returns whether it had one.
    pub(crate) fn damage_row(&mut self) -> bool {
        let Ok(database) = Connection::open(&self.database) else {
            return false;
        };
        let damage = "UPDATE bookmark SET latest = '<Bookm' WHERE machine_id = ?1";
        let damaged = database.execute(damage, [host_name(VICTIM).to_lowercase()]);
        self.victim.restart();
        self.victim.acknowledged = 0;
        damaged.is_ok_and(|rows| rows > 0)
    }

    /// Deletes the database and its accompanying files while the relay is running, which must
    /// write its entire state again.
    pub(crate) fn delete(&self) {
        let before = self.rows();
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.database));
        }
        wait_for("the deleted database", || {
            let rows = self.rows()?;
            (Some(rows) >= before).then_some(())
        });
    }

    fn rows(&self) -> Option<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(&self.database, flags).ok()?;
        let count = "SELECT count(*) FROM bookmark";
        database.query_row(count, [], |row| row.get(0)).ok()
    }
}
