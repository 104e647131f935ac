//! Which certificates are revoked, by the lists of `--crl`.
//!
//! OpenSSL's own check ends at the first trusted certificate, takes lists that apply only
//! in part, and does not tell which list is at fault; so chains are checked here.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use openssl::x509::{CrlStatus, X509, X509Crl, X509Ref};

use super::list::{self, Kind, Scope};
use super::{Error, facts, names, pem, validity};

/// Most certificates of a chain: as many as OpenSSL takes.
const LONGEST_CHAIN: usize = 100;

/// The lists, and the authorities that may have signed them.
pub(super) struct Revocation {
    path: PathBuf,
    authorities: Vec<X509>,
    lists: Vec<List>,
    /// An authority without a list has revoked nothing.
    partial: bool,
}

struct List {
    list: X509Crl,
    scope: Scope,
    /// Which of the authorities have signed it: more than one where a key was certified
    /// again.
    signers: Vec<usize>,
}

/// Why no list counts for the certificates of an authority.
#[derive(Clone, Copy)]
enum Lack {
    /// There is none in its name.
    Absent,
    /// The one in its name has another signature, such as one from before its key was renewed.
    OtherKey,
    /// Its certificate does not allow it to sign lists.
    MayNotSign,
    /// Its lists cover other certificates than those in this scope.
    Scope(Scope),
}

impl Lack {
    /// What is wrong with the list.
    fn why(self) -> &'static str {
        match self {
            Self::Absent => "is not there",
            Self::OtherKey => "is signed with another key than that of --client-ca",
            Self::MayNotSign => {
                "does not count, since the key usage of that authority lacks cRLSign"
            }
            Self::Scope(Scope::Authorities) => "covers no certificates of authorities",
            Self::Scope(Scope::All | Scope::Hosts) => "covers no certificates of hosts",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Absent => "put it there",
            Self::OtherKey => {
                "replace it with the list that this key has signed, or put the authority's \
                 certificate for the other key into --client-ca"
            }
            Self::MayNotSign => {
                "renew the authority's certificate with the key usage cRLSign, and put it into \
                 --client-ca"
            }
            Self::Scope(_) => "add the authority's list that covers them",
        }
    }
}

/// Why a chain is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This certificate, by its name.
    Revoked(String),
    /// The lists do not tell: why, and what to do.
    Unknown(String),
}

impl Revocation {
    /// Reads the lists.
    ///
    /// # Errors
    /// The file cannot be read, holds no list, or one that cannot be relied upon.
    pub(super) fn read(path: &Path, authorities: &[X509], partial: bool) -> Result<Self, Error> {
        let mut revocation = Self {
            path: path.to_owned(),
            authorities: authorities.to_vec(),
            lists: Vec::new(),
            partial,
        };
        let mut deltas = Vec::new();
        for list in pem::revocation_lists(path)? {
            match list::kind(&list.to_der()?) {
                Ok(Kind::Complete(scope)) => revocation.add(list, scope),
                Ok(Kind::Delta) => deltas.push(list),
                Err(unfit) => return Err(revocation.refuse(&list, &unfit.to_string())),
            }
        }
        deltas.iter().try_for_each(|delta| revocation.skip(delta))?;
        Ok(revocation)
    }

    fn add(&mut self, list: X509Crl, scope: Scope) {
        let authorities = self.authorities.iter().enumerate();
        let signers = authorities.filter(|(_, authority)| has_signed(authority, &list));
        let signers = signers.map(|(index, _)| index).collect();
        self.lists.push(List {
            list,
            scope,
            signers,
        });
    }

    /// A delta adds to a complete list, which counts alone.
    fn skip(&self, delta: &X509Crl) -> Result<(), Error> {
        let name = delta.issuer_name();
        let is_base = |list: &List| names::are_equal(list.list.issuer_name(), name);
        if !self.lists.iter().any(is_base) {
            return Err(self.refuse(delta, "is a delta, and its base list is missing"));
        }
        log::warn!(
            "--crl {}: the list of {} is a delta, which is skipped: later revocations take effect \
             when its base list is renewed",
            self.path.display(),
            names::display(name)
        );
        Ok(())
    }

