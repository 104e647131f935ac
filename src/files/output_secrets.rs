//! Files with what outputs make themselves known by to their receivers.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files::secret;
use crate::output::Settings;
use crate::protocol::otlp::headers;

/// Which output cannot have its secret, and why.
#[derive(Debug)]
pub struct Error {
    /// Its URL.
    pub label: String,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, and what to do.
    pub why: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.label, self.file.display(), self.why)
    }
}

impl std::error::Error for Error {}

/// Reads the secrets of all outputs; an item for each output, empty where it has none.
///
/// # Errors
/// The first output whose file cannot be used.
pub fn load<'a>(
    outputs: impl IntoIterator<Item = &'a Settings>,
) -> Result<Vec<Zeroizing<String>>, Error> {
    let load = |output: &Settings| {
        let Some(path) = &output.secret else {
            return Ok(Zeroizing::default());
        };
        let parsed =
            read(path).and_then(|text| headers::parse(&text).map_err(|error| error.to_string()));
        parsed.map_err(|why| Error {
            label: output.label.clone(),
            file: path.clone(),
            why,
        })
    };
    outputs.into_iter().map(load).collect()
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let failed = |error: io::Error| error.to_string();
    if !secret::is_closed(path).map_err(failed)? {
        return Err("every user of this machine can read it: run chmod o= on it".to_owned());
    }
    secret::read_text(path, "it opens the receiver").map_err(failed)
}
