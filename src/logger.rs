//! Messages on standard error, in the form that its reader likes.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Logger};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::time::SystemTime;
use wecrelay::cli::{LogFormat, Verbosity};
use wecrelay::ownlog::OwnLog;
use wecrelay::syslog::{Line, Severity};
use wecrelay::visible::{is_invisible, visible};

/// Starts the logger: `-v` and `-q` over `RUST_LOG` over info. `own` gets what is for the
/// outputs too.
pub(crate) fn start(verbosity: Verbosity, own: Option<OwnLog>) {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    match level(verbosity) {
        Some(level) => builder.filter_level(level),
        None => builder.parse_default_env(),
    };
    let stderr = builder.format(writer(form(verbosity))).build();
    let level = stderr.filter();
    // The only other logger could be one that this function has started before.
    if log::set_boxed_logger(Box::new(Tee { stderr, own })).is_ok() {
        log::set_max_level(level);
    }
}

/// To standard error, and to the outputs.
struct Tee {
    stderr: Logger,
    own: Option<OwnLog>,
}

impl Log for Tee {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.stderr.enabled(metadata)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a message is of the moment it is logged"
    )]
    fn log(&self, record: &Record<'_>) {
        if !self.stderr.matches(record) {
            return;
        }
        self.stderr.log(record);
        // What goes on in a turn of the loop, sending these included, is debug or lower:
        // no message begets another for ever.
        if let Some(own) = self.own.as_ref().filter(|_| record.level() <= Level::Info) {
            own.note(Line {
                severity: severity(record.level()),
                time: SystemTime::now(),
                text: text(record),
            });
        }
    }

    fn flush(&self) {
        self.stderr.flush();
    }
}

fn level(verbosity: Verbosity) -> Option<LevelFilter> {
    match (verbosity.verbose, verbosity.quiet) {
        (0, 0) => None,
        (0, 1) => Some(LevelFilter::Warn),
        (0, _) => Some(LevelFilter::Error),
        (1, _) => Some(LevelFilter::Debug),
        (_, _) => Some(LevelFilter::Trace),
    }
}

/// Says why it ends, in the form of the log where a program reads that.
pub(crate) fn last_words(verbosity: Verbosity, why: &str) {
    match form(verbosity) {
        LogFormat::Json | LogFormat::Journal => log::error!("{why}"),
        // Nobody is left to tell if standard error is closed too.
        LogFormat::Text => drop(writeln!(io::stderr(), "wecrelay: {}", visible(why))),
    }
}

/// The form that was asked for, or that the reader likes.
fn form(verbosity: Verbosity) -> LogFormat {
    verbosity.log_format.unwrap_or(match is_journal() {
        true => LogFormat::Journal,
        false => LogFormat::Text,
    })
}

/// The journal keeps time itself and takes the priority as `<6>` (sd-daemon(3)); a
/// terminal wants the time; a file or pipe gets the bare level.
fn writer(form: LogFormat) -> fn(&mut Formatter, &Record<'_>) -> io::Result<()> {
    match form {
        LogFormat::Json => write_json,
        LogFormat::Journal => {
            |out, record| writeln!(out, "<{}>{}", severity(record.level()).code(), text(record))
        }
        LogFormat::Text if io::stderr().is_terminal() => |out, record| {
            let (time, level) = (out.timestamp_seconds(), word(record.level()));
            writeln!(out, "{time} {level}: {}", text(record))
        },
        LogFormat::Text => {
            |out, record| writeln!(out, "{}: {}", word(record.level()), text(record))
        }
    }
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level) = (out.timestamp_millis(), word(record.level()));
    let (target, message) = (escape(record.target()), escape(&record.args().to_string()));
    writeln!(
        out,
        r#"{{"time":"{time}","level":"{level}","target":"{target}","message":"{message}"}}"#
    )
}

/// The text inside of a JSON string (RFC 8259 7). What a reader would not see, or what
/// steers a terminal, is escaped too.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if is_invisible(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether standard error is the stream that systemd made, as `$JOURNAL_STREAM` has
/// it (systemd.exec(5)): a child whose output goes elsewhere inherits the variable.
fn is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let status = rustix::fs::fstat(io::stderr());
    status.is_ok_and(|status| stream == *format!("{}:{}", status.st_dev, status.st_ino))
}

/// The message on one line: what hosts sent stands in messages, and must not be able
/// to forge further ones or to steer a terminal.
fn text(record: &Record<'_>) -> String {
    let text = record.args().to_string();
    match visible(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(shown) => shown,
    }
}

/// Syslog severity (RFC 5424 6.2.1).
fn severity(level: Level) -> Severity {
    match level {
        Level::Error => Severity::Error,
        Level::Warn => Severity::Warning,
        Level::Info => Severity::Informational,
        Level::Debug | Level::Trace => Severity::Debug,
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_line() {
        let text = |message: &str| text(&Record::builder().args(format_args!("{message}")).build());
        assert_eq!(
            text("host a\nerror: b\x1b[2J"),
            "host a\\nerror: b\\u{1b}[2J"
        );
        assert_eq!(text("größer"), "größer");
        assert_eq!(text("a\u{202e}b\u{2028}c"), "a\\u{202e}b\\u{2028}c");
    }

    #[test]
    fn json_keeps_what_is_not_seen_as_escapes() {
        let escaped = escape("a\"\\\n\u{7}\u{202e}\u{e0041}ß");
        assert_eq!(escaped, r#"a\"\\\n\u0007\u202e\udb40\udc41ß"#);
        let read: String = serde_json::from_str(&format!("\"{escaped}\"")).unwrap();
        assert_eq!(read, "a\"\\\n\u{7}\u{202e}\u{e0041}ß");
    }

    #[test]
    fn flags_go_over_the_environment() {
        let level = |verbose, quiet| {
            level(Verbosity {
                verbose,
                quiet,
                ..Verbosity::default()
            })
        };
        assert_eq!(level(0, 0), None);
        assert_eq!(level(0, 1), Some(LevelFilter::Warn));
        assert_eq!(level(0, 9), Some(LevelFilter::Error));
        assert_eq!(level(1, 0), Some(LevelFilter::Debug));
        assert_eq!(level(9, 0), Some(LevelFilter::Trace));
    }
}
