//! The credentials of an output.

use std::fmt;

use zeroize::Zeroizing;

use crate::protocol::kafka::Login;

/// Read from a file of the administrator, at the start and on SIGHUP; never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Secret {
    /// The receiver needs none, or no file is configured.
    #[default]
    None,
    /// Header lines for OTLP; see
    /// [`headers::parse`](crate::protocol::otlp::headers::parse).
    Headers(Zeroizing<String>),
    /// User and password for Kafka.
    Login(Login),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Headers(_) => f.write_str("Headers(redacted)"),
            Self::Login(login) => login.fmt(f),
        }
    }
}
