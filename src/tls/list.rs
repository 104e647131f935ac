//! Which revocation lists can be used (RFC 5280 5.2): complete ones of a CA. Partial ones
//! cannot be relied upon.

use der::asn1::ObjectIdentifier;
use der::{Tag, TagNumber, Tagged};

use super::extension::{Extension, is_true, of_list, sequence};

const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
/// Extensions that some CAs mark as critical, but that do not matter here (RFC 5280 5.2.1
/// and 5.2.3).
const HARMLESS: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("2.5.29.20"),
    ObjectIdentifier::new_unwrap("2.5.29.35"),
];

/// The certificates that a list covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All certificates of the CA.
    All,
    /// All except CA certificates.
    Hosts,
    /// Only CA certificates.
    Authorities,
}

/// What a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All revoked certificates in its scope.
    Complete(Scope),
    /// The changes since a complete list.
    Delta,
}

/// Why a list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not a list according to RFC 5280.
    Malformed,
    /// It covers only some reasons.
    SomeReasons,
    /// It covers certificates of other CAs.
    Indirect,
    /// It covers attribute certificates, which hosts do not use.
    AttributeCertificates,
    /// An unknown critical extension.
    Unknown(ObjectIdentifier),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed => write!(f, "is malformed"),
            Self::SomeReasons => write!(f, "covers only some revocation reasons (onlySomeReasons)"),
            Self::Indirect => write!(f, "covers certificates of other authorities (indirectCRL)"),
            Self::AttributeCertificates => {
                write!(
                    f,
                    "covers attribute certificates only (onlyContainsAttributeCerts)"
                )
            }
            Self::Unknown(id) => write!(f, "has an unknown critical extension ({id})"),
        }
    }
}

/// The kind of the list in this DER.
///
/// # Errors
/// It is invalid, or cannot be relied upon.
pub fn kind(list: &[u8]) -> Result<Kind, Unfit> {
    let mut kind = Kind::Complete(Scope::All);
    for extension in of_list(list).ok_or(Unfit::Malformed)? {
        let Extension {
            id,
            critical,
            value,
        } = extension;
        match id {
            DELTA => kind = Kind::Delta,
            DISTRIBUTION_POINT => {
                let scope = scope(value)?;
                if kind != Kind::Delta {
                    kind = Kind::Complete(scope);
                }
            }
            _ if critical && !HARMLESS.contains(&id) => return Err(Unfit::Unknown(id)),
            _ => {}
        }
    }
    Ok(kind)
}

/// The scope in an issuing distribution point (RFC 5280 5.2.5). Where the list is published
/// does not matter, because the administrator provides it.
fn scope(value: &[u8]) -> Result<Scope, Unfit> {
    let fields = sequence(value).ok_or(Unfit::Malformed)?;
    let has = |number: u32| {
        let tag = |constructed| Tag::ContextSpecific {
            constructed,
            number: TagNumber(number),
        };
        let field = fields.iter().find(|field| field.tag() == tag(false))?;
        Some(is_true(field))
    };
    let is = |number| has(number).unwrap_or(false);
    // A set of reasons, even an empty one, makes it partial.
    if has(3).is_some() {
        return Err(Unfit::SomeReasons);
    }
    if is(4) {
        return Err(Unfit::Indirect);
    }
    if is(5) {
        return Err(Unfit::AttributeCertificates);
    }
    match (is(1), is(2)) {
        (false, false) => Ok(Scope::All),
        (true, false) => Ok(Scope::Hosts),
        (false, true) => Ok(Scope::Authorities),
        (true, true) => Err(Unfit::Malformed),
    }
}
