//! Why an output cannot be used, and what to do.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::speaks::Speaks;
use super::{kafka, otlp, relp};

/// Why an output cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The name of the receiver cannot be resolved to an address.
    NoAddress(String, Option<io::Error>),
    /// All addresses of the name failed; the text has the reason for each.
    Addresses(String),
    /// No connection. The address is `None` if the receiver has a name: then it has already
    /// been printed as an address of that name.
    Unreachable(Option<SocketAddr>, io::Error),
    /// A connection failed later, or a system call failed.
    Io(io::Error),
    /// The receiver does not answer the TLS handshake.
    SilentHandshake,
    /// The receiver closes the connection after it has received the relay's certificate.
    ClosedAfterHandshake,
    /// No program listens on the Unix socket.
    UnixSocket(io::Error),
    /// The path is a folder.
    Folder,
    /// The file does not exist and cannot be created in this folder.
    NotCreatable(PathBuf, io::Error),
    /// The receiver's protocol is not syslog over TCP.
    NotSyslog(Speaks),
    /// A RELP session cannot be opened.
    Relp(relp::Failure),
    /// An export by OTLP is not accepted.
    Otlp(otlp::Failure),
    /// The Kafka topic cannot be used.
    Kafka(kafka::Failure),
    /// The receiver has another protocol: the original failure, what the receiver appears
    /// to be, and the output's URL scheme for TLS.
    Instead(Box<Self>, Speaks, &'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress(host, None) => write!(f, "{host} has no address"),
            Self::NoAddress(host, Some(error)) => write!(
                f,
                "{host} has no address: {error}; check DNS and /etc/hosts"
            ),
            Self::Addresses(reasons) => f.write_str(reasons),
            Self::Unreachable(address, error) => {
                if let Some(address) = address {
                    write!(f, "{address}: ")?;
                }
                write!(f, "{error}: {}", remedy(error.kind()))
            }
            Self::Io(error) => write!(f, "{error}"),
            Self::SilentHandshake => {
                write!(f, "no answer to the TLS handshake: is this port for TLS?")
            }
            Self::ClosedAfterHandshake => write!(
                f,
                "the receiver closes the connection after the TLS handshake; it may not accept \
                 this relay's certificate (?cert=, ?key=)"
            ),
            Self::UnixSocket(error) => write!(
                f,
                "{error}: is the syslog server running, and does it create this socket?"
            ),
            Self::Folder => write!(f, "this is a folder, not a file"),
            Self::NotCreatable(folder, error) => {
                write!(f, "cannot create files in {}: {error}", folder.display())
            }
            Self::NotSyslog(speaks) => {
                write!(f, "not syslog over TCP: {}", speaks.remedy("tls"))
            }
            Self::Relp(failure) => write!(f, "{failure}"),
            Self::Otlp(failure) => write!(f, "{failure}"),
            Self::Kafka(failure) => write!(f, "{failure}"),
            Self::Instead(failure, speaks, secured) => {
                write!(f, "{failure}; {}", speaks.remedy(secured))
            }
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => {
            "nothing listens there: is the syslog server running, and on this port?"
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer: check the address and firewalls",
        _ => "check the network",
    }
}
