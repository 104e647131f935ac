//! Types of flags whose value is one of a fixed set of words.

use clap::ValueEnum;

/// What MSG holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageKind {
    /// The rendered message text, else provider, id and data, on one line
    #[default]
    Text,
    /// The event's XML as the host sent it, on one line
    Xml,
    /// One JSON object
    Json,
    /// One JSON object with Winlogbeat's fields (Elastic Common Schema)
    Ecs,
    /// One flat JSON object with the fields of NXLog's im_msvistalog
    Nxlog,
    /// Tab-separated fields of the Snare agent, MSWinEventLog
    Snare,
    /// Common Event Format of ArcSight
    Cef,
    /// Log Event Extended Format of QRadar
    Leef,
}

/// Whether logons inside TLS must be bound to the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BindingsKind {
    /// By channel bindings, or by sealed bodies
    #[default]
    Require,
    /// Ignored
    None,
}

/// What becomes of events whose Computer is not the authenticated host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MismatchKind {
    /// Their batch is rejected
    Refuse,
    /// They are marked
    Mark,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines of text with the time
    Text,
    /// One JSON object per line
    Json,
    /// Lines that begin with their priority, for the systemd journal
    Journal,
}

/// A shell with completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShellKind {
    /// GNU bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}
