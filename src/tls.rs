//! TLS towards the sources: our certificates, theirs, and who issued them.
//!
//! An [`Acceptor`] is made of files and never changes; a reload makes a new one.
//! Windows sends its certificate without intermediates, so chains are completed
//! from the bundle of `--client-ca`.

use crate::auth::{self, Certificate, Secured};
use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, NameType, SniError, Ssl, SslAcceptor, SslContext, SslContextBuilder, SslFiletype,
    SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode, SslVerifyMode, select_next_proto,
};
use openssl::x509::store::{X509Lookup, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{
    X509, X509NameRef, X509PurposeId, X509Ref, X509StoreContext, X509StoreContextRef,
    X509VerifyResult,
};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use zeroize::Zeroizing;

/// When the end of a certificate is near enough to be told: days.
const NOTICE: u32 = 30;
/// `X509_V_ERR_UNABLE_TO_GET_CRL`: an authority without a revocation list.
const NO_CRL: i32 = 3;

/// The files that TLS needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Certificate chains and their keys, PEM; the first is for clients that name no host.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    /// Authorities of client certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists, PEM.
    pub crl: Option<PathBuf>,
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
    refused: Refused,
}

/// Where a handshake notes whose certificate it refused: after it, that is gone.
type Refused = Index<Ssl, Mutex<String>>;

impl Acceptor {
    /// Reads the files. A certificate that ends soon, or has ended, is logged.
    ///
    /// # Errors
    /// The first file that cannot be read or does not fit, and why.
    pub fn load(files: &Files) -> Result<Self, Error> {
        let mut pairs = files.pairs.iter();
        let Some((certificate, key)) = pairs.next() else {
            return Err(Error::NoCertificate);
        };
        let refused = Ssl::new_ex_index()?;
        let mut first = builder(certificate, key, files, refused)?;
        let mut others = Vec::new();
        for (certificate, key) in pairs {
            let leaf = leaf(certificate)?;
            let names = names(&leaf);
            others.push((
                names,
                builder(certificate, key, files, refused)?
                    .build()
                    .into_context(),
            ));
        }
        first.set_servername_callback(move |ssl, _| choose(ssl, &others));
        Ok(Self {
            context: first.build().into_context(),
            refused,
        })
    }

    /// The server's side of a new connection.
    ///
    /// # Errors
    /// OpenSSL has no memory.
    pub fn start(&self) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_ex_data(self.refused, Mutex::default());
        Ok(ssl)
    }
}

/// Takes the certificate that has the name which the client asks for.
fn choose(ssl: &mut SslRef, others: &[(Vec<String>, SslContext)]) -> Result<(), SniError> {
    let Some(asked) = ssl
        .servername(NameType::HOST_NAME)
        .map(str::to_ascii_lowercase)
    else {
        return Ok(());
    };
    let found = others
        .iter()
        .find(|(names, _)| names.iter().any(|name| fits(name, &asked)));
    match found {
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

fn builder(
    certificate: &Path,
    key: &Path,
    files: &Files,
    refused: Refused,
) -> Result<openssl::ssl::SslAcceptorBuilder, Error> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
    builder.set_num_tickets(0)?;
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    let chain = certificates("--tls-cert", certificate)?;
    note_end("--tls-cert", certificate, &chain);
    let mut chain = chain.into_iter();
    if let Some(leaf) = chain.next() {
        builder.set_certificate(&leaf)?;
    }
    for intermediate in chain {
        builder.add_extra_chain_cert(intermediate)?;
    }
    // Fails where it is not that of the certificate, which is set before.
    builder.set_private_key(&*private_key(key)?).map_err(|_| {
        let why = format!("this is not the key of {}", certificate.display());
        Error::Content("--tls-key", key.to_owned(), why)
    })?;
    match &files.client_ca {
        Some(path) => ask_for_certificates(&mut builder, path, files.crl.as_deref(), refused)?,
        None => builder.set_verify(SslVerifyMode::NONE),
    }
    Ok(builder)
}

/// Asks clients for a certificate; they may go on without one, to authenticate otherwise.
fn ask_for_certificates(
    builder: &mut SslContextBuilder,
    path: &Path,
    crl: Option<&Path>,
    refused: Refused,
) -> Result<(), Error> {
    let authorities = certificates("--client-ca", path)?;
    note_end("--client-ca", path, &authorities);
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        builder.add_client_ca(&authority)?;
        store.add_cert(authority)?;
    }
    if let Some(crl) = crl {
        read("--crl", crl)?;
        let lookup = store.add_lookup(X509Lookup::file())?;
        lookup.load_crl_file(crl, SslFiletype::PEM).map_err(|_| {
            Error::Content("--crl", crl.to_owned(), "no revocation list in PEM".into())
        })?;
        store.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
    }
    store.set_purpose(X509PurposeId::SSL_CLIENT)?;
    // An intermediate of the bundle is trusted as it stands there.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    builder.set_cert_store(store.build());
    builder.set_verify_callback(SslVerifyMode::PEER, move |ok, chain| {
        // An authority without a revocation list has revoked nothing.
        let passes = ok || chain.error().as_raw() == NO_CRL;
        if !passes {
            note_refused(chain, refused);
        }
        passes
    });
    Ok(())
}

