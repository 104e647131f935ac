//! The hosts' view of the relay: name, port, and authentication.

use std::net::IpAddr;

use super::Error;
use crate::cli::{HostKind, RelayOptions, WindowsOptions};
use crate::config::{Config, Listener};
use crate::files::keytabs;
use crate::output::is_host_name;
use crate::tls;

/// The facts about the relay from flags and files.
pub(super) struct Facts<'a> {
    config: &'a Config,
    /// Host names and addresses of `--listen`, as typed.
    listen: Vec<String>,
    /// The chain of each `--tls-cert`, the relay's own certificate first.
    own: Vec<Vec<tls::Facts>>,
    /// The certificates in `--client-ca`.
    authorities: Vec<tls::Facts>,
    /// The principals of the keytabs.
    principals: Vec<String>,
}

impl<'a> Facts<'a> {
    pub(super) fn gather(config: &'a Config, typed: &RelayOptions) -> Result<Self, Error> {
        let (mut own, mut authorities) = (Vec::new(), Vec::new());
        if let Some(files) = &config.tls {
            for (path, _) in &files.pairs {
                own.push(tls::certificates("--tls-cert", path).map_err(Error::Tls)?);
            }
            if let Some(path) = &files.client_ca {
                authorities = tls::certificates("--client-ca", path).map_err(Error::Tls)?;
            }
        }
        let keytab = keytabs::read(&config.keytabs).map_err(Error::Keytab)?;
        let mut principals: Vec<_> = keytab.entries.into_iter().map(|e| e.principal).collect();
        principals.dedup();
        Ok(Self {
            config,
            listen: typed.listen.iter().filter_map(|url| host_of(url)).collect(),
            own,
            authorities,
            principals,
        })
    }

    /// The kinds of hosts that the flags allow.
    pub(super) fn kinds(&self) -> Vec<HostKind> {
        let config = self.config;
        let certificates = config.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        let kinds = [
            (
                !config.keytabs.is_empty() || config.ntlm_helper.is_some(),
                HostKind::Domain,
            ),
            (certificates.is_some(), HostKind::Certificate),
            (
                !config.anonymous.is_empty() || config.users.is_some(),
                HostKind::Workgroup,
            ),
        ];
        let kinds = kinds.into_iter().filter(|(is_in, _)| *is_in);
        kinds.map(|(_, kind)| kind).collect()
    }

    /// The name by which hosts reach the relay, in the form for a URL: from `--hostname`,
    /// or else a name in `--listen`, the certificate, or the keytab, or else an address in
    /// `--listen`.
    fn name(&self, kind: HostKind) -> Result<String, Error> {
        let names = || self.listen.iter().filter(|host| is_name(host));
        let address = || {
            let specific = |host: &&String| {
                let address = host.parse::<IpAddr>();
                address.is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback())
            };
            self.listen.iter().find(specific)
        };
        let name = self.config.hostname.clone();
        let name = name.or_else(|| names().next().cloned());
        let name = name.or_else(|| self.name_of_certificate());
        let name = name.or_else(|| self.name_of_keytab());
        let name = name.or_else(|| address().map(|host| bracketed(host)));
        let name = name.ok_or(Error::NoName)?;
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if kind == HostKind::Domain && bare.parse::<IpAddr>().is_ok() {
            return Err(Error::Address(name));
        }
        Ok(name)
    }

    fn name_of_certificate(&self) -> Option<String> {
        let mut names = self.own.iter().filter_map(|chain| chain.first());
        let names = names.next()?.names.iter();
        names
            .filter(|name| is_name(name))
            .min_by_key(|name| !name.contains('.'))
            .cloned()
    }

    fn name_of_keytab(&self) -> Option<String> {
        let mut names = self.principals.iter().filter_map(|name| service_host(name));
        names.find(|name| is_name(name)).map(str::to_owned)
    }

    /// The listener to which hosts of this kind connect.
    fn listener(&self, kind: HostKind) -> Result<&'a Listener, Error> {
        let listeners = &self.config.listeners;
        let plain = listeners.iter().find(|listener| !listener.secure);
        let secure = listeners.iter().find(|listener| listener.secure);
        let found = match kind {
            HostKind::Certificate => secure,
            // They can use plain HTTP, because they seal their messages themselves.
            HostKind::Domain | HostKind::Workgroup => plain.or(secure),
        };
        let found = found.ok_or(Error::NotLetIn(kind))?;
        match found.address.port() {
            0 => Err(Error::NoPort),
            _ => Ok(found),
        }
    }

    /// The authority that issued the hosts' certificates: the one with the thumbprint
    /// `asked`, or else the only one.
    fn issuer(&self, asked: Option<&str>) -> Result<tls::Facts, Error> {
        let list = || {
            let pair = |facts: &tls::Facts| (facts.subject.clone(), facts.thumbprint.clone());
            self.authorities.iter().map(pair).collect()
        };
        match (asked, self.authorities.as_slice()) {
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(Error::Issuers(list())),
            (Some(asked), known) => {
                let digits: String = asked.chars().filter(char::is_ascii_hexdigit).collect();
                let mut known = known.iter();
                let found = known.find(|facts| facts.thumbprint.eq_ignore_ascii_case(&digits));
                found
                    .cloned()
                    .ok_or_else(|| Error::NoIssuer(asked.to_owned()))
            }
        }
    }
}

