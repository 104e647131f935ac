//! Our side as a host: what `wecrelay send` connects with.

use super::{Error, end_point, pem};
use crate::auth;
use openssl::pkcs12::Pkcs12;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslStream};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Who a host is, and whom it trusts.
#[derive(Clone, Debug, Default)]
pub struct HostFiles {
    /// Authorities of the collector's certificate, PEM; else those of the system.
    pub authorities: Option<PathBuf>,
    /// The host's certificate and key, PEM.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// Both in one file, PKCS #12, and its password.
    pub pfx: Option<(PathBuf, Zeroizing<String>)>,
}

/// Connects to collectors.
pub struct Dialer {
    connector: SslConnector,
}

/// A connection, and MD5 of its channel bindings.
pub type Dialed<S> = (SslStream<S>, Option<[u8; 16]>);

impl Dialer {
    /// Reads the files.
    ///
    /// # Errors
    /// The first one that cannot be read or does not fit, and why.
    pub fn load(files: &HostFiles) -> Result<Self, Error> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        if let Some(path) = &files.authorities {
            for authority in pem::certificates("--ca", path)? {
                builder.cert_store_mut().add_cert(authority)?;
            }
        }
        if let Some((certificate, key)) = &files.pair {
            let chain = pem::certificates("--cert", certificate)?;
            let key = pem::private_key("--key", key, certificate, &chain)?;
            pem::present(&mut builder, chain, &key)?;
        }
        if let Some((path, password)) = &files.pfx {
            take_pfx(&mut builder, path, password)?;
        }
        Ok(Self {
            connector: builder.build(),
        })
    }

    /// Does the handshake with a collector of that name.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn connect<S: Read + Write + std::fmt::Debug>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<Dialed<S>, String> {
        let stream = self.connector.connect(host, stream);
        let stream = stream.map_err(|error| explain(&error.to_string(), host))?;
        let theirs = stream.ssl().peer_certificate();
        let end_point = theirs.and_then(|theirs| end_point::of(&theirs));
        Ok((stream, end_point.map(|hash| auth::channel_bindings(&hash))))
    }
}

fn take_pfx(builder: &mut SslConnectorBuilder, path: &Path, password: &str) -> Result<(), Error> {
    let wrong = |why: &str| Error::Content("--pfx", path.to_owned(), why.to_owned());
    #[expect(clippy::disallowed_methods, reason = "reading this file is the task")]
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|error| Error::Read("--pfx", path.to_owned(), error))?;
    let bytes = Zeroizing::new(bytes);
    let file = Pkcs12::from_der(&bytes);
    let file = file
        .map_err(|_| wrong("no PKCS #12 file"))?
        .parse2(password);
    let file = file.map_err(|_| wrong("its password is another one (--password-file)"))?;
    let (Some(certificate), Some(key)) = (file.cert, file.pkey) else {
        return Err(wrong("it holds no certificate with its private key"));
    };
    let issuers = file.ca.into_iter().flatten();
    pem::present(builder, std::iter::once(certificate).chain(issuers), &key)?;
    Ok(())
}

fn explain(error: &str, host: &str) -> String {
    let remedy = if error.contains("certificate verify failed") {
        format!(
            "; the collector's certificate has to be for {host}, and of an authority that --ca names or \
             the system trusts"
        )
    } else if error.contains("wrong version number") {
        "; it speaks no TLS there: is that the port for http?".to_owned()
    } else if error.contains("alert") {
        "; the collector refuses the certificate of --cert or --pfx: see its log".to_owned()
    } else {
        String::new()
    };
    format!("TLS: {error}{remedy}")
}
