//! The flag that an error is about, so that its line in the configuration file can be
//! named.

use std::path::{Path, PathBuf};

use crate::system::privileges;

/// A flag, and its value if that is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    name: &'static str,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    None,
    Text(String),
    /// A file that was given, or one in a folder that was given.
    File(PathBuf),
}

impl Flag {
    /// The flag itself; `name` with its dashes.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let value = Value::None;
        Self { name, value }
    }

    /// The flag and a value that was given.
    #[must_use]
    pub fn with(name: &'static str, value: impl Into<String>) -> Self {
        let value = Value::Text(value.into());
        Self { name, value }
    }

    /// The flag and a file that was given, or one in a folder that was given.
    #[must_use]
    pub fn file(name: &'static str, path: &Path) -> Self {
        let value = Value::File(path.to_owned());
        Self { name, value }
    }

    /// The flag at fault when privileges cannot be dropped.
    #[must_use]
    pub fn of_account(error: &privileges::Error) -> Self {
        use privileges::Error::{Change, Lookup, NotRoot, State, Unknown};
        match error {
            Unknown(flag, name) | Lookup(flag, name, _) => Self::with(flag, name),
            NotRoot | Change(..) => Self::new("--user"),
            State(_) => Self::new("--state"),
        }
    }

    /// Its name, with its dashes.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it corresponds to this key of the configuration file.
    #[must_use]
    pub fn is_key(&self, key: &str) -> bool {
        self.name.strip_prefix("--") == Some(key)
    }

    /// Whether this is the value at fault.
    #[must_use]
    pub fn has_value(&self, value: &str) -> bool {
        match &self.value {
            Value::None => false,
            Value::Text(text) => text == value,
            Value::File(path) => !value.is_empty() && path.starts_with(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_folder() {
        let flag = Flag::file("--subscription", Path::new("/etc/a/b.xml"));
        assert!(flag.is_key("subscription") && !flag.is_key("subscriptions"));
        for (value, is_it) in [
            ("/etc/a/b.xml", true),
            ("/etc/a", true),
            ("/etc/a/b", false),
            ("/etc/b", false),
            ("", false),
        ] {
            assert_eq!(flag.has_value(value), is_it, "{value}");
        }
        assert!(!Flag::new("--bom").has_value("x"));
        assert!(!Flag::with("--listen", "http://a/b").has_value("http://a"));
    }
}
