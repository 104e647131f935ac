//! The ways to write messages that the outputs want.

use crate::output;
use crate::record;
use crate::syslog::Style;
use crate::syslog::framing::Framing;

/// One way to write messages, shared by the outputs that want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// A record, else a syslog message.
    pub(super) record: Option<record::Kind>,
    pub(super) framing: Framing,
    pub(super) style: Style,
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
        };
        let known = encodings.iter().position(|f| *f == encoding);
        of_link.push(known.unwrap_or(encodings.len()));
        if known.is_none() {
            encodings.push(encoding);
        }
    }
    (encodings, of_link)
}
