//! Why an accounts file cannot be used.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::Account;

/// Why the accounts cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read {
        /// The file of `--users`.
        file: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A line is not a valid account.
    Line {
        /// The file of `--users`.
        file: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: Reason,
    },
    /// Two Digest lines have different realms.
    Realms {
        /// The file of `--users`.
        file: PathBuf,
        /// Number of the first Digest line, from 1.
        first: usize,
        /// Number of the line that differs.
        second: usize,
    },
    /// Two lines of the same form name the same account.
    Duplicate {
        /// The file of `--users`.
        file: PathBuf,
        /// The account that appears twice.
        account: Account,
        /// Number of the first line, from 1.
        first: usize,
        /// Number of the second line.
        second: usize,
    },
}

/// What is wrong with a line or an account name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No colon separates the name from a secret.
    NoSecret,
    /// Not `USER` or `DOMAIN\USER`.
    Account,
    /// A slash, which Windows does not allow in names.
    Slash,
    /// The name is not followed by a form in braces; probably a password in clear text.
    PlainText,
    /// The form is not known.
    UnknownForm {
        /// The form, without braces.
        form: String,
    },
    /// Not 32 hexadecimal digits.
    Hash,
    /// The realm of a Digest line is empty, too long, or has forbidden characters.
    Realm,
    /// The realm is not followed by any Digest hashes.
    Digest,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret => {
                f.write_str("no ':' after the account, expected [DOMAIN\\]USER:{NT}HASH")
            }
            Self::Account => f.write_str(
                "not an account, expected USER or DOMAIN\\USER without ':', further '\\', \
                 control characters, blanks at an end, or '#' in front",
            ),
            Self::Slash => f.write_str(
                "not an account, as names in Windows have no '/'; write the domain before '\\', in \
                 a shell within quotes: 'DOMAIN\\USER'",
            ),
            Self::PlainText => f.write_str(
                "passwords are not accepted in plain text, expected {NT}HASH; create the line with \
                 \"wecrelay passwd\"",
            ),
            Self::UnknownForm { form } => {
                write!(f, "unknown form {{{form}}}, expected {{NT}} or {{DIGEST}}")
            }
            Self::Hash => f.write_str("expected 32 hexadecimal digits after {NT}"),
            Self::Realm => f.write_str(
                "not a realm, expected 1 to 255 ASCII characters without ':', '\"', '\\' and blanks \
                 at an end",
            ),
            Self::Digest => f.write_str(
                "expected {DIGEST}REALM:SHA-256=HEX:MD5=HEX, one of the two hashes or both; create \
                 the line with \"wecrelay passwd --digest REALM\"",
            ),
        }
    }
}

impl std::error::Error for Reason {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, error } => write!(f, "cannot read {}: {error}", file.display()),
            Self::Line { file, line, reason } => {
                write!(f, "{}, line {line}: {reason}", file.display())
            }
            Self::Realms {
                file,
                first,
                second,
            } => {
                let file = file.display();
                write!(
                    f,
                    "{file}: the Digest lines {first} and {second} have different realms, but \
                     hosts are asked for only one; create them with the same \"wecrelay passwd \
                     --digest REALM\""
                )
            }
            Self::Duplicate {
                file,
                account,
                first,
                second,
            } => {
                let file = file.display();
                write!(
                    f,
                    "{file}: {account} is in line {first} and again in line {second}"
                )
            }
        }
    }
}

impl Error {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::Read { file, .. }
            | Self::Line { file, .. }
            | Self::Realms { file, .. }
            | Self::Duplicate { file, .. } => file,
        }
    }
}

// No `source`: the text above says all, for logs that print only that.
impl std::error::Error for Error {}
