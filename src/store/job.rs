//! What is asked of a store, and what it answers: owned by nobody, so that a store may be on
//! a thread of its own, or on another machine.

use std::net::IpAddr;

use super::{Change, Condition, Error, Owner, Stamp, Store, Usage};
use crate::bookmark::{Bookmark, Key, Stored};
use crate::hosts::{Changes, Inquiry, Met, Saved};

/// Rows that one write is tried again without, since they cannot be written. More than that,
/// the disk is bad.
const LEFT_OUT: usize = 16;

/// Names a job; a later one has a higher number.
pub type Ticket = u64;

/// Something that a store is to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Read bookmarks by their keys, before subscriptions are answered.
    Read(Vec<Lookup>),
    /// Make bookmarks last, all of them at once; each key stands there once.
    Write(Vec<Write>, Stamp),
    /// Make what is known of hosts last.
    SaveHosts(Changes),
    /// Read what is known of hosts.
    LoadHosts,
    /// Read what other relays know of hosts.
    Meet(Inquiry),
    /// Count bookmarks for each identity and network, for their limits.
    Count,
    /// See [`Store::walk`].
    Walk(Option<Key>, usize),
    /// See [`Store::sift`]: those that go, those that stay, and when.
    Sift(Vec<Key>, Vec<Key>, u64),
}

impl Job {
    /// Whether it changes nothing, and need not wait for what does.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Meet(_))
    }
}

/// A bookmark that is looked for.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Subscription, identity, and machine.
    pub key: Key,
    /// Where an earlier version had it.
    pub former: Vec<Key>,
}

/// What is kept under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The bookmark; none too where it is damaged.
    pub stored: Option<Stored>,
    /// How often it was written: who writes has to know it. Always 0 where only one relay can
    /// write.
    pub generation: u64,
    /// The key under which it stands, if that is a former one.
    pub former: Option<Key>,
}

/// A bookmark to write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Subscription, identity, and machine.
    pub key: Key,
    /// What was found under it; where another relay has written since, nothing is.
    pub generation: u64,
    /// The former key from which it moves.
    pub former: Option<Key>,
    /// The new bookmark.
    pub latest: Option<Stored>,
    /// A bookmark that the guard did not let through, and why.
    pub aside: Option<(Bookmark, String)>,
    /// The network that answers for it, if it has no identity.
    pub network: Option<IpAddr>,
}

/// What has become of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// It is on disk, so that an acknowledgment can be sent.
    Done,
    /// Another relay was there first.
    Conflict,
    /// This row cannot be written; others can.
    Failed,
}

/// What a store answers.
#[derive(Debug)]
pub enum Done {
    /// To [`Job::Read`], in its order.
    Read(Result<Vec<Found>, Error>),
    /// To [`Job::Write`], in its order.
    Written(Result<Vec<Wrote>, Error>),
    /// To [`Job::SaveHosts`]: the seconds that relays have run with this state, as far as
    /// others know it.
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
    /// To nothing: how the store is has changed.
    Changed,
}

/// An answer, and how the store is.
#[derive(Debug)]
pub struct Answer {
    /// Of the job; of no matter for [`Done::Changed`].
    pub ticket: Ticket,
    /// What was done.
    pub done: Done,
    /// How the store is after it, if that is known.
    pub condition: Option<Condition>,
}

/// Does a job with a store that can be waited for.
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
        // Nobody shares it.
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

/// Under its own key, else under the first former one that has something.
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

/// Writes all rows but those that are damaged.
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

/// Answers which row failed, and why.
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
