//! Extensions of certificates and revocation lists (RFC 5280 4.1 and 5.1), which OpenSSL's
//! binding does not show.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");

/// One extension.
pub(super) struct Extension<'a> {
    pub(super) id: ObjectIdentifier,
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

/// Whether the certificate in this DER is of an authority: its basic constraints are `cA`.
pub(super) fn is_authority(certificate: &[u8]) -> bool {
    let found = of(certificate, 3).unwrap_or_default();
    let mut constraints = found.iter().filter(|found| found.id == BASIC_CONSTRAINTS);
    let fields = constraints
        .next()
        .and_then(|constraints| sequence(constraints.value));
    let first = fields.as_ref().and_then(|fields| fields.first());
    first.is_some_and(|field| field.tag() == Tag::Boolean && is_true(field))
}

/// Those of a revocation list as a whole.
pub(super) fn of_list(list: &[u8]) -> Option<Vec<Extension<'_>>> {
    of(list, 0)
}

/// Those in the field of the signed part that has this tag.
fn of(signed: &[u8], number: u32) -> Option<Vec<Extension<'_>>> {
    let tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    };
    let signed = sequence(signed)?;
    let fields = elements(signed.first()?.value())?;
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
        [id, critical, value] => (id, is_true(critical), value),
        _ => return None,
    };
    let value = (value.tag() == Tag::OctetString).then(|| value.value())?;
    Some(Extension {
        id: id.decode_as().ok()?,
        critical,
        value,
    })
}

/// Whether a BOOLEAN is true; FALSE is the default, and may stand there all the same.
pub(super) fn is_true(boolean: &AnyRef<'_>) -> bool {
    boolean.value().iter().any(|byte| *byte != 0)
}

/// The elements of the sequence that these bytes begin with.
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

#[cfg(test)]
mod tests {
    use openssl::hash::MessageDigest;
    use openssl::x509::extension::BasicConstraints;

    use super::*;
    use crate::tls::tests::{ec_key, unsigned};

    /// A certificate with these constraints.
    fn certificate(name: &str, constraints: Option<&BasicConstraints>) -> Vec<u8> {
        let key = ec_key();
        let mut builder = unsigned(name, &key, 0, 10);
        if let Some(constraints) = constraints {
            builder
                .append_extension(constraints.build().unwrap())
                .unwrap();
        }
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build().to_der().unwrap()
    }

    #[test]
    fn an_authority_is_one_by_its_constraints_and_not_by_its_name() {
        let authority = certificate("a", Some(BasicConstraints::new().critical().ca()));
        assert!(is_authority(&authority));
        let limited = certificate("a", Some(BasicConstraints::new().ca().pathlen(0)));
        assert!(is_authority(&limited));
        let host = certificate("CA:TRUE", Some(&BasicConstraints::new()));
        assert!(!is_authority(&host));
        assert!(!is_authority(&certificate("CA:TRUE", None)));
        assert!(!is_authority(b"no certificate"));
    }
}
