//! The ways between the loop and the threads of the store: jobs there, answers back.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use mio::Waker;

use crate::store::{Answer, Job, Ticket};

pub(super) type Jobs = Sender<(Ticket, Job)>;

/// The way to the threads of a store.
pub(super) struct Lanes {
    writes: Jobs,
    reads: Jobs,
    /// What wakes the threads, where they wait for more than jobs.
    wakers: Vec<Arc<Waker>>,
}

impl Lanes {
    pub(super) fn new(writes: Jobs, reads: Jobs, wakers: Vec<Arc<Waker>>) -> Self {
        Self {
            writes,
            reads,
            wakers,
        }
    }

    pub(super) fn send(&self, ticket: Ticket, job: Job) {
        let lane = if job.is_read() {
            &self.reads
        } else {
            &self.writes
        };
        match lane.send((ticket, job)) {
            Ok(()) => self.wake(),
            Err(_) => log::error!("the store's thread has ended"),
        }
    }

    /// Tells the threads that no more jobs come. What wakes them has to outlive them.
    pub(super) fn close(self) -> Vec<Arc<Waker>> {
        let Self {
            writes,
            reads,
            wakers,
        } = self;
        drop((writes, reads));
        for waker in &wakers {
            drop(waker.wake());
        }
        wakers
    }

    fn wake(&self) {
        for waker in &self.wakers {
            if let Err(error) = waker.wake() {
                log::error!("a thread of the store cannot be woken: {error}");
            }
        }
    }
}

/// Where answers go.
#[derive(Clone)]
pub(super) struct Replies {
    answers: Sender<Answer>,
    waker: Arc<Waker>,
}

impl Replies {
    pub(super) fn new(answers: Sender<Answer>, waker: Arc<Waker>) -> Self {
        Self { answers, waker }
    }

    /// Answers whether anybody still listens.
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