/// A kind of hosts and the values that it needs.
pub(super) struct Target {
    pub(super) kind: HostKind,
    /// The relay's name in URLs.
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) secure: bool,
    refresh: u32,
    /// Number of the value in the policy's list.
    pub(super) number: u32,
    /// The authority that issued the hosts' certificates; `None` for other kinds of hosts.
    pub(super) issuer: Option<tls::Facts>,
    /// Whether hosts need the relay in their `TrustedHosts`, because they use neither
    /// Kerberos nor a certificate.
    pub(super) trusted: bool,
    notes: Vec<String>,
}

impl Target {
    pub(super) fn new(
        facts: &Facts<'_>,
        kind: HostKind,
        options: &WindowsOptions,
    ) -> Result<Self, Error> {
        let listener = facts.listener(kind)?;
        let name = facts.name(kind)?;
        let issuer = match kind {
            HostKind::Certificate => Some(facts.issuer(options.issuer.as_deref())?),
            HostKind::Domain | HostKind::Workgroup => None,
        };
        let is_kerberos = kind == HostKind::Domain && !facts.config.keytabs.is_empty();
        let mut target = Self {
            kind,
            name,
            port: listener.address.port(),
            secure: listener.secure,
            refresh: options.refresh,
            number: options.number,
            trusted: !is_kerberos && kind != HostKind::Certificate,
            issuer,
            notes: Vec::new(),
        };
        target.note(facts);
        Ok(target)
    }

    /// The value of the policy.
    pub(super) fn manager(&self) -> String {
        let issuer = self
            .issuer
            .as_ref()
            .map(|issuer| issuer.thumbprint.as_str());
        super::manager(&self.server(), self.refresh, issuer)
    }

    /// The beginning of the value of the policy.
    pub(super) fn server(&self) -> String {
        super::server(self.secure, &self.name, self.port)
    }

    /// Problems, and tasks that have to be done elsewhere.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How these hosts authenticate.
    pub(super) fn how(&self) -> &'static str {
        match (self.kind, self.trusted) {
            (HostKind::Domain, false) => "hosts of a domain, by Kerberos",
            (HostKind::Domain, true) => "hosts of a domain, by NTLM",
            (HostKind::Certificate, _) => "hosts with a client certificate",
            (HostKind::Workgroup, _) => "hosts without a domain, by NTLM",
        }
    }

    fn note(&mut self, facts: &Facts<'_>) {
        let name = &self.name;
        if self.secure {
            let leaves: Vec<_> = facts.own.iter().filter_map(|chain| chain.first()).collect();
            if !leaves.iter().any(|leaf| leaf.is_for(name)) {
                let known: Vec<_> = leaves.iter().flat_map(|leaf| leaf.names.iter()).collect();
                self.notes.push(format!(
                    "no certificate in --tls-cert is for {name}, so hosts will not connect: they \
                     are for {known:?}"
                ));
            }
            let trusted = |leaf: &&tls::Facts| {
                let issuer = self.issuer.as_ref();
                issuer.is_some_and(|issuer| issuer.is_root && leaf.issuer == issuer.subject)
            };
            if let Some(leaf) = leaves.iter().find(|leaf| !trusted(leaf)) {
                self.notes.push(format!(
                    "hosts must trust the authority of this relay's certificate, {}: install it in \
                     their Trusted Root Certification Authorities",
                    leaf.issuer
                ));
            }
        }
        if self.kind == HostKind::Domain && !self.trusted {
            let has = |service: &str| {
                let wanted = format!("{service}/{name}@");
                let mut principals = facts.principals.iter();
                principals.any(|p| {
                    p.get(..wanted.len())
                        .is_some_and(|p| p.eq_ignore_ascii_case(&wanted))
                })
            };
            if !has("HTTP") {
                self.notes.push(format!(
                    "the keytab has no key of HTTP/{name}: on a domain controller, setspn -S \
                     HTTP/{name} ACCOUNT, and export its key again"
                ));
            }
            if !has("HOST") {
                self.notes.push(format!(
                    "the keytab has no key of HOST/{name}, which Windows Server 2025 requests: \
                     setspn -S HOST/{name} ACCOUNT, and export its key too"
                ));
            }
        }
        if self.kind == HostKind::Workgroup && facts.config.anonymous.is_empty() {
            self.notes.push(
                "a Windows host without a domain uses a null session, which requires --anonymous; \
                 with --users alone only hosts that log on with such an account can connect"
                    .to_owned(),
            );
        }
    }
}

/// The host in a `--listen` URL, without brackets and port.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = crate::output::Authority::parse(rest.trim_end_matches('/')).ok()?;
    Some(authority.host)
}

/// Whether other machines can use it as a name.
fn is_name(host: &str) -> bool {
    host.parse::<IpAddr>().is_err() && is_host_name(host) && !host.eq_ignore_ascii_case("localhost")
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Extracts the host from a principal: `collector.example.com` from
/// `HTTP/collector.example.com@EXAMPLE.COM`.
fn service_host(principal: &str) -> Option<&str> {
    let (service, rest) = principal.split_once('/')?;
    let (host, _) = rest.split_once('@')?;
    service.eq_ignore_ascii_case("HTTP").then_some(host)
}
