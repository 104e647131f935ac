//! `wecrelay store`: tools for the places where the relay keeps its state.

mod copy;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::{StoreCommand, StoreOptions};
use crate::commands::{Failure, RUNNING, USAGE, database};
use crate::hosts::Peer;
use crate::store;
use crate::store::postgres::{UrlError, tables};

/// Why `wecrelay store` fails.
#[derive(Debug)]
pub enum Error {
    /// The URL is invalid.
    Url(String, UrlError),
    /// The folder contains no state.
    NoState(PathBuf),
    /// The destination already contains this number of bookmarks.
    NotEmpty(String, u64),
    /// A running relay is using the database.
    Running(String, Peer),
    /// The database cannot be opened.
    Database(String, database::Error),
    /// A store cannot be opened, read, or written.
    Store(String, store::Error),
    /// Standard output cannot be written.
    Print(io::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Url(..)
            | Self::NoState(_)
            | Self::NotEmpty(..)
            | Self::Running(..)
            | Self::Database(..) => USAGE,
            Self::Store(..) | Self::Print(_) => RUNNING,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(name, error) => write!(f, "{name}: {error}"),
            Self::NoState(folder) => {
                let folder = folder.display();
                write!(f, "{folder}: no relay has run with this folder")
            }
            Self::NotEmpty(name, rows) => write!(
                f,
                "{name} already has {rows} bookmarks; nothing was copied: use an empty one"
            ),
            Self::Running(name, relay) => write!(
                f,
                "{name}: relay {} is using it, and last wrote {} s ago; nothing was copied: stop \
                 it (a relay that was killed counts as gone after a few minutes)",
                relay.name, relay.age
            ),
            Self::Database(_, error) => write!(f, "{error}"),
            Self::Store(name, error) => write!(f, "{name}: {error}"),
            Self::Print(error) => write!(f, "standard output: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Runs the subcommand and prints its report.
///
/// # Errors
/// A store cannot be used, or standard output cannot be written.
pub fn run(options: &StoreOptions) -> Result<(), Error> {
    let text = match &options.command {
        StoreCommand::Schema => tables::schema(),
        StoreCommand::Copy(copy) => copy::run(copy)?,
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::Print)
}
