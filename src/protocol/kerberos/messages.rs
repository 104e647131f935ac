//! The messages of Kerberos 5 that an acceptor sees (RFC 4120 5), in ASN.1 DER.
//!
//! Strict about structure, tolerant where implementations differ: sequence numbers may be
//! negative (old implementations encode 32 bits as signed), and integers need not be
//! minimal.

mod fields;

use std::fmt;

use der::asn1::{Any, GeneralizedTime};
use der::{Decode, Encode, Sequence};

pub use self::fields::{Application, Flags, Number, Octets, Text};

/// `pvno` of every message.
pub const VERSION: Number = Number(5);
/// `msg-type` of an AP-REQ.
pub const TYPE_AP_REQ: Number = Number(14);
/// `msg-type` of an AP-REP.
pub const TYPE_AP_REP: Number = Number(15);
/// `msg-type` of a KRB-ERROR.
pub const TYPE_ERROR: Number = Number(30);

/// Sent by a client: ticket and authenticator (RFC 4120 5.5.1).
pub type ApReq = Application<14, ApReqBody>;
/// A ticket (RFC 4120 5.3).
pub type Ticket = Application<1, TicketBody>;
/// The part of a ticket that only the service can read (RFC 4120 5.3).
pub type EncTicketPart = Application<3, EncTicketPartBody>;
/// Proof that the client knows the session key (RFC 4120 5.5.1).
pub type Authenticator = Application<2, AuthenticatorBody>;
/// The service's answer, which authenticates it (RFC 4120 5.5.2).
pub type ApRep = Application<15, ApRepBody>;
/// The encrypted part of an AP-REP (RFC 4120 5.5.2).
pub type EncApRepPart = Application<27, EncApRepPartBody>;
/// An error message (RFC 4120 5.9.1).
pub type KrbError = Application<30, KrbErrorBody>;
/// Authorization data of a ticket or an authenticator (RFC 4120 5.2.6).
pub type AuthorizationData = Vec<AuthorizationElement>;

/// Parses one message, which must fill `bytes`.
///
/// # Errors
/// The DER is truncated or encodes something else.
pub fn read<'a, T: Decode<'a, Error = der::Error>>(bytes: &'a [u8]) -> Result<T, der::Error> {
    T::from_der(bytes)
}

/// Encodes one message.
///
/// # Errors
/// A value that DER cannot express.
pub fn write(message: &impl Encode) -> Result<Vec<u8>, der::Error> {
    message.to_der()
}

/// The client's first message, AP-REQ (RFC 4120 5.5.1): its ticket, and proof that it knows the
/// session key.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ApReqBody {
    /// Protocol version: 5.
    #[asn1(context_specific = "0")]
    pub pvno: Number,
    /// Message type: 14, KRB_AP_REQ (RFC 4120 7.5.7).
    #[asn1(context_specific = "1")]
    pub msg_type: Number,
    /// Bits of [`ap_options`].
    #[asn1(context_specific = "2")]
    pub ap_options: Flags,
    /// The ticket for this service, opened with a key of the keytab.
    #[asn1(context_specific = "3")]
    pub ticket: Ticket,
    /// An [`Authenticator`], under the session key.
    #[asn1(context_specific = "4")]
    pub authenticator: EncryptedData,
}

/// Bits of `ap-options` (RFC 4120 5.5.1).
pub mod ap_options {
    /// The ticket is encrypted with a session key instead of the service's key.
    pub const USE_SESSION_KEY: u32 = 0x4000_0000;
    /// The client asks for an AP-REP.
    pub const MUTUAL_REQUIRED: u32 = 0x2000_0000;
}

/// What the KDC issued to the client for a service (RFC 4120 5.3).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TicketBody {
    /// Version of the format: 5.
    #[asn1(context_specific = "0")]
    pub tkt_vno: Number,
    /// Realm of the service.
    #[asn1(context_specific = "1")]
    pub realm: Text,
    /// Name of the service, such as `HTTP/collector.example.com`.
    #[asn1(context_specific = "2")]
    pub sname: PrincipalName,
    /// An [`EncTicketPart`], under the service's key.
    #[asn1(context_specific = "3")]
    pub enc_part: EncryptedData,
}

