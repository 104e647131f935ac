//! Who a message is from, and which subscriptions that source may have.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use uuid::Uuid;

use super::ConnId;
use super::computer::Host;
use crate::auth::{Certificate, Identity, Method, Subject};
use crate::bookmark;
use crate::connection::{Refusal, RefusalKind};
use crate::hosts::HostName;
use crate::protocol::wsman::{Header, Policy, Profile, Subscription};
use crate::store::Ticket;
use crate::windows::sddl::Verdict;

/// The origin of a message: identity and address of its connection.
pub(super) struct Source {
    pub(super) conn: ConnId,
    /// When it connected. Rows of the store must be at least this recent, because the host
    /// may have used another relay before.
    pub(super) since: Ticket,
    pub(super) address: IpAddr,
    pub(super) identity: Rc<Identity>,
    /// Whether it may have subscriptions that have no list of accounts.
    pub(super) is_admitted: bool,
    pub(super) is_secure: bool,
    pub(super) certificate: Option<Arc<Certificate>>,
}

/// Name of a source for the log. It is formatted only if it is logged, which is rare.
#[derive(Debug)]
pub(super) struct Described {
    machine: Option<String>,
    address: IpAddr,
    method: Method,
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.machine.as_deref().unwrap_or("without MachineID");
        write!(f, "{machine} ({}, {})", self.address, self.method.as_str())
    }
}

const NO_MACHINE: &str = "it is not a machine account: use --principal with its name, or a list of accounts that includes it";

/// Why a source may not have a subscription.
pub(super) enum NotFor<'a> {
    Certificate,
    WithoutCertificate,
    Account(Verdict<'a>),
    /// It is not a computer account, and no flag names it.
    NoMachine,
    /// The subscription is offered only together with others.
    Alone,
}

impl fmt::Display for NotFor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => write!(f, "AllowedSourceNonDomainComputers does not include it"),
            Self::WithoutCertificate => write!(f, "it is for client certificates only"),
            Self::Account(verdict) => write!(f, "{verdict}"),
            Self::NoMachine => write!(f, "{NO_MACHINE}"),
            Self::Alone => write!(f, "no other subscription is for it"),
        }
    }
}

impl Source {
    /// The source's entry in the table of hosts.
    pub(super) fn host_name(&self, header: &Header) -> HostName {
        let method = self.identity.method;
        let is_known = !method.is_anonymous();
        HostName {
            identity: is_known.then(|| self.identity.name.clone()),
            machine: self.claimed_name(header),
            address: self.address,
            method: method.as_str(),
            sid: self.identity.sid().map(|sid| sid.to_string()),
            former: Rc::clone(self.identity.former()),
        }
    }

    /// The name that the source claims (MachineID), if it can be a host's name.
    fn claimed_name(&self, header: &Header) -> String {
        let fits = |name: &&String| name.len() <= bookmark::MAX_MACHINE_ID_BYTES;
        let name = header.machine_id.as_ref().filter(fits);
        name.cloned().unwrap_or_else(|| self.address.to_string())
    }

    pub(super) fn describe(&self, header: &Header) -> Described {
        Described {
            machine: header.machine_id.clone(),
            address: self.address,
            method: self.identity.method,
        }
    }

    /// Why this source may not have a subscription; `None` if it may. A source with a certificate
    /// is judged by the certificate lists alone, and a subscription that has only such lists is for
    /// no other source. Lists of accounts apply to domain accounts; other sources pass them.
    pub(super) fn refusal<'s>(&self, subscription: &'s Subscription) -> Option<NotFor<'s>> {
        let access = &subscription.access;
        if let Some(certificate) = &self.certificate {
            let fits = access.lets_in(&certificate.name, &certificate.issuer);
            return (!fits).then_some(NotFor::Certificate);
        }
        if access.needs_certificate() {
            return Some(NotFor::WithoutCertificate);
        }
        let Some(list) = &access.domain_computers else {
            return (!self.is_admitted).then_some(NotFor::NoMachine);
        };
        let verdict = list.decide(self.identity.token.as_ref()?);
        (!verdict.allows()).then_some(NotFor::Account(verdict))
    }

    /// The same; in addition, the subscription for reports is only for sources that have
    /// another one of `all`.
    pub(super) fn refusal_among<'s>(
        &self,
        subscription: &'s Subscription,
        all: &[Subscription],
    ) -> Option<NotFor<'s>> {
        let gives = |other: &Subscription| !other.is_for_reports() && self.refusal(other).is_none();
        if subscription.is_for_reports() && !all.iter().any(gives) {
            return Some(NotFor::Alone);
        }
        self.refusal(subscription)
    }

    /// The account as access lists see it, with a remedy if its groups are unknown.
    pub(super) fn account(&self) -> String {
        let Some(token) = &self.identity.token else {
            return "not a domain account".to_owned();
        };
        let remedy = match (token.account(), self.identity.method) {
            (Some(_), _) => "",
            (None, Method::NtlmDomain) => ": NTLM does not provide them, Kerberos does",
            (None, _) => {
                ": its ticket has no PAC; clear NO_AUTH_DATA_REQUIRED (0x2000000) in the \
                 userAccountControl of the service account"
            }
        };
        format!("{}{remedy}", token.describe())
    }

    /// How the source has to authenticate for deliveries: in the same way as it did here.
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

    /// The key of a bookmark: the proved identity first, then the claimed name.
    pub(super) fn key(
        &self,
        subscription: Uuid,
        header: &Header,
    ) -> Result<bookmark::Key, bookmark::Error> {
        let machine = header.machine_id.as_deref().unwrap_or_default();
        if self.identity.method.is_anonymous() {
            bookmark::Key::anonymous(subscription, machine)
        } else {
            bookmark::Key::authenticated(subscription, self.identity.key(), machine)
        }
    }
}

