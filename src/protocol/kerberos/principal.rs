//! Names of clients and services, by their parts.

use std::fmt;

use super::messages::{PrincipalName, Text, escape};

/// A name within a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `HTTP` and `host.example`, or `WIN10$`.
    pub components: Vec<String>,
    /// Who vouches for it.
    pub realm: String,
}

impl Principal {
    /// As a message has it.
    #[must_use]
    pub fn new(name: &PrincipalName, realm: &Text) -> Self {
        let components = name.name_string.iter().map(|part| part.0.clone());
        Self {
            components: components.collect(),
            realm: realm.0.clone(),
        }
    }

    /// An account of that realm.
    #[must_use]
    pub fn account(name: &str, realm: &Text) -> Self {
        Self {
            components: vec![name.to_owned()],
            realm: realm.0.clone(),
        }
    }
}

impl fmt::Display for Principal {
    /// As MIT's `krb5_unparse_name` writes it.
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
