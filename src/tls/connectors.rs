//! The TLS settings of outputs: CA certificates, client certificate, key.

use std::fmt;

use crate::output::{Settings, Tls};
use crate::tls::connector::Connector;
use crate::tls::{Error, outward};

/// Why TLS cannot be set up for an output.
#[derive(Debug)]
pub struct OutputError {
    /// Its URL.
    pub label: String,
    /// What is wrong.
    pub cause: Error,
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--output {}: {}", self.label, self.cause)
    }
}

impl std::error::Error for OutputError {}

/// Reads the files of all outputs with TLS, one item for each output.
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

fn connector(settings: &Tls) -> Result<Connector, Error> {
    let authorities = settings.ca.as_deref().map(|path| ("ca", path));
    let pair = settings.certificate.as_deref().map(|certificate| {
        let key = settings.key.as_deref().unwrap_or(certificate);
        (("cert", certificate), ("key", key))
    });
    let builder = outward::connector(authorities, pair)?;
    Ok(Connector::new(builder.build(), settings))
}
