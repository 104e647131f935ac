//! Whether an event's Computer is the host that sent it.
//!
//! Names are compared by their first label, ignoring case, and by their domain if both have
//! one: `WIN10$@DOM.EXAMPLE`, `DOM\WIN10$`, and a certificate for `win10.dom.example` match
//! the Computer `WIN10.dom.example` as well as `WIN10`.

use std::fmt;

use crate::auth::{Identity, Subject};
use crate::protocol::ntlm::Name;
use crate::protocol::wsman::subscribe;

/// Maximum length of a NetBIOS name. The account of a host with a longer name is truncated
/// to it.
const NETBIOS: usize = 15;

/// What happens to events whose Computer is another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Their batch is answered 403, so the source keeps it.
    Refuse,
    /// They are forwarded, but marked.
    Mark,
}

/// How Computer is compared with the authenticated host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputerRule {
    /// What happens to events that do not match.
    pub mismatch: Mismatch,
    /// Identities that may forward events of other hosts, as patterns with `*` and `?`.
    pub exempt: Vec<String>,
}

impl ComputerRule {
    /// The host that Computer must match; `None` for a source without identity, or one that
    /// may forward events of others.
    pub(super) fn host<'a>(&self, identity: &'a Identity) -> Option<Host<'a>> {
        let name = &identity.name;
        let is_exempt = |pattern: &String| subscribe::matches(pattern, name);
        let is_free = identity.method.is_anonymous() || self.exempt.iter().any(is_exempt);
        (!is_free).then(|| Host::of(&identity.subject))?
    }
}

/// A host, by an authenticated name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    name: &'a str,
    /// Its DNS domain; `None` if only a NetBIOS domain is known.
    domain: Option<&'a str>,
    /// Whether the name is that of an account, which may be truncated.
    is_account: bool,
}

impl<'a> Host<'a> {
    /// The host of a subject; `None` for a null session.
    pub(super) fn of(subject: &'a Subject) -> Option<Self> {
        match subject {
            Subject::Nobody => None,
            Subject::Certificate(name) => Some(Self::named(name, None)),
            Subject::DomainAccount(Name { domain, user }) => {
                Some(Self::named(user, of_dns(domain.as_deref())))
            }
            // An account may also be written `user@domain`.
            Subject::Account(Name { domain, user }) => Some(match user.rsplit_once('@') {
                Some((user, realm)) => Self::named(user, Some(realm)),
                None => Self::named(user, of_dns(domain.as_deref())),
            }),
            // For a service such as host/win10.dom.example the host is the second
            // component.
            Subject::Principal { components, realm } => {
                let name = components.get(1).or(components.first())?;
                Some(Self::named(name, Some(realm)))
            }
        }
    }

    /// From the name of a host or of its account.
    fn named(name: &'a str, domain: Option<&'a str>) -> Self {
        let account = name.strip_suffix('$');
        let (name, own) = split(account.unwrap_or(name));
        Self {
            name,
            domain: own.or(domain),
            is_account: account.is_some(),
        }
    }

    /// Whether this is the Computer of an event. An event without Computer claims nothing,
    /// and matches.
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

/// A domain that is a DNS name; a NetBIOS domain cannot be compared.
fn of_dns(domain: Option<&str>) -> Option<&str> {
    domain.filter(|domain| domain.contains('.'))
}

/// Splits a name into its first label and the rest, without the trailing dot.
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

    fn name(domain: Option<&str>, user: &str) -> Name {
        Name {
            domain: domain.map(str::to_owned),
            user: user.to_owned(),
        }
    }

    fn ours(domain: Option<&str>, user: &str) -> Subject {
        Subject::Account(name(domain, user))
    }

    fn of_domain(domain: Option<&str>, user: &str) -> Subject {
        Subject::DomainAccount(name(domain, user))
    }

    fn certificate(name: &str) -> Subject {
        Subject::Certificate(name.to_owned())
    }

    fn principal(components: &[&str], realm: &str) -> Subject {
        Subject::Principal {
            components: components.iter().map(|c| (*c).to_owned()).collect(),
            realm: realm.to_owned(),
        }
    }

    #[track_caller]
    fn check(subject: &Subject, computers: &[&str], others: &[&str]) {
        let host = Host::of(subject).unwrap();
        for computer in computers {
            assert!(host.is(computer), "{subject:?} is {computer}");
        }
        for other in others {
            assert!(!host.is(other), "{subject:?} is not {other}");
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
        for subject in [
            principal(&["WIN10$"], "WINDOMAIN.LOCAL"),
            principal(&["host", "win10.windomain.local"], "WINDOMAIN.LOCAL"),
            principal(&["HTTP", "win10.windomain.local", "x"], "OTHER"),
            of_domain(Some("windomain.local"), "WIN10$"),
            ours(Some("windomain.local"), "WIN10$"),
            ours(None, "win10@windomain.local"),
            certificate("win10.windomain.local"),
        ] {
            check(&subject, &forms, &others);
            check(&subject, &[], &elsewhere);
        }
        // NetBIOS names have no DNS domain.
        for subject in [
            of_domain(Some("WINDOMAIN"), "win10$"),
            ours(None, "WIN10$"),
            certificate("win10"),
            ours(Some("ACME"), "Win10"),
        ] {
            check(&subject, &forms, &others);
            check(&subject, &elsewhere, &[]);
        }
        let sharp = of_domain(Some("D"), "größer$");
        check(&sharp, &["GRÖSSER.x", "GRÖßER"][1..], &["GROSSER"]);
    }

    #[test]
    fn no_part_of_a_name_is_taken_for_another_part() {
        let forged = ["DC01.corp.example", "DC01", "X"];
        for subject in [
            of_domain(Some("X\\host/dc01.corp.example/"), "ws7"),
            of_domain(Some("X\\DC01."), "ws7"),
            of_domain(None, "X\\DC01$"),
            of_domain(None, "host/dc01.corp.example"),
            principal(&["X\\DC01$"], "CORP.EXAMPLE"),
            principal(&["host/dc01.corp.example"], "CORP.EXAMPLE"),
            principal(&["ws7@dc01"], "CORP.EXAMPLE"),
            certificate("X\\DC01"),
            certificate("host/dc01.corp.example"),
            certificate("DC01$@corp.example"),
        ] {
            check(&subject, &[], &forged);
        }
        assert_eq!(Host::of(&Subject::Nobody), None);
    }

    #[test]
    fn the_account_of_a_long_name_has_its_beginning() {
        let long = "WORKSTATION-IN-BERLIN.dom.example";
        check(
            &of_domain(Some("DOM"), "WORKSTATION-IN-$"),
            &[long, "WORKSTATION-IN-"],
            &["WORKSTATION-IN"],
        );
        check(&of_domain(Some("DOM"), "WORKSTATION-I$"), &[], &[long]);
        check(&certificate("WORKSTATION-IN-.dom.example"), &[], &[long]);
    }

    #[test]
    fn who_forwards_for_others_is_exempt() {
        let certificate = |name: &str| Certificate {
            name: name.to_owned(),
            former: None,
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
