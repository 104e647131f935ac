//! From a ticket to the account that its PAC names, with the signature verified.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Error, Logon, Pac};
use crate::protocol::kerberos::crypto::{Key, usage};
use crate::protocol::kerberos::messages::{self, AuthorizationData, EncTicketPartBody};

/// Authorization data that a service may ignore, containing a further list (AD-IF-RELEVANT,
/// RFC 4120 5.2.6.1).
const IF_RELEVANT: i64 = 1;
/// Authorization data type of a PAC (MS-KILE 3.3.5.6.4).
const WIN2K_PAC: i64 = 128;

/// Parses and verifies a PAC: its server signature with `key`, which decrypted the ticket,
/// and that it was made for this client and logon time.
///
/// The KDC's signature cannot be verified here, because only domain controllers have its
/// key.
///
/// # Errors
/// The key or ticket is a different one, or the structure is invalid.
pub fn verify(pac: &[u8], key: &Key, client: &str, authtime: SystemTime) -> Result<Logon, Error> {
    let pac = Pac::parse(pac)?;
    let signature = pac.server_signature()?;
    let enctype = key.enctype();
    if signature.kind != enctype.checksum_type() {
        let found = signature.kind;
        return Err(Error::SignatureKind { found, enctype });
    }
    let checksum = signature.checksum();
    let checksum = checksum.ok_or(Error::Truncated("server signature"))?;
    if !key.verify_checksum(usage::PAC_SIGNATURE, &pac.signed(), checksum) {
        return Err(Error::Signature);
    }
    pac.logon(client, authtime)
}

/// The account that a ticket's PAC names; `None` if the ticket has no PAC, or one without
/// an account.
pub(in crate::protocol::kerberos) fn of_ticket(
    ticket: &EncTicketPartBody,
    key: &Key,
) -> Result<Option<Logon>, Error> {
    let data = ticket.authorization_data.as_ref();
    let Some(pac) = data.map(find).transpose()?.flatten() else {
        return Ok(None);
    };
    let names: Vec<_> = ticket
        .cname
        .name_string
        .iter()
        .map(|part| &*part.0)
        .collect();
    let client = names.join("/");
    let authtime = UNIX_EPOCH + ticket.authtime.to_unix_duration();
    match verify(&pac, key, &client, authtime) {
        // MIT's KDC signs a PAC that only repeats the ticket's client.
        Err(Error::Missing(what)) if what == super::LOGON_INFORMATION => Ok(None),
        Ok(logon) if !logon.is(&client, &ticket.crealm.0) => Err(Error::Account {
            pac: logon.name,
            ticket: client,
        }),
        logon => logon.map(Some),
    }
}

/// Finds the PAC, which is inside AD-IF-RELEVANT (MS-KILE 3.3.5.6.4).
fn find(data: &AuthorizationData) -> Result<Option<Vec<u8>>, Error> {
    for element in data {
        if element.ad_type.0 != IF_RELEVANT {
            continue;
        }
        let inner: AuthorizationData = messages::read(&element.ad_data.0)
            .map_err(|_| Error::Truncated("authorization data"))?;
        let pac = inner.iter().find(|inner| inner.ad_type.0 == WIN2K_PAC);
        if let Some(pac) = pac {
            return Ok(Some(pac.ad_data.0.to_vec()));
        }
    }
    Ok(None)
}
