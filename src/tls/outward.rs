//! Our side where we begin TLS: whom we trust, and who we are.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use super::{Error, pem};

/// A file, and the flag or parameter that names it.
pub(super) type Named<'a> = (&'static str, &'a Path);

/// What makes connections. The authorities are those of the file, or those of the system
/// where there is none, never both: who names an authority means that one.
pub(super) fn connector(
    authorities: Option<Named<'_>>,
    pair: Option<(Named<'_>, Named<'_>)>,
) -> Result<SslConnectorBuilder, Error> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    match authorities {
        Some((flag, path)) => {
            let authorities = pem::certificates(flag, path)?;
            builder.set_cert_store(store(&authorities)?.build());
        }
        None => trust_the_system(&mut builder),
    }
    if let Some(((flag, certificate), (key_flag, key))) = pair {
        let chain = pem::certificates(flag, certificate)?;
        let key = pem::private_key(key_flag, key, certificate, &chain)?;
        pem::present(&mut builder, chain, &key)?;
    }
    Ok(builder)
}

/// A store of these authorities, and no others.
pub(super) fn store(authorities: &[X509]) -> Result<X509StoreBuilder, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        store.add_cert(authority.clone())?;
    }
    Ok(store)
}

/// OpenSSL knows where it was built for, and a static binary is built for no machine: so it
/// is told where systems keep their authorities, too.
fn trust_the_system(builder: &mut SslConnectorBuilder) {
    let found = openssl_probe::probe();
    let file = found.cert_file.as_deref().map(|file| (Some(file), None));
    let folders = found.cert_dir.iter().map(|folder| (None, Some(&**folder)));
    for (file, folder) in file.into_iter().chain(folders) {
        if let Err(error) = builder.load_verify_locations(file, folder) {
            log::debug!("authorities of the system: {error}");
        }
    }
}
