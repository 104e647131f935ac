//! Whether an event's Computer is the host that sent it.
//!
//! A name is compared by its first label, without case, and by its domain where both
//! sides have one: `WIN10$@DOM.EXAMPLE`, `DOM\WIN10$` and a certificate for
//! `win10.dom.example` are the Computer `WIN10.dom.example`, and the Computer `WIN10`.

use crate::auth::Identity;
use crate::wsman::subscribe;
use std::fmt;

/// Longest NetBIOS name; the account of a host with a longer name has its beginning.
const NETBIOS: usize = 15;

/// What becomes of events whose Computer is another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Their batch is answered 403: the source keeps it.
    Refuse,
    /// They go out marked.
    Mark,
}

/// How Computer is compared with the authenticated host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputerRule {
    /// What becomes of the others.
    pub mismatch: Mismatch,
    /// Identities that forward for other hosts, as patterns with `*` and `?`.
    pub exempt: Vec<String>,
}

impl ComputerRule {
    /// The host that Computer has to be; none for who has no identity or may forward
    /// events of others.
    pub(super) fn host<'a>(&self, identity: &'a Identity) -> Option<Host<'a>> {
        let name = &identity.name;
        let is_exempt = |pattern: &String| subscribe::matches(pattern, name);
        let is_free = identity.method.is_anonymous() || self.exempt.iter().any(is_exempt);
        (!is_free).then(|| Host::of(name))
    }
}

/// A host by an authenticated name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    name: &'a str,
    /// As in DNS; `None` where only NetBIOS knows it.
    domain: Option<&'a str>,
    /// The name is that of an account, which may be cut.
    is_account: bool,
}

impl<'a> Host<'a> {
    fn of(identity: &'a str) -> Self {
        // DOMAIN\user, where DOMAIN may be one of DNS, or user@realm.
        let (domain, name) = match identity.split_once('\\') {
            Some((domain, name)) => (Some(domain).filter(|d| d.contains('.')), name),
            None => (None, identity),
        };
        let (name, realm) = name
            .rsplit_once('@')
            .map_or((name, None), |(name, realm)| (name, Some(realm)));
        // A service such as host/win10.dom.example.
        let service = name.split_once('/');
        let name = service.map_or(name, |(_, rest)| rest.split('/').next().unwrap_or(rest));
        let account = name.strip_suffix('$');
        let (name, own) = split(account.unwrap_or(name));
        Self {
            name,
            domain: own.or(realm).or(domain),
            is_account: account.is_some(),
        }
    }

    /// Whether that is the Computer of an event. One that names none claims nothing.
    pub(super) fn is(&self, computer: &str) -> bool {
        if computer.is_empty() {
            return true;
        }
        let (label, domain) = split(computer);
        let same_domain = match (self.domain, domain) {
            (Some(ours), Some(theirs)) => same(ours, theirs),
            _ => true,
        };
        same_domain && (same(self.name, label) || self.is_beginning_of(label))
    }

    fn is_beginning_of(&self, label: &str) -> bool {
        let cut: String = label.chars().take(NETBIOS).collect();
        self.is_account && self.name.chars().count() == NETBIOS && same(self.name, &cut)
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.domain.map_or(Ok(()), |domain| write!(f, ".{domain}"))
    }
}

/// The first label and the rest, without the dot of the root.
fn split(name: &str) -> (&str, Option<&str>) {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.split_once('.') {
        Some((label, rest)) => (label, Some(rest)),
        None => (name, None),
    }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Certificate;

    #[track_caller]
    fn check(identity: &str, computers: &[&str], others: &[&str]) {
        let host = Host::of(identity);
        for computer in computers {
            assert!(host.is(computer), "{identity} is {computer}");
        }
        for other in others {
            assert!(!host.is(other), "{identity} is not {other}");
        }
    }

    #[test]
    fn a_host_is_known_by_each_of_its_names() {
        let forms = [
            "WIN10.windomain.local",
            "win10.WINDOMAIN.LOCAL.",
            "WIN10",
            "",
        ];
        let others = [
            "DC.windomain.local",
            "WIN1",
            "WIN10$",
            "WIN100.windomain.local",
        ];
        let elsewhere = ["WIN10.other.local", "WIN10.windomain.local.evil.example"];
        for identity in [
            "WIN10$@WINDOMAIN.LOCAL",
            "host/win10.windomain.local@WINDOMAIN.LOCAL",
            "HTTP/win10.windomain.local/x@OTHER",
            "windomain.local\\WIN10$",
            "win10.windomain.local",
        ] {
            check(identity, &forms, &others);
            check(identity, &[], &elsewhere);
        }
        // NetBIOS knows nothing of DNS.
        for identity in ["WINDOMAIN\\win10$", "WIN10$", "win10", "ACME\\Win10"] {
            check(identity, &forms, &others);
            check(identity, &elsewhere, &[]);
        }
        check("D\\größer$", &["GRÖSSER.x", "GRÖßER"][1..], &["GROSSER"]);
    }

    #[test]
    fn the_account_of_a_long_name_has_its_beginning() {
        let long = "WORKSTATION-IN-BERLIN.dom.example";
        check(
            "DOM\\WORKSTATION-IN-$",
            &[long, "WORKSTATION-IN-"],
            &["WORKSTATION-IN"],
        );
        check("DOM\\WORKSTATION-I$", &[], &[long]);
        check("WORKSTATION-IN-.dom.example", &[], &[long]);
    }

    #[test]
    fn who_forwards_for_others_is_exempt() {
        let certificate = |name: &str| Certificate {
            name: name.to_owned(),
            issuer: String::new(),
        };
        let rule = ComputerRule {
            mismatch: Mismatch::Mark,
            exempt: vec!["wec?.dom.example".into(), "*\\collector$".into()],
        };
        let named = |name: &str| Identity::from(&certificate(name));
        assert!(rule.host(&named("WEC1.dom.example")).is_none());
        assert!(rule.host(&named("DOM\\COLLECTOR$")).is_none());
        let host = named("wec10.dom.example");
        assert_eq!(rule.host(&host).unwrap().to_string(), "wec10.dom.example");
    }
}
