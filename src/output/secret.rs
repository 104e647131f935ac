//! What an output makes itself known by to its receiver.

use std::fmt;

use zeroize::Zeroizing;

use crate::protocol::kafka::Login;

/// Read from a file of the administrator's, at the start and on SIGHUP.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Secret {
    /// The receiver wants nothing, or no file says it.
    #[default]
    None,
    /// Lines of headers, of OTLP: see [`headers::parse`](crate::protocol::otlp::headers::parse).
    Headers(Zeroizing<String>),
    /// The user of Kafka.
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
