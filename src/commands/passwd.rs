//! `wecrelay passwd`: creates a line for the file of `--users`.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};

use zeroize::Zeroizing;

use crate::commands::{Failure, RUNNING, USAGE};
use crate::files::accounts::{self, Account};

pub use crate::cli::PasswdOptions as Options;

/// Maximum length of a password in UTF-16 units, the limit of Windows.
pub const MAX_PASSWORD_UNITS: usize = 256;

/// Maximum number of bytes to read. A UTF-16 unit needs at most 3 bytes of UTF-8, so a line
/// that is truncated here exceeds [`MAX_PASSWORD_UNITS`] in any case.
const MAX_PASSWORD_BYTES: u64 = 4 * 1024;

/// Prompts for the password twice on the terminal, or reads one line if standard input is
/// not a terminal, and prints the line for `--users`.
///
/// # Errors
/// The account or realm is invalid, the password is empty, too long, or different the
/// second time, or reading or writing fails.
pub fn run(options: &Options) -> Result<(), Error> {
    let account: Account = options.account.parse().map_err(Error::Account)?;
    let realm = options.digest.as_deref();
    if let Some(realm) = realm {
        // Checked before the prompt, so that nobody types a password in vain.
        accounts::digest_line(&account, realm, "").map_err(Error::Account)?;
    }
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        agree(ask(&format!("Password for {account}: "))?, || {
            ask("The same again: ")
        })?
    } else {
        read_line(stdin.lock())?
    };
    print(&mut io::stdout(), &account, realm, &password)
}

pub(super) type Password = Zeroizing<String>;

/// Why no line was printed.
#[derive(Debug)]
pub enum Error {
    /// The account or the realm is invalid.
    Account(accounts::Reason),
    /// The password is empty.
    Empty,
    /// The password is longer than [`MAX_PASSWORD_UNITS`].
    TooLong,
    /// The two passwords differ.
    Mismatch,
    /// The password cannot be read.
    Read(io::Error),
    /// The line cannot be written.
    Write(io::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Account(_)) {
            USAGE
        } else {
            RUNNING
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(reason) => reason.fmt(f),
            Self::Empty => f.write_str("the password is empty"),
            Self::TooLong => {
                write!(
                    f,
                    "the password is longer than {MAX_PASSWORD_UNITS} UTF-16 units"
                )
            }
            Self::Mismatch => f.write_str("the two passwords differ"),
            Self::Read(error) => write!(f, "cannot read the password: {error}"),
            Self::Write(error) => write!(f, "cannot write the line: {error}"),
        }
    }
}

// No `source`: the message already includes the cause, for logs that print only the
// message.
impl std::error::Error for Error {}

/// Prompts on the terminal without echo.
pub(super) fn ask(prompt: &str) -> Result<Password, Error> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(Error::Read)
}

/// Returns the first password if it is valid and equals the second.
fn agree(
    first: Password,
    second: impl FnOnce() -> Result<Password, Error>,
) -> Result<Password, Error> {
    check(&first)?;
    if *second()? != *first {
        return Err(Error::Mismatch);
    }
    Ok(first)
}

/// Reads a password from the first line of `input`, without its line end.
pub(super) fn read_line(input: impl BufRead) -> Result<Password, Error> {
    let mut line = Zeroizing::new(String::with_capacity(8 * 1024));
    let mut input = input.take(MAX_PASSWORD_BYTES);
    input.read_line(&mut line).map_err(Error::Read)?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    check(password)?;
    Ok(Zeroizing::new(password.to_owned()))
}

fn check(password: &str) -> Result<(), Error> {
    if password.is_empty() {
        return Err(Error::Empty);
    }
    if password.encode_utf16().count() > MAX_PASSWORD_UNITS {
        return Err(Error::TooLong);
    }
    Ok(())
}

fn print(
    output: &mut impl Write,
    account: &Account,
    realm: Option<&str>,
    password: &str,
) -> Result<(), Error> {
    let line = match realm {
        Some(realm) => accounts::digest_line(account, realm, password).map_err(Error::Account)?,
        None => accounts::line(account, password),
    };
    let written = writeln!(output, "{}", *line).and_then(|()| output.flush());
    written.map_err(Error::Write)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn password(text: &str) -> Result<Password, Error> {
        Ok(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        for input in ["a b ", "a b \n", "a b \r\n", "a b \nnext\n"] {
            assert_eq!(*read_line(input.as_bytes()).unwrap(), "a b ", "{input:?}");
        }
    }

    #[test]
    fn an_empty_password_is_refused() {
        for input in ["", "\n", "\r\n", "\nsecret"] {
            assert!(
                matches!(read_line(input.as_bytes()), Err(Error::Empty)),
                "{input:?}"
            );
        }
        let never = || panic!("asked again");
        assert!(matches!(
            agree(Zeroizing::default(), never),
            Err(Error::Empty)
        ));
    }

    #[test]
    fn the_length_limit_holds_from_both_sides() {
        for character in ["a", "\u{20ac}"] {
            let longest = format!("{}\r\n", character.repeat(MAX_PASSWORD_UNITS));
            assert!(read_line(longest.as_bytes()).is_ok());
            let longer = character.repeat(MAX_PASSWORD_UNITS + 1);
            assert!(matches!(read_line(longer.as_bytes()), Err(Error::TooLong)));
        }
    }

    #[test]
    fn endless_input_ends() {
        assert!(matches!(
            read_line(BufReader::new(io::repeat(b'a'))),
            Err(Error::TooLong)
        ));
        assert!(matches!(
            read_line(BufReader::new(io::repeat(0xff))),
            Err(Error::Read(_))
        ));
    }

    #[test]
    fn two_passwords_must_be_the_same() {
        let first = || password("secret").unwrap();
        assert_eq!(*agree(first(), || password("secret")).unwrap(), "secret");
        assert!(matches!(
            agree(first(), || password("Secret")),
            Err(Error::Mismatch)
        ));
    }

    #[test]
    fn the_line_goes_out_with_a_line_end() {
        let mut output = Vec::new();
        let account = "ACME\\host".parse().unwrap();
        print(&mut output, &account, None, "password").unwrap();
        assert_eq!(output, b"ACME\\host:{NT}8846f7eaee8fb117ad06bdd830b7586c\n");
        output.clear();
        print(&mut output, &account, Some("here"), "password").unwrap();
        let output = String::from_utf8(output).unwrap();
        assert!(
            output.starts_with("ACME\\host:{DIGEST}here:SHA-256="),
            "{output}"
        );
        assert!(output.ends_with('\n'));
    }

    #[test]
    fn a_slash_in_an_account_is_answered_with_the_form_to_type() {
        let options = Options {
            account: "ACME/host".to_owned(),
            digest: None,
        };
        let error = run(&options).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("'DOMAIN\\USER'"), "{error}");
    }

    #[test]
    fn a_bad_account_is_a_bad_argument() {
        let options = Options {
            account: "a:b".to_owned(),
            digest: None,
        };
        let error = run(&options).unwrap_err();
        assert!(matches!(error, Error::Account(_)));
        assert_eq!((error.exit_code(), Error::Empty.exit_code()), (2, 1));
        let options = Options {
            account: "a".to_owned(),
            digest: Some("a:b".to_owned()),
        };
        assert_eq!(run(&options).unwrap_err().exit_code(), 2);
    }
}
