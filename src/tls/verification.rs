//! How a handshake judges the certificate of a client.

use std::sync::Arc;
use std::time::SystemTime;

use openssl::x509::{X509, X509StoreContextRef, X509VerifyResult};

use super::clients::Clients;
use super::names;
use super::refusal::{self, Note, Refused};
use super::site::{self, Site};
use super::verdicts::{Verdict, Verdicts};
use crate::system::sys::Judge;

/// Judges the certificate of a client: as it was judged before in this generation, else by
/// OpenSSL, and last by the revocation lists.
pub(super) struct Verification;

impl Judge for Verification {
    fn judge(context: &mut X509StoreContextRef, shown: &X509) -> bool {
        let found = refusal::connection(context).and_then(site::site);
        let Some((clients, verdicts)) = found.and_then(Site::clients) else {
            return false;
        };
        #[expect(clippy::disallowed_methods, reason = "a handshake is of this moment")]
        let now = SystemTime::now();
        match verify(&clients, &verdicts, context, shown, now) {
            Ok(verdict) => {
                refusal::note(context, Note::Verified(verdict));
                context.set_error(X509VerifyResult::OK);
                true
            }
            Err(note) => {
                refusal::note(context, note);
                false
            }
        }
    }
}

fn verify(
    clients: &Clients,
    verdicts: &Verdicts,
    context: &mut X509StoreContextRef,
    shown: &X509,
    now: SystemTime,
) -> Result<Arc<Verdict>, Note> {
    if let Some(verdict) = verdicts.find(shown, now) {
        return Ok(verdict);
    }
    if !context.verify_cert().is_ok_and(|good| good) {
        let whose = context.current_cert().unwrap_or(shown);
        let whose = names::describe(whose);
        let refused = Refused { whose, why: None };
        return Err(Note::Refused(Box::new(refused)));
    }
    let chain: Vec<_> = context.chain().into_iter().flatten().collect();
    if let Err(listed) = clients.look_up(&chain, now) {
        context.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
        return Err(refusal::listed(shown, listed));
    }
    Ok(verdicts.add(shown, &chain))
}
