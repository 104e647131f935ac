//! Names of clients and services, in components.

use std::fmt;

use super::messages::{PrincipalName, Text, escape};

/// A name within a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `HTTP` and `host.example`, or `WIN10$`.
    pub components: Vec<String>,
    /// The realm, whose KDC vouches for the name.
    pub realm: String,
}

impl Principal {
    /// From the fields of a message.
    #[must_use]
    pub fn new(name: &PrincipalName, realm: &Text) -> Self {
        let components = name.name_string.iter().map(|part| part.0.clone());
        Self {
            components: components.collect(),
            realm: realm.0.clone(),
        }
    }

    /// An account of that realm, with a single component.
    #[must_use]
    pub fn account(name: &str, realm: &Text) -> Self {
        Self {
            components: vec![name.to_owned()],
            realm: realm.0.clone(),
        }
    }
}

impl fmt::Display for Principal {
    /// The format of MIT's `krb5_unparse_name`, with separators in components escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, component) in self.components.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            escape(f, component)?;
        }
        write!(f, "@{}", self.realm)
    }
}
