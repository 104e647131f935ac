//! The accounts of `--users FILE`, which sources authenticate with.
//!
//! One account a line: `[DOMAIN\]USER:{FORM}SECRET`. The form says what the
//! secret is, so that others can join [`NtHash`] later; `#` begins a comment.
//!
//! ```text
//! # made with: wecrelay passwd 'ACME\collector'
//! ACME\collector:{NT}8846f7eaee8fb117ad06bdd830b7586c
//! anywhere:{NT}8846f7eaee8fb117ad06bdd830b7586c
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::ntlm::Accounts;
use crate::ntlm::crypto::NtHash;

/// Accounts with their hashes.
#[derive(Debug, Default)]
pub struct Users {
    accounts: HashMap<Account, Line>,
}

#[derive(Debug)]
struct Line {
    hash: NtHash,
    number: usize,
}

impl Users {
    /// Reads the file at `path`. Logs a warning if others on this machine can
    /// read it too.
    ///
    /// # Errors
    /// The file cannot be read, or those of [`Self::parse`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let unreadable = |error| Error::Read {
            file: path.to_owned(),
            error,
        };
        let mode = fs::metadata(path).map_err(unreadable)?.mode();
        if let Some(notice) = permission_notice(path, mode) {
            log::warn!("{notice}");
        }
        #[expect(clippy::disallowed_methods, reason = "reading this file is the task")]
        let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `file` is its name in errors.
    ///
    /// ```
    /// use wecrelay::users::Users;
    /// let text = "ACME\\collector:{NT}8846f7eaee8fb117ad06bdd830b7586c\n";
    /// assert_eq!(Users::parse(text, "users".as_ref()).unwrap().len(), 1);
    /// ```
    ///
    /// # Errors
    /// A line is no account, or an account stands there twice. No error shows
    /// a secret.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Error> {
        let mut users = Self::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parsed = parse_line(line);
            let (account, hash) = parsed.map_err(|reason| Error::Line {
                file: file.to_owned(),
                line: number,
                reason,
            })?;
            users.add(account, Line { hash, number }, file)?;
        }
        Ok(users)
    }

    /// Number of accounts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether nobody can log on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    fn add(&mut self, account: Account, line: Line, file: &Path) -> Result<(), Error> {
        match self.accounts.entry(account) {
            Entry::Vacant(free) => {
                free.insert(line);
                Ok(())
            }
            Entry::Occupied(taken) => Err(Error::Duplicate {
                file: file.to_owned(),
                account: taken.key().clone(),
                first: taken.get().number,
                second: line.number,
            }),
        }
    }

    fn find(&self, domain: Option<&str>, user: &str) -> Option<&Line> {
        self.accounts.get(&Account::new(domain, user))
    }
}

impl Accounts for Users {
    /// The line of this domain, else the one without a domain.
    fn nt_hash(&self, user: &str, domain: &str) -> Option<NtHash> {
        let exact = self.find(Some(domain), user);
        let line = exact.or_else(|| self.find(None, user))?;
        Some(line.hash.clone())
    }
}

/// The name of an account. Equal names may differ in case, as in Windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// In upper case; `None` fits any domain.
    domain: Option<String>,
    /// In upper case.
    user: String,
    /// As it was written.
    written: Written,
}

impl Account {
    fn new(domain: Option<&str>, user: &str) -> Self {
        let written = domain.map_or_else(|| user.to_owned(), |domain| format!("{domain}\\{user}"));
        Self {
            domain: domain.map(fold),
            user: fold(user),
            written: Written(written),
        }
    }
}

impl FromStr for Account {
    type Err = Reason;

    /// Reads `[DOMAIN\]USER`.
    fn from_str(text: &str) -> Result<Self, Reason> {
        let (domain, user) = match text.split_once('\\') {
            Some((domain, user)) => (Some(domain), user),
            None => (None, text),
        };
        let names = [Some(user), domain];
        let usable = names.iter().flatten().all(|name| is_name(name));
        let comment = text.starts_with('#');
        if usable && !comment {
            Ok(Self::new(domain, user))
        } else {
            Err(Reason::Account)
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written.0)
    }
}

/// A line of the file for `account` with this password, without a line end.
#[must_use]
pub fn line(account: &Account, password: &str) -> Zeroizing<String> {
    let hex = Zeroizing::new(NtHash::from_password(password).to_hex());
    Zeroizing::new(format!("{account}:{{NT}}{}", *hex))
}

/// Why the accounts cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A line is no account.
    Line {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: Reason,
    },
    /// Two lines name the same account.
    Duplicate {
        /// The file.
        file: PathBuf,
        /// The account.
        account: Account,
        /// The line that came first, counted from 1.
        first: usize,
        /// The line that names it again.
        second: usize,
    },
}

/// What is wrong with a line or the name of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing parts the name from the secret.
    NoSecret,
    /// Not `USER` or `DOMAIN\USER`.
    Account,
    /// What follows the name has no form: probably a password.
    PlainText,
    /// The form is not known.
    UnknownForm {
        /// The form, without braces.
        form: String,
    },
    /// Not 32 hexadecimal digits.
    Hash,
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
            Self::PlainText => f.write_str(
                "passwords cannot stand here in plain text, expected {NT}HASH; \
                 make the line with \"wecrelay passwd\"",
            ),
            Self::UnknownForm { form } => write!(f, "unknown form {{{form}}}, expected {{NT}}"),
            Self::Hash => f.write_str("expected 32 hexadecimal digits after {NT}"),
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
            Self::Duplicate {
                file,
                account,
                first,
                second,
            } => {
                let file = file.display();
                write!(
                    f,
                    "{file}: {account} stands in line {first} and again in line {second}"
                )
            }
        }
    }
}

// No `source`: the text above says all, for logs that print only that.
impl std::error::Error for Error {}

/// The spelling of an account: all spellings are equal.
#[derive(Clone, Debug)]
struct Written(String);

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

impl std::hash::Hash for Written {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

fn parse_line(line: &str) -> Result<(Account, NtHash), Reason> {
    let (account, secret) = line.split_once(':').ok_or(Reason::NoSecret)?;
    let account = account.trim().parse()?;
    let form = secret
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'));
    let (form, hash) = form.ok_or(Reason::PlainText)?;
    if form.eq_ignore_ascii_case("NT") {
        let hash = NtHash::from_hex(hash).ok_or(Reason::Hash)?;
        return Ok((account, hash));
    }
    // A password can begin with a brace too: show only what looks like a form.
    let known_shape = form.len() <= 16 && form.bytes().all(|b| b.is_ascii_uppercase());
    Err(if known_shape {
        Reason::UnknownForm {
            form: form.to_owned(),
        }
    } else {
        Reason::PlainText
    })
}

fn is_name(name: &str) -> bool {
    let forbidden = |c: char| matches!(c, ':' | '\\') || c.is_control();
    !name.is_empty() && name.trim() == name && !name.contains(forbidden)
}

/// Upper case letter by letter, as Windows does: what would become two letters
/// stays.
fn fold(name: &str) -> String {
    let upper = |c: char| {
        let mut mapped = c.to_uppercase();
        mapped
            .next()
            .filter(|_| mapped.next().is_none())
            .unwrap_or(c)
    };
    name.chars().map(upper).collect()
}

fn permission_notice(path: &Path, mode: u32) -> Option<String> {
    let file = path.display();
    let open = mode & 0o004 != 0;
    open.then(|| {
        format!(
            "{file} can be read by everyone on this machine, and its hashes are as good as passwords: \
             chmod o-r {file}"
        )
    })
}

#[cfg(test)]
mod tests;
