//! The subcommands that change the authority's folder.

use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

use openssl::x509::X509Crl;
use zeroize::Zeroizing;

use super::authority::{self, Authority, Issued, Wish};
use super::files::{self, Lock, OPEN, SECRET};
use super::index::{Entry, Index, Kind};
use super::names::{self, Name};
use super::paths::Paths;
use super::{Error, pfx, report, windows};
use crate::cli::{CrlOptions, HostOptions, InitOptions, RevokeOptions, ServerOptions};
use crate::commands::passwd;

/// The locked folder of an authority and its content.
pub(super) struct AuthorityFolder {
    paths: Paths,
    authority: Authority,
    index: Index,
    _lock: Lock,
}

/// Creates an authority.
pub(super) fn init(dir: &Path, options: &InitOptions, now: SystemTime) -> Result<String, Error> {
    names::common(&options.name)?;
    let paths = Paths::of(dir);
    files::folder(dir)?;
    let lock = files::lock(dir)?;
    let parts = [
        paths.index(),
        paths.certificate(),
        paths.key(),
        paths.list(),
    ];
    if let Some(there) = parts.iter().find(|path| path.exists()) {
        return Err(Error::Refused(format!(
            "{} exists and is not overwritten: choose another --dir",
            there.display()
        )));
    }
    let authority = Authority::make(&options.name, options.key, options.days, now)?;
    files::replace(&paths.key(), SECRET, &authority.key_pem()?)?;
    files::replace(&paths.certificate(), OPEN, &authority.certificate.to_pem()?)?;
    let mut folder = AuthorityFolder {
        index: Index::new(paths.index()),
        paths,
        authority,
        _lock: lock,
    };
    folder.write_list(365, now)?;
    // Written last: an authority exists only when its index does.
    folder.index.write()?;
    Ok(format!(
        "created {}, {} and {}\nnext: wecrelay ca server COLLECTOR-NAME --dir {}\n",
        folder.paths.certificate().display(),
        folder.paths.key().display(),
        folder.paths.list().display(),
        dir.display()
    ))
}

