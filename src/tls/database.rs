//! TLS towards the database that relays share.

use std::io::{Read, Write};
use std::path::PathBuf;

use openssl::ssl::{SslConnector, SslStream, SslVerifyMode};

use super::fault::Fault;
use super::{Error, end_point, outward};

/// Whom we trust there, and who we are.
#[derive(Clone, Debug, Default)]
pub struct DatabaseFiles {
    /// Authorities of its certificate, PEM, instead of those of the system.
    pub authorities: Option<PathBuf>,
    /// Our certificate and key, PEM.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// Whether its certificate has to be of an authority.
    pub is_verified: bool,
    /// Whether it has to be for the name by which we reach it.
    pub is_name_verified: bool,
}

/// Connects to the database.
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
    /// The first one that cannot be read or does not fit, and why.
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

    /// Does the handshake with a server of that name.
    ///
    /// # Errors
    /// Why not.
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
