//! The files with the credentials of outputs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files::secret;
use crate::output::{Secret, Settings, Target};
use crate::protocol::kafka::Login;
use crate::protocol::otlp::headers;

/// Why the credentials of an output cannot be read.
#[derive(Debug)]
pub struct Error {
    /// Its URL.
    pub label: String,
    /// The file.
    pub file: PathBuf,
    /// What is wrong, with the remedy.
    pub why: String,
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

fn parse(target: &Target, text: &str) -> Result<Secret, String> {
    match target {
        Target::Kafka(_) => Login::parse(text)
            .map(Secret::Login)
            .map_err(|e| e.to_string()),
        _ => headers::parse(text)
            .map(Secret::Headers)
            .map_err(|e| e.to_string()),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let failed = |error: io::Error| error.to_string();
    if !secret::is_closed(path).map_err(failed)? {
        return Err("every user of this machine can read it: run chmod o= on it".to_owned());
    }
    secret::read_text(path, "it opens the receiver").map_err(failed)
}
