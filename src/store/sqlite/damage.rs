//! Damage to the database: logged once, counted, and repaired by rewriting where that
//! helps.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;

use super::salvage;
use super::start;
use crate::bookmark::Key;
use crate::store::Error;

/// Maximum number of damaged rows to remember, so that each is logged and counted once.
const REMEMBERED: usize = 1000;
/// How often a database is rewritten while it is open. If that is not enough, the disk is
/// failing.
const MENDS: u32 = 3;

/// The damage found since the start.
#[derive(Debug, Default)]
pub(super) struct Damage {
    known: HashSet<Key>,
    rows: u64,
    notice: Option<String>,
    /// A damaged page that was just found.
    fault: Option<String>,
    mends: u32,
}

impl Damage {
    /// A row cannot be read, and counts as missing.
    pub(super) fn note_row(&mut self, key: &Key, why: &str) {
        if self.known.contains(key) {
            return;
        }
        if self.known.len() < REMEMBERED {
            self.known.insert(key.clone());
            log::error!(
                "the stored bookmark of {:?} cannot be read and is ignored ({why}): the host \
                 resumes from what it sends next",
                key.machine_id()
            );
        }
        self.count("of bookmarks");
    }

    /// A row cannot be written, because its page is damaged.
    pub(super) fn note_page(&mut self, key: &Key, why: &str) {
        self.note_row(key, why);
        self.fault.get_or_insert_with(|| why.to_owned());
    }

    /// A host's record cannot be read.
    pub(super) fn note_host(&mut self, why: &str) {
        log::error!("a stored host cannot be read and is ignored: {why}");
        self.count("of hosts");
    }

    fn count(&mut self, what: &str) {
        self.rows += 1;
        let rows = self.rows;
        if self.mends == 0 {
            self.notice = Some(format!(
                "{rows} stored rows {what} cannot be read and are ignored"
            ));
        }
    }

    /// The damaged page found since the last call, if rewriting the database is worth a
    /// try.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        let fault = self.fault.take()?;
        (self.mends < MENDS).then_some(fault)
    }

    /// Rewrites a database from what can be read. If that fails, the old one stays in use.
    pub(super) fn mend(
        &mut self,
        fault: &str,
        damaged: Connection,
        file: &Path,
    ) -> Result<Connection, Error> {
        self.mends += 1;
        match salvage::rewrite(damaged, file) {
            Ok((aside, count)) => {
                let notice = format!(
                    "{} was damaged ({fault}) and is rebuilt with the {count} bookmarks that could \
                     be read; the damaged file is {}: check the disk",
                    file.display(),
                    aside.display()
                );
                log::error!("{notice}; hosts without a bookmark resume from what they send next");
                self.rows = self.rows.max(1);
                self.notice = Some(notice);
            }
            Err(error) => {
                let notice = format!(
                    "{} is damaged ({fault}), and cannot be rebuilt: {error}",
                    file.display()
                );
                log::error!("{notice}");
                self.rows = self.rows.max(1);
                self.notice = Some(notice);
            }
        }
        start(file)
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn notice(&self) -> Option<String> {
        self.notice.clone()
    }
}
