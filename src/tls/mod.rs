//! TLS towards the sources: our certificates, theirs, and who issued them.
//!
//! An [`Acceptor`] is made of files and never changes; a reload makes a new one.
//! Windows sends its certificate without intermediates, so chains are completed
//! from the bundle of `--client-ca`.

mod client;
pub(crate) mod connector;
mod connectors;
mod database;
mod dialer;
mod end_point;
pub(crate) mod explain;
mod facts;
pub(crate) mod foreign;
mod list;
mod pem;
mod refusal;
mod revocation;
mod validity;
mod weakness;

pub use client::client;
pub use connector::Connector;
pub use connectors::{OutputError, PemError, connectors};
pub use database::{DatabaseFiles, DatabaseTls, ToDatabase};
pub use dialer::{Dialed, Dialer, HostFiles};
pub use facts::{Facts, certificates, lists};
pub use list::{Kind as ListKind, Scope as ListScope, Unfit as UnfitList, kind as list_kind};
pub use openssl::ssl::SslStream;
pub use pem::lists_in;
pub use refusal::failure;
pub use weakness::weaknesses;

use openssl::error::ErrorStack;
use openssl::pkey::{PKeyRef, Private};
use openssl::ssl::{
    AlpnError, NameType, SniError, Ssl, SslAcceptor, SslAcceptorBuilder, SslContext,
    SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode, SslVerifyMode,
    select_next_proto,
};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509PurposeId};
use revocation::Revocation;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use validity::Validity;

/// The files that TLS needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Certificate chains and their keys, PEM; the first is for clients that name no host.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    /// Authorities of client certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists, PEM.
    pub crl: Option<PathBuf>,
    /// An authority without a list has revoked nothing; else none of its certificates counts.
    pub crl_partial: bool,
}

