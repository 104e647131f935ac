//! Channels between the loop and the threads of the store: jobs to the threads, answers to the
//! loop.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use mio::Waker;

use crate::store::{Answer, Job, Ticket};

pub(super) type Jobs = Sender<(Ticket, Job)>;

/// The channel to one thread of a store.
pub(super) struct Way {
    jobs: Jobs,
    /// Wakes the thread; `None` if it waits for jobs only.
    waker: Option<Arc<Waker>>,
}

impl Way {
    pub(super) fn new(jobs: Jobs, waker: Option<Arc<Waker>>) -> Self {
        Self { jobs, waker }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker
            && let Err(error) = waker.wake()
        {
            log::error!("a store thread cannot be woken: {error}");
        }
    }
}

/// The channels to the threads of a store.
pub(super) struct Lanes {
    writes: Way,
    reads: Way,
}

impl Lanes {
    pub(super) fn new(writes: Way, reads: Way) -> Self {
        Self { writes, reads }
    }

    pub(super) fn send(&self, ticket: Ticket, job: Job) {
        let way = if job.is_read() {
            &self.reads
        } else {
            &self.writes
        };
        match way.jobs.send((ticket, job)) {
            Ok(()) => way.wake(),
            Err(_) => log::error!("the store's thread has ended"),
        }
    }

    /// Closes the channels, which ends the threads. The caller must keep the returned wakers until
    /// the threads have ended.
    pub(super) fn close(self) -> [Option<Arc<Waker>>; 2] {
        [self.writes, self.reads].map(|Way { jobs, waker }| {
            drop(jobs);
            if let Some(waker) = &waker {
                // This fails if the thread has already ended.
                drop(waker.wake());
            }
            waker
        })
    }
}

/// The channel for answers, and the loop's waker.
#[derive(Clone)]
pub(super) struct Replies {
    answers: Sender<Answer>,
    waker: Arc<Waker>,
}

impl Replies {
    pub(super) fn new(answers: Sender<Answer>, waker: Arc<Waker>) -> Self {
        Self { answers, waker }
    }

    /// Sends an answer and wakes the loop. Returns false if the loop has ended.
    pub(super) fn send(&self, answer: Answer) -> bool {
        let is_heard = self.answers.send(answer).is_ok();
        if is_heard && let Err(error) = self.waker.wake() {
            log::error!("the loop cannot be woken: {error}");
        }
        is_heard
    }
}

pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
