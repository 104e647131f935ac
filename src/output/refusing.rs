//! What happens to messages that the receiver rejects: they are retried, and then,
//! according to `refused=` of the output, handed back to their host, dropped, or written to
//! a file.

use std::time::Instant;

use super::suspects::{News, Strike, Suspects};
use crate::base::clock::Now;
use crate::output::Refused;
use crate::output::queue::{BatchId, Position, Queue};
use crate::record;

/// The rejected messages of one output.
#[derive(Debug)]
pub(in crate::output) struct Refusing {
    policy: Refused,
    /// Whether sources wait for the output.
    required: bool,
    label: String,
    pub(in crate::output) suspects: Suspects,
    /// Batches to hand back.
    failed: Vec<BatchId>,
    /// Messages to append to the file.
    filing: Vec<Position>,
    /// Whether the file could not be written the last time.
    unwritable: bool,
    /// Number of permanently rejected messages that were dropped.
    pub(super) dropped: u64,
    /// Number of messages written to the file.
    pub(super) filed: u64,
}

impl Refusing {
    pub(super) fn new(policy: Refused, required: bool, label: &str) -> Self {
        Self {
            policy,
            required,
            label: label.to_owned(),
            suspects: Suspects::default(),
            failed: Vec::new(),
            filing: Vec::new(),
            unwritable: false,
            dropped: 0,
            filed: 0,
        }
    }

    pub(in crate::output) fn poll_timeout(&self) -> Option<Instant> {
        let times = [self.suspects.poll_timeout(), self.suspects.sweep_at()];
        times.into_iter().flatten().min()
    }

    /// The receiver did not accept a message in flight.
    pub(in crate::output) fn strike(
        &mut self,
        now: Now,
        position: Position,
        strike: &Strike,
        queue: &mut Queue,
        delivered: &mut Vec<BatchId>,
    ) {
        let Some(message) = queue.message(position) else {
            self.suspects.let_go(position);
            return;
        };
        let verdict = self.suspects.strike(now, message, strike);
        self.tell(verdict.news, message, strike.reason());
        let is_filed = matches!(self.policy, Refused::File(_));
        let is_awaited = queue.awaited_batch(position).is_some();
        // If no source waits for it, it is tried once, unless it is uncertain whether it is at
        // fault.
        let is_wanted = is_filed || (is_awaited && self.required) || *strike == Strike::Ended;
        if !verdict.for_good && is_wanted {
            if verdict.waits {
                self.suspects.postpone(now, position, message);
            }
            return;
        }
        match &self.policy {
            Refused::File(_) => {
                self.suspects.let_go(position);
                self.filing.push(position);
            }
            Refused::Retry if self.required => self.fail(position, queue),
            Refused::Drop | Refused::Retry => {
                self.dropped += u64::from(is_awaited);
                self.let_go(position, queue, delivered);
            }
        }
    }

    /// The host of a message keeps it, and the rest of its batch.
    fn fail(&mut self, position: Position, queue: &mut Queue) {
        if let Some(batch) = queue.awaited_batch(position) {
            queue.cancel(batch);
            self.failed.push(batch);
        }
        self.let_go(position, queue, &mut Vec::new());
    }

    pub(in crate::output) fn let_go(
        &mut self,
        position: Position,
        queue: &mut Queue,
        delivered: &mut Vec<BatchId>,
    ) {
        self.suspects.let_go(position);
        queue.let_go(position, delivered);
    }

    fn tell(&self, news: News, message: &[u8], reason: &str) {
        let label = &self.label;
        let effect = match &self.policy {
            Refused::Retry if self.required => {
                "its host keeps it and is answered 503 until later; other hosts are not delayed; \
                 see ?refused="
            }
            Refused::Retry | Refused::Drop => "it is dropped if that persists",
            Refused::File(_) => "it is written to the file of ?refused= if that persists",
        };
        match news {
            News::Name => {
                let name = record::name(message);
                log::warn!(
                    "output {label}: the receiver refuses an event of {name}: {reason}; {effect}"
                );
            }
            News::More => log::warn!(
                "output {label}: the receiver refuses more events; the status page has the latest"
            ),
            News::Old => {
                let name = record::name(message);
                log::debug!("output {label}: refused again: {name}: {reason}");
            }
        }
    }

    /// Batches with a permanently rejected message.
    pub(super) fn take_failed(&mut self) -> Vec<BatchId> {
        std::mem::take(&mut self.failed)
    }

    /// Lines to append to the file; [`Refusing::handle_filed`] must follow.
    pub(super) fn lines_to_file(&self, queue: &Queue) -> Option<Vec<u8>> {
        if self.filing.is_empty() {
            return None;
        }
        let mut lines = Vec::new();
        for &position in &self.filing {
            if let Some(message) = queue.message(position) {
                record::push_line(message, &mut lines);
            }
        }
        Some(lines)
    }

    /// These lines are on disk; with an error they are not, and their hosts keep the
    /// events.
    pub(super) fn handle_filed(
        &mut self,
        error: Option<&str>,
        queue: &mut Queue,
        delivered: &mut Vec<BatchId>,
    ) {
        let label = &self.label;
        match error {
            Some(error) if !std::mem::replace(&mut self.unwritable, true) => log::error!(
                "output {label}: the file for refused events cannot be written: {error}; their \
                 hosts keep them"
            ),
            None if std::mem::take(&mut self.unwritable) => {
                log::info!("output {label}: the file for refused events can be written again");
            }
            _ => {}
        }
        for position in std::mem::take(&mut self.filing) {
            if error.is_some() {
                self.fail(position, queue);
            } else {
                self.filed += 1;
                self.let_go(position, queue, delivered);
            }
        }
    }
}
