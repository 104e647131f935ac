//! A TLS handshake without verification, which shows the protocol version and the
//! certificate.

use std::net::TcpStream;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode, SslVersion};

use crate::output::Tls;
use crate::tls::Facts;

/// Describes TLS version, cipher, and certificate. Empty if the handshake fails: the
/// verified handshake that follows reports the reason.
pub(super) fn look(settings: &Tls, stream: TcpStream) -> Vec<String> {
    let Ok(connector) = connector(settings) else {
        return Vec::new();
    };
    let Ok(mut stream) = connector.connect(&settings.name, stream) else {
        return Vec::new();
    };
    let ssl = stream.ssl();
    let cipher = ssl.current_cipher().map_or("no cipher", |c| c.name());
    let mut seen = vec![format!("{}, {cipher}", ssl.version_str())];
    let certificate = ssl.peer_certificate();
    if let Some(Ok(facts)) = certificate.map(|certificate| Facts::of(&certificate)) {
        seen.push(format!("certificate {}", facts.line()));
    }
    // An orderly shutdown avoids an error in the receiver's log. The receiver may already
    // have disconnected.
    let _ = stream.shutdown();
    seen
}

fn connector(settings: &Tls) -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_verify(SslVerifyMode::NONE);
    if let Some(certificate) = &settings.certificate {
        builder.set_certificate_chain_file(certificate)?;
        let key = settings.key.as_ref().unwrap_or(certificate);
        builder.set_private_key_file(key, SslFiletype::PEM)?;
    }
    Ok(builder.build())
}
