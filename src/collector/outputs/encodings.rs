//! The encodings of messages that the outputs need. Each is formatted once, however many
//! outputs share it.

use std::rc::Rc;

use crate::base::clock::Now;
use crate::event::filter::Filter;
use crate::event::{Event, Malformed};
use crate::output;
use crate::output::queue::Frames;
use crate::record;
use crate::syslog::framing::{self, Framing};
use crate::syslog::{self, Line, Mapping, Origin, Sender, Severity, Style};

/// One encoding, shared by the outputs that use it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Encoding {
    /// The kind of record; `None` for a syslog message.
    record: Option<record::Kind>,
    framing: Framing,
    style: Style,
    /// Which events are formatted.
    filter: Filter,
    /// How many were filtered out, for each reason of `filter`.
    kept: Vec<u64>,
}

impl Encoding {
    /// Whether an event is filtered out for these outputs, and counts it. An event that
    /// could not be parsed is never filtered out.
    fn keeps(&mut self, event: &Result<Event<'_>, Malformed>) -> bool {
        let reason = event
            .as_ref()
            .ok()
            .and_then(|event| self.filter.keeps(event));
        let count = reason.and_then(|reason| self.kept.get_mut(reason));
        count.map(|count| *count += 1).is_some()
    }

    /// Formats an event; returns whether the message was truncated.
    fn write(
        &self,
        mapping: &Mapping,
        raw: &str,
        event: &Result<Event<'_>, Malformed>,
        origin: &Origin<'_>,
        frames: &mut Frames,
    ) -> bool {
        let (style, out) = (&self.style, &mut frames.bytes);
        let written = match self.record {
            None => framing::write_frame(self.framing, out, |out| {
                syslog::write_message(mapping, raw, event, origin, style, out)
            }),
            Some(kind) => record::write_event(kind, mapping, raw, event, origin, style, out),
        };
        frames.ends.push(frames.bytes.len());
        written.truncated > 0
    }

    fn write_own(&self, mapping: &Mapping, sender: &Sender, line: &Line) -> Rc<Frames> {
        let mut frames = Frames::default();
        let (style, out) = (&self.style, &mut frames.bytes);
        match self.record {
            None => framing::write_frame(self.framing, out, |out| {
                syslog::write_own(mapping, sender, line, style, out);
            }),
            Some(kind) => record::write_own(kind, mapping, sender, line, style, out),
        }
        frames.ends.push(frames.bytes.len());
        Rc::new(frames)
    }
}

/// All encodings, and which one each output uses.
#[derive(Debug)]
pub(in crate::collector) struct Encodings {
    all: Vec<Encoding>,
    of_output: Vec<usize>,
}

impl Encodings {
    pub(super) fn new(outputs: &[output::Settings]) -> Self {
        let mut all = Vec::new();
        let mut of_output = Vec::new();
        for output in outputs {
            let encoding = Encoding {
                record: output.record,
                framing: output.framing,
                style: output.style(),
                kept: vec![0; output.filter.reasons().len()],
                filter: output.filter.clone(),
            };
            let known = all.iter().position(|known| *known == encoding);
            of_output.push(known.unwrap_or(all.len()));
            if known.is_none() {
                all.push(encoding);
            }
        }
        Self { all, of_output }
    }

    /// The index of the encoding that an output uses.
    pub(super) fn of(&self, output: usize) -> Option<usize> {
        self.of_output.get(output).copied()
    }

    /// An empty item for each encoding, with room for this many messages and bytes.
    pub(in crate::collector) fn frames(&self, count: usize, size: usize) -> Vec<Frames> {
        let empty = |_: &Encoding| Frames {
            bytes: Vec::with_capacity(size),
            ends: Vec::with_capacity(count),
        };
        self.all.iter().map(empty).collect()
    }

    /// Formats an event in each encoding that some output needs. `check` may reject an item
    /// that has become too large. Returns how many were truncated.
    pub(in crate::collector) fn write<E>(
        &mut self,
        mapping: &Mapping,
        raw: &str,
        event: &Result<Event<'_>, Malformed>,
        origin: &Origin<'_>,
        frames: &mut [Frames],
        check: impl Fn(usize) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut cut = 0;
        for (encoding, frames) in self.all.iter_mut().zip(frames) {
            if encoding.keeps(event) {
                continue;
            }
            cut += u64::from(encoding.write(mapping, raw, event, origin, frames));
            check(frames.bytes.len())?;
        }
        Ok(cut)
    }

    /// Formats a message of the relay's own log, one item for each encoding.
    pub(super) fn write_own(
        &self,
        mapping: &Mapping,
        sender: &Sender,
        line: &Line,
    ) -> Vec<Rc<Frames>> {
        let all = self.all.iter();
        all.map(|encoding| encoding.write_own(mapping, sender, line))
            .collect()
    }

    /// Formats the note that replaces messages of that log that an output missed.
    pub(super) fn write_gap(
        &self,
        now: Now,
        mapping: &Mapping,
        sender: &Sender,
        (output, count): (usize, u64),
    ) -> Option<Rc<Frames>> {
        let line = Line {
            severity: Severity::Warning,
            time: now.wall,
            text: format!(
                "{count} messages of this log are missing here: the output did not accept any"
            ),
        };
        let encoding = self.all.get(self.of(output)?)?;
        Some(encoding.write_own(mapping, sender, &line))
    }

    /// The reasons for which events were filtered out for an output, and how many.
    pub(super) fn kept(&self, output: usize) -> Vec<(String, u64)> {
        let encoding = self.of(output).and_then(|index| self.all.get(index));
        let Some(encoding) = encoding else {
            return Vec::new();
        };
        let reasons = encoding.filter.reasons().into_iter();
        reasons.zip(encoding.kept.iter().copied()).collect()
    }
}
