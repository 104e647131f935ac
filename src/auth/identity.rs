//! Who a source is: typed where it was proved, and never read again from text.

use std::fmt;
use std::rc::Rc;

use super::{Certificate, Method};
use crate::protocol::kerberos;
use crate::protocol::ntlm::{self, Account};
use crate::windows::sddl::Token;
use crate::windows::sid::Sid;

/// Whom a source has proved to be, in the terms of its method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nobody: a null session.
    Nobody,
    /// An account of ours, named as its line has it.
    Account(ntlm::Name),
    /// An account that its domain has verified.
    DomainAccount(ntlm::Name),
    /// A principal of a Kerberos realm.
    Principal {
        /// `WIN10$`, or `host` and `win10.example`.
        components: Vec<String>,
        /// Who vouches for it.
        realm: String,
    },
    /// The host that a client certificate names.
    Certificate(String),
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whom it has proved to be.
    pub subject: Subject,
    /// The same for people: `DOMAIN\user`, or `WIN10$@REALM`; empty when anonymous.
    pub name: String,
    /// What the source calls itself; a claim.
    pub workstation: String,
    /// How that was proven.
    pub method: Method,
    /// Its account in a domain with its groups, as far as they are known. `None` for what
    /// is not a domain account; access lists for domain computers do not bind those.
    pub token: Option<Rc<Token>>,
    /// A host's account and not a person's, as far as the method can tell.
    pub is_machine: bool,
    /// What its bookmarks are kept under.
    key: String,
    /// Names under which 0.1 kept its bookmarks.
    former: Rc<[String]>,
}

impl Identity {
    /// Whoever comes by NTLM: with an account of ours, or with a null session.
    #[must_use]
    pub fn ntlm(claimed: &Account, known: Option<ntlm::Name>) -> Self {
        let workstation = claimed.workstation().to_owned();
        let identity = match known {
            Some(known) => Self::account(known, Method::Ntlm, claimed.name()),
            None => {
                let method = Method::NtlmAnonymous;
                Self::new(Subject::Nobody, method, String::new(), None)
            }
        };
        Self {
            workstation,
            ..identity
        }
    }

    /// An account of ours by that method. `claimed` is what the client called itself,
    /// which is how 0.1 named it.
    #[must_use]
    pub fn account(account: ntlm::Name, method: Method, claimed: String) -> Self {
        let name = account.to_string();
        Self {
            former: [claimed].into(),
            ..Self::new(Subject::Account(account), method, name, None)
        }
    }

    /// An account that its domain has verified.
    #[must_use]
    pub fn domain_account(claimed: &Account) -> Self {
        let name = claimed.name();
        let former = [name.clone()].into();
        let account = claimed.typed();
        let subject = Subject::DomainAccount(account);
        // NTLM does not tell the groups of an account.
        let token = Some(Token::unknown());
        Self {
            former,
            workstation: claimed.workstation().to_owned(),
            ..Self::new(subject, Method::NtlmDomain, name, token)
        }
    }

    /// Whoever came with a ticket.
    #[must_use]
    pub fn principal(accepted: &kerberos::Accepted) -> Self {
        let client = &accepted.client;
        let subject = Subject::Principal {
            components: client.components.clone(),
            realm: client.realm.clone(),
        };
        // Without a PAC it is an account of which nothing is known but that it is one.
        let logon = accepted.logon.as_ref();
        let token = logon.map_or_else(Token::unknown, kerberos::pac::Logon::token);
        let name = client.to_string();
        let mut former = vec![accepted.ticket_client.clone()];
        if logon.is_some() {
            // As long as tickets had no PAC, the name was the key.
            former.push(format!("{}:{name}", Method::Kerberos.as_str()));
        }
        let is_machine = match (logon, client.components.as_slice()) {
            (Some(logon), _) => logon.is_machine,
            (None, [name]) => name.ends_with('$'),
            (None, _) => false,
        };
        Self {
            former: former.into(),
            is_machine,
            ..Self::new(subject, Method::Kerberos, name, Some(token))
        }
    }

    fn new(subject: Subject, method: Method, name: String, token: Option<Token>) -> Self {
        let sid = token.as_ref().and_then(Token::account);
        Self {
            key: key(&subject, method, &name, sid),
            subject,
            name,
            workstation: String::new(),
            method,
            token: token.map(Rc::new),
            is_machine: true,
            former: [].into(),
        }
    }

    /// The SID of its account in a domain, if that is known.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.token.as_ref().and_then(|token| token.account())
    }

    /// What its bookmarks are kept under: no two subjects have the same, and an account
    /// that was renamed keeps its own.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Names under which earlier versions kept its bookmarks, and knew the host.
    #[must_use]
    pub fn former(&self) -> &Rc<[String]> {
        &self.former
    }
}

fn key(subject: &Subject, method: Method, name: &str, sid: Option<Sid>) -> String {
    let method = method.as_str();
    match (subject, sid) {
        (Subject::Nobody, _) => String::new(),
        // By NTLM, Basic or Digest it is the same line.
        (Subject::Account(_), _) => format!("account:{name}"),
        (Subject::Principal { .. }, Some(sid)) => format!("{method}:{sid}"),
        (_, _) => format!("{method}:{name}"),
    }
}

/// For logs.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "no identity")
        } else {
            write!(f, "{}", self.name)
        }?;
        write!(f, " by {}", self.method.as_str())
    }
}

impl From<&Certificate> for Identity {
    fn from(certificate: &Certificate) -> Self {
        let subject = Subject::Certificate(certificate.name.clone());
        let name = certificate.name.clone();
        let former = std::iter::once(name.clone()).chain(certificate.former.clone());
        Self {
            former: former.collect(),
            ..Self::new(subject, Method::TlsCertificate, name, None)
        }
    }
}
