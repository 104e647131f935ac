//! The messages of Kerberos 5 that an acceptor sees (RFC 4120 5), as ASN.1 DER.
//!
//! Strict in structure, tolerant in what implementations differ in: sequence numbers
//! may be negative (old ones write 32 bits as signed), integers need not be minimal.

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

/// What a service sends an authenticator for, with the ticket (RFC 4120 5.5.1).
pub type ApReq = Application<14, ApReqBody>;
/// A ticket (RFC 4120 5.3).
pub type Ticket = Application<1, TicketBody>;
/// What a ticket holds for the service (RFC 4120 5.3).
pub type EncTicketPart = Application<3, EncTicketPartBody>;
/// The proof that the client knows the session key (RFC 4120 5.5.1).
pub type Authenticator = Application<2, AuthenticatorBody>;
/// The answer, by which the service proves itself (RFC 4120 5.5.2).
pub type ApRep = Application<15, ApRepBody>;
/// What an AP-REP holds (RFC 4120 5.5.2).
pub type EncApRepPart = Application<27, EncApRepPartBody>;
/// An error message (RFC 4120 5.9.1).
pub type KrbError = Application<30, KrbErrorBody>;
/// A list that a ticket or an authenticator carries (RFC 4120 5.2.6).
pub type AuthorizationData = Vec<AuthorizationElement>;

/// Reads one message, all of it.
///
/// # Errors
/// Where the DER is cut or is something else.
pub fn read<'a, T: Decode<'a, Error = der::Error>>(bytes: &'a [u8]) -> Result<T, der::Error> {
    T::from_der(bytes)
}

/// Writes one message.
///
/// # Errors
/// A value that DER cannot hold.
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

/// Bits of `ap-options`.
pub mod ap_options {
    /// The ticket is under a session key instead of the service's.
    pub const USE_SESSION_KEY: u32 = 0x4000_0000;
    /// The client wants an AP-REP.
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

/// Encrypted data with the kind of its key (RFC 4120 5.2.9).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncryptedData {
    /// Encryption type, such as 18 for AES-256 with SHA-1 (RFC 3962).
    #[asn1(context_specific = "0")]
    pub etype: Number,
    /// Under which version of the key.
    #[asn1(context_specific = "1", optional = "true")]
    pub kvno: Option<Number>,
    /// Ciphertext with confounder and checksum, whose layout the encryption type defines.
    #[asn1(context_specific = "2")]
    pub cipher: Octets,
}

/// A name without its realm.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct PrincipalName {
    /// A hint only; not to be compared (RFC 4120 6.2).
    #[asn1(context_specific = "0")]
    pub name_type: Number,
    /// `HTTP` and `host.example`, or `WIN10$`.
    #[asn1(context_specific = "1")]
    pub name_string: Vec<Text>,
}

impl fmt::Display for PrincipalName {
    /// As MIT's `krb5_unparse_name` writes it: components joined by slashes, what
    /// could be mistaken for a separator with a backslash before it.
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
    /// The session key, which client and service share.
    #[asn1(context_specific = "1")]
    pub key: EncryptionKey,
    /// The client's realm.
    #[asn1(context_specific = "2")]
    pub crealm: Text,
    /// Name of the client, such as `WIN10$`.
    #[asn1(context_specific = "3")]
    pub cname: PrincipalName,
    /// Realms between the client's and ours, a [`TransitedEncoding`].
    #[asn1(context_specific = "4")]
    pub transited: Any,
    /// When the client logged on.
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
    /// The client's addresses.
    #[asn1(context_specific = "9", optional = "true")]
    pub caddr: Option<Any>,
    /// Where a PAC is in.
    #[asn1(context_specific = "10", optional = "true")]
    pub authorization_data: Option<AuthorizationData>,
}

/// Which realms a ticket came through.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TransitedEncoding {
    /// How they are written; 1 is the only way (RFC 4120 3.3.3.2).
    #[asn1(context_specific = "0")]
    pub tr_type: Number,
    /// They; empty where there were none.
    #[asn1(context_specific = "1")]
    pub contents: Octets,
}

/// Bits of a ticket's `flags`.
pub mod ticket_flags {
    /// Our KDC has checked the realms that it came through.
    pub const TRANSITED_POLICY_CHECKED: u32 = 0x0008_0000;
    /// To be validated by the KDC before use.
    pub const INVALID: u32 = 0x0100_0000;
}

/// A key with its encryption type (RFC 4120 5.2.9).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncryptionKey {
    /// The number of its enctype.
    #[asn1(context_specific = "0")]
    pub keytype: Number,
    /// The key itself.
    #[asn1(context_specific = "1")]
    pub keyvalue: Octets,
}

/// One element of [`AuthorizationData`].
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct AuthorizationElement {
    /// What it is.
    #[asn1(context_specific = "0")]
    pub ad_type: Number,
    /// Content, whose form the type defines.
    #[asn1(context_specific = "1")]
    pub ad_data: Octets,
}

/// Proof that the client knows the session key, Authenticator (RFC 4120 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct AuthenticatorBody {
    /// 5.
    #[asn1(context_specific = "0")]
    pub vno: Number,
    /// The client's realm.
    #[asn1(context_specific = "1")]
    pub crealm: Text,
    /// Name of the client, such as `WIN10$`.
    #[asn1(context_specific = "2")]
    pub cname: PrincipalName,
    /// In GSS-API: its flags and channel bindings (RFC 4121 4.1.1).
    #[asn1(context_specific = "3", optional = "true")]
    pub cksum: Option<Checksum>,
    /// Microseconds of the client's time.
    #[asn1(context_specific = "4")]
    pub cusec: Number,
    /// The client's time.
    #[asn1(context_specific = "5")]
    pub ctime: GeneralizedTime,
    /// A key of the client's choice.
    #[asn1(context_specific = "6", optional = "true")]
    pub subkey: Option<EncryptionKey>,
    /// Number of the client's first message.
    #[asn1(context_specific = "7", optional = "true")]
    pub seq_number: Option<Number>,
    /// Not looked at.
    #[asn1(context_specific = "8", optional = "true")]
    pub authorization_data: Option<Any>,
}

/// A checksum with its type (RFC 4120 5.2.9).
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Checksum {
    /// What it is.
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
    /// The time of the authenticator, repeated.
    #[asn1(context_specific = "0")]
    pub ctime: GeneralizedTime,
    /// The microseconds of the authenticator, repeated.
    #[asn1(context_specific = "1")]
    pub cusec: Number,
    /// A key of our choice.
    #[asn1(context_specific = "2", optional = "true")]
    pub subkey: Option<EncryptionKey>,
    /// Number of our first message.
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
    /// The authenticator's, if it could be read.
    #[asn1(context_specific = "2", optional = "true")]
    pub ctime: Option<GeneralizedTime>,
    /// The authenticator's, if it could be read.
    #[asn1(context_specific = "3", optional = "true")]
    pub cusec: Option<Number>,
    /// Our time: a client corrects its own by it.
    #[asn1(context_specific = "4")]
    pub stime: GeneralizedTime,
    /// Microseconds of our time.
    #[asn1(context_specific = "5")]
    pub susec: Number,
    /// RFC 4120 7.5.9.
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
    /// Further data, which collectors do not send.
    #[asn1(context_specific = "12", optional = "true")]
    pub e_data: Option<Octets>,
}

/// What could be mistaken for a separator gets a backslash before it.
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
