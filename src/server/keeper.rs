//! The store in its own threads, so that the loop never waits for it.
//!
//! One thread makes all changes, in order; another one handles reads, which thus do not
//! wait for a disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::Waker;

use super::database::Database;
use super::lanes::{Jobs, Lanes, Replies, Way, spawn};
use crate::base::clock::Now;
use crate::collector::Collector;
use crate::store::{Answer, Done, Found, Job, Lookup, Store, Ticket, perform};

/// Number of jobs of the writing thread after which the tidying thread runs.
const TIDY_EVERY: u32 = 16;
/// How long to wait for each answer at the start and at the end.
const LAST: Duration = Duration::from_secs(30);

/// Looks up bookmarks without the thread that writes; `None` if that thread must do it.
pub type Reader = Box<dyn FnMut(&[Lookup]) -> Option<Vec<Found>> + Send>;

/// A store on this machine.
pub struct Local {
    /// The store itself.
    pub store: Box<dyn Store + Send>,
    /// A reader of the same store, for another thread.
    pub reader: Reader,
    /// Maintenance that may take long and runs in its own thread from time to time.
    pub tidy: Box<dyn FnMut() + Send>,
}

/// Where bookmarks and hosts are stored.
pub enum Opened {
    /// On this machine.
    Local(Local),
    /// In a database that relays share.
    Database(Box<Database>),
}

/// The threads, and the channels to them.
pub(super) struct Keeper {
    /// Dropped first, which ends the threads.
    lanes: Option<Lanes>,
    answers: Receiver<Answer>,
    threads: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the threads of a store.
    pub(super) fn start(opened: Opened, waker: Arc<Waker>) -> io::Result<Self> {
        let (answers, receiver) = channel();
        let replies = Replies::new(answers, waker);
        let (lanes, threads) = match opened {
            Opened::Local(local) => start_local(local, replies)?,
            Opened::Database(database) => database.start(&replies)?,
        };
        Ok(Self {
            lanes: Some(lanes),
            answers: receiver,
            threads,
        })
    }

    /// Passes the collector's jobs to the store.
    pub(super) fn submit_jobs(&self, collector: &mut Collector) {
        let Some(lanes) = &self.lanes else {
            return;
        };
        while let Some((ticket, job)) = collector.poll_job() {
            lanes.send(ticket, job);
        }
    }

    /// Passes the store's answers to the collector.
    pub(super) fn take_answers(&self, now: Now, collector: &mut Collector) {
        while let Ok(answer) = self.answers.try_recv() {
            collector.handle_answer(now, answer);
        }
    }

    /// Blocks until the collector no longer waits for the store: only before the first turn and
    /// after the last. Logs an error and returns if an answer takes longer than [`LAST`].
    pub(super) fn wait_for(&self, collector: &mut Collector) {
        self.submit_jobs(collector);
        while collector.awaits_store() {
            let Ok(answer) = self.answers.recv_timeout(LAST) else {
                log::error!("the store does not answer");
                return;
            };
            collector.handle_answer(super::now(), answer);
            self.submit_jobs(collector);
        }
    }

    /// Ends the threads, and thus closes the store. Waits for their last jobs.
    pub(super) fn end(&mut self) {
        // The wakers must outlive the threads, which are woken to find their channels closed.
        let _wakers = self.lanes.take().map(Lanes::close);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a store thread has failed");
            }
        }
    }
}

fn start_local(local: Local, replies: Replies) -> io::Result<(Lanes, Vec<JoinHandle<()>>)> {
    let (writes, write_jobs) = channel();
    let (reads, read_jobs) = channel();
    let (tidy, tidy_asked) = sync_channel(1);
    let Local {
        store,
        reader,
        tidy: mut tidy_up,
    } = local;
    let forward = writes.clone();
    let (of_writes, of_reads) = (replies.clone(), replies);
    let threads = vec![
        spawn("store", move || {
            serve(store, &write_jobs, &of_writes, &tidy);
        })?,
        spawn("store-read", move || {
            serve_reads(reader, &read_jobs, &of_reads, &forward);
        })?,
        spawn("store-tidy", move || {
            tidy_asked.iter().for_each(|()| tidy_up());
        })?,
    ];
    let way = |jobs| Way::new(jobs, None);
    Ok((Lanes::new(way(writes), way(reads)), threads))
}

fn serve(
    mut store: Box<dyn Store + Send>,
    jobs: &Receiver<(Ticket, Job)>,
    replies: &Replies,
    tidy: &SyncSender<()>,
) {
    let mut writes = 0_u32;
    for (ticket, job) in jobs {
        let answer = perform(&mut *store, ticket, job);
        if !replies.send(answer) {
            return;
        }
        writes = writes.wrapping_add(1);
        if writes.is_multiple_of(TIDY_EVERY) {
            // If a request is already waiting, one more is not needed.
            let _ = tidy.try_send(());
        }
    }
}

fn serve_reads(
    mut reader: Reader,
    jobs: &Receiver<(Ticket, Job)>,
    replies: &Replies,
    forward: &Jobs,
) {
    for (ticket, job) in jobs {
        let found = match &job {
            Job::Read(lookups) => reader(lookups),
            _ => None,
        };
        let is_heard = match found {
            // The thread that writes reports the store's condition.
            Some(found) => replies.send(Answer {
                ticket,
                done: Done::Read(Ok(found)),
                condition: None,
            }),
            None => forward.send((ticket, job)).is_ok(),
        };
        if !is_heard {
            return;
        }
    }
}
