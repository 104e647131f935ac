//! Which key of a keytab opens a ticket, and what is told if none does.

use zeroize::Zeroizing;

use super::Error;
use super::crypto::{Enctype, Key, usage};
use super::keytab::{Keytab, Lookup};
use super::messages::{Number, PrincipalName, Text, TicketBody};

/// A principal as people write it.
pub(super) fn principal(name: &PrincipalName, realm: &Text) -> String {
    format!("{name}@{realm}")
}

/// Most keys that are tried on one ticket: whoever sends rubbish must not cost more. A
/// machine's keytab has some twenty, of a few versions and names.
pub(super) const MOST_TRIED: usize = 64;

/// What a key has opened.
pub(super) struct Opened {
    pub(super) key: Key,
    pub(super) plain: Zeroizing<Vec<u8>>,
    /// Our realm: the ticket itself may say anything.
    pub(super) realm: String,
    /// The hosts that the keytab is for.
    pub(super) hosts: Vec<String>,
}

/// Opens a ticket with a key of its service, that of its version first. Versions in keytabs
/// are often wrong, and one account has many names: so all others are tried too.
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

/// What is missing in a keytab that does not open a ticket.
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
