//! The accounts of `--users FILE`, which sources authenticate with.
//!
//! One account a line: `[DOMAIN\]USER:{FORM}SECRET`. The form says what the secret
//! is: `{NT}` for NTLM and Basic, `{DIGEST}` for Digest (and for Basic where there is
//! no other). An account may have one line of each; `#` begins a comment.
//!
//! ```text
//! # made with: wecrelay passwd 'ACME\collector'
//! ACME\collector:{NT}8846f7eaee8fb117ad06bdd830b7586c
//! anywhere:{NT}8846f7eaee8fb117ad06bdd830b7586c
//! # made with: wecrelay passwd --digest 'Event collector' Mufasa
//! Mufasa:{DIGEST}Event collector:SHA-256=HEX:MD5=HEX
//! ```
//!
//! Digest hashes the name too, so letter case counts in it and no domain is left out.

mod digest;
mod error;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::auth::{Algorithm, Credentials, Ha1};
use crate::files::secret;
use crate::protocol::ntlm::crypto::NtHash;
use crate::protocol::ntlm::{Accounts, Known, Name, letter_case};

pub use self::digest::digest_line;
pub use self::error::{Error, Reason};

/// Accounts and their hashes.
#[derive(Debug, Default)]
pub struct Users {
    accounts: HashMap<Account, Line<NtHash>>,
    digests: HashMap<Account, Line<Ha1>>,
    /// The realm of all Digest lines, and the number of the first of them.
    realm: Option<(String, usize)>,
}

#[derive(Debug)]
struct Line<T> {
    hash: T,
    number: usize,
}

/// The content of a line.
enum Secret {
    Nt(NtHash),
    Digest(String, Ha1),
}

impl Users {
    /// Reads the file at `path`. Logs a warning if other users of this machine can read it,
    /// too.
    ///
    /// # Errors
    /// The file cannot be read, or those of [`Self::parse`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let unreadable = |error| Error::Read {
            file: path.to_owned(),
            error,
        };
        let text = secret::read_text(path, "its hashes are equivalent to passwords");
        let text = text.map_err(unreadable)?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `file` is its name in errors.
    ///
    /// ```
    /// use wecrelay::files::accounts::Users;
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
            let (account, secret) = parsed.map_err(|reason| Error::Line {
                file: file.to_owned(),
                line: number,
                reason,
            })?;
            match secret {
                Secret::Nt(hash) => add(&mut users.accounts, account, Line { hash, number }, file)?,
                Secret::Digest(realm, hash) => {
                    users.agree(realm, number, file)?;
                    add(&mut users.digests, account, Line { hash, number }, file)?;
                }
            }
        }
        Ok(users)
    }

    /// Number of accounts for NTLM.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there are no accounts for NTLM.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The realm of the Digest lines, if there are any.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_ref().map(|(realm, _)| realm.as_str())
    }

    /// The algorithms for which some Digest line has a hash, best first.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut all = Algorithm::ALL.to_vec();
        all.retain(|algorithm| {
            let mut lines = self.digests.values();
            lines.any(|line| line.hash.get(*algorithm).is_some())
        });
        all
    }

    /// All lines must have the same realm, because a client is asked for only one.
    fn agree(&mut self, realm: String, second: usize, file: &Path) -> Result<(), Error> {
        match &self.realm {
            Some((known, first)) if *known != realm => Err(Error::Realms {
                file: file.to_owned(),
                first: *first,
                second,
            }),
            Some(_) => Ok(()),
            None => {
                self.realm = Some((realm, second));
                Ok(())
            }
        }
    }
}

