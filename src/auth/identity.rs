//! Who a host is. The identity is typed where it was proved and never parsed from text
//! again.

use std::fmt;
use std::rc::Rc;

use super::{Certificate, Method};
use crate::protocol::kerberos;
use crate::protocol::ntlm::{self, Account};
use crate::windows::sddl::Token;
use crate::windows::sid::Sid;

/// What a host has proved to be, in the terms of its method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A null session: nothing was proved.
    Nobody,
    /// An account of the accounts file, spelled as in its line.
    Account(ntlm::Name),
    /// An account that its domain has verified.
    DomainAccount(ntlm::Name),
    /// A Kerberos principal.
    Principal {
        /// The name's components: `WIN10$`, or `host` and `win10.example`.
        components: Vec<String>,
        /// The realm whose KDC vouches for it.
        realm: String,
    },
    /// The host that a client certificate names.
    Certificate(String),
}

/// The authenticated peer of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it has proved to be.
    pub subject: Subject,
    /// The same for people: `DOMAIN\user` or `WIN10$@REALM`; empty for a null session.
    pub name: String,
    /// The workstation name that the host sent; an unverified claim.
    pub workstation: String,
    /// The method that proved it.
    pub method: Method,
    /// Its domain account with groups, as far as they are known. `None` if it is not a
    /// domain account; such hosts are not subject to access lists for domain computers.
    pub token: Option<Rc<Token>>,
    /// A computer's account rather than a person's, as far as the method can tell.
    pub is_machine: bool,
    /// What its bookmarks are stored under; `None` for a null session. See [`Self::key`].
    key: Option<Rc<str>>,
    /// Names under which 0.1 stored its bookmarks.
    former: Rc<[String]>,
}

impl Identity {
    /// A host that authenticated by NTLM: with a configured account, or with a null session
    /// if `known` is `None`.
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

    /// A configured account, by the given method. `claimed` is the name as the client
    /// spelled it, which 0.1 used as the key.
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
        // NTLM does not convey an account's groups.
        let token = Some(Token::unknown());
        Self {
            former,
            workstation: claimed.workstation().to_owned(),
            ..Self::new(subject, Method::NtlmDomain, name, token)
        }
    }

    /// A host that authenticated with a Kerberos ticket.
    #[must_use]
    pub fn principal(accepted: &kerberos::Accepted) -> Self {
        let client = &accepted.client;
        let subject = Subject::Principal {
            components: client.components.clone(),
            realm: client.realm.clone(),
        };
        // Without a PAC nothing is known about the account, except that it is a domain
        // account.
        let logon = accepted.logon.as_ref();
        let token = logon.map_or_else(Token::unknown, kerberos::pac::Logon::token);
        let name = client.to_string();
        let mut former = vec![accepted.ticket_client.clone()];
        if logon.is_some() {
            // Before tickets were required to have a PAC, the name was the key.
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
            key: key(&subject, method, &name, sid).map(Rc::from),
            subject,
            name,
            workstation: String::new(),
            method,
            token: token.map(Rc::new),
            is_machine: true,
            former: [].into(),
        }
    }

    /// The SID of its domain account, if known: from a ticket's PAC.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.token.as_ref().and_then(|token| token.account())
    }

    /// What its bookmarks are stored under. No two subjects share a key, and a renamed
    /// domain account keeps its own, because the SID is used where it is known.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// The same, shared; `None` for a null session.
    #[must_use]
    pub fn shared_key(&self) -> Option<&Rc<str>> {
        self.key.as_ref()
    }

    /// Names under which earlier versions stored its bookmarks and listed the host; used to
    /// migrate them.
    #[must_use]
    pub fn former(&self) -> &Rc<[String]> {
        &self.former
    }
}

fn key(subject: &Subject, method: Method, name: &str, sid: Option<Sid>) -> Option<String> {
    let method = method.as_str();
    Some(match (subject, sid) {
        (Subject::Nobody, _) => return None,
        // NTLM, Basic and Digest share a key: they prove the same line of the accounts
        // file.
        (Subject::Account(_), _) => format!("account:{name}"),
        (Subject::Principal { .. }, Some(sid)) => format!("{method}:{sid}"),
        (_, _) => format!("{method}:{name}"),
    })
}

/// For logs: name and method.
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
