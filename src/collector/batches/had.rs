//! What outputs already have of batches that were handed back: it is not sent there again,
//! and a batch that arrived too late counts when the host repeats it.
//!
//! A message is recognized by its text as formatted for that output, so only an identical
//! message counts, and only from the same host for the same subscription.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::OutputId;
use super::batch::{Batch, Whose};
use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::collector::outputs::Outputs;
use crate::output::queue::{BatchId, Frames};

/// Maximum number of messages to remember, at 8 bytes each. Beyond it, some are sent twice.
const MOST: usize = 1 << 20;
/// How long messages are remembered after the host was last asked to retry.
const KEPT: Duration = Duration::from_secs(3600);

/// Fingerprints of a batch's messages in the encoding of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prints(Rc<[u64]>);

/// What still has to be sent to one output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    All,
    Nothing,
    /// Nothing: it is already being sent as part of this batch.
    UnderWay(BatchId),
    /// Only these messages, by index.
    Some(Vec<usize>),
}

#[derive(Debug, Default)]
struct AtOutput {
    /// Fingerprints of what the output has, sorted.
    has: Vec<u64>,
    /// A batch that is being sent.
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
    /// Owners of the batches that are being sent although they were handed back.
    under_way: QuickMap<BatchId, Whose>,
    /// Number of remembered messages.
    count: usize,
}

