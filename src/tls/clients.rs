//! The CAs of client certificates, and which certificates are accepted.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use openssl::ssl::{SslContextBuilder, SslVerifyMode};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509PurposeId, X509Ref};

use super::revocation::{Revocation, Verdict as Listed};
use super::validity::{self, Validity};
use super::{Error, Files, outward, pem};

/// The CAs of client certificates, and their revocation lists.
pub(super) struct Clients {
    authorities: Vec<X509>,
    revocation: Option<Revocation>,
}

impl Clients {
    pub(super) fn load(files: &Files, validity: &mut Validity) -> Result<Option<Self>, Error> {
        let Some(path) = &files.client_ca else {
            return Ok(None);
        };
        let authorities = pem::certificates("--client-ca", path)?;
        validity.add_certificates("--client-ca", path, &authorities);
        let read = |path: &PathBuf| Revocation::read(path, &authorities, files.crl_partial);
        let revocation = files.crl.as_ref().map(read).transpose()?;
        if let (Some(path), Some(revocation)) = (&files.crl, &revocation) {
            validity.add_lists(path, revocation.lasting());
            let unlisted = revocation.unlisted();
            unlisted.iter().for_each(|line| log::warn!("{line}"));
        }
        Ok(Some(Self {
            authorities,
            revocation,
        }))
    }

    /// Requests a certificate from clients. They may continue without one, to authenticate
    /// otherwise.
    pub(super) fn ask(&self, builder: &mut SslContextBuilder) -> Result<(), Error> {
        let mut store = outward::store(&self.authorities)?;
        for authority in &self.authorities {
            builder.add_client_ca(authority)?;
        }
        store.set_purpose(X509PurposeId::SSL_CLIENT)?;
        // An intermediate in the bundle is a trust anchor, too.
        store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        builder.set_cert_store(store.build());
        builder.set_verify(SslVerifyMode::PEER);
        Ok(())
    }

    /// When CA certificates and revocation lists become valid or expire. Between two of
    /// these times the verdict on a certificate changes only at its own dates.
    pub(super) fn turns(&self) -> impl Iterator<Item = SystemTime> {
        let authorities = self.authorities.iter();
        let authorities = authorities.flat_map(|authority| {
            let (begin, end) = (authority.not_before(), authority.not_after());
            [validity::time(begin), after(validity::time(end))]
        });
        let lists = self.revocation.iter().flat_map(Revocation::lists);
        let lists = lists.flat_map(|list| {
            let end = list.next_update().and_then(validity::time);
            [validity::time(list.last_update()), after(end)]
        });
        authorities.chain(lists).flatten()
    }

    /// What the lists contain about an otherwise valid chain.
    pub(super) fn look_up(&self, chain: &[&X509Ref], now: SystemTime) -> Result<(), Listed> {
        let revocation = self.revocation.as_ref();
        revocation.map_or(Ok(()), |lists| lists.check(chain, now))
    }
}

/// The first moment after a last one.
fn after(last: Option<SystemTime>) -> Option<SystemTime> {
    last?.checked_add(Duration::from_nanos(1))
}
