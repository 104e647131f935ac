//! Why a configuration file was rejected.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::base::causes::Causes;
use crate::config;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file of `--config`.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl Place {
    pub(super) fn at(path: &Path, text: &str, offset: usize) -> Self {
        let before = text.bytes().take(offset);
        Self {
            path: path.to_owned(),
            line: 1 + before.filter(|&byte| byte == b'\n').count(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// An error with its causes, and the line of the file that is at fault.
#[derive(Debug)]
pub struct Placed<E> {
    pub(super) place: Option<Place>,
    pub(super) error: E,
}

impl<E: std::error::Error> fmt::Display for Placed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        Causes(&self.error).fmt(f)
    }
}

// No `source`: the text above says all.
impl<E: std::error::Error> std::error::Error for Placed<E> {}

/// What is wrong with the file, or with the command line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An error in the combined command line; also `--help` and `--version`.
    Flags(clap::Error),
    /// It cannot be read.
    Read(PathBuf, io::Error),
    /// It is not valid TOML.
    Syntax {
        /// File and line.
        place: Place,
        /// The parser's message.
        message: String,
    },
    /// A key that is not a flag.
    Unknown {
        /// File and line.
        place: Place,
        /// The key as it is in the file.
        key: String,
        /// The flag that was probably meant.
        similar: Option<String>,
    },
    /// A section; the file must not have any.
    Section {
        /// File and line.
        place: Place,
        /// Name of the section, without brackets.
        name: String,
    },
    /// A value whose type is not that of the flag.
    Kind {
        /// File and line.
        place: Place,
        /// The key as it is in the file.
        key: String,
        /// Description of the allowed values.
        allowed: String,
        /// Type of the value in the file.
        found: &'static str,
    },
    /// Flags that are valid separately, but not together.
    Check(Box<Placed<config::Error>>),
    /// A value that the flag does not accept.
    Value {
        /// File and line.
        place: Place,
        /// Message of the TOML parser.
        message: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(error) => write!(f, "{error}"),
            Self::Read(path, error) => write!(f, "--config {}: {error}", path.display()),
            Self::Syntax { place, message } => write!(f, "{place}: not valid TOML: {message}"),
            Self::Unknown {
                place,
                key,
                similar,
            } => {
                write!(f, "{place}: unknown flag {key:?}")?;
                match similar {
                    Some(similar) => write!(f, "; did you mean {similar:?}?"),
                    None => f.write_str("; allowed are those in wecrelay.toml(5)"),
                }
            }
            Self::Section { place, name } => write!(
                f,
                "{place}: sections are not allowed: delete the line [{name}], and keep its keys"
            ),
            Self::Kind {
                place,
                key,
                allowed,
                found,
            } => write!(f, "{place}: {key} is {found}; allowed is {allowed}"),
            Self::Check(error) => write!(f, "{error}"),
            Self::Value { place, message } => write!(f, "{place}: {message}"),
        }
    }
}

impl std::error::Error for Error {}
