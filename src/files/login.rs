//! The file of `?login=` of an output: the user on its first line, the password on its second.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::files::secret;
use crate::protocol::kafka::Login;

/// Why there is no login in a file.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// It has not two lines with something on them, and nothing more.
    Lines(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Lines(path) => write!(
                f,
                "{}: expected the user on the first line, the password on the second, and nothing \
                 else",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Reads the file at `path`. Logs a warning if everyone on this machine can read it too.
///
/// # Errors
/// The file cannot be read, or is not two lines.
pub fn load(path: &Path) -> Result<Login, Error> {
    let unreadable = |error| Error::Read(path.to_owned(), error);
    let text = secret::read_text(path, "anyone can log in with its password");
    let text = text.map_err(unreadable)?;
    parse(&text).ok_or_else(|| Error::Lines(path.to_owned()))
}

fn parse(text: &str) -> Option<Login> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines();
    let (user, password) = (lines.next()?, lines.next()?);
    let is_whole = !user.is_empty() && !password.is_empty() && lines.all(str::is_empty);
    is_whole.then(|| Login {
        user: user.to_owned(),
        password: Zeroizing::new(password.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_taken_as_they_stand() {
        for text in ["u\np w \n", "u\r\np w \r\n\r\n", "\u{feff}u\np w "] {
            let login = parse(text).unwrap();
            assert_eq!(login.user, "u");
            assert_eq!(login.password.as_str(), "p w ");
        }
        for text in ["", "u", "u\n", "\np\n", "u\n\n", "u\np\nmore"] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
