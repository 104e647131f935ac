//! Colors and progress lines. Terminals only, so that pipes and files get plain text.
//!
//! `NO_COLOR` (<https://no-color.org>) disables colors. `TERM=dumb`, a terminal that cannot
//! erase a line, disables both.

use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Minimum time between two updates of a progress line.
const UPDATE: Duration = Duration::from_millis(100);
/// Returns to the first column and erases the line (ECMA-48 EL).
const ERASE: &str = "\r\x1b[K";

/// Colors that all color terminals support (ECMA-48 SGR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    /// Success.
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

/// Whether the text for a stream is colored.
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

/// A progress line on standard error, erased when dropped.
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

    /// Shows the text, which must be shorter than a line. Does nothing if the last update
    /// was less than [`UPDATE`] ago.
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

/// Prints a line on standard error, and erases a progress line.
pub(super) fn note(text: &str) {
    let mut stderr = io::stderr().lock();
    let erase = if is_capable(&stderr) { ERASE } else { "" };
    // If standard error is closed, the failure cannot be reported.
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
