//! TLS: as a server for hosts, and as a client of receivers, of the database, and, as a
//! simulated host, of collectors.
//!
//! An [`Acceptor`] is made from files; a reload makes a new one. Sessions can be resumed
//! within one of its generations (`generation`). Windows sends its certificate without
//! intermediates, so chains are completed from the bundle of `--client-ca`.

mod client;
mod clients;
pub(crate) mod connector;
mod connectors;
mod database;
mod dialer;
mod end_point;
pub(crate) mod explain;
mod extension;
mod facts;
mod fault;
pub(crate) mod foreign;
mod generation;
mod list;
mod names;
mod outward;
mod pem;
mod refusal;
mod revocation;
mod site;
mod validity;
mod verdicts;
mod verification;
mod weakness;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use openssl::error::ErrorStack;
use openssl::ssl::Ssl;

use clients::Clients;
use generation::{Generation, Pair, Parts};
use validity::Validity;

pub use client::{ClientError, client};
pub use connector::Connector;
pub use connectors::{OutputError, connectors};
pub use database::{DatabaseFiles, DatabaseTls, ToDatabase};
pub use dialer::{DialError, Dialed, Dialer, HostFiles};
pub use facts::{Facts, certificates, lists};
pub use fault::{Fault, Kind as FaultKind};
pub use list::{Kind as ListKind, Scope as ListScope, Unfit as UnfitList, kind as list_kind};
pub use names::Unidentified;
pub use openssl::ssl::SslStream;
pub use pem::lists_in;
pub use refusal::{Ended, failure};
pub use weakness::weaknesses;

/// The files for TLS listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Certificate chains with their keys (PEM); the first pair is for clients that send no
    /// server name.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    /// CA certificates (PEM) for client certificates.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists (PEM).
    pub crl: Option<PathBuf>,
    /// Whether a CA without a list counts as having revoked nothing; otherwise none of its
    /// certificates is accepted.
    pub crl_partial: bool,
    /// Whether every connection needs a full handshake.
    pub no_resume: bool,
}

/// Why TLS cannot be set up.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read.
    Read(&'static str, PathBuf, std::io::Error),
    /// A file does not contain what it should.
    Content(&'static str, PathBuf, String),
    /// An https listener without a certificate.
    NoCertificate,
    /// An error of OpenSSL.
    Library(ErrorStack),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(flag, path, error) => write!(f, "{flag} {}: {error}", path.display()),
            Self::Content(flag, path, why) => write!(f, "{flag} {}: {why}", path.display()),
            Self::NoCertificate => write!(f, "--listen https:// needs --tls-cert and --tls-key"),
            Self::Library(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl Error {
    /// The flag or parameter that names the file at fault, and the file.
    #[must_use]
    pub fn file(&self) -> Option<(&'static str, &Path)> {
        match self {
            Self::Read(flag, path, _) | Self::Content(flag, path, _) => Some((flag, path)),
            Self::NoCertificate | Self::Library(_) => None,
        }
    }
}

impl std::error::Error for Error {}

impl From<ErrorStack> for Error {
    fn from(error: ErrorStack) -> Self {
        Self::Library(error)
    }
}

/// Provides handshakes for TLS listeners.
pub struct Acceptor {
    parts: Parts,
    generation: Generation,
    validity: Validity,
    names: Vec<String>,
}

impl Acceptor {
    /// Reads the files. Logs what an administrator should know, except for expiry dates;
    /// see [`Acceptor::log_ends`].
    ///
    /// # Errors
    /// The first file that cannot be read or used, and why; also a server certificate that
    /// is not valid at `now`.
    pub fn load(files: &Files, now: SystemTime) -> Result<Self, Error> {
        let mut validity = Validity::default();
        let clients = Clients::load(files, &mut validity)?;
        for weakness in weaknesses(files)? {
            log::warn!("{weakness}");
        }
        let mut pairs = Vec::new();
        let mut all_names = Vec::new();
        for (certificate, key) in &files.pairs {
            let chain = pem::certificates("--tls-cert", certificate)?;
            validity::need_valid(certificate, &chain, now)?;
            weakness::need_strong(certificate, &chain)?;
            validity.add_certificates("--tls-cert", certificate, &chain);
            let key = pem::private_key("--tls-key", key, certificate, &chain)?;
            let leaf = chain.first();
            let names = leaf.map(|leaf| names::names(leaf)).unwrap_or_default();
            all_names.extend(names.iter().cloned());
            all_names.extend(leaf.iter().flat_map(|leaf| names::addresses(leaf)));
            pairs.push(Pair { chain, key, names });
        }
        let parts = Parts {
            pairs,
            clients: clients.map(Arc::new),
            resume: !files.no_resume,
        };
        Ok(Self {
            generation: Generation::begin(&parts, now)?,
            parts,
            validity,
            names: all_names,
        })
    }

    /// The server's side of a connection accepted at `now`.
    ///
    /// # Errors
    /// OpenSSL has no memory.
    pub fn start(&mut self, now: SystemTime) -> Result<Ssl, Error> {
        if self.generation.is_over(now) {
            self.generation = Generation::begin(&self.parts, now)?;
        }
        Ok(self.generation.start()?)
    }

    /// The names and addresses of the server certificates, possibly `*.example.com`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Expiry dates: flag, file, and name of each certificate and revocation list.
    #[must_use]
    pub fn ends(&self) -> Vec<(String, SystemTime)> {
        self.validity.ends()
    }

    /// Logs which certificates and revocation lists have expired or will soon; to be called
    /// at the start and daily.
    pub fn log_ends(&self, now: SystemTime) {
        for (level, line) in self.validity.due(now) {
            log::log!(level, "{line}");
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

/// Whether a certificate's name, perhaps `*.example.com`, is for this host.
fn fits(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name == host,
    }
}

#[cfg(test)]
mod tests;
