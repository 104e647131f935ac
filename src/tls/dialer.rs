//! TLS of a simulated host, for `wecrelay send`.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use openssl::pkcs12::Pkcs12;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslStream};
use zeroize::Zeroizing;

use super::fault::{Fault, Kind};
use super::{Error, end_point, outward, pem};
use crate::auth;
use crate::files::secret;

/// The host's certificate, and the CAs that it trusts.
#[derive(Clone, Debug, Default)]
pub struct HostFiles {
    /// CA certificates (PEM) to use instead of the system's.
    pub authorities: Option<PathBuf>,
    /// The host's certificate and key (PEM).
    pub pair: Option<(PathBuf, PathBuf)>,
    /// Both in one PKCS #12 file, and its password.
    pub pfx: Option<(PathBuf, Zeroizing<String>)>,
}

/// Opens TLS connections to collectors.
pub struct Dialer {
    connector: SslConnector,
}

/// A connection, and MD5 of its channel bindings.
pub type Dialed<S> = (SslStream<S>, Option<[u8; 16]>);

/// Why a handshake with a collector failed.
#[derive(Debug)]
pub struct DialError {
    fault: Fault,
    host: String,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, host } = self;
        write!(f, "TLS: {fault}")?;
        match fault.kind {
            Kind::Certificate(_) => write!(
                f,
                "; the collector's certificate must be for {host}, and from an authority in --ca, \
                 or without --ca from one that the system trusts"
            ),
            Kind::Http | Kind::NotTls => {
                write!(f, "; it does not speak TLS: is this the port for http?")
            }
            Kind::Alert(_) if fault.refuses_our_certificate() => write!(
                f,
                "; the collector rejects the certificate of --cert or --pfx: check its log"
            ),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for DialError {}

impl Dialer {
    /// Reads the files.
    ///
    /// # Errors
    /// The first one that cannot be read or does not fit, and why.
    pub fn load(files: &HostFiles) -> Result<Self, Error> {
        let authorities = files.authorities.as_deref().map(|path| ("--ca", path));
        let pair = files.pair.as_ref();
        let pair = pair.map(|(certificate, key)| (("--cert", &**certificate), ("--key", &**key)));
        let mut builder = outward::connector(authorities, pair)?;
        if let Some((path, password)) = &files.pfx {
            take_pfx(&mut builder, path, password)?;
        }
        Ok(Self {
            connector: builder.build(),
        })
    }

    /// Performs the handshake with a collector of this name.
    ///
    /// # Errors
    /// Why it failed, with the remedy.
    pub fn connect<S: Read + Write + fmt::Debug>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<Dialed<S>, DialError> {
        let stream = self.connector.connect(host, stream);
        let stream = stream.map_err(|error| DialError {
            fault: Fault::of_handshake(&error),
            host: host.to_owned(),
        })?;
        let theirs = stream.ssl().peer_certificate();
        let end_point = theirs.and_then(|theirs| end_point::of(&theirs));
        Ok((stream, end_point.map(|hash| auth::channel_bindings(&hash))))
    }
}

fn take_pfx(builder: &mut SslConnectorBuilder, path: &Path, password: &str) -> Result<(), Error> {
    let wrong = |why: &str| Error::Content("--pfx", path.to_owned(), why.to_owned());
    let bytes = secret::read(path, "its key is that of this host");
    let bytes = bytes.map_err(|error| Error::Read("--pfx", path.to_owned(), error))?;
    let file = Pkcs12::from_der(&bytes);
    let file = file
        .map_err(|_| wrong("not a PKCS #12 file"))?
        .parse2(password);
    let file = file.map_err(|_| wrong("its password is wrong (--password-file)"))?;
    let (Some(certificate), Some(key)) = (file.cert, file.pkey) else {
        return Err(wrong("it contains no certificate with its private key"));
    };
    let issuers = file.ca.into_iter().flatten();
    pem::present(builder, std::iter::once(certificate).chain(issuers), &key)?;
    Ok(())
}