fn add<T>(
    lines: &mut HashMap<Account, Line<T>>,
    account: Account,
    line: Line<T>,
    file: &Path,
) -> Result<(), Error> {
    match lines.entry(account) {
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

impl Accounts for Users {
    /// The line with this domain, or else one without a domain.
    fn find(&self, user: &str, domain: &str) -> Option<Known> {
        let lines = [Account::new(Some(domain), user), Account::new(None, user)];
        let mut found = lines
            .iter()
            .map(|account| self.accounts.get_key_value(account));
        let (account, line) = found.find_map(|found| found)?;
        Some(Known {
            name: account.name(),
            hash: line.hash.clone(),
        })
    }
}

impl Credentials for Users {
    /// By the `{NT}` line that NTLM would use, or else by the `{DIGEST}` line.
    fn check(&self, name: &str, password: &str) -> Option<Option<Name>> {
        let (domain, user) = name.split_once('\\').unwrap_or(("", name));
        let hash = NtHash::from_password(password);
        let (line, digest) = (self.find(user, domain), self.ha1(name));
        let nobody = NtHash::from_bytes([0; 16]);
        let same = hash.is(line.as_ref().map_or(&nobody, |known| &known.hash));
        let (realm, nothing) = (self.realm().unwrap_or_default(), Ha1::default());
        let ha1 = digest.as_ref().map_or(&nothing, |(_, ha1)| ha1);
        let same_digest = ha1.is_of(name, realm, password);
        match (line, digest) {
            (Some(known), _) => Some(same.then_some(known.name)),
            (None, Some((name, _))) => Some(same_digest.then_some(name)),
            (None, None) => None,
        }
    }

    fn ha1(&self, name: &str) -> Option<(Name, &Ha1)> {
        let account: Account = name.parse().ok()?;
        let (account, line) = self.digests.get_key_value(&account)?;
        Some((account.name(), &line.hash))
    }
}

/// The name of an account. Equality ignores case, as in Windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// In upper case; `None` matches any domain.
    domain: Option<String>,
    /// In upper case.
    user: String,
    /// As it was written.
    written: Written,
}

impl Account {
    fn new(domain: Option<&str>, user: &str) -> Self {
        let written = Name {
            domain: domain.map(str::to_owned),
            user: user.to_owned(),
        };
        Self {
            domain: domain.map(letter_case::upper),
            user: letter_case::upper(user),
            written: Written(Box::new(written)),
        }
    }

    fn name(&self) -> Name {
        (*self.written.0).clone()
    }
}

impl FromStr for Account {
    type Err = Reason;

    /// Parses `[DOMAIN\]USER`.
    fn from_str(text: &str) -> Result<Self, Reason> {
        let (domain, user) = match text.split_once('\\') {
            Some((domain, user)) => (Some(domain), user),
            None => (None, text),
        };
        if text.contains('/') {
            return Err(Reason::Slash);
        }
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
        self.written.0.fmt(f)
    }
}

/// A line of the accounts file for `account` with this password, without a line end.
#[must_use]
pub fn line(account: &Account, password: &str) -> Zeroizing<String> {
    let hex = Zeroizing::new(NtHash::from_password(password).to_hex());
    Zeroizing::new(format!("{account}:{{NT}}{}", *hex))
}

/// The spelling of an account, which does not affect equality.
#[derive(Clone, Debug)]
struct Written(Box<Name>);

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

impl std::hash::Hash for Written {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

fn parse_line(line: &str) -> Result<(Account, Secret), Reason> {
    let (account, secret) = line.split_once(':').ok_or(Reason::NoSecret)?;
    let account = account.trim().parse()?;
    let form = secret
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'));
    let (form, hash) = form.ok_or(Reason::PlainText)?;
    if form.eq_ignore_ascii_case("NT") {
        let hash = NtHash::from_hex(hash).ok_or(Reason::Hash)?;
        return Ok((account, Secret::Nt(hash)));
    }
    if form.eq_ignore_ascii_case("DIGEST") {
        let (realm, hash) = digest::parse(hash)?;
        return Ok((account, Secret::Digest(realm, hash)));
    }
    // A password may start with a brace, too, so only what looks like a form is quoted.
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

#[cfg(test)]
mod tests;
