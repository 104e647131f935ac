//! The ways to write messages that the outputs want.

use crate::event::filter::Filter;
use crate::event::{Event, Malformed};
use crate::output;
use crate::record;
use crate::syslog::Style;
use crate::syslog::framing::Framing;

/// One way to write messages, shared by the outputs that want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// A record, else a syslog message.
    pub(super) record: Option<record::Kind>,
    pub(super) framing: Framing,
    pub(super) style: Style,
    /// Which events are written.
    filter: Filter,
    /// How many were not, by the reasons of `filter`.
    kept: Vec<u64>,
}

impl Encoding {
    /// Whether an event is not for these outputs, and is counted so. One that could not be
    /// read is for all.
    pub(super) fn keeps(&mut self, event: &Result<Event<'_>, Malformed>) -> bool {
        let reason = event
            .as_ref()
            .ok()
            .and_then(|event| self.filter.keeps(event));
        let count = reason.and_then(|reason| self.kept.get_mut(reason));
        count.map(|count| *count += 1).is_some()
    }

    /// The reasons for which events were not written, and how many.
    pub(super) fn kept(&self) -> Vec<(String, u64)> {
        let reasons = self.filter.reasons().into_iter();
        reasons.zip(self.kept.iter().copied()).collect()
    }
}

/// All encodings, and which of them each output wants.
pub(super) fn of(outputs: &[output::Settings]) -> (Vec<Encoding>, Vec<usize>) {
    let mut encodings = Vec::new();
    let mut of_link = Vec::new();
    for output in outputs {
        let encoding = Encoding {
            record: output.record,
            framing: output.framing,
            style: output.style(),
            kept: vec![0; output.filter.reasons().len()],
            filter: output.filter.clone(),
        };
        let known = encodings.iter().position(|f| *f == encoding);
        of_link.push(known.unwrap_or(encodings.len()));
        if known.is_none() {
            encodings.push(encoding);
        }
    }
    (encodings, of_link)
}
