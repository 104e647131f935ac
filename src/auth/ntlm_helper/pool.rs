//! Which process is asked what, and which is to be started or killed.
//!
//! The protocol has no request ids: an answer belongs to the last question of its process.
//! So each process has at most one question at a time, and one that answers unasked or late
//! is killed rather than trusted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::protocol::{self, Decoder};
use crate::auth::Verdict;
use crate::base::clock::Now;
use crate::protocol::ntlm::Question;

/// How long a process may take for one question. With `QUEUE_TIME` it stays below the 30
/// s that authentication as a whole may take.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long a question may wait for a free process.
const QUEUE_TIME: Duration = Duration::from_secs(10);
/// Maximum number of waiting questions.
const QUEUED: usize = 4096;
/// Maximum total size of waiting questions in bytes.
const QUEUED_BYTES: usize = 16 << 20;
/// A process that ends without having answered anything is restarted after a pause that
/// doubles from here ...
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// ... up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the event loop has to do. A number is an index into the pool.
#[derive(Debug)]
pub enum Task<Id> {
    /// Start a process and report [`Pool::handle_started`] or [`Pool::handle_ended`].
    Start(usize),
    /// Write this to its standard input.
    Send(usize, Vec<u8>),
    /// Close its standard input, so that it exits. The place counts as empty from now on.
    Close(usize),
    /// Kill it. The place counts as empty from now on.
    Kill(usize),
    /// Deliver the verdict to whoever asked.
    Answer(Id, Verdict),
}

/// A question and who asked it; an [`Id`](Task) has at most one.
#[derive(Debug)]
struct Asked<Id> {
    id: Id,
    // The request as written to the process.
    lines: Vec<u8>,
    /// When it has waited too long in the queue.
    until: Instant,
    /// A process has already died over it; a second death answers it, so that a question
    /// that crashes helpers cannot kill them all.
    is_second: bool,
}

#[derive(Debug)]
enum State<Id> {
    /// To be started at this time.
    Empty { until: Instant },
    /// Being started by the event loop.
    Starting,
    /// Running, without a question.
    Idle,
    /// Running, with a question that must be answered in time.
    Busy { asked: Asked<Id>, until: Instant },
}

#[derive(Debug)]
struct Place<Id> {
    state: State<Id>,
    decoder: Decoder,
    /// The pause before the next start, should it end without having answered.
    pause: Duration,
    /// To be replaced once it is idle.
    is_old: bool,
}

/// A bounded queue of questions, and processes that answer one at a time.
#[derive(Debug)]
pub struct Pool<Id> {
    places: Vec<Place<Id>>,
    queue: VecDeque<Asked<Id>>,
    // Total size of `queue`, in bytes.
    queued_bytes: usize,
    // Results that the event loop has not taken yet, in order.
    tasks: VecDeque<Task<Id>>,
    /// A process has failed and none has answered since; limits the warnings to one per
    /// outage.
    is_failing: bool,
}

