//! Colors and progress: on terminals only, so that pipes and files get plain text.
//!
//! `NO_COLOR` (<https://no-color.org>) turns colors off; `TERM=dumb`, which cannot erase a
//! line, turns off both.

use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two updates of a progress line.
const UPDATE: Duration = Duration::from_millis(100);
/// Back to the first column, and erase the line (ECMA-48 EL).
const ERASE: &str = "\r\x1b[K";

/// The colors that every terminal has (ECMA-48 SGR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    /// As it should be.
    Green,
    /// Needs attention.
    Yellow,
    /// A failure.
    Red,
    /// A heading.
    Bold,
}

impl Color {
    fn code(self) -> &'static str {
        match self {
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
            Self::Bold => "1",
        }
    }
}

/// Whether the text for one stream gets colors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(super) fn new(stream: &impl IsTerminal) -> Self {
        let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_on = is_capable(stream) && !is_refused;
        Self { is_on }
    }

    pub(super) fn paint<'a>(self, color: Color, text: &'a str) -> Cow<'a, str> {
        if self.is_on {
            Cow::Owned(format!("\x1b[{}m{text}\x1b[0m", color.code()))
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// A line on standard error that shows how far a command is, and is erased at its end.
#[derive(Debug)]
pub(super) struct Meter {
    is_on: bool,
    updated: Option<Instant>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            is_on: is_capable(&io::stderr()),
            updated: None,
        }
    }

    /// Shows the text, which must be shorter than a line, unless the last one is too fresh.
    #[expect(clippy::disallowed_methods, reason = "a command, not the loop")]
    pub(super) fn show(&mut self, text: impl FnOnce() -> String) {
        if !self.is_on {
            return;
        }
        let now = Instant::now();
        if self.updated.is_none_or(|last| now - last >= UPDATE) {
            self.updated = Some(now);
            eprint!("{ERASE}{}", text());
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.updated.is_some() {
            eprint!("{ERASE}");
        }
    }
}

/// A line on standard error, in place of a progress line if there is one.
pub(super) fn note(text: &str) {
    let mut stderr = io::stderr().lock();
    let erase = if is_capable(&stderr) { ERASE } else { "" };
    // Without standard error, there is nobody to notify.
    drop(writeln!(stderr, "{erase}{text}"));
}

fn is_capable(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("TERM").is_none_or(|name| name != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_gets_colors() {
        let on = Paint { is_on: true };
        assert_eq!(on.paint(Color::Red, "lost"), "\x1b[31mlost\x1b[0m");
        let file = tempfile();
        assert_eq!(Paint::new(&file).paint(Color::Red, "lost"), "lost");
    }

    fn tempfile() -> std::fs::File {
        #[expect(clippy::disallowed_methods, reason = "a test")]
        std::fs::File::open("/dev/null").unwrap()
    }
}
