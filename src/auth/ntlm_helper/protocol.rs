//! Lines of `ntlm-server-1`: `Name: value`, or `Name:: value` in base64, up to a dot.
//!
//! The real program ends some answers with two dots; so an answer without lines is none.
//!
//! ```
//! use wecrelay::auth::ntlm_helper::protocol::{Answer, Decoder};
//! let mut decoder = Decoder::default();
//! decoder.feed(b"Authenticated: No\nAuthentication-Error: Account locked out\n.\n.\n");
//! let Ok(Some(Answer::Refused(why))) = decoder.poll() else { panic!() };
//! assert_eq!(why, "Account locked out");
//! assert!(matches!(decoder.poll(), Ok(None)));
//! ```

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::auth::Verdict;
use crate::protocol::ntlm::Question;
use crate::protocol::ntlm::crypto::Key;

/// Maximum length of an answer's line in bytes; Samba's longest messages have some 300.
pub const MAX_LINE: usize = 4096;
/// Maximum number of lines in one answer; Samba sends three.
pub const MAX_LINES: usize = 64;
/// An empty question, to test a helper: `ntlm_auth` answers it with an error about a
/// missing name.
pub const PROBE: &[u8] = b".\n";

/// Parts of Samba's messages (winbindd, NTSTATUS texts) that mean that no domain controller
/// could be asked, so that the password is not at fault. Compared in lower case.
const OUTAGES: [&str; 13] = [
    "winbind",
    "no logon servers",
    "domain controller",
    "logon server",
    "trust relationship",
    "trust secret",
    "nt_status_no_logon_servers",
    "nt_status_domain_controller_not_found",
    "nt_status_trusted",
    "nt_status_io_timeout",
    "nt_status_rpc",
    "nt_status_connection",
    "rpc server",
];
/// Samba's text for a wrong password; replaced because it speaks of a "current password".
const WRONG_PASSWORD: &str = "the value provided as the current password is not correct";

/// Writes a question. Only the challenge and the response leave this process, never a
/// password.
#[must_use]
pub fn emit(question: &Question) -> Vec<u8> {
    let mut text = String::with_capacity(256 + 2 * question.response.len());
    push_hex(&mut text, "LANMAN-Challenge", &question.challenge);
    push_hex(&mut text, "NT-Response", &question.response);
    push_name(&mut text, "NT-Domain", &question.domain);
    push_name(&mut text, "Username", &question.user);
    text.push_str("Request-User-Session-Key: Yes\n.\n");
    text.into_bytes()
}

fn push_hex(text: &mut String, name: &str, bytes: &[u8]) {
    text.push_str(name);
    text.push_str(": ");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text.push('\n');
}

/// Writes a name chosen by a host: in plain text only if no character can be misread, else
/// in base64, so that it cannot inject lines.
fn push_name(text: &mut String, name: &str, value: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.$@".contains(c);
    if value.is_empty() {
        return;
    }
    text.push_str(name);
    if value.chars().all(is_plain) {
        text.push_str(": ");
        text.push_str(value);
    } else {
        text.push_str(":: ");
        STANDARD.encode_string(value, text);
    }
    text.push('\n');
}

/// A helper's answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The response is correct; the user session key, if the helper returned one.
    Authenticated(Option<Key>),
    /// The response is wrong, or the account may not log on; the helper's words.
    Refused(String),
    /// The helper could not process the question.
    Error(String),
}

impl Answer {
    /// What the answer means for the host. A correct response without a session key is
    /// useless, because bodies could not be unsealed.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Authenticated(Some(key)) => Verdict::Proven(key),
            Self::Authenticated(None) => {
                Verdict::Unavailable("the helper returned no user session key".to_owned())
            }
            Self::Error(why) => Verdict::Unavailable(format!("the helper reports: {why}")),
            Self::Refused(why) if is_outage(&why) => Verdict::Unavailable(why),
            Self::Refused(why) if why.contains(WRONG_PASSWORD) => {
                Verdict::Refused("wrong password".to_owned())
            }
            Self::Refused(why) => Verdict::Refused(why),
        }
    }
}

fn is_outage(why: &str) -> bool {
    let why = why.to_lowercase();
    OUTAGES.iter().any(|word| why.contains(word))
}

