//! The flags that say how much is logged.

use clap::{ArgAction, Args};

/// How much is logged.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Verbosity {
    /// Log more: -v each request, -vv the structure of messages
    ///
    /// Repeatable. Secrets are never logged. Without -v and -q the variable
    /// RUST_LOG decides, else info.
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
}
