//! Until when certificates and revocation lists may be used.

use std::path::Path;
use std::time::{Duration, SystemTime};

use log::Level;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::x509::{X509, X509Crl};

use super::{Error, names};

/// When the end is near enough to be told.
const NOTICE: Duration = Duration::from_secs(30 * 86_400);

/// What ends, and when.
#[derive(Debug, Default)]
pub(super) struct Validity(Vec<Term>);

#[derive(Debug)]
struct Term {
    /// Flag, file and name.
    what: String,
    /// None where it has always been valid.
    begin: Option<SystemTime>,
    end: SystemTime,
    /// What comes of it.
    then: &'static str,
}

impl Validity {
    pub(super) fn add_certificates(&mut self, flag: &str, path: &Path, certificates: &[X509]) {
        let then = match flag {
            "--client-ca" => "hosts with its certificates are rejected",
            _ => "hosts do not connect",
        };
        for certificate in certificates {
            let name = names::display(certificate.subject_name());
            let what = format!("{flag} {}: {name}", path.display());
            let begin = time(certificate.not_before());
            self.add(what, begin, certificate.not_after(), then);
        }
    }

    pub(super) fn add_lists<'a>(&mut self, path: &Path, lists: impl Iterator<Item = &'a X509Crl>) {
        for list in lists {
            let name = names::display(list.issuer_name());
            let what = format!("--crl {}: the list of {name}", path.display());
            if let Some(end) = list.next_update() {
                let begin = time(list.last_update());
                self.add(what, begin, end, "hosts with its certificates are rejected");
            }
        }
    }

    fn add(
        &mut self,
        what: String,
        begin: Option<SystemTime>,
        end: &Asn1TimeRef,
        then: &'static str,
    ) {
        if let Some(end) = time(end) {
            self.0.push(Term {
                what,
                begin,
                end,
                then,
            });
        }
    }

    pub(super) fn ends(&self) -> Vec<(String, SystemTime)> {
        let terms = self.0.iter();
        terms.map(|term| (term.what.clone(), term.end)).collect()
    }

    /// A line for each that has not begun, has ended or ends within 30 days.
    pub(super) fn due(&self, now: SystemTime) -> Vec<(Level, String)> {
        let soon = now + NOTICE;
        let due = self
            .0
            .iter()
            .filter(|term| term.end < soon || term.is_ahead(now));
        due.map(|term| term.line(now)).collect()
    }
}

impl Term {
    fn is_ahead(&self, now: SystemTime) -> bool {
        self.begin.is_some_and(|begin| now < begin)
    }

    fn line(&self, now: SystemTime) -> (Level, String) {
        let Self {
            what, end, then, ..
        } = self;
        if let Some(begin) = self.begin.filter(|_| self.is_ahead(now)) {
            let at = humantime::format_rfc3339_seconds(begin);
            let line = format!(
                "{what} is not valid before {at}: {then} until then; compare the clocks of its \
                 issuer and of this machine"
            );
            return (Level::Error, line);
        }
        let at = humantime::format_rfc3339_seconds(*end);
        if *end < now {
            (
                Level::Error,
                format!("{what} expired on {at}: {then} until it is renewed"),
            )
        } else {
            (
                Level::Warn,
                format!("{what} expires on {at}: {then} after that"),
            )
        }
    }
}

/// That our own certificate, the first of the chain, is valid now.
pub(super) fn need_valid(path: &Path, chain: &[X509], now: SystemTime) -> Result<(), Error> {
    let Some(leaf) = chain.first() else {
        return Ok(());
    };
    let name = names::display(leaf.subject_name());
    let why = if time(leaf.not_after()).is_some_and(|end| end < now) {
        format!("{name} expired on {}", leaf.not_after())
    } else if time(leaf.not_before()).is_some_and(|begin| now < begin) {
        format!("{name} is not valid before {}", leaf.not_before())
    } else {
        return Ok(());
    };
    Err(Error::Content("--tls-cert", path.to_owned(), why))
}

/// The time of a certificate; none where it is before 1970.
pub(super) fn time(at: &Asn1TimeRef) -> Option<SystemTime> {
    let since = Asn1Time::from_unix(0).ok()?.diff(at).ok()?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    let since = Duration::from_secs(u64::try_from(seconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}