/// The subscription that a message is for: the one in its header, or else in the path.
pub(super) fn subscription_of<'s>(
    all: &'s [Subscription],
    source: &Source,
    header: &Header,
    target: &str,
) -> Result<&'s Subscription, Refusal> {
    let by_header = header.identifier.as_deref();
    let id = by_header.or_else(|| target.rsplit('/').next());
    let id = id.map(|id| id.trim().trim_start_matches("uuid:"));
    let id = id.and_then(|id| Uuid::parse_str(id).ok());
    let who = || source.describe(header);
    match id.and_then(|id| all.iter().find(|s| s.id() == id)) {
        Some(subscription) => match source.refusal_among(subscription, all) {
            None => Ok(subscription),
            Some(why) => {
                let (who, name) = (who(), &subscription.name);
                let reason = format!("{who}: subscription {name:?} is not for this host: {why}");
                Err(Refusal::new(RefusalKind::Soap, 403, reason))
            }
        },
        None => {
            let (who, identifier) = (who(), by_header.unwrap_or("none"));
            let reason = format!(
                "{who}: unknown subscription (Identifier {identifier}, path {target}); the host \
                 gets the current ones at its next refresh"
            );
            Err(Refusal::new(RefusalKind::Soap, 404, reason))
        }
    }
}

/// The keys under which earlier versions stored what now belongs to this key. A
/// certificate's name could then be shared by many hosts, so only an entry of this very
/// host is migrated.
pub(super) fn former_keys(identity: &Identity, key: &bookmark::Key) -> Vec<bookmark::Key> {
    let machine = key.machine_id();
    let is_own = match &identity.subject {
        Subject::Certificate(_) => {
            let host = Host::of(&identity.subject);
            !machine.is_empty() && host.is_some_and(|host| host.is(machine))
        }
        _ => true,
    };
    let names = identity.former().iter().enumerate();
    let names = names.filter(|(index, _)| *index == 0 || is_own);
    let keys = names.filter_map(|(_, name)| {
        bookmark::Key::authenticated(key.subscription(), name, machine).ok()
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ntlm::Account;
    use crate::protocol::wsman::{Access, ContentFormat};
    use crate::windows::sddl::Token;
    use crate::windows::sid::Sid;

    fn source(token: Option<Token>) -> Source {
        let mut identity = Identity::domain_account(&Account::User {
            user: "WEB1$".into(),
            domain: "EXAMPLE.TEST".into(),
            workstation: String::new(),
        });
        identity.token = token.map(Rc::new);
        Source {
            since: 0,
            conn: ConnId(1),
            address: IpAddr::from([192, 0, 2, 7]),
            identity: Rc::new(identity),
            is_admitted: true,
            is_secure: false,
            certificate: None,
        }
    }

    fn subscription(sddl: &str) -> Subscription {
        Subscription {
            access: Access {
                domain_computers: Some(sddl.parse().unwrap()),
                ..Access::default()
            },
            ..Subscription::new("s", "<QueryList/>", ContentFormat::Events)
        }
    }

    fn member() -> Token {
        let sid = |text: &str| -> Sid { text.parse().unwrap() };
        let groups = vec![sid("S-1-5-21-1-2-3-515"), sid("S-1-5-21-1-2-3-1105")];
        Token::new(sid("S-1-5-21-1-2-3-1102"), groups, vec![])
    }

    #[test]
    fn access_lists_decide_for_accounts_of_a_domain() {
        let computers = subscription("O:NSG:NSD:(A;;GA;;;DC)");
        assert!(source(Some(member())).refusal(&computers).is_none());
        let stranger = source(Some(Token::unknown()));
        let why = stranger.refusal(&computers).unwrap().to_string();
        assert_eq!(why, "none of its SIDs is allowed");
        let banned = subscription("D:(D;;GA;;;S-1-5-21-1-2-3-1105)(A;;GA;;;DC)");
        let host = source(Some(member()));
        let why = host.refusal(&banned).unwrap().to_string();
        assert!(
            why.starts_with("(D;;GA;;;S-1-5-21-1-2-3-1105) denies"),
            "{why}"
        );
        assert!(stranger.refusal(&subscription("D:(A;;GA;;;AU)")).is_none());
    }

    #[test]
    fn who_has_no_account_in_a_domain_is_not_bound() {
        let host = source(None);
        assert!(
            host.refusal(&subscription("O:NSG:NSD:(A;;GA;;;DC)"))
                .is_none()
        );
        assert!(host.refusal(&subscription("D:")).is_none());
        assert_eq!(host.account(), "not a domain account");
    }

    #[test]
    fn certificates_have_lists_of_their_own() {
        let mut host = source(None);
        let certificate = Certificate {
            name: "web1.example".into(),
            former: None,
            issuer: "AA".into(),
        };
        host.certificate = Some(certificate.into());
        let mut both = subscription("D:");
        assert!(host.refusal(&both).is_none());
        both.access.allowed_subjects = vec!["other.example".into()];
        assert!(matches!(host.refusal(&both), Some(NotFor::Certificate)));
        assert!(matches!(
            source(Some(member())).refusal(&both),
            Some(NotFor::Account(Verdict::NotNamed))
        ));
        both.access.domain_computers = None;
        assert!(matches!(
            source(Some(member())).refusal(&both),
            Some(NotFor::WithoutCertificate)
        ));
    }

    #[test]
    fn groups_that_are_not_known_come_with_a_remedy() {
        let by_ntlm = source(Some(Token::unknown())).account();
        assert!(by_ntlm.ends_with("Kerberos does"), "{by_ntlm}");
        let known = source(Some(member())).account();
        assert!(known.ends_with("-1105"), "{known}");
    }
}