/// Why the output is not a valid answer. The helper is then killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A line longer than [`MAX_LINE`].
    LineTooLong,
    /// More lines than [`MAX_LINES`].
    TooManyLines,
    /// A line without a colon.
    NoColon,
    /// A value marked as base64 (`::`) that is not.
    Base64,
    /// A session key that is not 32 hexadecimal digits.
    SessionKey,
    /// `Authenticated` that is neither `Yes` nor `No`.
    Verdict,
    /// No verdict, or more than one.
    Contradiction,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong => write!(f, "a line of over {MAX_LINE} bytes"),
            Self::TooManyLines => write!(f, "an answer of over {MAX_LINES} lines"),
            Self::NoColon => f.write_str("a line that is not \"Name: value\""),
            Self::Base64 => f.write_str("a value that is not base64"),
            Self::SessionKey => f.write_str("a session key that is not 32 hexadecimal digits"),
            Self::Verdict => f.write_str("an \"Authenticated\" that is neither Yes nor No"),
            Self::Contradiction => f.write_str("an answer without a verdict"),
        }
    }
}

impl std::error::Error for Error {}

/// The lines of one answer received so far.
#[derive(Debug, Default)]
struct Draft {
    lines: usize,
    authenticated: Option<bool>,
    key: Option<Key>,
    why: Option<String>,
    error: Option<String>,
}

/// Parses answers from bytes in pieces of any size. After an error it must not be used
/// again.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Unparsed bytes; wiped, because they contain session keys.
    buffer: Zeroizing<Vec<u8>>,
    draft: Draft,
    /// Consecutive empty answers; bounded, because each costs a loop.
    empty: usize,
}

impl Decoder {
    /// Adds bytes; then call [`Self::poll`] until it returns `None`.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether no partial answer is pending. A single dot is not one: some answers end with
    /// two.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.draft.lines == 0 && matches!(self.buffer.as_slice(), b"" | b".")
    }

    /// The next complete answer; `None` if more bytes are needed.
    ///
    /// # Errors
    /// The first line that is not valid.
    pub fn poll(&mut self) -> Result<Option<Answer>, Error> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Zeroizing<Vec<u8>> = Zeroizing::new(self.buffer.drain(..=end).collect());
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > MAX_LINE {
                return Err(Error::LineTooLong);
            }
            if line != b"." {
                self.draft.take(line)?;
            } else if self.draft.lines > 0 {
                self.empty = 0;
                return std::mem::take(&mut self.draft).answer().map(Some);
            } else {
                self.empty += 1;
                if self.empty > MAX_LINES {
                    return Err(Error::TooManyLines);
                }
            }
        }
        if self.buffer.len() > MAX_LINE {
            return Err(Error::LineTooLong);
        }
        Ok(None)
    }
}

impl Draft {
    fn take(&mut self, line: &[u8]) -> Result<(), Error> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(Error::TooManyLines);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, rest) = colon
            .and_then(|colon| line.split_at_checked(colon))
            .ok_or(Error::NoColon)?;
        let value = Zeroizing::new(match rest.strip_prefix(b"::") {
            Some(text) => STANDARD
                .decode(text.trim_ascii())
                .map_err(|_| Error::Base64)?,
            None => rest.get(1..).unwrap_or_default().trim_ascii().to_vec(),
        });
        let text = || String::from_utf8_lossy(&value).into_owned();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("Authenticated") {
            let word = match &*value {
                word if word.eq_ignore_ascii_case(b"Yes") => true,
                word if word.eq_ignore_ascii_case(b"No") => false,
                _ => return Err(Error::Verdict),
            };
            only_one(&mut self.authenticated, word)
        } else if is("User-Session-Key") {
            only_one(&mut self.key, key(&value).ok_or(Error::SessionKey)?)
        } else if is("Authentication-Error") {
            only_one(&mut self.why, text())
        } else if is("Error") {
            only_one(&mut self.error, text())
        } else {
            // Such as LANMAN-Session-Key, which was not requested.
            Ok(())
        }
    }

    fn answer(self) -> Result<Answer, Error> {
        match (self.authenticated, self.why, self.error) {
            (None, None, Some(error)) => Ok(Answer::Error(error)),
            (Some(true), None, None) => {
                // A key of zeros would be known to everyone.
                let key = self.key.filter(|key| *key.as_bytes() != [0; 16]);
                Ok(Answer::Authenticated(key))
            }
            (Some(false), why, None) if self.key.is_none() => {
                let why = why.unwrap_or_else(|| "the helper gave no reason".to_owned());
                Ok(Answer::Refused(why))
            }
            _ => Err(Error::Contradiction),
        }
    }
}

fn only_one<T>(place: &mut Option<T>, value: T) -> Result<(), Error> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::Contradiction),
    }
}

fn key(digits: &[u8]) -> Option<Key> {
    Key::from_hex(std::str::from_utf8(digits).ok()?)
}

#[cfg(test)]
mod tests;
