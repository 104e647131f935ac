//! TLS to the shared database.

use std::io::{Read, Write};
use std::path::PathBuf;

use openssl::ssl::{SslConnector, SslStream, SslVerifyMode};

use super::fault::Fault;
use super::{Error, end_point, outward};

/// Trusted CAs, and the client certificate.
#[derive(Clone, Debug, Default)]
pub struct DatabaseFiles {
    /// CA certificates (PEM) to use instead of the system's.
    pub authorities: Option<PathBuf>,
    /// Client certificate and key (PEM).
    pub pair: Option<(PathBuf, PathBuf)>,
    /// Whether the server's certificate must be issued by a trusted CA.
    pub is_verified: bool,
    /// Whether it must have the name by which the server was addressed.
    pub is_name_verified: bool,
}

/// Opens TLS connections to the database.
pub struct DatabaseTls {
    connector: SslConnector,
    is_name_verified: bool,
}

/// A connection, and the hash of the server's certificate (RFC 5929 4.1).
pub type ToDatabase<S> = (SslStream<S>, Option<Vec<u8>>);

impl DatabaseTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be read or used, and why.
    pub fn load(files: &DatabaseFiles) -> Result<Self, Error> {
        let authorities = files.authorities.as_deref();
        let authorities = authorities.map(|path| ("sslrootcert", path));
        let pair = files.pair.as_ref();
        let pair = pair.map(|(certificate, key)| (("sslcert", &**certificate), ("sslkey", &**key)));
        let mut builder = outward::connector(authorities, pair)?;
        if !files.is_verified {
            builder.set_verify(SslVerifyMode::NONE);
        }
        Ok(Self {
            connector: builder.build(),
            is_name_verified: files.is_name_verified,
        })
    }

    /// Performs the handshake with a server of this name.
    ///
    /// # Errors
    /// Why it failed.
    pub fn connect<S: Read + Write + std::fmt::Debug>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<ToDatabase<S>, Fault> {
        let configured = self.connector.configure();
        let configured = configured.map_err(Fault::other)?;
        let configured = configured.verify_hostname(self.is_name_verified);
        let connected = configured.connect(host, stream);
        let stream = connected.map_err(|error| Fault::of_handshake(&error))?;
        let theirs = stream.ssl().peer_certificate();
        let end_point = theirs.and_then(|theirs| end_point::of(&theirs));
        Ok((stream, end_point))
    }
}
