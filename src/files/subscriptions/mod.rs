//! Subscription files: the XML that `wecutil gs NAME /f:xml` prints and `wecutil cs FILE`
//! reads, so that existing files work unchanged.

#![expect(
    clippy::disallowed_methods,
    reason = "reading files is what this module is for"
)]

mod encoding;
mod foreign;
mod parse;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::protocol::wsman::Subscription;
use crate::windows::sddl;

pub use encoding::Undecodable;
pub use foreign::Foreign;
pub use parse::{Parsed, parse};

/// Maximum size of a file in bytes. A source accepts no subscription over 512,000, and a
/// wrong path must not fill the memory.
pub const MAX_FILE: u64 = 2 * 1024 * 1024;

/// The content of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The subscriptions to offer, in the order of the files.
    pub subscriptions: Vec<Subscription>,
    /// What an administrator should know, one line each, starting with the file.
    pub notices: Vec<String>,
}

/// Reads subscription files, and all `*.xml` in folders, sorted by name. Disabled and
/// expired subscriptions (as of `now`) are left out with a notice.
///
/// # Errors
/// The first file that cannot be read or contains something unsupported, or a name that two
/// files use.
pub fn load(paths: &[PathBuf], now: SystemTime) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    let mut names = Vec::new();
    for path in paths {
        let files = files_of(path)?;
        if files.is_empty() {
            let notice = format!("{}: no *.xml in this folder", path.display());
            loaded.notices.push(notice);
        }
        for file in files {
            let parsed = load_file(&file)?;
            claim_name(&mut names, &parsed.subscription.name, file.clone())?;
            loaded.take(&file, parsed, now);
        }
    }
    Ok(loaded)
}

impl Loaded {
    fn take(&mut self, file: &Path, parsed: Parsed, now: SystemTime) {
        let Parsed {
            subscription,
            notices,
        } = parsed;
        let is_expired = subscription.expires.is_some_and(|expires| expires <= now);
        let left_out = match (subscription.enabled, is_expired) {
            (false, _) => Some("is disabled"),
            (true, true) => Some("has expired"),
            (true, false) => None,
        };
        if let Some(why) = left_out {
            let (file, name) = (file.display(), &subscription.name);
            let notice = format!("{file}: subscription {name:?} {why}: skipped");
            self.notices.push(notice);
            return;
        }
        self.notices.extend(notices);
        self.subscriptions.push(subscription);
    }
}

/// Windows compares names ignoring case; two that differ only in case are a mistake.
fn claim_name(names: &mut Vec<(String, PathBuf)>, name: &str, file: PathBuf) -> Result<(), Error> {
    let key = name.to_lowercase();
    if let Some((_, first)) = names.iter().find(|(taken, _)| *taken == key) {
        return Err(Error::Duplicate {
            name: name.to_owned(),
            first: first.clone(),
            second: file,
        });
    }
    names.push((key, file));
    Ok(())
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |reason| Error::Unreadable {
        path: path.to_owned(),
        reason,
    };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let is_xml = |extension: &std::ffi::OsStr| extension.eq_ignore_ascii_case("xml");
        if file.extension().is_some_and(is_xml) && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn load_file(path: &Path) -> Result<Parsed, Error> {
    let unreadable = |reason| Error::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let size = path.metadata().map_err(unreadable)?.len();
    if size > MAX_FILE {
        let path = path.to_owned();
        return Err(Error::TooLarge { path, size });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = encoding::decode(&bytes).map_err(|reason| Error::Encoding {
        path: path.to_owned(),
        reason,
    })?;
    parse(&text, &path.display().to_string())
}

/// Why subscription files were rejected.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file does not exist, or must not be read.
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// It is not text in its declared encoding.
    Encoding {
        /// The file or folder of `--subscription`.
        path: PathBuf,
        /// What is wrong, and where.
        reason: Undecodable,
    },
    /// Larger than [`MAX_FILE`].
    TooLarge {
        /// The file or folder of `--subscription`.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// Two files have the same subscription name.
    Duplicate {
        /// Its name, which must be unique.
        name: String,
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// Not well-formed, or beyond a limit.
    Xml {
        /// The file as it is shown, relative to the folder.
        file: String,
        /// The parser's message, with line and column.
        reason: crate::protocol::wsman::Error,
    },
    /// A file of another kind, made by the wrong command.
    Foreign {
        /// The file as it is shown, relative to the folder.
        file: String,
        /// The kind of file.
        what: Foreign,
    },
    /// A mandatory element is missing.
    Missing {
        /// The file as it is shown, relative to the folder.
        file: String,
        /// Line of the parent, from 1.
        line: u32,
        /// Name of the element, with `@` before that of an attribute.
        element: &'static str,
        /// Description of the allowed content.
        allowed: &'static str,
    },
    /// An invalid access list.
    Access {
        /// The file as it is shown, relative to the folder.
        file: String,
        /// Its line, from 1.
        line: u32,
        /// What is wrong, and where in the list.
        reason: sddl::Error,
    },
    /// An invalid value.
    Value {
        /// The file as it is shown, relative to the folder.
        file: String,
        /// Its line, from 1.
        line: u32,
        /// The element, with its attribute after `@`.
        element: &'static str,
        /// The value in the file.
        value: String,
        /// Description of the allowed values.
        allowed: &'static str,
    },
}

impl Error {
    /// The file, or a folder that cannot be read.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Encoding { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Duplicate { second: path, .. } => path,
            Self::Xml { file, .. }
            | Self::Foreign { file, .. }
            | Self::Missing { file, .. }
            | Self::Access { file, .. }
            | Self::Value { file, .. } => Path::new(file),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(f, "{}: cannot be read: {reason}", path.display())
            }
            Self::Encoding { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::TooLarge { path, size } => {
                let path = path.display();
                write!(f, "{path}: {size} bytes, at most {MAX_FILE} are allowed")
            }
            Self::Duplicate {
                name,
                first,
                second,
            } => {
                let (first, second) = (first.display(), second.display());
                write!(f, "{second}: subscription {name:?} is already in {first}")
            }
            Self::Xml { file, reason } => write!(f, "{file}: {reason}"),
            Self::Foreign { file, what } => write!(f, "{file}: {what}"),
            Self::Missing {
                file,
                line,
                element,
                allowed,
            } => write!(f, "{file}:{line}: {element} is missing: {allowed}"),
            Self::Access { file, line, reason } => {
                write!(f, "{file}:{line}: AllowedSourceDomainComputers, {reason}")
            }
            Self::Value {
                file,
                line,
                element,
                value,
                allowed,
            } => write!(f, "{file}:{line}: {element} is {value:?}: {allowed}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { reason, .. } => Some(reason),
            Self::Xml { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