/// Encrypted data together with its encryption type (RFC 4120 5.2.9).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncryptedData {
    /// Encryption type, such as 18 for AES-256 with SHA-1 (RFC 3962).
    #[asn1(context_specific = "0")]
    pub etype: Number,
    /// Version of the key; missing for session keys, and in tickets of some KDCs.
    #[asn1(context_specific = "1", optional = "true")]
    pub kvno: Option<Number>,
    /// Ciphertext with confounder and checksum, whose layout the encryption type defines.
    #[asn1(context_specific = "2")]
    pub cipher: Octets,
}

/// A name without its realm (RFC 4120 5.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct PrincipalName {
    /// A hint only; must not be compared (RFC 4120 6.2).
    #[asn1(context_specific = "0")]
    pub name_type: Number,
    /// `HTTP` and `host.example`, or `WIN10$`.
    #[asn1(context_specific = "1")]
    pub name_string: Vec<Text>,
}

impl fmt::Display for PrincipalName {
    /// The format of MIT's `krb5_unparse_name`: components joined by slashes, with a
    /// backslash before any character that could be mistaken for a separator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, component) in self.name_string.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            escape(f, &component.0)?;
        }
        Ok(())
    }
}

/// What the KDC vouches for, EncTicketPart (RFC 4120 5.3).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncTicketPartBody {
    /// Bits of [`ticket_flags`].
    #[asn1(context_specific = "0")]
    pub flags: Flags,
    /// The session key, shared by client and service.
    #[asn1(context_specific = "1")]
    pub key: EncryptionKey,
    /// The client's realm.
    #[asn1(context_specific = "2")]
    pub crealm: Text,
    /// Name of the client, such as `WIN10$`.
    #[asn1(context_specific = "3")]
    pub cname: PrincipalName,
    /// The realms between the client's and ours, as a [`TransitedEncoding`].
    #[asn1(context_specific = "4")]
    pub transited: Any,
    /// When the client logged on. A PAC must repeat it.
    #[asn1(context_specific = "5")]
    pub authtime: GeneralizedTime,
    /// Valid from this time; from `authtime` if it is missing.
    #[asn1(context_specific = "6", optional = "true")]
    pub starttime: Option<GeneralizedTime>,
    /// Valid until this time, plus the allowed clock skew of five minutes.
    #[asn1(context_specific = "7")]
    pub endtime: GeneralizedTime,
    /// Renewable until this time; not used by services.
    #[asn1(context_specific = "8", optional = "true")]
    pub renew_till: Option<GeneralizedTime>,
    /// The client's addresses; not checked.
    #[asn1(context_specific = "9", optional = "true")]
    pub caddr: Option<Any>,
    /// Contains the PAC, if any.
    #[asn1(context_specific = "10", optional = "true")]
    pub authorization_data: Option<AuthorizationData>,
}

/// The realms that a ticket passed through.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TransitedEncoding {
    /// Encoding; 1 is the only one defined (RFC 4120 3.3.3.2).
    #[asn1(context_specific = "0")]
    pub tr_type: Number,
    /// The encoded list; empty if there were none.
    #[asn1(context_specific = "1")]
    pub contents: Octets,
}

/// Bits of a ticket's `flags` (RFC 4120 5.3).
pub mod ticket_flags {
    /// The KDC has checked the transited realms.
    pub const TRANSITED_POLICY_CHECKED: u32 = 0x0008_0000;
    /// The KDC must validate the ticket before use.
    pub const INVALID: u32 = 0x0100_0000;
}

/// A key with its encryption type (RFC 4120 5.2.9).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncryptionKey {
    /// Number of the encryption type.
    #[asn1(context_specific = "0")]
    pub keytype: Number,
    /// The key's bytes; wiped on drop.
    #[asn1(context_specific = "1")]
    pub keyvalue: Octets,
}

/// One element of [`AuthorizationData`].
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct AuthorizationElement {
    /// Its type, such as 128 for a PAC.
    #[asn1(context_specific = "0")]
    pub ad_type: Number,
    /// Its content, in a format that the type defines.
    #[asn1(context_specific = "1")]
    pub ad_data: Octets,
}

