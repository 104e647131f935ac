//! Which revocation lists can be used (RFC 5280 5.2): complete ones of a CA. Partial ones
//! cannot be relied upon.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

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
    for extension in extensions(list).ok_or(Unfit::Malformed)? {
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
        // FALSE is the default, but may be encoded explicitly.
        Some(field.value().iter().any(|byte| *byte != 0))
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

struct Extension<'a> {
    id: ObjectIdentifier,
    critical: bool,
    value: &'a [u8],
}

/// Those of the list as a whole.
fn extensions(list: &[u8]) -> Option<Vec<Extension<'_>>> {
    let tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    let list = sequence(list)?;
    let fields = elements(list.first()?.value())?;
    let Some(extensions) = fields.iter().find(|field| field.tag() == tag) else {
        return Some(Vec::new());
    };
    let extensions = sequence(extensions.value())?;
    extensions.iter().map(extension).collect()
}

fn extension<'a>(element: &AnyRef<'a>) -> Option<Extension<'a>> {
    let parts = elements(element.value())?;
    let (id, critical, value) = match parts.as_slice() {
        [id, value] => (id, false, value),
        [id, critical, value] => (id, critical.value().iter().any(|byte| *byte != 0), value),
        _ => return None,
    };
    let value = (value.tag() == Tag::OctetString).then(|| value.value())?;
    Some(Extension {
        id: id.decode_as().ok()?,
        critical,
        value,
    })
}

/// The elements of the sequence at the front of these bytes.
pub(super) fn sequence(bytes: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let whole = AnyRef::from_der(bytes).ok()?;
    (whole.tag() == Tag::Sequence).then(|| elements(whole.value()))?
}

pub(super) fn elements(bytes: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(found)
}