    fn refuse(&self, list: &X509Crl, why: &str) -> Error {
        let name = names::display(list.issuer_name());
        let why =
            format!("the list of {name} {why}: use the complete list of that authority instead");
        Error::Content("--crl", self.path.clone(), why)
    }

    /// The complete lists whose end matters: another one that covers the same and ends later
    /// counts in its place.
    pub(super) fn lasting(&self) -> impl Iterator<Item = &X509Crl> {
        let outlasts = |other: &List, list: &List| {
            let end = |list: &List| list.list.next_update().map(validity::time);
            let covers = other.scope == Scope::All || other.scope == list.scope;
            // Without a next update there is no end.
            let later = match (end(other), end(list)) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(other), Some(end)) => other > end,
            };
            covers && other.signers == list.signers && later
        };
        let lists = self.lists.iter().filter(move |list| {
            list.signers.is_empty() || !self.lists.iter().any(|other| outlasts(other, list))
        });
        lists.map(|list| &list.list)
    }

    /// The complete lists.
    pub(super) fn lists(&self) -> impl Iterator<Item = &X509Crl> {
        self.lists.iter().map(|list| &list.list)
    }

    /// A line for each authority without a list, and what comes of it.
    pub(super) fn unlisted(&self) -> Vec<String> {
        let authorities = self.authorities.iter().enumerate();
        let unlisted = authorities.filter(|(index, authority)| {
            let listed = self.lists.iter().any(|list| list.signers.contains(index));
            !listed && may_issue(authority)
        });
        let line = |(_, authority): (usize, &X509)| {
            let (path, name) = (
                self.path.display(),
                names::display(authority.subject_name()),
            );
            let lack = self.lack(authority, None);
            let (why, remedy) = match lack {
                Lack::Absent => (format!("no list of {name}"), "add its list"),
                _ => (format!("the list of {name} {}", lack.why()), lack.remedy()),
            };
            if self.partial {
                format!(
                    "--crl {path}: {why}: its certificates are not checked for revocation \
                     (--crl-partial)"
                )
            } else {
                format!(
                    "--crl {path}: {why}: its certificates are rejected; {remedy}, or use \
                     --crl-partial to allow them unchecked"
                )
            }
        };
        unlisted.map(line).collect()
    }

    /// Why no list counts for the certificates of an authority, or for those in `scope`: there may
    /// be one in its name.
    fn lack(&self, authority: &X509Ref, scope: Option<Scope>) -> Lack {
        let is_of =
            |list: &&List| names::are_equal(list.list.issuer_name(), authority.subject_name());
        let is_own = |list: &&List| has_signed(authority, &list.list);
        // What another authority of that name has signed is the list of that one.
        let mut lists = self.lists.iter().filter(is_of);
        let own = lists.clone().find(is_own);
        if own.is_none() && !lists.any(|list| list.signers.is_empty()) {
            Lack::Absent
        } else if !may_sign_lists(authority) {
            Lack::MayNotSign
        } else if own.is_some() {
            Lack::Scope(scope.unwrap_or(Scope::All))
        } else {
            Lack::OtherKey
        }
    }

    /// Judges a chain, the host's certificate first. It is followed to the root as far as
    /// `--client-ca` has it.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn check(&self, chain: &[&X509Ref], now: SystemTime) -> Result<(), Verdict> {
        let mut chain = chain.to_vec();
        while let Some(above) = chain.last().and_then(|last| self.issuer_of(last)) {
            if chain.len() == LONGEST_CHAIN {
                break;
            }
            chain.push(above);
        }
        let links = chain.iter().zip(chain.iter().skip(1));
        for (depth, (certificate, issuer)) in links.enumerate() {
            self.check_one(certificate, issuer, depth == 0, now)?;
        }
        Ok(())
    }

    /// Its issuer in the bundle; none of a root.
    fn issuer_of(&self, certificate: &X509Ref) -> Option<&X509Ref> {
        if facts::is_issued_by(certificate, certificate) {
            return None;
        }
        let mut authorities = self.authorities.iter();
        let issuer = authorities.find(|authority| facts::is_issued_by(certificate, authority));
        issuer.map(|issuer| &**issuer)
    }

    fn check_one(
        &self,
        certificate: &X509Ref,
        issuer: &X509Ref,
        is_host: bool,
        now: SystemTime,
    ) -> Result<(), Verdict> {
        let scope = if is_host {
            Scope::Hosts
        } else {
            Scope::Authorities
        };
        let index = self.authorities.iter().position(|known| **known == *issuer);
        let applies = |list: &&List| {
            let is_signer = match index {
                Some(index) => list.signers.contains(&index),
                // An intermediate that the host has sent along.
                None => has_signed(issuer, &list.list),
            };
            is_signer && (list.scope == Scope::All || list.scope == scope)
        };
        let lists: Vec<_> = self.lists.iter().filter(applies).collect();
        let current: Vec<_> = lists
            .iter()
            .filter(|list| is_current(&list.list, now))
            .collect();
        let revokes = |list: &X509Crl| {
            let status = list.get_by_serial(certificate.serial_number());
            matches!(status, CrlStatus::Revoked(_))
        };
        if current.iter().any(|list| revokes(&list.list)) {
            return Err(Verdict::Revoked(names::describe(certificate)));
        }
        match lists.first() {
            _ if !current.is_empty() => Ok(()),
            None if self.partial => Ok(()),
            None => {
                let lack = self.lack(issuer, Some(scope));
                let or = ", or use --crl-partial to allow certificates that no list covers";
                Err(self.unknown(issuer, lack.why(), lack.remedy(), or))
            }
            Some(List { list, .. }) => Err(self.out_of_time(issuer, list, now)),
        }
    }

    fn out_of_time(&self, issuer: &X509Ref, list: &X509Crl, now: SystemTime) -> Verdict {
        let begin = list.last_update();
        if validity::time(begin).is_some_and(|begin| begin > now) {
            let why = format!("is not valid before {begin}");
            return self.unknown(
                issuer,
                &why,
                "compare the clocks of issuer and relay, or renew it",
                "",
            );
        }
        let end = list.next_update().map(ToString::to_string);
        let why = format!("expired on {}", end.unwrap_or_default());
        self.unknown(issuer, &why, "install a current one", "")
    }

    fn unknown(&self, issuer: &X509Ref, why: &str, remedy: &str, or: &str) -> Verdict {
        let name = names::display(issuer.subject_name());
        let path = self.path.display();
        Verdict::Unknown(format!(
            "--crl {path}: the list of {name} {why}: {remedy} and send SIGHUP{or}"
        ))
    }
}

