//! The PEM files of secured outputs: authorities, our certificate, our key.

use crate::output::{Settings, Tls};
use crate::tls::connector::Connector;
use crate::tls::foreign;
use native_tls::{Certificate, Identity, Protocol, TlsConnector};
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Permission bits of users who are neither owner nor group.
const OTHERS: u32 = 0o007;

/// Why an output cannot be secured as it should.
#[derive(Debug)]
pub enum PemError {
    /// A file cannot be read.
    Read(PathBuf, io::Error),
    /// A file without a certificate in it, and what it holds instead.
    NoCertificate(PathBuf, Option<String>),
    /// A file with a certificate in it that is none.
    BadCertificate(PathBuf, String),
    /// A file without a private key in it, and what it holds instead.
    NoKey(PathBuf, Option<String>),
    /// A private key that wants a password.
    Encrypted(PathBuf),
    /// A key, and a file with a certificate that it does not belong to.
    Mismatch(PathBuf, PathBuf),
    /// TLS itself does not work.
    System(String),
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NoCertificate(path, what) => {
                write!(f, "{}: no PEM certificate in it", path.display())?;
                write_instead(f, what.as_deref())
            }
            Self::BadCertificate(path, why) => {
                write!(f, "{}: not a certificate: {why}", path.display())
            }
            Self::NoKey(path, what) => {
                let path = path.display();
                write!(f, "{path}: no PEM private key in it that can be read")?;
                write_instead(f, what.as_deref())
            }
            Self::Encrypted(path) => write!(
                f,
                "{}: the private key has a password; take it off with openssl pkey",
                path.display()
            ),
            Self::Mismatch(key, certificate) => write!(
                f,
                "{}: the private key is not that of the first certificate in {}",
                key.display(),
                certificate.display()
            ),
            Self::System(why) => write!(f, "TLS: {why}"),
        }
    }
}

impl std::error::Error for PemError {}

fn write_instead(f: &mut fmt::Formatter<'_>, what: Option<&str>) -> fmt::Result {
    what.map_or(Ok(()), |what| write!(f, ": {what}"))
}

/// Which output cannot be secured, and why.
#[derive(Debug)]
pub struct OutputError {
    /// Its URL.
    pub label: String,
    /// What is wrong.
    pub cause: PemError,
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.cause)
    }
}

impl std::error::Error for OutputError {}

/// Reads the files of all secured outputs; an item for each output.
///
/// # Errors
/// The first output whose files cannot be used.
pub fn connectors<'a>(
    outputs: impl IntoIterator<Item = &'a Settings>,
) -> Result<Vec<Option<Connector>>, OutputError> {
    let load = |output: &Settings| {
        let connector = output.tls.as_ref().map(connector).transpose();
        connector.map_err(|cause| OutputError {
            label: output.label.clone(),
            cause,
        })
    };
    outputs.into_iter().map(load).collect()
}

fn connector(settings: &Tls) -> Result<Connector, PemError> {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some(path) = &settings.ca {
        builder.disable_built_in_roots(true);
        for authority in authorities(path)? {
            builder.add_root_certificate(authority);
        }
    }
    if let Some(path) = &settings.certificate {
        let key = settings.key.as_deref().unwrap_or(path);
        builder.identity(identity(path, key)?);
    }
    let tls = builder.build().map_err(system)?;
    Ok(Connector::new(tls, settings))
}

fn system(error: impl fmt::Display) -> PemError {
    PemError::System(error.to_string())
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, PemError> {
    let mut authorities = Vec::new();
    for certificate in certificates(path, &read(path)?)? {
        let der = certificate.to_der().map_err(system)?;
        authorities.push(Certificate::from_der(&der).map_err(system)?);
    }
    Ok(authorities)
}

/// All certificates in a file, at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<X509>, PemError> {
    let certificates = X509::stack_from_pem(pem)
        .map_err(|error| PemError::BadCertificate(path.to_owned(), error.to_string()))?;
    if certificates.is_empty() {
        let what = foreign::describe(pem, path);
        return Err(PemError::NoCertificate(path.to_owned(), what));
    }
    Ok(certificates)
}

/// Our certificate with its chain, and its key in whatever form OpenSSL reads.
fn identity(certificate_path: &Path, key_path: &Path) -> Result<Identity, PemError> {
    let pem = read(certificate_path)?;
    let certificates = certificates(certificate_path, &pem)?;
    let key = private_key(key_path)?;
    let fits = |certificate: &X509| certificate.public_key().is_ok_and(|k| k.public_eq(&key));
    if !certificates.first().is_some_and(fits) {
        return Err(PemError::Mismatch(
            key_path.to_owned(),
            certificate_path.to_owned(),
        ));
    }
    let mut chain = Vec::new();
    for certificate in &certificates {
        chain.extend(certificate.to_pem().map_err(system)?);
    }
    // The one form that native-tls takes.
    let key = Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(system)?);
    Identity::from_pkcs8(&chain, &key).map_err(system)
}

fn private_key(path: &Path) -> Result<PKey<Private>, PemError> {
    let pem = read(path)?;
    let mut asked = false;
    let key = PKey::private_key_from_pem_callback(&pem, |_| {
        asked = true;
        Ok(0)
    });
    if asked {
        return Err(PemError::Encrypted(path.to_owned()));
    }
    let key = key.map_err(|_| {
        let what = foreign::describe(&pem, path);
        PemError::NoKey(path.to_owned(), what)
    })?;
    let mode = fs::metadata(path).map_err(|e| PemError::Read(path.to_owned(), e))?;
    if mode.mode() & OTHERS != 0 {
        log::warn!("{}: everyone may use this private key", path.display());
    }
    Ok(key)
}

#[expect(clippy::disallowed_methods, reason = "reading these files is the task")]
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let bytes = fs::read(path).map_err(|error| PemError::Read(path.to_owned(), error))?;
    Ok(Zeroizing::new(bytes))
}
