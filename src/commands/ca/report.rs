//! The subcommands that only read, and the texts for Windows hosts.

use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

use openssl::x509::{X509, X509Crl};

use super::index::{Index, Kind, State};
use super::paths::Paths;
use super::windows::{self, Facts};
use super::{Error, authority, files, names};
use crate::cli::{ManagerOptions, PolicyOptions};

/// Lists all certificates, and when the authority and the revocation list expire.
pub(super) fn list(dir: &Path, now: SystemTime) -> Result<String, Error> {
    let paths = Paths::of(dir);
    paths.need_authority()?;
    let certificate = authority::read_certificate(&paths.certificate())?;
    let crl = read_list(&paths.list())?;
    let index = Index::read(paths.index())?;
    let mut text = format!("authority: until {}\n", certificate.not_after());
    if let Some(end) = crl.next_update() {
        let _ = writeln!(text, "revocation list: until {end}");
    }
    for entry in &index.entries {
        let state = entry.state(now);
        let end = humantime::format_rfc3339_seconds(entry.end);
        let (kind, serial, names) = (entry.kind, &entry.serial, entry.names.join(","));
        let _ = writeln!(text, "{state:9}  {end}  {kind:6}  {serial}  {names}");
    }
    for entry in &index.entries {
        let Some(name) = entry.names.first() else {
            continue;
        };
        let newest = index.newest(entry.kind, name);
        let is_last = newest.is_some_and(|newest| newest.serial == entry.serial);
        if is_last && matches!(entry.state(now), State::Soon | State::Expired) {
            let kind = entry.kind;
            let names = entry.names.join(" ");
            let _ = writeln!(text, "to renew: wecrelay ca {kind} {names} --renew");
        }
    }
    Ok(text)
}

/// Returns the policy string, or the script for a host.
pub(super) fn policy(
    dir: &Path,
    options: &PolicyOptions,
    now: SystemTime,
) -> Result<String, Error> {
    let paths = Paths::of(dir);
    paths.need_authority()?;
    let certificate = authority::read_certificate(&paths.certificate())?;
    let index = Index::read(paths.index())?;
    let manager = manager(&options.manager, &index, &certificate, now)?;
    let Some(host) = &options.host else {
        return Ok(format!("{manager}\n"));
    };
    let name = names::host(host)?;
    if index.newest(Kind::Host, &name).is_none() {
        return Err(Error::Refused(format!(
            "{name} has no certificate: create one with wecrelay ca host {name}"
        )));
    }
    let own = authority::read_certificate(&paths.issued(Kind::Host, &name, "pem"))?;
    script(&name, &own, &certificate, &manager)
}

/// The policy string. Without a collector in `options`, it names the only server
/// certificate.
pub(super) fn manager(
    options: &ManagerOptions,
    index: &Index,
    authority: &X509,
    now: SystemTime,
) -> Result<String, Error> {
    let collector = match &options.collector {
        Some(name) => names::collector(name)?,
        None => names::collector(&only_server(index, now)?)?,
    };
    let issuer = authority::thumbprint(authority)?;
    Ok(windows::manager(&collector, options.refresh, &issuer))
}

fn only_server(index: &Index, now: SystemTime) -> Result<String, Error> {
    let servers = index.entries.iter();
    let servers = servers.filter(|entry| entry.kind == Kind::Server && entry.is_live(now));
    let mut names: Vec<_> = servers.filter_map(|entry| entry.names.first()).collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(Error::Refused(
            "which collector? create its certificate first (wecrelay ca server NAME), or use \
             --collector NAME"
                .to_owned(),
        )),
        _ => Err(Error::Refused(
            "which collector? there are several server certificates: use --collector NAME"
                .to_owned(),
        )),
    }
}

/// The script that sets up a host.
pub(super) fn script(
    host: &str,
    own: &X509,
    authority: &X509,
    manager: &str,
) -> Result<String, Error> {
    let pem = authority.to_pem()?;
    Ok(windows::script(&Facts {
        host,
        thumbprint: &authority::thumbprint(own)?,
        authority: &authority::thumbprint(authority)?,
        authority_pem: &String::from_utf8_lossy(&pem),
        manager,
    }))
}

pub(super) fn read_list(path: &Path) -> Result<X509Crl, Error> {
    let wrong = |_| {
        let why = "no revocation list in PEM: move it away and run wecrelay ca crl";
        Error::Content(path.to_owned(), why.to_owned())
    };
    X509Crl::from_pem(&files::read(path)?).map_err(wrong)
}
