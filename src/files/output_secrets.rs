//! The files with the credentials of outputs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files::secret;
use crate::output::{Secret, Settings, Target};
use crate::protocol::kafka::{LinesError, Login};
use crate::protocol::otlp::headers;

/// Why the credentials of an output cannot be read.
#[derive(Debug)]
pub struct Error {
    /// Its URL.
    pub label: String,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: Reason,
}

/// Why a file holds no secret that can be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// It cannot be read.
    Io(io::Error),
    /// Every user can read it.
    Open,
    /// It holds no user with a password.
    Login(LinesError),
    /// It holds no headers.
    Headers(headers::LineError),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Open => write!(
                f,
                "every user of this machine can read it: run chmod o= on it"
            ),
            Self::Login(error) => write!(f, "{error}"),
            Self::Headers(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.label, self.file.display(), self.why)
    }
}

impl std::error::Error for Error {}

/// Reads the credentials of all outputs, one item for each output.
///
/// # Errors
/// The first output whose file cannot be used.
pub fn load<'a>(outputs: impl IntoIterator<Item = &'a Settings>) -> Result<Vec<Secret>, Error> {
    let load = |output: &Settings| {
        let Some(path) = &output.secret else {
            return Ok(Secret::None);
        };
        let parsed = read(path).and_then(|text| parse(&output.target, &text));
        parsed.map_err(|why| Error {
            label: output.label.clone(),
            file: path.clone(),
            why,
        })
    };
    outputs.into_iter().map(load).collect()
}

fn parse(target: &Target, text: &str) -> Result<Secret, Reason> {
    match target {
        Target::Kafka(_) => Login::parse(text).map(Secret::Login).map_err(Reason::Login),
        _ => headers::parse(text)
            .map(Secret::Headers)
            .map_err(Reason::Headers),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, Reason> {
    if !secret::is_closed(path).map_err(Reason::Io)? {
        return Err(Reason::Open);
    }
    secret::read_text(path, "it opens the receiver").map_err(Reason::Io)
}
