//! The ways to write messages that the outputs want.

use crate::output;
use crate::syslog::Style;
use crate::syslog::framing::Framing;

/// One way to write messages, shared by the outputs that want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) framing: Framing,
    pub(super) style: Style,
}

/// All forms, and which of them each output wants.
pub(super) fn of(outputs: &[output::Settings]) -> (Vec<Form>, Vec<usize>) {
    let mut forms = Vec::new();
    let mut of_link = Vec::new();
    for output in outputs {
        let form = Form {
            framing: output.framing,
            style: output.style(),
        };
        let known = forms.iter().position(|f| *f == form);
        of_link.push(known.unwrap_or(forms.len()));
        if known.is_none() {
            forms.push(form);
        }
    }
    (forms, of_link)
}
