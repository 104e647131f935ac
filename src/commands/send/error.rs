//! Why nothing, or not everything, was acknowledged.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::client;
use crate::commands::passwd;
use crate::commands::{Failure, RUNNING, USAGE};
use crate::files::accounts;
use crate::protocol::wsman;
use crate::tls;

/// Why nothing, or not everything, was acknowledged.
#[derive(Debug)]
pub enum Error {
    /// The file of events.
    File(PathBuf, io::Error),
    /// The file holds no `<Event>`.
    NoEvents(PathBuf),
    /// The account of `--user`.
    Account(accounts::Reason),
    /// The file of the password.
    PasswordFile(PathBuf, io::Error),
    /// The account's password.
    Password(passwd::Error),
    /// The collector's address, or the talk with it.
    Session(client::Error),
    /// The connection.
    Connection(String, io::Error),
    /// The connection to where the collector's answer leads, which is another place.
    Elsewhere(String, io::Error),
    /// The files for https.
    Tls(tls::Error),
    /// A handshake that failed.
    Handshake(String, tls::DialError),
    /// Files for https, and an address with http.
    NotHttps,
    /// What the collector said.
    Answer(wsman::Error),
    /// The collector answered with that status.
    Status(&'static str, u16),
    /// The collector announces more subscriptions and sends none.
    NoProgress,
    /// No subscription of that name among those.
    NoSubscription(Option<String>, Vec<String>),
    /// No random bytes.
    Random(String),
    /// The system gives no thread.
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
