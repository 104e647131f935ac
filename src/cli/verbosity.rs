//! How much is logged, and in which form.

use clap::{ArgAction, Args};

use super::LogFormat;

/// How much is logged.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Verbosity {
    /// Log more: -v each request, -vv the structure of messages
    ///
    /// Repeatable. Secrets are never logged. Without -v and -q the variable RUST_LOG applies,
    /// else info.
    #[arg(
        short,
        long,
        action = ArgAction::Count,
        global = true,
        conflicts_with = "quiet",
        help_heading = "Relay"
    )]
    pub verbose: u8,
    /// Log less: -q warnings and errors, -qq errors only
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = "Relay")]
    pub quiet: u8,
    /// The form of the log on standard error
    ///
    /// json: members time (RFC 3339, UTC), level, target (the part of the program) and
    /// message. journal: "<N>" before each line, N being the syslog severity (sd-daemon(3)).
    /// Default: journal where standard error is the journal's, else text.
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        global = true,
        help_heading = "Relay"
    )]
    pub log_format: Option<LogFormat>,
}
