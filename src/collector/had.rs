//! What outputs already have of batches that their sources were told to send again: it is
//! not sent there twice, and a batch that arrived too late counts when it comes again.
//!
//! A message is known by its text as that output gets it, so that only the same counts,
//! and only from the same host for the same subscription.

use crate::base::clock::Now;
use crate::hosts::Key;
use crate::output::queue::{BatchId, Frames};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Messages that are remembered, at 8 bytes each; beyond it some are sent twice.
const MOST: usize = 1 << 20;
/// How long they are remembered after the host was last told to come again.
const KEPT: Duration = Duration::from_secs(3600);

/// Whose batches: a host, and the subscription that they answer.
pub(super) type Whose = (Rc<Key>, Uuid);

/// The messages of a batch in the form of one output, each by its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prints(Rc<[u64]>);

/// What is to be sent to one output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    All,
    Nothing,
    /// It is on the wire already, as this batch.
    UnderWay(BatchId),
    /// Only these messages, by index.
    Some(Vec<usize>),
}

#[derive(Debug, Default)]
struct AtOutput {
    /// What it has, sorted.
    has: Vec<u64>,
    /// A batch that is on the wire.
    under_way: Option<(BatchId, Prints)>,
}

#[derive(Debug)]
struct Record {
    outputs: HashMap<usize, AtOutput>,
    touched: Instant,
}

/// What outputs have.
#[derive(Debug, Default)]
pub(super) struct Had {
    hasher: RandomState,
    records: HashMap<Whose, Record>,
    /// Whose the batches are that are on the wire.
    under_way: HashMap<BatchId, Whose>,
    /// Messages that are remembered.
    count: usize,
}

impl Had {
    pub(super) fn prints(&self, frames: &Frames) -> Prints {
        let starts = std::iter::once(0).chain(frames.ends.iter().copied());
        let messages = starts.zip(&frames.ends);
        let print = |(start, end): (usize, &usize)| {
            let message = frames.bytes.get(start..*end);
            self.hasher.hash_one(message.unwrap_or_default())
        };
        Prints(messages.map(print).collect())
    }

    pub(super) fn knows(&self, who: &Whose) -> bool {
        !self.records.is_empty() && self.records.contains_key(who)
    }

    /// What an output still needs of a batch that comes again.
    pub(super) fn lack(&self, who: &Whose, output: usize, prints: &Prints) -> Lack {
        let Some(at) = self.records.get(who).and_then(|r| r.outputs.get(&output)) else {
            return Lack::All;
        };
        if let Some((batch, under_way)) = &at.under_way
            && under_way == prints
        {
            return Lack::UnderWay(*batch);
        }
        let mut has = at.has.clone();
        let mut is_lacking = |print: &u64| match has.binary_search(print) {
            Ok(index) => {
                has.remove(index);
                false
            }
            Err(_) => true,
        };
        let messages = prints.0.iter().enumerate();
        let lacking = messages.filter(|(_, print)| is_lacking(print));
        let lacking: Vec<_> = lacking.map(|(index, _)| index).collect();
        match lacking.len() {
            0 => Lack::Nothing,
            count if count == prints.0.len() => Lack::All,
            _ => Lack::Some(lacking),
        }
    }

    /// An output has these messages of a batch that was handed back; `confirmed` says
    /// which, all if it is `None`.
    pub(super) fn note_has(
        &mut self,
        now: Now,
        who: &Whose,
        output: usize,
        prints: &Prints,
        confirmed: Option<&[bool]>,
    ) {
        let is_confirmed = |index| confirmed.is_none_or(|c| c.get(index).is_some_and(|c| *c));
        let messages = prints.0.iter().enumerate();
        let has = messages.filter(|(index, _)| is_confirmed(*index));
        let mut has: Vec<_> = has.map(|(_, print)| *print).collect();
        if has.is_empty() || self.count + has.len() > MOST {
            return;
        }
        has.sort_unstable();
        let at = record(&mut self.records, now, who, output);
        let before = at.has.len();
        at.has = union(&at.has, &has);
        self.count = self.count + at.has.len() - before;
    }

    /// The host has come again, in vain.
    pub(super) fn touch(&mut self, now: Now, who: &Whose) {
        if let Some(record) = self.records.get_mut(who) {
            record.touched = now.monotonic;
        }
    }

    /// A batch that was handed back is still on the wire.
    pub(super) fn note_under_way(
        &mut self,
        now: Now,
        who: &Whose,
        output: usize,
        (batch, prints): (BatchId, Prints),
    ) {
        if self.count + prints.0.len() > MOST {
            return;
        }
        self.count += prints.0.len();
        let at = record(&mut self.records, now, who, output);
        if let Some((old, prints)) = at.under_way.replace((batch, prints)) {
            self.count -= prints.0.len();
            self.drop_under_way(who, old);
        }
        self.under_way.insert(batch, who.clone());
    }

    /// The batch is no longer on the wire to one output; it may be to others.
    fn drop_under_way(&mut self, who: &Whose, batch: BatchId) {
        let record = self.records.get(who);
        let mut outputs = record.into_iter().flat_map(|r| r.outputs.values());
        let is_it = |at: &AtOutput| at.under_way.as_ref().is_some_and(|(id, _)| *id == batch);
        if !outputs.any(is_it) {
            self.under_way.remove(&batch);
        }
    }

    /// A batch that was handed back has arrived after all.
    pub(super) fn note_late(&mut self, now: Now, output: usize, batch: BatchId) {
        let Some(who) = self.under_way.get(&batch).cloned() else {
            return;
        };
        let at = self.records.get_mut(&who);
        let Some(at) = at.and_then(|record| record.outputs.get_mut(&output)) else {
            return;
        };
        if let Some((_, prints)) = at.under_way.take_if(|(id, _)| *id == batch) {
            self.count -= prints.0.len();
            self.drop_under_way(&who, batch);
            self.note_has(now, &who, output, &prints, None);
        }
    }

    /// The host goes on: it will not send again what it was told to.
    pub(super) fn forget(&mut self, who: &Whose) {
        if let Some(record) = self.records.remove(who) {
            self.drop_record(&record);
        }
    }

    fn drop_record(&mut self, record: &Record) {
        for at in record.outputs.values() {
            self.count -= at.has.len();
            if let Some((batch, prints)) = &at.under_way {
                self.count -= prints.0.len();
                self.under_way.remove(batch);
            }
        }
    }

    /// Forgets what was not sent again for long.
    pub(super) fn sweep(&mut self, now: Now) {
        let is_old = |(_, record): &(&Whose, &Record)| now.monotonic >= record.touched + KEPT;
        let old: Vec<_> = self.records.iter().filter(is_old).collect();
        let old: Vec<_> = old.into_iter().map(|(who, _)| who.clone()).collect();
        old.iter().for_each(|who| self.forget(who));
    }
}

fn record<'r>(
    records: &'r mut HashMap<Whose, Record>,
    now: Now,
    who: &Whose,
    output: usize,
) -> &'r mut AtOutput {
    let touched = now.monotonic;
    let record = records.entry(who.clone()).or_insert_with(|| Record {
        outputs: HashMap::new(),
        touched,
    });
    record.touched = touched;
    record.outputs.entry(output).or_default()
}

/// What is in one of two sorted lists, as often as in the one that has more of it.
fn union(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut all = Vec::new();
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => *x.min(y),
            (Some(x), None) | (None, Some(x)) => *x,
            (None, None) => return all,
        };
        a.next_if_eq(&next);
        b.next_if_eq(&next);
        all.push(next);
    }
}