fn is_current(list: &X509Crl, now: SystemTime) -> bool {
    let begun = validity::time(list.last_update()).is_none_or(|begin| begin <= now);
    // Without a next one there is no end (RFC 5280 wants one).
    let next = list.next_update();
    begun && next.is_none_or(|end| validity::time(end).is_some_and(|end| now <= end))
}

/// Whether this authority has signed the list. Two may have one name: the signature tells
/// them apart.
fn has_signed(authority: &X509Ref, list: &X509Crl) -> bool {
    let key = authority.public_key();
    names::are_equal(list.issuer_name(), authority.subject_name())
        && may_sign_lists(authority)
        && key.is_ok_and(|key| list.verify(&key).is_ok_and(|good| good))
}

/// Without the extension a key is for everything (RFC 5280 4.2.1.3).
fn may_sign_lists(authority: &X509Ref) -> bool {
    let usage = authority.key_usage();
    usage.is_none_or(|usage| usage.contains(openssl::x509::X509KeyUsage::CRL_SIGN))
}

/// Whether it is an authority, or old enough not to say.
fn may_issue(certificate: &X509Ref) -> bool {
    let usage = certificate.key_usage();
    facts::is_authority(certificate)
        && usage.is_none_or(|usage| usage.contains(openssl::x509::X509KeyUsage::KEY_CERT_SIGN))
}