impl<Id: Copy> Pool<Id> {
    /// A pool of `size` processes, all to be started.
    #[must_use]
    pub fn new(now: Now, size: usize) -> Self {
        let until = now.monotonic;
        let place = || Place {
            state: State::Empty { until },
            decoder: Decoder::default(),
            pause: Duration::ZERO,
            is_old: false,
        };
        let mut pool = Self {
            places: std::iter::repeat_with(place).take(size).collect(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            tasks: VecDeque::new(),
            is_failing: false,
        };
        pool.handle_timeout(now);
        pool
    }

    /// The next task; call until it returns `None`.
    #[must_use]
    pub fn poll_task(&mut self) -> Option<Task<Id>> {
        self.tasks.pop_front()
    }

    /// When [`Self::handle_timeout`] is due; `None` if nothing is pending.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let places = self.places.iter().filter_map(|place| match place.state {
            State::Empty { until } | State::Busy { until, .. } => Some(until),
            State::Starting | State::Idle => None,
        });
        // All questions wait equally long, so the first in the queue expires first.
        places
            .chain(self.queue.front().map(|asked| asked.until))
            .min()
    }

    /// Queues a question. Exactly one [`Task::Answer`] follows, immediately if the queue is
    /// full.
    pub fn ask(&mut self, now: Now, id: Id, question: &Question) {
        let lines = protocol::emit(question);
        let is_full = self.queue.len() >= QUEUED || self.queued_bytes + lines.len() > QUEUED_BYTES;
        if is_full {
            let why = format!("{} requests are already waiting", self.queue.len());
            return self.answer(id, Verdict::Unavailable(why));
        }
        self.queued_bytes += lines.len();
        self.queue.push_back(Asked {
            id,
            lines,
            until: now.monotonic + QUEUE_TIME,
            is_second: false,
        });
        self.dispatch(now);
    }

    /// The process at `index` is running.
    pub fn handle_started(&mut self, now: Now, index: usize) {
        if let Some(place) = self.places.get_mut(index) {
            place.state = State::Idle;
            place.decoder = Decoder::default();
            place.is_old = false;
            self.dispatch(now);
        }
    }

    /// The process at `index` could not be started or has ended. Its question moves to
    /// another process once.
    pub fn handle_ended(&mut self, now: Now, index: usize, why: &str) {
        let place = self.places.get(index);
        if place.is_none_or(|place| matches!(place.state, State::Empty { .. })) {
            return;
        }
        match self.vacate(now, index, why) {
            Some(asked) if !asked.is_second => {
                // The question may not be at fault: let another process try it.
                self.queued_bytes += asked.lines.len();
                self.queue.push_front(Asked {
                    is_second: true,
                    ..asked
                });
                self.dispatch(now);
            }
            Some(asked) => {
                let why = format!("the helper {why}");
                self.answer(asked.id, Verdict::Unavailable(why));
            }
            None => {}
        }
    }

    /// Output of the process at `index`.
    pub fn handle_received(&mut self, now: Now, index: usize, bytes: &[u8]) {
        match self.places.get_mut(index) {
            Some(place) if matches!(place.state, State::Idle | State::Busy { .. }) => {
                place.decoder.feed(bytes);
            }
            // Output of a process that was already killed.
            _ => return,
        }
        loop {
            let Some(place) = self.places.get_mut(index) else {
                return;
            };
            match (place.decoder.poll(), &place.state) {
                (Ok(None), _) => break,
                (Ok(Some(answer)), State::Busy { .. }) => {
                    let before = std::mem::replace(&mut place.state, State::Idle);
                    place.pause = Duration::ZERO;
                    if let State::Busy { asked, .. } = before {
                        self.note_answer();
                        self.answer(asked.id, answer.verdict());
                    }
                }
                (Ok(Some(_)), _) => {
                    // It is out of step: from now on its answers might belong to other
                    // questions.
                    return self.give_up(now, index, "sent an answer without a request");
                }
                (Err(error), _) => {
                    let why = format!("does not speak ntlm-server-1: it sends {error}");
                    return self.give_up(now, index, &why);
                }
            }
        }
        self.dispatch(now);
    }

    /// Starts processes whose pause is over and answers what has waited too long. Calling
    /// it early is harmless.
    pub fn handle_timeout(&mut self, now: Now) {
        for index in 0..self.places.len() {
            let Some(place) = self.places.get_mut(index) else {
                continue;
            };
            match &place.state {
                State::Empty { until } if *until <= now.monotonic => {
                    place.state = State::Starting;
                    self.tasks.push_back(Task::Start(index));
                }
                State::Busy { until, .. } if *until <= now.monotonic => {
                    let why = format!("has not answered within {} s", ANSWER_TIME.as_secs());
                    self.give_up(now, index, &why);
                }
                _ => {}
            }
        }
        let is_over = |asked: &Asked<Id>| asked.until <= now.monotonic;
        while self.queue.front().is_some_and(is_over)
            && let Some(asked) = self.queue.pop_front()
        {
            self.queued_bytes -= asked.lines.len();
            let why = format!("no helper became free within {} s", QUEUE_TIME.as_secs());
            self.answer(asked.id, Verdict::Unavailable(why));
        }
    }

    /// Replaces all processes, each after its current answer. A reload calls it.
    pub fn restart(&mut self, now: Now) {
        self.places.iter_mut().for_each(|place| {
            place.is_old = true;
            place.pause = Duration::ZERO;
        });
        self.dispatch(now);
    }

    /// Assigns waiting questions to idle processes, and replaces idle processes that are
    /// marked as old.
    fn dispatch(&mut self, now: Now) {
        for index in 0..self.places.len() {
            let Some(place) = self.places.get_mut(index) else {
                continue;
            };
            if !matches!(place.state, State::Idle) {
                continue;
            }
            if place.is_old {
                place.state = State::Starting;
                self.tasks.push_back(Task::Close(index));
                self.tasks.push_back(Task::Start(index));
                continue;
            }
            if self.queue.is_empty() {
                continue;
            }
            if !place.decoder.is_clean() {
                self.give_up(now, index, "sent output without a request");
                continue;
            }
            if let Some(asked) = self.queue.pop_front() {
                self.queued_bytes -= asked.lines.len();
                self.tasks.push_back(Task::Send(index, asked.lines.clone()));
                let until = now.monotonic + ANSWER_TIME;
                place.state = State::Busy { asked, until };
            }
        }
    }

    /// Kills a process that has failed, and answers its question.
    fn give_up(&mut self, now: Now, index: usize, why: &str) {
        self.tasks.push_back(Task::Kill(index));
        if let Some(asked) = self.vacate(now, index, why) {
            let why = format!("the helper {why}");
            self.answer(asked.id, Verdict::Unavailable(why));
        }
    }

    /// Empties a place until its pause is over and returns the question that it had. Logs a
    /// warning for the first failure only.
    fn vacate(&mut self, now: Now, index: usize, why: &str) -> Option<Asked<Id>> {
        let place = self.places.get_mut(index)?;
        let until = now.monotonic + place.pause;
        let seconds = place.pause.as_secs_f32();
        place.pause = (place.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let before = std::mem::replace(&mut place.state, State::Empty { until });
        if std::mem::replace(&mut self.is_failing, true) {
            log::debug!("--ntlm-helper: process {index} {why}; restarting in {seconds} s");
        } else {
            log::warn!("--ntlm-helper: process {index} {why}; restarting in {seconds} s");
        }
        match before {
            State::Busy { asked, .. } => Some(asked),
            _ => None,
        }
    }

    /// Logs the end of an outage.
    fn note_answer(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            log::info!("--ntlm-helper: processes are answering again");
        }
    }

    fn answer(&mut self, id: Id, verdict: Verdict) {
        self.tasks.push_back(Task::Answer(id, verdict));
    }
}

#[cfg(test)]
mod tests;
