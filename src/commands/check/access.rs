//! Who is allowed to connect, and the certificates that the relay presents.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::commands::run::Error;
use crate::config::Config;
use crate::files::accounts::Users;
use crate::files::keytabs;
use crate::tls::{self, Facts};

/// One line for each way to authenticate, followed by indented lines with its keys or
/// certificates.
pub(super) fn methods(config: &Config) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for keytab in &config.keytabs {
        let rc4 = if config.kerberos_rc4 { ", RC4 too" } else { "" };
        lines.push(format!(
            "hosts of a domain by Kerberos, with {}{rc4}",
            keytab.display()
        ));
        let keys = keytabs::read(std::slice::from_ref(keytab)).map_err(Error::Keytab)?;
        let mut known = BTreeMap::<_, Vec<&str>>::new();
        for entry in &keys.entries {
            let enctypes = known.entry((&entry.principal, entry.kvno)).or_default();
            enctypes.push(entry.key.enctype().name());
        }
        for ((principal, kvno), enctypes) in known {
            lines.push(format!(
                "  {principal} kvno {kvno}: {}",
                enctypes.join(", ")
            ));
        }
    }
    if config.ntlm_helper.is_some() {
        lines.push("domain accounts by NTLM, verified by --ntlm-helper".to_owned());
    }
    lines.extend(accounts(config)?);
    let authority = config.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
    if let Some(authority) = authority {
        lines.push(format!(
            "hosts with a certificate that an authority in {} issued",
            authority.display()
        ));
        let known = tls::certificates("--client-ca", authority).map_err(Error::Tls)?;
        lines.extend(known.iter().map(|facts| format!("  {}", named(facts))));
    }
    for network in &config.anonymous {
        lines.push(format!("hosts of {network} without a credential"));
    }
    for network in &config.balancers {
        lines.push(format!(
            "load balancers of {network}, only with a PROXY header that names the host"
        ));
    }
    if config.allow_unencrypted {
        lines.push("unsealed bodies, too".to_owned());
    }
    Ok(lines)
}

/// Problems of keys and certificates, each with flag, file, and remedy.
pub(super) fn findings(config: &Config) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    for path in &config.keytabs {
        let keytab = keytabs::read(std::slice::from_ref(path)).map_err(Error::Keytab)?;
        let weakness = keytabs::weakness(&keytab, config.kerberos_rc4);
        findings.extend(weakness.map(|why| format!("--keytab {}: {why}", path.display())));
    }
    let tls = config.tls.as_ref().map(tls::weaknesses).transpose();
    findings.extend(tls.map_err(Error::Tls)?.into_iter().flatten());
    Ok(findings)
}

/// What may be wrong with them.
pub(super) fn warnings(config: &Config) -> Result<Vec<String>, Error> {
    let Some(name) = config.hostname.as_deref() else {
        return Ok(Vec::new());
    };
    if config.keytabs.is_empty() || name.parse::<IpAddr>().is_ok() {
        return Ok(Vec::new());
    }
    let keytab = keytabs::read(&config.keytabs).map_err(Error::Keytab)?;
    let principals = keytab.principals();
    if principals.iter().any(|known| keytabs::is_for(known, name)) {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "--keytab has no key of HTTP/{name}, the name of --hostname, but of {}: hosts can log on \
         only if HTTP/{name} belongs to the account of one of these (setspn -Q HTTP/{name})",
        principals.join(", ")
    )])
}

fn accounts(config: &Config) -> Result<Option<String>, Error> {
    let Some(path) = &config.users else {
        return Ok(None);
    };
    let users = Users::load(path).map_err(Error::Users)?;
    let count = match users.len() {
        1 => "one account".to_owned(),
        count => format!("{count} accounts"),
    };
    let mut methods = vec![if config.ntlmv1 {
        "NTLM, NTLMv1 too"
    } else {
        "NTLM"
    }];
    methods.extend(config.basic.then_some("Basic"));
    methods.extend(config.digest.then_some("Digest"));
    let (path, methods) = (path.display(), methods.join(", "));
    Ok(Some(format!("{count} of {path} by {methods}")))
}

/// The file of each `--tls-cert`, followed by an indented line about its certificate.
pub(super) fn own_certificates(config: &Config) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let pairs = config.tls.iter().flat_map(|files| &files.pairs);
    for (certificate, _) in pairs {
        let chain = tls::certificates("--tls-cert", certificate).map_err(Error::Tls)?;
        lines.push(certificate.display().to_string());
        let leaf = chain.first().map(|leaf| format!("  {}", leaf.line()));
        lines.extend(leaf);
    }
    Ok(lines)
}

fn named(facts: &Facts) -> String {
    format!("{}: {}", facts.subject, facts.line())
}
