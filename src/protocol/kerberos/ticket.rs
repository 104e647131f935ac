//! Which key of a keytab decrypts a ticket, and which error to report if none does.

use zeroize::Zeroizing;

use super::Error;
use super::crypto::{Enctype, Key, usage};
use super::keytab::{Keytab, Lookup};
use super::messages::{Number, PrincipalName, Text, TicketBody};

/// A principal in the usual notation.
pub(super) fn principal(name: &PrincipalName, realm: &Text) -> String {
    format!("{name}@{realm}")
}

/// Maximum number of keys to try on one ticket, so that garbage costs no more than that. A
/// machine's keytab has some twenty, for a few versions and names.
pub(super) const MOST_TRIED: usize = 64;

/// A decrypted ticket.
pub(super) struct Opened {
    pub(super) key: Key,
    pub(super) plain: Zeroizing<Vec<u8>>,
    /// The realm in the keytab; the one in the ticket is not authenticated.
    pub(super) realm: String,
    /// The host names that the keytab has keys for.
    pub(super) hosts: Vec<String>,
}

/// Decrypts a ticket, trying the key of its service and version first. Versions in keytabs
/// are often wrong, and one account has many names, so all other keys are tried, too.
pub(super) fn open(
    keytab: &Keytab,
    ticket: &TicketBody,
    enctype: Enctype,
) -> Result<Opened, Error> {
    let service = principal(&ticket.sname, &ticket.realm);
    let version = ticket.enc_part.kvno.map(Number::to_u32);
    let candidates = keytab.candidates(&service, version, enctype);
    let opened = candidates.take(MOST_TRIED).find_map(|entry| {
        let plain = entry
            .key
            .decrypt(usage::TICKET, &ticket.enc_part.cipher.0)
            .ok()?;
        Some(Opened {
            key: entry.key.clone(),
            realm: entry.realm().to_owned(),
            plain: Zeroizing::new(plain),
            hosts: keytab.hosts(),
        })
    });
    opened.ok_or_else(|| why_closed(keytab, service, version, enctype))
}

/// What the keytab lacks, if it cannot decrypt a ticket.
fn why_closed(keytab: &Keytab, service: String, version: Option<u32>, enctype: Enctype) -> Error {
    match keytab.find(&service, version, enctype) {
        Lookup::Keys(_) => Error::TicketKey { service, version },
        Lookup::NoPrincipal => Error::Service {
            asked: service,
            known: keytab.principals(),
        },
        Lookup::NoVersion { known } => Error::KeyVersion {
            service,
            version: version.unwrap_or_default(),
            known,
        },
        Lookup::NoEnctype { known } => Error::NoKey {
            service,
            enctype,
            known,
        },
    }
}
