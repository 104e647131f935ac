//! The client certificates that were verified in a generation, by fingerprint: what a
//! handshake found is true of the next one, too, for as long as nothing that it rested on
//! can have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use openssl::hash::MessageDigest;
use openssl::x509::X509Ref;

use super::{names, validity};
use crate::auth::Certificate;

/// Most certificates that are remembered, each with about 300 bytes. When there are more, the
/// next generation begins.
const MOST: usize = 50_000;

/// SHA-256 of a certificate.
type Fingerprint = [u8; 32];

/// What the verification of a certificate found.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Whom it names, or why it names nobody.
    pub(super) identity: Result<Arc<Certificate>, names::Unidentified>,
    /// When all certificates of its chain are valid.
    begin: SystemTime,
    end: SystemTime,
}

/// The verdicts of a generation.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<Fingerprint, Arc<Verdict>>>);

impl Verdicts {
    /// What was found of a certificate, if that holds now.
    pub(super) fn find(&self, shown: &X509Ref, now: SystemTime) -> Option<Arc<Verdict>> {
        let known = self.0.lock().ok()?;
        let verdict = known.get(&fingerprint(shown)?)?;
        verdict.holds(now).then(|| Arc::clone(verdict))
    }

    /// Remembers a certificate that was verified; its chain begins with it.
    pub(super) fn add(&self, shown: &X509Ref, chain: &[&X509Ref]) -> Arc<Verdict> {
        let verdict = Arc::new(Verdict::of(shown, chain));
        if let (Some(fingerprint), Ok(mut known)) = (fingerprint(shown), self.0.lock())
            && known.len() < MOST
        {
            known.insert(fingerprint, Arc::clone(&verdict));
        }
        verdict
    }

    /// Whether no other certificate can be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.0.lock().is_ok_and(|known| known.len() >= MOST)
    }
}

impl Verdict {
    fn of(shown: &X509Ref, chain: &[&X509Ref]) -> Self {
        let begins = chain.iter().filter_map(|c| validity::time(c.not_before()));
        let ends = chain.iter().map(|c| validity::time(c.not_after()));
        Self {
            identity: names::identify(shown, chain).map(Arc::new),
            begin: begins.max().unwrap_or(SystemTime::UNIX_EPOCH),
            end: ends.min().flatten().unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    fn holds(&self, now: SystemTime) -> bool {
        (self.begin..=self.end).contains(&now)
    }
}

fn fingerprint(certificate: &X509Ref) -> Option<Fingerprint> {
    let digest = certificate.digest(MessageDigest::sha256()).ok()?;
    digest.as_ref().try_into().ok()
}
