//! The tokens sent to a host: AP-REP and KRB-ERROR.

use std::time::Duration;

use der::asn1::GeneralizedTime;
use zeroize::Zeroizing;

use super::Error;
use super::crypto::{Key, Random, usage};
use super::messages::{
    self, ApRep, ApRepBody, AuthenticatorBody, EncApRepPart, EncApRepPartBody, EncryptedData,
    EncryptionKey, KrbError, KrbErrorBody, Number, Octets, TicketBody,
};

/// Builds the AP-REP for an authenticator, with our subkey and the sequence number of our
/// first message.
pub(super) fn reply(
    session_key: &Key,
    authenticator: &AuthenticatorBody,
    (subkey, number): (&Key, u32),
    random: Random<'_>,
) -> Result<Vec<u8>, Error> {
    let malformed = |error| Error::Malformed {
        what: "AP-REP",
        error,
    };
    let part: EncApRepPart = messages::Application(EncApRepPartBody {
        ctime: authenticator.ctime,
        cusec: authenticator.cusec,
        subkey: Some(EncryptionKey {
            keytype: Number(subkey.enctype().number().into()),
            keyvalue: Octets::new(subkey.as_bytes()),
        }),
        seq_number: Some(Number(number.into())),
    });
    let part = messages::write(&part).map(Zeroizing::new);
    let part = part.map_err(malformed)?;
    let cipher = session_key.encrypt(usage::AP_REP_ENC_PART, &part, random);
    let reply: ApRep = messages::Application(ApRepBody {
        pvno: messages::VERSION,
        msg_type: messages::TYPE_AP_REP,
        enc_part: EncryptedData {
            etype: Number(session_key.enctype().number().into()),
            kvno: None,
            cipher: Octets::new(&cipher),
        },
    });
    messages::write(&reply).map_err(malformed)
}

/// Builds the KRB-ERROR for a failure that the host can correct; `None` for others. `now`
/// is since 1970.
pub(super) fn error(error: &Error, ticket: &TicketBody, now: Duration) -> Option<Vec<u8>> {
    let message: KrbError = messages::Application(KrbErrorBody {
        pvno: messages::VERSION,
        msg_type: messages::TYPE_ERROR,
        ctime: None,
        cusec: None,
        stime: GeneralizedTime::from_unix_duration(now).ok()?,
        susec: Number(now.subsec_micros().into()),
        error_code: Number(error.code()?),
        crealm: None,
        cname: None,
        realm: ticket.realm.clone(),
        sname: ticket.sname.clone(),
        e_text: None,
        e_data: None,
    });
    messages::write(&message).ok()
}