/// Proof that the client knows the session key, Authenticator (RFC 4120 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct AuthenticatorBody {
    /// Version of the format: 5.
    #[asn1(context_specific = "0")]
    pub vno: Number,
    /// The client's realm.
    #[asn1(context_specific = "1")]
    pub crealm: Text,
    /// Name of the client, such as `WIN10$`.
    #[asn1(context_specific = "2")]
    pub cname: PrincipalName,
    /// In GSS-API: context flags and channel bindings (RFC 4121 4.1.1).
    #[asn1(context_specific = "3", optional = "true")]
    pub cksum: Option<Checksum>,
    /// Microseconds of the client's clock.
    #[asn1(context_specific = "4")]
    pub cusec: Number,
    /// The client's clock; may differ from ours by [`SKEW`](super::SKEW).
    #[asn1(context_specific = "5")]
    pub ctime: GeneralizedTime,
    /// A key chosen by the client.
    #[asn1(context_specific = "6", optional = "true")]
    pub subkey: Option<EncryptionKey>,
    /// Sequence number of the client's first message.
    #[asn1(context_specific = "7", optional = "true")]
    pub seq_number: Option<Number>,
    /// Not examined.
    #[asn1(context_specific = "8", optional = "true")]
    pub authorization_data: Option<Any>,
}

/// A checksum with its type (RFC 4120 5.2.9).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Checksum {
    /// Number of the checksum type.
    #[asn1(context_specific = "0")]
    pub cksumtype: Number,
    /// The bytes of the checksum, whose length the type defines.
    #[asn1(context_specific = "1")]
    pub checksum: Octets,
}

/// The service's answer for mutual authentication, AP-REP (RFC 4120 5.5.2).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ApRepBody {
    /// Protocol version: 5.
    #[asn1(context_specific = "0")]
    pub pvno: Number,
    /// Message type: 15, KRB_AP_REP.
    #[asn1(context_specific = "1")]
    pub msg_type: Number,
    /// An [`EncApRepPart`], under the session key.
    #[asn1(context_specific = "2")]
    pub enc_part: EncryptedData,
}

/// Proof that the service could open the ticket, EncAPRepPart (RFC 4120 5.5.2).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncApRepPartBody {
    /// The time of the authenticator, which proves that it was decrypted.
    #[asn1(context_specific = "0")]
    pub ctime: GeneralizedTime,
    /// The microseconds of the authenticator.
    #[asn1(context_specific = "1")]
    pub cusec: Number,
    /// A key chosen by this server.
    #[asn1(context_specific = "2", optional = "true")]
    pub subkey: Option<EncryptionKey>,
    /// Sequence number of our first message.
    #[asn1(context_specific = "3", optional = "true")]
    pub seq_number: Option<Number>,
}

/// Why a request was rejected, KRB-ERROR (RFC 4120 5.9.1).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct KrbErrorBody {
    /// Protocol version: 5.
    #[asn1(context_specific = "0")]
    pub pvno: Number,
    /// Message type: 30, KRB_ERROR.
    #[asn1(context_specific = "1")]
    pub msg_type: Number,
    /// Time of the authenticator, if it could be decrypted.
    #[asn1(context_specific = "2", optional = "true")]
    pub ctime: Option<GeneralizedTime>,
    /// Microseconds of the authenticator, if it could be decrypted.
    #[asn1(context_specific = "3", optional = "true")]
    pub cusec: Option<Number>,
    /// This server's clock, so that the client can correct its own.
    #[asn1(context_specific = "4")]
    pub stime: GeneralizedTime,
    /// Microseconds of this server's clock.
    #[asn1(context_specific = "5")]
    pub susec: Number,
    /// The error code (RFC 4120 7.5.9).
    #[asn1(context_specific = "6")]
    pub error_code: Number,
    /// The client's realm.
    #[asn1(context_specific = "7", optional = "true")]
    pub crealm: Option<Text>,
    /// Name of the client, such as `WIN10$`.
    #[asn1(context_specific = "8", optional = "true")]
    pub cname: Option<PrincipalName>,
    /// The service's realm.
    #[asn1(context_specific = "9")]
    pub realm: Text,
    /// Name of the service, such as `HTTP/collector.example.com`.
    #[asn1(context_specific = "10")]
    pub sname: PrincipalName,
    /// Explanation for people.
    #[asn1(context_specific = "11", optional = "true")]
    pub e_text: Option<Text>,
    /// Additional data, which this server does not send.
    #[asn1(context_specific = "12", optional = "true")]
    pub e_data: Option<Octets>,
}

/// Writes a component, with a backslash before separators and with control characters
/// escaped.
pub(super) fn escape(f: &mut fmt::Formatter<'_>, component: &str) -> fmt::Result {
    for c in component.chars() {
        match c {
            '\\' | '/' | '@' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "{}", c.escape_default())?,
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}