/// Why TLS cannot be offered.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read.
    Read(&'static str, PathBuf, std::io::Error),
    /// A file holds not what it should.
    Content(&'static str, PathBuf, String),
    /// An https listener without a certificate.
    NoCertificate,
    /// OpenSSL itself.
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

impl std::error::Error for Error {}

impl From<ErrorStack> for Error {
    fn from(error: ErrorStack) -> Self {
        Self::Library(error)
    }
}

/// What handshakes are done with.
pub struct Acceptor {
    context: SslContext,
    validity: Validity,
    names: Vec<String>,
}

impl Acceptor {
    /// Reads the files. What should be known of them is logged, but for ends of
    /// certificates: see [`Acceptor::log_ends`].
    ///
    /// # Errors
    /// The first file that cannot be read or does not fit, and why; one of our own
    /// certificates that is not valid at `now`.
    pub fn load(files: &Files, now: SystemTime) -> Result<Self, Error> {
        let mut validity = Validity::default();
        let clients = Clients::load(files, &mut validity)?;
        for weakness in weaknesses(files)? {
            log::warn!("{weakness}");
        }
        let mut contexts = Vec::new();
        let mut all_names = Vec::new();
        for (certificate, key) in &files.pairs {
            let chain = pem::certificates("--tls-cert", certificate)?;
            validity::need_valid(certificate, &chain, now)?;
            weakness::need_strong(certificate, &chain)?;
            validity.add_certificates("--tls-cert", certificate, &chain);
            let key = pem::private_key("--tls-key", key, certificate, &chain)?;
            let names = chain.first().map(|leaf| client::names(leaf));
            all_names.extend(names.iter().flatten().cloned());
            all_names.extend(
                chain
                    .first()
                    .iter()
                    .flat_map(|leaf| client::addresses(leaf)),
            );
            let context = context(chain, &key, clients.as_ref())?;
            contexts.push((names.unwrap_or_default(), context));
        }
        let mut contexts = contexts.into_iter();
        let (names, mut first) = contexts.next().ok_or(Error::NoCertificate)?;
        let others: Vec<_> = contexts
            .map(|(names, context)| (names, context.build().into_context()))
            .collect();
        first.set_servername_callback(move |ssl, _| choose(ssl, &names, &others));
        Ok(Self {
            context: first.build().into_context(),
            validity,
            names: all_names,
        })
    }

    /// The server's side of a new connection.
    ///
    /// # Errors
    /// OpenSSL has no memory.
    pub fn start(&self) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        refusal::prepare(&mut ssl)?;
        Ok(ssl)
    }

    /// The names and addresses that our certificates are for, perhaps `*.example.com`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What ends when: flag, file and name of each certificate and revocation list.
    #[must_use]
    pub fn ends(&self) -> Vec<(String, SystemTime)> {
        self.validity.ends()
    }

    /// Logs which certificates and revocation lists have ended or soon will; to be
    /// called at the start and daily.
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

/// Takes the certificate that has the name which the client asks for, else the first.
fn choose(
    ssl: &mut SslRef,
    first: &[String],
    others: &[(Vec<String>, SslContext)],
) -> Result<(), SniError> {
    let Some(asked) = ssl
        .servername(NameType::HOST_NAME)
        .map(str::to_ascii_lowercase)
    else {
        return Ok(());
    };
    let is_named = |names: &[String]| names.iter().any(|name| fits(name, &asked));
    if is_named(first) {
        return Ok(());
    }
    match others.iter().find(|(names, _)| is_named(names)) {
        Some((_, context)) => ssl
            .set_ssl_context(context)
            .map_err(|_| SniError::ALERT_FATAL),
        None => Ok(()),
    }
}

/// Whether a certificate's name, perhaps `*.example.com`, is for this host.
fn fits(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name == host,
    }
}

fn context(
    chain: Vec<X509>,
    key: &PKeyRef<Private>,
    clients: Option<&Clients>,
) -> Result<SslAcceptorBuilder, Error> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let builder: &mut SslContextBuilder = &mut acceptor;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
    builder.set_num_tickets(0)?;
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    pem::present(builder, chain, key)?;
    match clients {
        Some(clients) => clients.ask(builder)?,
        None => builder.set_verify(SslVerifyMode::NONE),
    }
    Ok(acceptor)
}

/// Who issues client certificates, and which of these are revoked.
struct Clients {
    authorities: Vec<X509>,
    revocation: Option<Arc<Revocation>>,
}

impl Clients {
    fn load(files: &Files, validity: &mut Validity) -> Result<Option<Self>, Error> {
        let Some(path) = &files.client_ca else {
            return Ok(None);
        };
        let authorities = pem::certificates("--client-ca", path)?;
        validity.add_certificates("--client-ca", path, &authorities);
        let read = |path: &PathBuf| Revocation::read(path, &authorities, files.crl_partial);
        let revocation = files.crl.as_ref().map(read).transpose()?;
        if let (Some(path), Some(revocation)) = (&files.crl, &revocation) {
            validity.add_lists(path, revocation.lists());
            let unlisted = revocation.unlisted();
            unlisted.iter().for_each(|line| log::warn!("{line}"));
        }
        Ok(Some(Self {
            authorities,
            revocation: revocation.map(Arc::new),
        }))
    }

    /// Asks clients for a certificate; they may go on without one, to authenticate otherwise.
    fn ask(&self, builder: &mut SslContextBuilder) -> Result<(), Error> {
        let mut store = X509StoreBuilder::new()?;
        for authority in &self.authorities {
            builder.add_client_ca(authority)?;
            store.add_cert(authority.clone())?;
        }
        store.set_purpose(X509PurposeId::SSL_CLIENT)?;
        // An intermediate of the bundle is trusted as it stands there.
        store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        builder.set_cert_store(store.build());
        let revocation = self.revocation.clone();
        builder.set_verify_callback(SslVerifyMode::PEER, move |ok, context| {
            refusal::verify(ok, context, revocation.as_deref())
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
