//! The user and password of a producer, and the file that contains them.

use std::fmt;

use zeroize::Zeroizing;

/// User and password. The password is wiped on drop and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name, as in the broker's configuration.
    pub user: String,
    /// The password, exactly as in the file.
    pub password: Zeroizing<String>,
}

/// The file does not consist of exactly two non-empty lines. The error quotes nothing,
/// because the file may contain a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinesError;

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?}, redacted)", self.user)
    }
}

impl fmt::Display for LinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected the user on the first line, the password on the second, and nothing else",
        )
    }
}

impl std::error::Error for LinesError {}

impl Login {
    /// Parses a file of two lines: the user, and the password including all its blanks.
    ///
    /// # Errors
    /// The file has fewer or more than two lines with text.
    pub fn parse(text: &str) -> Result<Self, LinesError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines();
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let (user, password) = next().zip(next()).ok_or(LinesError)?;
        if lines.all(str::is_empty) {
            Ok(Self {
                user: user.to_owned(),
                password: Zeroizing::new(password.to_owned()),
            })
        } else {
            Err(LinesError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_taken_as_they_stand() {
        for text in ["u\np w \n", "u\r\np w \r\n\r\n", "\u{feff}u\np w "] {
            let login = Login::parse(text).unwrap();
            assert_eq!(login.user, "u");
            assert_eq!(login.password.as_str(), "p w ");
            assert!(!format!("{login:?}").contains("p w"));
        }
        for text in ["", "u", "u\n", "\np\n", "u\n\n", "u\np\nmore"] {
            assert_eq!(Login::parse(text), Err(LinesError), "{text:?}");
        }
    }
}