fn note_refused(chain: &X509StoreContextRef, refused: Refused) {
    let ssl = X509StoreContext::ssl_idx()
        .ok()
        .and_then(|index| chain.ex_data(index));
    let place = ssl.and_then(|ssl| ssl.ex_data(refused));
    if let (Some(Ok(mut place)), Some(certificate)) = (place.map(Mutex::lock), chain.current_cert())
    {
        let (subject, issuer) = (certificate.subject_name(), certificate.issuer_name());
        *place = format!("{}, issued by {}", display(subject), display(issuer));
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    #[expect(clippy::disallowed_methods, reason = "reading these files is the task")]
    std::fs::read(path).map_err(|error| Error::Read(flag, path.to_owned(), error))
}

fn certificates(flag: &'static str, path: &Path) -> Result<Vec<X509>, Error> {
    let wrong = |why: &str| Error::Content(flag, path.to_owned(), why.to_owned());
    let found = X509::stack_from_pem(&read(flag, path)?);
    let found = found.map_err(|_| wrong("no certificate in PEM (-----BEGIN CERTIFICATE-----)"))?;
    if found.is_empty() {
        return Err(wrong("no certificate in PEM (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(found)
}

fn leaf(path: &Path) -> Result<X509, Error> {
    let mut chain = certificates("--tls-cert", path)?;
    Ok(chain.swap_remove(0))
}

fn private_key(path: &Path) -> Result<PKey<Private>, Error> {
    let text = Zeroizing::new(read("--tls-key", path)?);
    let mode = std::fs::metadata(path).map_or(0, |found| found.mode());
    if mode & 0o007 != 0 {
        log::warn!(
            "--tls-key {}: everyone on this machine can read it: chmod o= it",
            path.display()
        );
    }
    PKey::private_key_from_pem(&text).map_err(|_| {
        let why = "no private key in PEM without a password".to_owned();
        Error::Content("--tls-key", path.to_owned(), why)
    })
}

/// Logs certificates whose end is near or past.
fn note_end(flag: &str, path: &Path, certificates: &[X509]) {
    let (Ok(soon), Ok(now)) = (Asn1Time::days_from_now(NOTICE), Asn1Time::days_from_now(0)) else {
        return;
    };
    for certificate in certificates {
        let (name, end) = (display(certificate.subject_name()), certificate.not_after());
        if *end < now {
            log::error!("{flag} {}: {name} has expired on {end}", path.display());
        } else if *end < soon {
            log::warn!("{flag} {}: {name} expires on {end}", path.display());
        }
    }
}

/// The names that a certificate is for: DNS names, else the common name.
fn names(certificate: &X509Ref) -> Vec<String> {
    let alternatives = certificate.subject_alt_names();
    let alternatives = alternatives
        .iter()
        .flatten()
        .filter_map(|name| name.dnsname());
    let mut names: Vec<_> = alternatives.map(str::to_ascii_lowercase).collect();
    if names.is_empty() {
        names.extend(common_name(certificate).map(|name| name.to_ascii_lowercase()));
    }
    names
}

fn common_name(certificate: &X509Ref) -> Option<String> {
    let mut entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    Some(entries.next()?.data().to_string().ok()?)
}

/// A name as `CN=a, O=b`.
fn display(name: &X509NameRef) -> String {
    let entries = name.entries().map(|entry| {
        let key = entry.object().nid().short_name().unwrap_or("?");
        format!("{key}={}", entry.data().to_string().unwrap_or_default())
    });
    entries.collect::<Vec<_>>().join(", ")
}

/// What a finished handshake tells of the client.
///
/// # Errors
/// A certificate that names nobody.
pub fn client(ssl: &SslRef) -> Result<Secured, String> {
    let bindings = ssl.certificate().and_then(|own| end_point(own).ok());
    let bindings = bindings.map(|hash| auth::channel_bindings(&hash));
    let Some(certificate) = ssl.peer_certificate() else {
        return Ok(Secured {
            certificate: None,
            bindings,
        });
    };
    let name = common_name(&certificate).or_else(|| names(&certificate).into_iter().next());
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or("the certificate has neither a common name nor a DNS name")?;
    let issuer = ssl.verified_chain().and_then(|chain| {
        let issuer = chain.get(1).or_else(|| chain.get(0))?;
        issuer.digest(MessageDigest::sha1()).ok()
    });
    let issuer = issuer.map_or(String::new(), |hash| hex(&hash));
    Ok(Secured {
        certificate: Some(Certificate { name, issuer }),
        bindings,
    })
}

/// `tls-server-end-point` (RFC 5929 4.1): the hash of our certificate by the
/// algorithm of its signature, SHA-256 where that is MD5 or SHA-1.
fn end_point(own: &X509Ref) -> Result<Vec<u8>, ErrorStack> {
    let algorithm = own
        .signature_algorithm()
        .object()
        .nid()
        .signature_algorithms();
    let digest = algorithm.map_or(Nid::SHA256, |found| found.digest);
    let digest = match digest {
        Nid::MD5 | Nid::SHA1 | Nid::UNDEF => Nid::SHA256,
        other => other,
    };
    let digest = MessageDigest::from_nid(digest).unwrap_or_else(MessageDigest::sha256);
    Ok(own.digest(digest)?.to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

impl Acceptor {
    /// Why a handshake failed, and what to do.
    #[must_use]
    pub fn failure(&self, ssl: &SslRef, error: &openssl::ssl::Error) -> String {
        let verified = ssl.verify_result();
        if verified != X509VerifyResult::OK {
            let whose = ssl
                .ex_data(self.refused)
                .and_then(|place| place.lock().ok());
            let whose = whose.map_or(String::new(), |whose| whose.clone());
            return format!(
                "client certificate {whose}: {}; give the host one for client authentication that \
                 an authority in --client-ca issued",
                verified.error_string()
            );
        }
        let reason = error
            .ssl_error()
            .and_then(|stack| stack.errors().first()?.reason());
        match reason {
            Some(reason) => format!("TLS handshake: {reason}"),
            None => format!("TLS handshake: {error}"),
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}
