//! Errors of `wecrelay send`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::client;
use crate::commands::passwd;
use crate::commands::{Failure, RUNNING, USAGE};
use crate::files::accounts;
use crate::protocol::wsman;
use crate::tls;

/// Why some or all events were not acknowledged.
#[derive(Debug)]
pub enum Error {
    /// The file of events cannot be read.
    File(PathBuf, io::Error),
    /// The file of events contains no `<Event>`.
    NoEvents(PathBuf),
    /// The account of `--user` is invalid.
    Account(accounts::Reason),
    /// The file of the password cannot be read.
    PasswordFile(PathBuf, io::Error),
    /// The password is invalid or cannot be read.
    Password(passwd::Error),
    /// The collector's URL is invalid, or the session with the collector failed.
    Session(client::Error),
    /// A connection failed.
    Connection(String, io::Error),
    /// The connection to the address in the subscription failed, which differs from the
    /// address of the enumeration.
    Elsewhere(String, io::Error),
    /// A file for https is invalid.
    Tls(tls::Error),
    /// A TLS handshake failed.
    Handshake(String, tls::DialError),
    /// There are files for https, but the URL is http.
    NotHttps,
    /// The collector's answer is invalid.
    Answer(wsman::Error),
    /// The collector answered a message with this HTTP status.
    Status(&'static str, u16),
    /// The collector announced more subscriptions but sent none.
    NoProgress,
    /// The collector does not offer the subscription of this name, or any; the names that
    /// it offers.
    NoSubscription(Option<String>, Vec<String>),
    /// The system provides no random bytes.
    Random(String),
    /// The system cannot create a thread.
    Thread(io::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::File(..)
            | Self::NoEvents(_)
            | Self::Account(_)
            | Self::PasswordFile(..)
            | Self::Password(_)
            | Self::Session(client::Error::Address(_))
            | Self::Tls(_)
            | Self::NotHttps => USAGE,
            _ => RUNNING,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "--events {}: {error}", path.display()),
            Self::NoEvents(path) => write!(f, "--events {}: contains no <Event>", path.display()),
            Self::Account(reason) => write!(f, "--user: {reason}"),
            Self::PasswordFile(path, error) => {
                write!(f, "--password-file {}: {error}", path.display())
            }
            Self::Password(error) => write!(f, "{error}"),
            Self::Session(error) => write!(f, "{error}"),
            Self::Connection(to, error) => write!(f, "{to}: {error}"),
            Self::Elsewhere(to, error) => write!(
                f,
                "{to}: {error}; the subscription names this address, from `hostname` in the \
                 collector's configuration (--hostname): hosts must reach it by that name, and so \
                 must this machine (DNS or /etc/hosts)"
            ),
            Self::Tls(error) => write!(f, "{error}"),
            Self::Handshake(to, why) => write!(f, "{to}: {why}"),
            Self::NotHttps => write!(
                f,
                "--cert, --pfx and --ca are for https: use an address with https:// and port 5986"
            ),
            Self::Answer(error) => write!(f, "the collector's answer: {error}"),
            Self::Status(what, 403) => write!(
                f,
                "{what} was answered with 403, access denied: if the collector accepts \
                 certificates only, give one with --cert and --key, or --pfx; otherwise check its \
                 log"
            ),
            Self::Status(what, status) => write!(f, "{what} was answered with {status}"),
            Self::NoProgress => {
                write!(
                    f,
                    "the collector announced more subscriptions and sent none"
                )
            }
            Self::NoSubscription(None, _) => write!(f, "the collector offers no subscription"),
            Self::NoSubscription(Some(name), offered) => {
                let offered = offered.join(", ");
                write!(
                    f,
                    "--subscription {name}: not offered; there are: {offered}"
                )
            }
            Self::Random(why) => write!(f, "no random bytes: {why}"),
            Self::Thread(error) => write!(f, "no thread: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        Self::Session(error)
    }
}

impl From<wsman::Error> for Error {
    fn from(error: wsman::Error) -> Self {
        Self::Answer(error)
    }
}
