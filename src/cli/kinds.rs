//! Values that are words.

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

/// Whether logons inside TLS must be bound to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BindingsKind {
    /// By channel bindings, or by sealed bodies
    #[default]
    Require,
    /// Not looked at
    None,
}

/// What becomes of events whose Computer is not the authenticated host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MismatchKind {
    /// Their batch is refused
    Refuse,
    /// They are marked
    Mark,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people, with the time on a terminal
    Text,
    /// One JSON object a line
    Json,
    /// Lines that begin with their priority, as the journal of systemd takes it
    Journal,
}

/// A shell that completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShellKind {
    /// GNU bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}
