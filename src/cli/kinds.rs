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
}

/// What becomes of events whose Computer is not the authenticated host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MismatchKind {
    /// Their batch is refused
    Refuse,
    /// They are marked
    Mark,
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