impl AuthorityFolder {
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let paths = Paths::of(dir);
        paths.need_authority()?;
        let lock = files::lock(dir)?;
        Ok(Self {
            authority: Authority::read(&paths.certificate(), &paths.key())?,
            index: Index::read(paths.index())?,
            paths,
            _lock: lock,
        })
    }

    /// Issues a certificate for the collector.
    pub(super) fn server(
        &mut self,
        options: &ServerOptions,
        now: SystemTime,
    ) -> Result<String, Error> {
        let names = options.names.iter().map(|name| Name::server(name));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let first = names.first().map(Name::text).unwrap_or_default();
        names::common(&first)?;
        let note = self.may_issue(Kind::Server, &first, &["pem", "key"], options.renew, now)?;
        let wish = Wish {
            kind: Kind::Server,
            names: &names,
            days: options.days,
            key: options.key,
        };
        let issued = self.issue(&wish, now)?;
        let (certificate, key) = (
            self.paths.issued(Kind::Server, &first, "pem"),
            self.paths.issued(Kind::Server, &first, "key"),
        );
        files::replace(&key, SECRET, &authority::key_pem(&issued.key)?)?;
        files::replace(&certificate, OPEN, &issued.certificate.to_pem()?)?;
        let mut said = note;
        let _ = writeln!(
            said,
            "created {} and {}, valid until {}\n\
             next: wecrelay --listen https://0.0.0.0:{} --tls-cert {0} --tls-key {1} \
             --client-ca {} --crl {}",
            certificate.display(),
            key.display(),
            humantime::format_rfc3339_seconds(issued.entry.end),
            windows::PORT,
            self.paths.certificate().display(),
            self.paths.list().display(),
        );
        Ok(said)
    }

    /// Issues certificates for hosts. Checks all names first, so that an invalid name
    /// prevents all certificates.
    pub(super) fn hosts(
        &mut self,
        options: &HostOptions,
        now: SystemTime,
    ) -> Result<String, Error> {
        let names = options.names.iter().map(|name| names::host(name));
        let mut names = names.collect::<Result<Vec<_>, _>>()?;
        names.sort();
        names.dedup();
        let manager = report::manager(
            &options.manager,
            &self.index,
            &self.authority.certificate,
            now,
        )?;
        let given = options.password_file.as_deref().map(password).transpose()?;
        let endings = ["pem", "pfx", "ps1", "password"];
        let mut said = String::new();
        for name in &names {
            said += &self.may_issue(Kind::Host, name, &endings, options.renew, now)?;
        }
        for name in names {
            let wish = Wish {
                kind: Kind::Host,
                names: &[Name::Dns(name.clone())],
                days: options.days,
                key: options.key,
            };
            let issued = self.issue(&wish, now)?;
            said += &self.write_host(&name, &issued, &manager, given.as_ref(), options)?;
        }
        Ok(said)
    }

    fn write_host(
        &self,
        name: &str,
        issued: &Issued,
        manager: &str,
        given: Option<&Zeroizing<String>>,
        options: &HostOptions,
    ) -> Result<String, Error> {
        let file = |ending: &str| self.paths.issued(Kind::Host, name, ending);
        let password = given.cloned().map_or_else(pfx::random_password, Ok)?;
        let content = pfx::build(issued, name, &password, options.pfx)?;
        let (pfx, script, secret) = (file("pfx"), file("ps1"), file("password"));
        files::replace(&pfx, SECRET, &content)?;
        let whose = if given.is_some() {
            // An old password file belongs to the previous certificate.
            files::remove(&secret)?;
            "the given one".to_owned()
        } else {
            let line = Zeroizing::new(format!("{}\n", *password));
            files::replace(&secret, SECRET, line.as_bytes())?;
            format!("in {}", secret.display())
        };
        files::replace(&file("pem"), OPEN, &issued.certificate.to_pem()?)?;
        let text = report::script(
            name,
            &issued.certificate,
            &self.authority.certificate,
            manager,
        )?;
        files::replace(&script, OPEN, text.as_bytes())?;
        Ok(format!(
            "created {} (password: {whose}), valid until {}\n\
             next: copy it and {} to the host, and run the script there as administrator\n",
            pfx.display(),
            humantime::format_rfc3339_seconds(issued.entry.end),
            script.display()
        ))
    }

    /// Checks whether a certificate for this name may be issued. Returns a message about a
    /// previous certificate that remains valid, or an empty string.
    fn may_issue(
        &self,
        kind: Kind,
        name: &str,
        endings: &[&str],
        renew: bool,
        now: SystemTime,
    ) -> Result<String, Error> {
        let before = self.index.newest(kind, name);
        let Some(before) = before else {
            let files = endings.iter();
            let mut files = files.map(|ending| self.paths.issued(kind, name, ending));
            return match files.find(|path| path.exists()) {
                Some(path) => Err(Error::Refused(format!(
                    "{} exists, but was not issued by this authority: move it away",
                    path.display()
                ))),
                None => Ok(String::new()),
            };
        };
        if !before.is_live(now) {
            return Ok(String::new());
        }
        let serial = &before.serial;
        let end = humantime::format_rfc3339_seconds(before.end);
        if renew {
            return Ok(format!(
                "{name}: the old certificate remains valid until {end}; once the new one is in \
                 use: wecrelay ca revoke {serial}\n"
            ));
        }
        Err(Error::Refused(format!(
            "{name} has a certificate until {end}, serial {serial}: use --renew to create another \
             one, or wecrelay ca revoke {serial} to revoke it"
        )))
    }

    /// Issues a certificate and records it in the index before any file is written, so that
    /// it can be revoked.
    fn issue(&mut self, wish: &Wish<'_>, now: SystemTime) -> Result<Issued, Error> {
        let issued = self.authority.issue(wish, now)?;
        let first = issued.entry.names.first().cloned().unwrap_or_default();
        let place = self.paths.issued(wish.kind, &first, "pem");
        files::folder(place.parent().unwrap_or(&place))?;
        self.index.entries.push(issued.entry.clone());
        self.index.write()?;
        Ok(issued)
    }

    /// Revokes all certificates for a name, or the one with a serial number.
    pub(super) fn revoke(
        &mut self,
        options: &RevokeOptions,
        now: SystemTime,
    ) -> Result<String, Error> {
        let what = &options.what;
        let fits = |entry: &Entry| {
            let first = entry.names.first();
            entry.serial.eq_ignore_ascii_case(what)
                || first.is_some_and(|name| name.eq_ignore_ascii_case(what))
        };
        let mut found = self.index.entries.iter_mut().filter(|e| fits(e)).peekable();
        if found.peek().is_none() {
            return Err(Error::Refused(format!(
                "{what:?} is neither the name nor the serial of a certificate: see wecrelay ca list"
            )));
        }
        let mut said = String::new();
        for entry in found {
            let names = entry.names.join(",");
            let (verb, at) = match entry.revoked {
                Some(at) => ("was revoked before:", at),
                None => ("revoked", now),
            };
            entry.revoked = Some(at);
            let _ = writeln!(said, "{verb} {} {} {names}", entry.serial, entry.kind);
        }
        self.index.write()?;
        said += &self.list_anew(&options.list, now)?;
        Ok(said)
    }

    /// Writes a new revocation list.
    pub(super) fn list_anew(
        &mut self,
        options: &CrlOptions,
        now: SystemTime,
    ) -> Result<String, Error> {
        self.write_list(options.days, now)?;
        Ok(format!(
            "created {}, valid for {} days; copy it to the relay, and send it SIGHUP\n",
            self.paths.list().display(),
            options.days
        ))
    }

    fn write_list(&mut self, days: u32, now: SystemTime) -> Result<(), Error> {
        let path = self.paths.list();
        let before = if path.exists() {
            Some(report::read_list(&path)?)
        } else {
            None
        };
        let list: X509Crl =
            self.authority
                .revocation_list(&self.index.entries, before.as_ref(), days, now)?;
        files::replace(&path, OPEN, &list.to_pem()?)
    }
}

fn password(path: &Path) -> Result<Zeroizing<String>, Error> {
    let content = Zeroizing::new(files::read(path)?);
    passwd::read_line(content.as_slice())
        .map_err(|error| Error::Content(path.to_owned(), error.to_string()))
}
