//! The store on PostgreSQL: converts jobs to requests, and rows to answers.

use std::collections::VecDeque;
use std::time::Instant;

use super::client::{Client, Task, Ticket as Number};
use super::error::{Failure, Kind};
use super::request::Rows;
use super::tables;
use crate::store::{Answer, Condition, Done, Error, Job, Ticket, Write, Wrote};

/// The job in progress.
#[derive(Debug)]
enum Work {
    Job(Ticket, Job),
    /// A write of which the database rejects some row: continues row by row; the results so
    /// far.
    Rows(Ticket, Job, Vec<Wrote>),
}

/// A store that relays share.
pub struct Shared {
    client: Client,
    relay: String,
    work: Option<Work>,
    queue: VecDeque<(Ticket, Job)>,
    answers: VecDeque<Answer>,
    condition: Condition,
    next: Number,
}

impl Shared {
    /// `relay` is this relay's name among those that share the store. The tables must
    /// exist.
    #[must_use]
    pub fn new(client: Client, relay: String) -> Self {
        Self {
            client,
            relay,
            work: None,
            queue: VecDeque::new(),
            answers: VecDeque::new(),
            condition: Condition::default(),
            next: 0,
        }
    }

    /// The connection, for reading and writing.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The next task for the connection.
    #[must_use]
    pub fn poll_task(&mut self) -> Option<Task> {
        self.client.poll_task()
    }

    /// Submits a job. Each gets one answer, in order.
    pub fn submit(&mut self, now: Instant, ticket: Ticket, job: Job) {
        self.queue.push_back((ticket, job));
        self.go_on(now);
    }

    /// Whether no job is pending.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.work.is_none() && self.queue.is_empty()
    }

    /// The next answer; call after each call of [`Shared::go_on`].
    #[must_use]
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Processes the client's answers; must be called after any other call on the client.
    pub fn go_on(&mut self, now: Instant) {
        while let Some((_, rows)) = self.client.poll_done() {
            self.take(now, rows);
        }
        self.note_trouble();
        if self.work.is_none()
            && let Some((ticket, job)) = self.queue.pop_front()
        {
            self.ask(now, &job);
            self.work = Some(Work::Job(ticket, job));
        }
    }

    fn ask(&mut self, now: Instant, job: &Job) {
        self.next += 1;
        let request = tables::request(&self.relay, job);
        self.client.submit(now, self.next, request);
    }

    fn note_trouble(&mut self) {
        let trouble = self.client.trouble().map(Failure::to_string);
        // The cause may become clearer later: the server first closes the connection, and
        // then rejects new ones.
        if trouble == self.condition.trouble {
            return;
        }
        self.condition.trouble = trouble;
        self.answer(0, Done::Changed);
    }

    fn answer(&mut self, ticket: Ticket, done: Done) {
        self.answers.push_back(Answer {
            ticket,
            done,
            condition: Some(self.condition.clone()),
        });
    }

    fn take(&mut self, now: Instant, rows: Result<Rows, Failure>) {
        match self.work.take() {
            None => {}
            Some(Work::Job(ticket, job)) => self.take_job(now, ticket, job, rows),
            Some(Work::Rows(ticket, job, mut wrote)) => {
                let one = nth(&job, wrote.len());
                let single = one.zip(rows.ok()).and_then(|(one, rows)| {
                    match tables::done(&one, &rows, &mut self.condition.damaged) {
                        Ok(Done::Written(Ok(wrote))) => wrote.first().copied(),
                        _ => None,
                    }
                });
                wrote.push(single.unwrap_or(Wrote::Failed));
                self.next_row(now, ticket, job, wrote);
            }
        }
    }

    fn take_job(&mut self, now: Instant, ticket: Ticket, job: Job, rows: Result<Rows, Failure>) {
        let done = match rows {
            Ok(rows) => tables::done(&job, &rows, &mut self.condition.damaged).map_err(|_| {
                let says = "rows that do not match wecrelay's tables";
                Failure::new(Kind::NoTables, "the server", says)
            }),
            Err(failure) => Err(failure),
        };
        match done {
            Ok(done) => self.answer(ticket, done),
            Err(failure) if failure.kind == Kind::Data && matches!(job, Job::Write(..)) => {
                log::warn!("{failure}; rows are written one by one");
                self.next_row(now, ticket, job, Vec::new());
            }
            Err(failure) => self.answer(ticket, failed(&job, failure)),
        }
    }

    fn next_row(&mut self, now: Instant, ticket: Ticket, job: Job, wrote: Vec<Wrote>) {
        match nth(&job, wrote.len()) {
            None => {
                let failed = wrote
                    .iter()
                    .filter(|wrote| **wrote == Wrote::Failed)
                    .count();
                self.condition.damaged += u64::try_from(failed).unwrap_or(0);
                self.answer(ticket, Done::Written(Ok(wrote)));
            }
            Some(one) => {
                self.ask(now, &one);
                self.work = Some(Work::Rows(ticket, job, wrote));
            }
        }
    }
}

/// One row of a write.
fn nth(job: &Job, index: usize) -> Option<Job> {
    match job {
        Job::Write(rows, stamp) => {
            let row: Write = rows.get(index)?.clone();
            Some(Job::Write(vec![row], *stamp))
        }
        _ => None,
    }
}

fn failed(job: &Job, failure: Failure) -> Done {
    let error = Error::Postgres(failure);
    match job {
        Job::Read(_) => Done::Read(Err(error)),
        Job::Write(..) => Done::Written(Err(error)),
        Job::SaveHosts(_) => Done::HostsSaved(Err(error)),
        Job::LoadHosts => Done::HostsLoaded(Err(error)),
        Job::Meet(_) => Done::Met(Err(error)),
        Job::Count => Done::Counted(Err(error)),
        Job::Walk(..) => Done::Walked(Err(error)),
        Job::Sift(..) => Done::Sifted(Err(error)),
    }
}
