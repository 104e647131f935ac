//! Who a message is from, and what that source may have.

use super::ConnId;
use super::sources::SourceName;
use crate::auth::{Certificate, Identity, Method};
use crate::bookmark;
use crate::wsman::{Header, Policy, Profile, Subscription};
use std::net::IpAddr;
use std::rc::Rc;
use uuid::Uuid;

/// Who a message is from.
pub(super) struct Source {
    pub(super) conn: ConnId,
    pub(super) address: IpAddr,
    pub(super) identity: Rc<Identity>,
    pub(super) is_secure: bool,
    pub(super) certificate: Option<Certificate>,
}

impl Source {
    pub(super) fn name(&self, header: &Header) -> SourceName {
        SourceName {
            identity: self.identity.name.clone(),
            machine: self.claimed_name(header),
        }
    }

    /// What the source calls itself, as far as it can be a host's name.
    fn claimed_name(&self, header: &Header) -> String {
        let fits = |name: &&String| name.len() <= bookmark::MAX_MACHINE_ID_BYTES;
        let name = header.machine_id.as_ref().filter(fits);
        name.cloned().unwrap_or_else(|| self.address.to_string())
    }

    pub(super) fn describe(&self, header: &Header) -> String {
        let machine = header.machine_id.as_deref().unwrap_or("without MachineID");
        format!(
            "{machine} ({}, {})",
            self.address,
            self.identity.method.as_str()
        )
    }

    /// Whether a subscription is for this source. Lists of certificates bind whoever
    /// comes with one, and keep out whoever comes without.
    pub(super) fn may_have(&self, subscription: &Subscription) -> bool {
        match &self.certificate {
            Some(certificate) => subscription
                .access
                .lets_in(&certificate.name, &certificate.issuer),
            None => !subscription.access.needs_certificate(),
        }
    }

    /// How the source is to authenticate where it delivers: as it did here.
    pub(super) fn policy(&self) -> Policy {
        let profile = match &self.certificate {
            Some(certificate) => Profile::HttpsMutual {
                issuer_thumbprints: vec![certificate.issuer.clone()],
            },
            None => match (self.identity.method, self.is_secure) {
                (Method::Basic, true) => Profile::HttpsBasic,
                (Method::Basic, false) => Profile::HttpBasic,
                (Method::Digest, true) => Profile::HttpsDigest,
                (Method::Digest, false) => Profile::HttpDigest,
                (_, true) => Profile::HttpsSpnegoKerberos,
                (_, false) => Profile::HttpSpnegoKerberos,
            },
        };
        Policy {
            profiles: vec![profile],
        }
    }

    /// The key of a bookmark: what was proved counts, then what is claimed.
    pub(super) fn key(
        &self,
        subscription: Uuid,
        header: &Header,
    ) -> Result<bookmark::Key, bookmark::Error> {
        let machine = header.machine_id.as_deref().unwrap_or_default();
        if self.identity.method.is_anonymous() {
            bookmark::Key::anonymous(subscription, machine)
        } else {
            bookmark::Key::authenticated(subscription, &self.identity.name, machine)
        }
    }
}
