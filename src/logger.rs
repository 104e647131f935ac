//! Messages on standard error, in the form that its reader likes.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Log, Metadata, Record};
use wecrelay::base::visible::{is_invisible, visible};
use wecrelay::cli::{LogFormat, Verbosity};
use wecrelay::output::own_log::OwnLog;
use wecrelay::syslog::{Line, Severity};
use wecrelay::system::log_queue::LogQueue;

/// How long the end waits for whoever reads standard error: a reader that is there takes
/// a line in milliseconds.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How this process logs.
#[derive(Clone)]
pub(crate) struct Logger {
    verbosity: Verbosity,
    /// What never waits; none for commands, whose messages stand among their output.
    queue: Option<LogQueue>,
}

/// Starts the logger: `-v` and `-q` over `RUST_LOG` over info. `own` gets what is for the
/// outputs too. A relay never waits for whoever reads standard error.
pub(crate) fn start(verbosity: Verbosity, own: Option<OwnLog>, is_relay: bool) -> Logger {
    let queue = is_relay.then(|| queue(verbosity)).flatten();
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    match level(verbosity) {
        Some(level) => builder.filter_level(level),
        None => builder.parse_default_env(),
    };
    if let Some(queue) = &queue {
        builder.target(Target::Pipe(Box::new(queue.clone())));
    }
    let stderr = builder.format(writer(form(verbosity))).build();
    let level = stderr.filter();
    // The only other logger could be one that this function has started before.
    if log::set_boxed_logger(Box::new(Tee { stderr, own })).is_ok() {
        log::set_max_level(level);
    }
    let logger = Logger { verbosity, queue };
    logger.flush_before_a_panic();
    logger
}

/// The queue, with its thread; none where the system gives no thread.
fn queue(verbosity: Verbosity) -> Option<LogQueue> {
    let gap = match form(verbosity) {
        LogFormat::Json => |count| line_of_gap(LogFormat::Json, count),
        LogFormat::Journal => |count| line_of_gap(LogFormat::Journal, count),
        LogFormat::Text => |count| line_of_gap(LogFormat::Text, count),
    };
    let queue = LogQueue::new(gap);
    queue.start(io::stderr()).is_ok().then_some(queue)
}

/// What stands where lines are missing, as the logger would write it.
fn line_of_gap(form: LogFormat, count: u64) -> Vec<u8> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a message is of the moment it is logged"
    )]
    let now = humantime::format_rfc3339_millis(SystemTime::now());
    let what =
        format!("{count} lines of this log are missing here: standard error was not read in time");
    let line = match form {
        LogFormat::Json => format!(
            r#"{{"time":"{now}","level":"warning","target":"wecrelay","message":"{what}"}}"#
        ),
        LogFormat::Journal => format!("<{}>{what}", Severity::Warning.code()),
        LogFormat::Text if is_journal() => format!("warning: {what}"),
        LogFormat::Text => format!("{now} warning: {what}"),
    };
    (line + "\n").into_bytes()
}

impl Logger {
    /// Says why it ends, in the form of the log where a program reads that.
    pub(crate) fn last_words(&self, why: &str) {
        match form(self.verbosity) {
            LogFormat::Json | LogFormat::Journal => log::error!("{why}"),
            LogFormat::Text => {
                let words = format!("wecrelay: {}\n", visible(why));
                // Nobody is left to tell if standard error is closed too.
                drop(match &self.queue {
                    Some(queue) => queue.clone().write_all(words.as_bytes()),
                    None => io::stderr().write_all(words.as_bytes()),
                });
            }
        }
    }

    /// Waits until what was logged is written, but not for ever.
    pub(crate) fn finish(&self) {
        if let Some(queue) = &self.queue {
            let _: bool = queue.flush(LAST_WAIT);
        }
    }

    /// A panic speaks past the queue: what was logged before it comes first, and is not
    /// lost where the panic ends the process.
    fn flush_before_a_panic(&self) {
        let Some(queue) = self.queue.clone() else {
            return;
        };
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Whoever reads nothing would not read this either, and it would wait for ever.
            if queue.flush(LAST_WAIT) {
                usual(panic);
            }
        }));
    }
}

/// To standard error, and to the outputs.
struct Tee {
    stderr: env_logger::Logger,
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

/// The form that was asked for, or that the reader likes.
fn form(verbosity: Verbosity) -> LogFormat {
    verbosity.log_format.unwrap_or(match is_journal() {
        true => LogFormat::Journal,
        false => LogFormat::Text,
    })
}

/// The journal keeps time itself and takes the priority as `<6>` (sd-daemon(3)); who
/// reads the text elsewhere wants the time with it.
fn writer(form: LogFormat) -> fn(&mut Formatter, &Record<'_>) -> io::Result<()> {
    match form {
        LogFormat::Json => write_json,
        LogFormat::Journal => {
            |out, record| writeln!(out, "<{}>{}", severity(record.level()).code(), text(record))
        }
        LogFormat::Text if is_journal() => {
            |out, record| writeln!(out, "{}: {}", word(record.level()), text(record))
        }
        LogFormat::Text => |out, record| {
            let (time, level) = (out.timestamp_millis(), word(record.level()));
            writeln!(out, "{time} {level}: {}", text(record))
        },
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
