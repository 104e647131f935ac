//! `tls-server-end-point` (RFC 5929 4.1): the hash of a certificate that channel bindings
//! use.

use der::asn1::ObjectIdentifier;
use der::{Tag, TagNumber, Tagged};
use openssl::asn1::Asn1Object;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::X509Ref;

use super::extension::{elements, sequence};

/// Hash of the certificate with the hash function of its signature, or SHA-256 instead of
/// MD5 and SHA-1. `None` if the signature has no separate hash function, as Ed25519: then
/// the binding is undefined.
pub(super) fn of(certificate: &X509Ref) -> Option<Vec<u8>> {
    let algorithm = certificate.signature_algorithm().object().nid();
    let digest = match algorithm {
        Nid::RSASSAPSS => hash_of_pss(&certificate.to_der().ok()?)?,
        other => other.signature_algorithms()?.digest,
    };
    let digest = match digest {
        Nid::MD5 | Nid::SHA1 => Nid::SHA256,
        other => other,
    };
    let hash = certificate.digest(MessageDigest::from_nid(digest)?).ok()?;
    Some(hash.to_vec())
}

/// The hash function in the parameters of RSASSA-PSS; SHA-1 if there is none (RFC 4055
/// 3.1).
fn hash_of_pss(certificate: &[u8]) -> Option<Nid> {
    let parts = sequence(certificate)?;
    let algorithm = elements(parts.get(1)?.value())?;
    let Some(parameters) = algorithm.get(1) else {
        return Some(Nid::SHA1);
    };
    let tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    let fields = elements(parameters.value())?;
    let Some(hash) = fields.iter().find(|field| field.tag() == tag) else {
        return Some(Nid::SHA1);
    };
    let hash = sequence(hash.value())?;
    let id: ObjectIdentifier = hash.first()?.decode_as().ok()?;
    let nid = Asn1Object::from_str(&id.to_string()).ok()?.nid();
    (nid != Nid::UNDEF).then_some(nid)
}