impl Had {
    fn prints(&self, frames: &Frames) -> Prints {
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

    /// Whether all required outputs already have a batch.
    pub(super) fn has_all(&self, outputs: &Outputs, batch: &Batch) -> bool {
        if batch.frames.iter().all(|frames| frames.ends.is_empty()) {
            return true;
        }
        let has = |id| match self.lack_of(outputs, batch, id) {
            Lack::Nothing | Lack::UnderWay(_) => true,
            Lack::Some(_) | Lack::All => {
                let link = outputs.get(id);
                link.is_some_and(|link| !link.settings().required)
            }
        };
        self.knows(&batch.whose) && outputs.ids().all(has)
    }

    /// What an output still needs of a batch.
    pub(super) fn lack_of(&self, outputs: &Outputs, batch: &Batch, id: OutputId) -> Lack {
        match outputs.frames_of(&batch.frames, id) {
            Some(frames) if self.knows(&batch.whose) => {
                let prints = self.prints(frames);
                self.lack(&batch.whose, id.0, &prints)
            }
            Some(_) => Lack::All,
            None => Lack::Nothing,
        }
    }

    /// What an output still needs of a repeated batch.
    fn lack(&self, who: &Whose, output: usize, prints: &Prints) -> Lack {
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

    /// Records that an output has messages of a batch that was handed back: those in
    /// `confirmed`, or all if it is `None`.
    fn note_has(
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

    /// Removes a batch from the outputs, because it is handed back, and remembers which of
    /// them have what.
    pub(super) fn take_back(
        &mut self,
        now: Now,
        outputs: &mut Outputs,
        (id, batch): (BatchId, &Batch),
    ) {
        for output in outputs.ids() {
            let left = outputs.get_mut(output).and_then(|l| l.cancel(now, id));
            let Some(frames) = outputs.frames_of(&batch.frames, output) else {
                continue;
            };
            let prints = self.prints(frames);
            let who = &batch.whose;
            let Some(left) = left else {
                // A permanently refused message removes its batch from the queue as well.
                if batch.had_by.has(output) {
                    self.note_has(now, who, output.0, &prints, None);
                }
                continue;
            };
            // If only a part of the batch was sent, it is unknown which messages these are.
            if left.confirmed.len() == frames.ends.len() {
                self.note_has(now, who, output.0, &prints, Some(&left.confirmed));
            }
            if left.is_under_way {
                self.note_under_way(now, who, output.0, (id, prints));
            }
        }
    }

    /// The host has retried without success; keeps its record.
    pub(super) fn touch(&mut self, now: Now, who: &Whose) {
        if let Some(record) = self.records.get_mut(who) {
            record.touched = now.monotonic;
        }
    }

    /// Records that a batch that was handed back is still being sent.
    fn note_under_way(
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

    /// The batch is no longer being sent to one output, though perhaps to others.
    fn drop_under_way(&mut self, who: &Whose, batch: BatchId) {
        let record = self.records.get(who);
        let mut outputs = record.into_iter().flat_map(|r| r.outputs.values());
        let is_it = |at: &AtOutput| at.under_way.as_ref().is_some_and(|(id, _)| *id == batch);
        if !outputs.any(is_it) {
            self.under_way.remove(&batch);
        }
    }

    /// A batch that was handed back has been delivered after all.
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

    /// Forgets a host that has moved on and will not repeat what it was asked to.
    pub(super) fn forget(&mut self, who: &Whose) {
        if !self.records.is_empty()
            && let Some(record) = self.records.remove(who)
        {
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

    /// Forgets what has not been repeated for a long time.
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

/// The union of two sorted lists, with the higher multiplicity of each element.
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use uuid::Uuid;

    use super::*;
    use crate::hosts::Key;

    const OUTPUT: usize = 0;

    fn start() -> Now {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        let monotonic = Instant::now();
        let wall = SystemTime::UNIX_EPOCH;
        Now { monotonic, wall }
    }

    fn whose(name: &str) -> Whose {
        (Rc::new(Key::new(None, name)), Uuid::nil())
    }

    fn prints(had: &Had, messages: &[&str]) -> Prints {
        let mut frames = Frames {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        for message in messages {
            frames.bytes.extend_from_slice(message.as_bytes());
            frames.ends.push(frames.bytes.len());
        }
        had.prints(&frames)
    }

    #[test]
    fn what_is_unknown_is_sent() {
        let had = Had::default();
        let who = whose("a");
        assert!(!had.knows(&who));
        let prints = prints(&had, &["one", "two"]);
        assert_eq!(had.lack(&who, OUTPUT, &prints), Lack::All);
    }

    #[test]
    fn only_what_an_output_lacks_is_sent_to_it() {
        let (mut had, now, who) = (Had::default(), start(), whose("a"));
        let all = prints(&had, &["one", "two", "three"]);
        had.note_has(now, &who, OUTPUT, &all, Some(&[true, false, true]));
        assert!(had.knows(&who));
        assert_eq!(had.lack(&who, OUTPUT, &all), Lack::Some(vec![1]));
        let more = prints(&had, &["three", "four", "one"]);
        assert_eq!(had.lack(&who, OUTPUT, &more), Lack::Some(vec![1]));
        let others = prints(&had, &["four", "five"]);
        assert_eq!(had.lack(&who, OUTPUT, &others), Lack::All);
        assert_eq!(had.lack(&who, OUTPUT + 1, &all), Lack::All);
        assert_eq!(had.lack(&whose("b"), OUTPUT, &all), Lack::All);
        let elsewhere = (Rc::clone(&who.0), Uuid::max());
        assert_eq!(had.lack(&elsewhere, OUTPUT, &all), Lack::All);
        had.note_has(now, &who, OUTPUT, &all, None);
        assert_eq!(had.lack(&who, OUTPUT, &all), Lack::Nothing);
    }

    #[test]
    fn equal_messages_count_as_often_as_they_were_delivered() {
        let (mut had, now, who) = (Had::default(), start(), whose("a"));
        let one = prints(&had, &["same"]);
        had.note_has(now, &who, OUTPUT, &one, None);
        had.note_has(now, &who, OUTPUT, &one, None);
        let twice = prints(&had, &["same", "same"]);
        let lack = had.lack(&who, OUTPUT, &twice);
        assert_eq!(lack, Lack::Some(vec![1]), "the same message came again");
        had.note_has(now, &who, OUTPUT, &twice, None);
        assert_eq!(had.lack(&who, OUTPUT, &twice), Lack::Nothing);
        assert_eq!(had.count, 2);
    }

    #[test]
    fn a_batch_on_the_wire_is_waited_for_and_counts_once_it_has_arrived() {
        let (mut had, now, who) = (Had::default(), start(), whose("a"));
        let all = prints(&had, &["one", "two"]);
        let batch = BatchId(7);
        had.note_under_way(now, &who, OUTPUT, (batch, all.clone()));
        assert_eq!(had.lack(&who, OUTPUT, &all), Lack::UnderWay(batch));
        let grown = prints(&had, &["one", "two", "three"]);
        let lack = had.lack(&who, OUTPUT, &grown);
        assert_eq!(lack, Lack::All, "it is not known yet whether it arrives");
        had.note_late(now, OUTPUT + 1, batch);
        assert_eq!(had.lack(&who, OUTPUT, &all), Lack::UnderWay(batch));
        had.note_late(now, OUTPUT, batch);
        assert_eq!(had.lack(&who, OUTPUT, &all), Lack::Nothing);
        assert_eq!(had.lack(&who, OUTPUT, &grown), Lack::Some(vec![2]));
        had.note_late(now, OUTPUT, BatchId(8));
        assert_eq!(had.count, 2);
    }

    #[test]
    fn a_batch_may_be_on_the_wire_to_several_outputs() {
        let (mut had, now, who) = (Had::default(), start(), whose("a"));
        let all = prints(&had, &["one"]);
        let batch = BatchId(7);
        for output in [0, 1] {
            had.note_under_way(now, &who, output, (batch, all.clone()));
        }
        had.note_late(now, 0, batch);
        assert_eq!(had.lack(&who, 1, &all), Lack::UnderWay(batch));
        had.note_late(now, 1, batch);
        assert_eq!(had.lack(&who, 1, &all), Lack::Nothing);
        assert!(had.under_way.is_empty());
    }

    #[test]
    fn the_batch_that_was_on_the_wire_last_counts() {
        let (mut had, now, who) = (Had::default(), start(), whose("a"));
        let (old, new) = (prints(&had, &["one"]), prints(&had, &["one", "two"]));
        had.note_under_way(now, &who, OUTPUT, (BatchId(1), old.clone()));
        had.note_under_way(now, &who, OUTPUT, (BatchId(2), new.clone()));
        had.note_late(now, OUTPUT, BatchId(1));
        assert_eq!(had.lack(&who, OUTPUT, &old), Lack::All);
        assert_eq!(had.lack(&who, OUTPUT, &new), Lack::UnderWay(BatchId(2)));
        assert_eq!((had.count, had.under_way.len()), (2, 1));
    }

    #[test]
    fn a_host_that_goes_on_leaves_nothing_behind() {
        let (mut had, now, who) = (Had::default(), start(), whose("a"));
        let all = prints(&had, &["one", "two"]);
        had.note_has(now, &who, 0, &all, None);
        had.note_under_way(now, &who, 1, (BatchId(7), all.clone()));
        had.forget(&who);
        assert!(!had.knows(&who));
        had.note_late(now, 1, BatchId(7));
        assert!(!had.knows(&who));
        assert_eq!((had.count, had.under_way.len()), (0, 0));
    }

    #[test]
    fn what_was_not_sent_again_for_long_is_forgotten() {
        let (mut had, now) = (Had::default(), start());
        let (gone, here) = (whose("gone"), whose("here"));
        let all = prints(&had, &["one"]);
        had.note_has(now, &gone, OUTPUT, &all, None);
        had.note_has(now, &here, OUTPUT, &all, None);
        let later = now + KEPT / 2;
        had.sweep(later);
        assert!(had.knows(&gone));
        had.touch(later, &here);
        had.sweep(now + KEPT);
        assert!(!had.knows(&gone));
        assert!(had.knows(&here), "it came again, in vain");
    }

    #[test]
    fn no_more_than_the_bound_is_remembered() {
        let (mut had, now, who) = (Had::default(), start(), whose("a"));
        let many = Prints((0..1 << 19).collect());
        had.note_has(now, &who, 0, &many, None);
        had.note_under_way(now, &who, 1, (BatchId(1), many.clone()));
        assert_eq!(had.count, MOST);
        let other = whose("b");
        let one = prints(&had, &["one"]);
        had.note_has(now, &other, 0, &one, None);
        had.note_under_way(now, &other, 0, (BatchId(2), one.clone()));
        assert_eq!(had.lack(&other, 0, &one), Lack::All, "it is sent twice");
        had.forget(&who);
        had.note_has(now, &other, 0, &one, None);
        assert_eq!(had.lack(&other, 0, &one), Lack::Nothing);
    }
}
