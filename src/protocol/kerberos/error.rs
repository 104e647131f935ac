//! Why a ticket was rejected, and what to do about it.

use std::fmt;

use super::{crypto, pac};

/// Why a host's Kerberos token was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The token contains no AP-REQ.
    Frame,
    /// A message whose ASN.1 is truncated or invalid.
    Malformed {
        /// Name of the message.
        what: &'static str,
        /// What is wrong, and where.
        error: der::Error,
    },
    /// A message of another protocol version or type.
    Version {
        /// Name of the expected message.
        what: &'static str,
        /// The version and type found.
        found: (i64, i64),
    },
    /// A ticket encrypted with a session key (user-to-user), which no collector expects.
    UserToUser,
    /// The ticket is for a service that is not in the keytab.
    Service {
        /// The service that the ticket is for.
        asked: String,
        /// The services in the keytab.
        known: Vec<String>,
    },
    /// The keytab lacks this version of the service's key, as after a password change.
    KeyVersion {
        /// The service that the ticket is for.
        service: String,
        /// Key version of the ticket.
        version: u32,
        /// Key versions in the keytab.
        known: Vec<u32>,
    },
    /// The keytab has no key of this enctype for the service.
    NoKey {
        /// The service that the ticket is for.
        service: String,
        /// Enctype of the ticket.
        enctype: crypto::Enctype,
        /// Enctypes in the keytab.
        known: Vec<crypto::Enctype>,
    },
    /// An unsupported enctype, such as DES.
    Enctype(i64),
    /// A session key whose length does not fit its enctype.
    KeyLength,
    /// RC4, which is off by default.
    Rc4,
    /// No key in the keytab decrypts the ticket, although it has one of this version and
    /// enctype.
    TicketKey {
        /// The service that the ticket is for.
        service: String,
        /// Key version of the ticket.
        version: Option<u32>,
    },
    /// A client of another realm whose ticket passed through further, unchecked realms.
    Transited(String),
    /// A postdated ticket that the KDC has not validated.
    TicketInvalid,
    /// A ticket that is not valid yet; by how many seconds.
    NotYetValid(u64),
    /// A ticket that has expired; how many seconds ago.
    Expired(u64),
    /// The ticket's session key does not decrypt the authenticator.
    AuthenticatorKey,
    /// The authenticator names another client than the ticket.
    OtherClient {
        /// The client in the ticket.
        ticket: String,
        /// The client in the authenticator.
        authenticator: String,
    },
    /// The clocks differ by more than [`SKEW`](super::SKEW).
    Skew {
        /// How far the host's clock is ahead, in seconds.
        ahead: i64,
        /// The client.
        client: String,
    },
    /// The authenticator has been used before.
    Replay {
        /// The client.
        client: String,
    },
    /// The authenticator has no valid GSS-API checksum.
    Checksum,
    /// The three-leg exchange of DCE RPC, which HTTP does not use.
    DceStyle,
    /// The context would not protect bodies; what it lacks.
    Unprotected(&'static str),
    /// The host's channel bindings are those of another TLS connection.
    ChannelBindings,
    /// The ticket's PAC cannot be trusted.
    Pac {
        /// The client in the ticket.
        client: String,
        /// What is wrong with the PAC.
        error: pac::Error,
    },
}

/// The remedy for channel bindings of another connection.
pub const OTHER_CONNECTION: &str = "look for an attacker between the host and this collector, or a proxy that terminates TLS: for a proxy, use --channel-bindings none";

