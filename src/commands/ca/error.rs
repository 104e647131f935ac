//! Errors of `wecrelay ca`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;

use crate::commands::{Failure, RUNNING, USAGE};

/// Why a subcommand of `wecrelay ca` failed.
#[derive(Debug)]
pub enum Error {
    /// A file or folder cannot be read or written.
    File(PathBuf, io::Error),
    /// The request is invalid; the text includes what to do instead.
    Refused(String),
    /// A file of the authority is damaged.
    Content(PathBuf, String),
    /// Standard output cannot be written.
    Print(io::Error),
    /// An error of OpenSSL.
    Library(ErrorStack),
}

impl Error {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::File(path.to_owned(), error)
    }
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Content(..) => USAGE,
            Self::File(..) | Self::Print(_) | Self::Library(_) => RUNNING,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Refused(why) => f.write_str(why),
            Self::Content(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Print(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Library(error) => write!(f, "cannot create the certificate: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<ErrorStack> for Error {
    fn from(error: ErrorStack) -> Self {
        Self::Library(error)
    }
}
