//! Log messages on standard error, in the form that suits its reader.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::Serialize;

use super::json::json;
use super::log_queue::LogQueue;
use crate::base::visible::visible;
use crate::syslog::{Line, Severity};

/// How long to wait for the reader of standard error at the end; a reader that is active
/// takes milliseconds for a line.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The form of the log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people: time, level, message.
    Text,
    /// For programs: one JSON object a line.
    Json,
    /// The priority as `<6>` before each line (sd-daemon(3)).
    Journal,
}

/// The level and form of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Maximum level; `None` for that of `RUST_LOG`, or else info.
    pub level: Option<LevelFilter>,
    /// The form; `None` for the one that suits standard error.
    pub form: Option<Form>,
}

/// Additional destination of messages of level info and above.
pub type Beside = Box<dyn Fn(Line) + Send + Sync>;

/// The logger of this process.
#[derive(Clone)]
pub struct Logger {
    form: Form,
    /// The queue, which never blocks; `None` for commands, whose messages must be in order
    /// with their output.
    queue: Option<LogQueue>,
}

/// Starts the logger. A relay never waits for the reader of standard error.
#[must_use]
pub fn start(settings: Settings, beside: Option<Beside>, is_relay: bool) -> Logger {
    let form = settings.form.unwrap_or_else(suitable);
    let queue = is_relay.then(|| queue(form)).flatten();
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    match settings.level {
        Some(level) => builder.filter_level(level),
        None => builder.parse_default_env(),
    };
    if let Some(queue) = &queue {
        builder.target(Target::Pipe(Box::new(queue.clone())));
    }
    let stderr = builder.format(writer(form)).build();
    let level = stderr.filter();
    // Another logger could only come from an earlier call of this function.
    if log::set_boxed_logger(Box::new(Tee { stderr, beside })).is_ok() {
        log::set_max_level(level);
    }
    let logger = Logger { form, queue };
    logger.flush_before_a_panic();
    logger
}

/// The queue with its thread; `None` if the system cannot create a thread.
fn queue(form: Form) -> Option<LogQueue> {
    let gap = match form {
        Form::Json => |count| line_of_gap(Form::Json, count),
        Form::Journal => |count| line_of_gap(Form::Journal, count),
        Form::Text => |count| line_of_gap(Form::Text, count),
    };
    let queue = LogQueue::new(gap);
    queue.start(io::stderr()).is_ok().then_some(queue)
}

/// The line that replaces missing ones, in the logger's form.
fn line_of_gap(form: Form, count: u64) -> Vec<u8> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a message is of the moment it is logged"
    )]
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let what =
        format!("{count} lines of this log are missing here: standard error was not read in time");
    let line = match form {
        Form::Json => json(&Member {
            time: &now,
            level: word(Level::Warn),
            target: "wecrelay",
            message: &what,
        }),
        Form::Journal => format!("<{}>{what}", Severity::Warning.code()),
        Form::Text if is_journal() => format!("warning: {what}"),
        Form::Text => format!("{now} warning: {what}"),
    };
    (line + "\n").into_bytes()
}

impl Logger {
    /// Logs why the process ends; in the form of the log if a program reads that.
    pub fn last_words(&self, why: &str) {
        match self.form {
            Form::Json | Form::Journal => log::error!("{why}"),
            Form::Text => {
                let words = format!("wecrelay: {}\n", visible(why));
                // If standard error is closed as well, there is nowhere to report it.
                drop(match &self.queue {
                    Some(queue) => queue.clone().write_all(words.as_bytes()),
                    None => io::stderr().write_all(words.as_bytes()),
                });
            }
        }
    }

    /// Waits until everything logged has been written, for a limited time.
    pub fn finish(&self) {
        if let Some(queue) = &self.queue {
            let _: bool = queue.flush(LAST_WAIT);
        }
    }

    /// A panic message bypasses the queue. Makes what was logged before come first, so that
    /// it is not lost if the panic ends the process.
    fn flush_before_a_panic(&self) {
        let Some(queue) = self.queue.clone() else {
            return;
        };
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A reader that reads nothing would not read this either, and writing would
            // block for ever.
            if queue.flush(LAST_WAIT) {
                usual(panic);
            }
        }));
    }
}

/// Writes to standard error and to the outputs.
struct Tee {
    stderr: env_logger::Logger,
    beside: Option<Beside>,
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
        // Messages about a turn of the loop, which sends these, have level debug or lower,
        // so that no message causes others endlessly.
        if let Some(note) = &self.beside
            && record.level() <= Level::Info
        {
            note(Line {
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

/// The form that suits the reader of standard error.
fn suitable() -> Form {
    if is_journal() {
        Form::Journal
    } else {
        Form::Text
    }
}

/// The journal records the time itself and reads the priority from `<6>` (sd-daemon(3));
/// text read elsewhere needs the time.
fn writer(form: Form) -> fn(&mut Formatter, &Record<'_>) -> io::Result<()> {
    match form {
        Form::Json => write_json,
        Form::Journal => {
            |out, record| writeln!(out, "<{}>{}", severity(record.level()).code(), text(record))
        }
        Form::Text if is_journal() => {
            |out, record| writeln!(out, "{}: {}", word(record.level()), text(record))
        }
        Form::Text => |out, record| {
            let (time, level) = (out.timestamp_millis(), word(record.level()));
            writeln!(out, "{time} {level}: {}", text(record))
        },
    }
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let line = json(&Member {
        time: &out.timestamp_millis().to_string(),
        level: word(record.level()),
        target: record.target(),
        message: &record.args().to_string(),
    });
    writeln!(out, "{line}")
}

/// A message for programs.
#[derive(Serialize)]
struct Member<'a> {
    time: &'a str,
    level: &'static str,
    target: &'a str,
    message: &'a str,
}

/// Whether standard error is the stream that systemd made, according to `$JOURNAL_STREAM`
/// (systemd.exec(5)). A child process whose output goes elsewhere inherits the variable.
fn is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let status = rustix::fs::fstat(io::stderr());
    status.is_ok_and(|status| stream == *format!("{}:{}", status.st_dev, status.st_ino))
}

/// The message on one line. It may contain text from hosts, which must not be able to forge
/// further lines or to control a terminal.
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
    fn a_line_for_programs_has_all_members() {
        let line = line_of_gap(Form::Json, 7);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["level"], "warning");
        assert_eq!(line["target"], "wecrelay");
        let message = line["message"].as_str().unwrap();
        assert!(message.starts_with("7 lines of this log are missing"));
        assert!(humantime::parse_rfc3339(line["time"].as_str().unwrap()).is_ok());
    }
}