impl Error {
    /// What the administrator can do about it; `None` if nothing specific is known.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let fixed = match self {
            Self::Service { asked, .. } => {
                return Some(format!(
                    "add the key of {asked} to the file of --keytab, or move that SPN to an account \
                     whose key is there (setspn -S)"
                ));
            }
            Self::KeyVersion { service, .. } => {
                return Some(format!(
                    "export the key of {service} again to the file of --keytab; after a password \
                     change, keep both versions there for a day"
                ));
            }
            Self::NoKey { service, .. } => {
                return Some(format!(
                    "export the keys of {service} with all enctypes (ktpass -crypto All), or set \
                     msDS-SupportedEncryptionTypes of its account to what the keytab has"
                ));
            }
            Self::TicketKey { service, .. } => {
                return Some(format!(
                    "the keys in the keytab are not those of the domain: export them again, and look \
                     with setspn -Q whether {service} is on one account only"
                ));
            }
            Self::Rc4 => {
                "enable AES for the account of this collector (msDS-SupportedEncryptionTypes 24, \
                 new password, new keytab), or use --kerberos-rc4"
            }
            Self::Enctype(_) => {
                "enable AES for the account of this collector (msDS-SupportedEncryptionTypes 24, \
                 new password, new keytab)"
            }
            Self::Skew { .. } | Self::NotYetValid(_) => {
                "set the clocks of host, domain controller and collector (w32tm /resync, chrony)"
            }
            Self::Expired(_) => {
                "the host gets a new ticket automatically; otherwise set its clock and this collector's"
            }
            Self::Transited(_) => {
                "let the KDC check the realms on the way (MIT: domain_realm and capaths in its \
                 krb5.conf, without reject_bad_transit = false), or use a direct trust"
            }
            Self::ChannelBindings => OTHER_CONNECTION,
            Self::Replay { .. } | Self::OtherClient { .. } => {
                "look for a proxy or an attacker between the host and this collector"
            }
            Self::Pac {
                error: pac::Error::Signature | pac::Error::SignatureKind { .. },
                ..
            } => {
                "export the keys of this service again; if this persists, find out who else has \
                 them, since they can be used to forge tickets"
            }
            Self::Unprotected(_) => {
                "configure the client for mutual authentication and sealing, or use https"
            }
            _ => return None,
        };
        Some(fixed.to_owned())
    }

    /// The error code for the host (RFC 4120 7.5.9), if it can react to it: a Windows host
    /// then requests a new ticket or corrects its clock.
    pub(super) fn code(&self) -> Option<i64> {
        Some(match self {
            Self::Expired(_) => 32,
            Self::NotYetValid(_) => 33,
            Self::Replay { .. } => 34,
            Self::Service { .. } => 35,
            Self::OtherClient { .. } => 36,
            Self::Skew { .. } => 37,
            Self::TicketKey { .. } | Self::AuthenticatorKey => 41,
            Self::KeyVersion { .. } => 44,
            Self::NoKey { .. } => 45,
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame => f.write_str("Kerberos token contains no AP-REQ"),
            Self::Malformed { what, error } => write!(f, "Kerberos {what}: {error}"),
            Self::Version { what, found } => {
                let (version, kind) = found;
                write!(f, "Kerberos {what} is of version {version} and type {kind}")
            }
            Self::UserToUser => f.write_str("ticket is user-to-user, which is not supported"),
            Self::Service { asked, known } => {
                write!(f, "ticket is for {asked}, the keytab has {}", List(known))
            }
            Self::KeyVersion {
                service,
                version,
                known,
            } => {
                let known = List(known);
                write!(
                    f,
                    "ticket for {service} is under key version (kvno) {version}, the keytab has {known}"
                )
            }
            Self::NoKey {
                service,
                enctype,
                known,
            } => {
                let known = List(known);
                write!(
                    f,
                    "ticket for {service} is encrypted with {enctype}, the keytab has {known}"
                )
            }
            Self::Enctype(number) => {
                write!(f, "encryption type {} is not supported", Enctype(*number))
            }
            Self::KeyLength => f.write_str("Kerberos key has a wrong length"),
            Self::Rc4 => f.write_str("ticket is encrypted with RC4, which is not allowed"),
            Self::TicketKey { service, version } => {
                write!(f, "ticket for {service}")?;
                if let Some(version) = version {
                    write!(f, " under key version (kvno) {version}")?;
                }
                f.write_str(" does not open with any key of the keytab")
            }
            Self::Transited(client) => write!(
                f,
                "ticket of {client} passed through other realms, and the KDC has not checked them"
            ),
            Self::TicketInvalid => f.write_str("ticket is not validated"),
            Self::NotYetValid(seconds) => {
                write!(f, "ticket is not valid until {seconds} s from now")
            }
            Self::Expired(seconds) => write!(f, "ticket expired {seconds} s ago"),
            Self::AuthenticatorKey => {
                f.write_str("Kerberos authenticator does not open with its ticket")
            }
            Self::OtherClient {
                ticket,
                authenticator,
            } => write!(f, "ticket of {ticket} is used by {authenticator}"),
            Self::Skew { ahead, client } => {
                let side = if *ahead < 0 { "behind" } else { "ahead" };
                let seconds = ahead.unsigned_abs();
                write!(
                    f,
                    "clock of {client} is {seconds} s {side} of this collector's, 300 are allowed"
                )
            }
            Self::Replay { client } => {
                write!(f, "Kerberos authenticator of {client} was replayed")
            }
            Self::Checksum => f.write_str("Kerberos authenticator lacks the GSS-API checksum"),
            Self::DceStyle => f.write_str("DCE-style Kerberos is not supported"),
            Self::Unprotected(what) => write!(f, "Kerberos context lacks {what}"),
            Self::ChannelBindings => {
                f.write_str("Kerberos channel bindings are of another TLS connection")
            }
            Self::Pac { client, error } => write!(f, "PAC in the ticket of {client}: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Items joined by commas.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        self.0.iter().enumerate().try_for_each(|(index, item)| {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{item}")
        })
    }
}

/// The name of an unsupported enctype, if it is in the IANA registry.
struct Enctype(i64);

impl fmt::Display for Enctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("des-cbc-crc"),
            3 => f.write_str("des-cbc-md5"),
            16 => f.write_str("des3-cbc-sha1"),
            number => write!(f, "{number}"),
        }
    }
}
