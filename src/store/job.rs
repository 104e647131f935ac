//! The jobs of a store, and its answers. Values without references, so that a store
//! may run on another thread or machine.

use std::net::IpAddr;

use super::{Change, Condition, Error, Owner, Stamp, Store, Usage};
use crate::bookmark::{Bookmark, Key, Stored};
use crate::hosts::{Changes, Inquiry, Met, Saved};

/// Maximum number of damaged rows to omit from a write that is then retried. With more,
/// the disk is failing.
const LEFT_OUT: usize = 16;

/// Identifies a job; later jobs have higher numbers.
pub type Ticket = u64;

/// A job for a store.
#[derive(Clone, Debug)]
pub enum Job {
    /// Read bookmarks by their keys, before subscriptions are answered.
    Read(Vec<Lookup>),
    /// Store bookmarks durably, all in one transaction; each key occurs once.
    Write(Vec<Write>, Stamp),
    /// Save what is known about hosts.
    SaveHosts(Changes),
    /// Load what is known about hosts.
    LoadHosts,
    /// Read what other relays know about hosts.
    Meet(Inquiry),
    /// Count the bookmarks of each owner, for their limits.
    Count,
    /// See [`Store::walk`].
    Walk(Option<Key>, usize),
    /// See [`Store::sift`]: bookmarks to delete, bookmarks in use, and the time of that.
    Sift(Vec<Key>, Vec<Key>, u64),
}

impl Job {
    /// Whether it changes nothing, so that it need not wait for jobs that do.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Meet(_))
    }
}

/// A bookmark to look up.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Subscription, identity, and machine.
    pub key: Key,
    /// Keys under which earlier versions stored it.
    pub former: Vec<Key>,
}

/// The row under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The bookmark; `None` if there is none or it is damaged.
    pub stored: Option<Stored>,
    /// How often the row was written, which a writer must state. Always 0 if only one relay
    /// can write.
    pub generation: u64,
    /// The key under which it was found, if that is a former one.
    pub former: Option<Key>,
}

/// A bookmark to write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Subscription, identity, and machine.
    pub key: Key,
    /// The generation that was found; if another relay has written since, nothing is
    /// written.
    pub generation: u64,
    /// The former key from which the row moves.
    pub former: Option<Key>,
    /// The new bookmark; `None` if only `aside` is to be stored.
    pub latest: Option<Stored>,
    /// A bookmark that the guard rejected, and why.
    pub aside: Option<(Bookmark, String)>,
    /// The network that it is counted for, if it has no identity.
    pub network: Option<IpAddr>,
}

/// The result of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// It is durable, so an acknowledgment may be sent.
    Done,
    /// Another relay has written the row since it was read.
    Conflict,
    /// This row cannot be written, while others can.
    Failed,
}

/// The answer to a job.
#[derive(Debug)]
pub enum Done {
    /// To [`Job::Read`], in its order.
    Read(Result<Vec<Found>, Error>),
    /// To [`Job::Write`], in its order.
    Written(Result<Vec<Wrote>, Error>),
    /// To [`Job::SaveHosts`]: the total running time of relays in seconds, as far as the
    /// store knows it.
    HostsSaved(Result<u64, Error>),
    /// To [`Job::LoadHosts`].
    HostsLoaded(Result<Saved, Error>),
    /// To [`Job::Meet`].
    Met(Result<Met, Error>),
    /// To [`Job::Count`].
    Counted(Result<Vec<(Owner, Usage)>, Error>),
    /// To [`Job::Walk`].
    Walked(Result<Vec<(Key, u64)>, Error>),
    /// To [`Job::Sift`].
    Sifted(Result<(), Error>),
    /// Not to a job: the health of the store has changed.
    Changed,
}

/// An answer, and the health of the store.
#[derive(Debug)]
pub struct Answer {
    /// Ticket of the job; meaningless for [`Done::Changed`].
    pub ticket: Ticket,
    /// The result.
    pub done: Done,
    /// The health of the store afterwards, if known.
    pub condition: Option<Condition>,
}

/// Performs a job on a store that may block.
pub fn perform(store: &mut dyn Store, ticket: Ticket, job: Job) -> Answer {
    let done = match job {
        Job::Read(lookups) => {
            let found = lookups.iter().map(|lookup| find(store, lookup));
            Done::Read(found.collect())
        }
        Job::Write(rows, stamp) => Done::Written(write(store, &rows, stamp)),
        Job::SaveHosts(changes) => {
            let ran = changes.pulse.ran;
            Done::HostsSaved(store.save_hosts(&changes).map(|()| ran))
        }
        Job::LoadHosts => Done::HostsLoaded(store.load_hosts()),
        // It is not shared.
        Job::Meet(_) => Done::Met(Ok(Met::default())),
        Job::Count => Done::Counted(store.usage()),
        Job::Walk(after, count) => Done::Walked(store.walk(after.as_ref(), count)),
        Job::Sift(gone, kept, ran) => Done::Sifted(store.sift(&gone, &kept, ran)),
    };
    Answer {
        ticket,
        done,
        condition: Some(store.condition()),
    }
}

/// Looks under its own key, then under the former ones.
fn find(store: &mut dyn Store, lookup: &Lookup) -> Result<Found, Error> {
    let mut found = Found {
        stored: store.bookmark(&lookup.key)?,
        generation: store.generation(&lookup.key)?.unwrap_or(0),
        former: None,
    };
    for former in &lookup.former {
        if found.stored.is_none() {
            found.stored = store.bookmark(former)?;
            found.former = found.stored.is_some().then(|| former.clone());
        }
    }
    Ok(found)
}

/// Writes all rows except for damaged ones.
fn write(store: &mut dyn Store, rows: &[Write], stamp: Stamp) -> Result<Vec<Wrote>, Error> {
    let mut wrote = Vec::with_capacity(rows.len());
    for row in rows {
        let known = store.generation(&row.key)?;
        wrote.push(if known.is_none_or(|known| known == row.generation) {
            Wrote::Done
        } else {
            Wrote::Conflict
        });
    }
    let mut left_out = 0;
    while let Some((at, error)) = put_all(store, rows, &wrote, stamp) {
        store.rollback();
        if !error.is_of_one_row() || left_out >= LEFT_OUT {
            return Err(error);
        }
        left_out += 1;
        if let Some(wrote) = wrote.get_mut(at) {
            *wrote = Wrote::Failed;
        }
    }
    if let Err(error) = store.commit() {
        store.rollback();
        return Err(error);
    }
    Ok(wrote)
}

/// Returns which row failed, and why.
fn put_all(
    store: &mut dyn Store,
    rows: &[Write],
    wrote: &[Wrote],
    stamp: Stamp,
) -> Option<(usize, Error)> {
    let all = rows.iter().zip(wrote).enumerate();
    let mut ours = all.filter(|(_, (_, wrote))| **wrote == Wrote::Done);
    ours.find_map(|(at, (row, _))| Some((at, put(store, row, stamp).err()?)))
}

fn put(store: &mut dyn Store, row: &Write, stamp: Stamp) -> Result<(), Error> {
    let stamp = Stamp {
        network: row.network,
        ..stamp
    };
    if let Some(former) = &row.former {
        store.rename(former, &row.key)?;
    }
    if let Some(latest) = &row.latest {
        store.put(&row.key, Change::Latest(latest), stamp)?;
    }
    if let Some((bookmark, reason)) = &row.aside {
        store.put(&row.key, Change::Aside(bookmark, reason), stamp)?;
    }
    Ok(())
}
