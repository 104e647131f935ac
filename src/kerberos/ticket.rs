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

/// Opens a ticket: gives the key that did it, and what is inside.
pub(super) fn open(
    keytab: &Keytab,
    ticket: &TicketBody,
    enctype: Enctype,
) -> Result<(Key, Zeroizing<Vec<u8>>), Error> {
    let service = principal(&ticket.sname, &ticket.realm);
    let version = ticket.enc_part.kvno.map(Number::to_u32);
    let keys = match keytab.find(&service, version, enctype) {
        Lookup::Keys(keys) => keys,
        Lookup::NoPrincipal => {
            let known = keytab.principals();
            let asked = service;
            return Err(Error::Service { asked, known });
        }
        Lookup::NoVersion { known } => {
            let version = version.unwrap_or_default();
            return Err(Error::KeyVersion {
                service,
                version,
                known,
            });
        }
        Lookup::NoEnctype { known } => {
            return Err(Error::NoKey {
                service,
                enctype,
                known,
            });
        }
    };
    let opened = keys.into_iter().find_map(|key| {
        let plain = key.decrypt(usage::TICKET, &ticket.enc_part.cipher.0).ok()?;
        Some((key.clone(), Zeroizing::new(plain)))
    });
    opened.ok_or(Error::TicketKey { service, version })
}
