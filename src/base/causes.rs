//! Formats an error together with its causes on one line.

use std::error::Error;
use std::fmt;

/// Displays an error and its causes, joined by colons. An
/// error whose own text already contains its cause would repeat it.
///
/// ```
/// use wecrelay::base::causes::Causes;
/// let error = "x".parse::<u8>().unwrap_err();
/// assert_eq!(Causes(&error).to_string(), "invalid digit found in string");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("--number")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn causes_follow_after_colons() {
        let outer = Outer("x".parse::<u8>().unwrap_err());
        let text = Causes(&outer).to_string();
        assert_eq!(text, "--number: invalid digit found in string");
    }
}
