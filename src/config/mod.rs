//! The command line, validated: typed values with nothing left to interpret.
//!
//! Everything that can be wrong with a flag is found here, before the relay listens. Files
//! named by flags are read later, by their own modules.

pub mod file;

mod error;
mod flag;
mod listen;
mod logging;
mod methods;

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::auth::Bindings;
use crate::auth::ntlm_helper;
use crate::cli::{BindingsKind, MessageKind, MismatchKind, RelayOptions};
use crate::collector::{ComputerRule, Mismatch, PrincipalRule};
use crate::event::filter::{Effect, Rule};
use crate::output::{self, is_host_name};
use crate::store::postgres;
use crate::syslog::{self, Facility, FacilityRule, Mapping};
use crate::system::privileges::Account;
use crate::tls;

pub use error::Error;
pub use flag::Flag;
pub use listen::{Inherited, Listener, PORT};
pub use logging::logging;

/// The default channels.
pub const CHANNELS: [&str; 4] = ["Application", "Security", "Setup", "System"];
/// Maximum length of a channel name in characters, as in Windows.
pub const LONGEST_CHANNEL: usize = 255;
/// Default of the state folder without `--state` and `$STATE_DIRECTORY`.
const STATE: &str = "wecrelay-state";
/// Default time in which a balancer that polls /readyz every few seconds can notice a
/// shutdown.
const DRAIN: Duration = Duration::from_secs(10);
const LONGEST_DRAIN: Duration = Duration::from_secs(600);

/// The configuration of a relay.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses that sources connect to; never empty.
    pub listeners: Vec<Listener>,
    /// Files of https listeners; `None` without such.
    pub tls: Option<tls::Files>,
    /// Outputs; never empty, no two with the same target.
    pub outputs: Vec<output::Settings>,
    /// Subscription files and folders of them.
    pub subscriptions: Vec<PathBuf>,
    /// Channels of the quick subscription; empty if there are only subscription files.
    pub channels: Vec<String>,
    /// Networks whose hosts need no credentials.
    pub anonymous: Vec<IpNet>,
    /// Load balancers whose connections start with a PROXY header.
    pub balancers: Vec<IpNet>,
    /// File of accounts.
    pub users: Option<PathBuf>,
    /// Kerberos keytab files.
    pub keytabs: Vec<PathBuf>,
    /// Whether RC4 is accepted with Kerberos.
    pub kerberos_rc4: bool,
    /// Kerberos principals that are admitted besides machines.
    pub principals: PrincipalRule,
    /// Whether authentication inside TLS must be bound to the connection.
    pub bindings: Bindings,
    /// The helper that verifies accounts of the domain.
    pub ntlm_helper: Option<ntlm_helper::Settings>,
    /// Whether NTLMv1 responses are accepted.
    pub ntlmv1: bool,
    /// Whether and how Computer is compared with the authenticated host.
    pub computers: Option<ComputerRule>,
    /// Whether unsealed bodies are accepted without TLS.
    pub allow_unencrypted: bool,
    /// Whether Basic is offered.
    pub basic: bool,
    /// Whether Digest is offered.
    pub digest: bool,
    /// Whether Basic and Digest are offered without TLS.
    pub password_without_tls: bool,
    /// How an event becomes a message.
    pub mapping: Mapping,
    /// The state folder.
    pub state: PathBuf,
    /// The shared database that is used instead.
    pub store: Option<postgres::Settings>,
    /// This relay's name among those that share it; `None` for the default.
    pub relay_name: Option<String>,
    /// After how long hosts and bookmarks are forgotten; `None` for never.
    pub forget_after: Option<Duration>,
    /// Whether other relays may listen on the same ports.
    pub reuse_port: bool,
    /// How long to keep serving after a shutdown was announced, so that balancers notice.
    pub drain_delay: Duration,
    /// Host part of the addresses in subscriptions (IPv6 in brackets); `None` repeats what
    /// the source used.
    pub hostname: Option<String>,
    /// Whether hosts are offered the subscription for their own reports.
    pub self_reports: bool,
    /// Whether the relay's own log goes to the outputs too.
    pub log_to_outputs: bool,
    /// Address for metrics and status.
    pub metrics: Option<SocketAddr>,
    /// The account to switch to once the ports are bound.
    pub account: Option<Account>,
}

impl Config {
    /// Whether hosts should render messages, because some output needs them.
    #[must_use]
    pub fn wants_rendering(&self) -> bool {
        let mut outputs = self.outputs.iter();
        outputs.any(|output| output.message.needs_rendering())
    }
}

/// The parts of the process's environment that matter for the configuration.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The variable `STATE_DIRECTORY`, a list of folders joined by colons (systemd.exec(5)).
    pub state_directory: Option<OsString>,
    /// Sockets that the service manager has bound.
    pub sockets: Vec<Inherited>,
}

impl Config {
    /// Validates the flags; resolves the names in `--listen`.
    ///
    /// # Errors
    /// The first invalid flag, with what is allowed.
    pub fn check(options: &RelayOptions, environment: &Environment) -> Result<Self, Error> {
        methods::check(options)?;
        let listeners = listen::listeners(&options.listen, &environment.sockets)?;
        methods::check_passwords(options, &listeners)?;
        Ok(Self {
            tls: tls_files(options, &listeners)?,
            listeners,
            outputs: outputs(options)?,
            subscriptions: options.subscription.clone(),
            channels: channels(options)?,
            anonymous: networks("--anonymous", &options.anonymous)?,
            balancers: networks("--proxy-protocol", &options.proxy.proxy_protocol)?,
            users: options.users.clone(),
            keytabs: options.kerberos.keytab.clone(),
            kerberos_rc4: options.kerberos.kerberos_rc4,
            principals: principals(options),
            bindings: match options.bindings.channel_bindings {
                BindingsKind::Require => Bindings::Require,
                BindingsKind::None => Bindings::None,
            },
            ntlm_helper: ntlm_helper(options)?,
            ntlmv1: options.ntlmv1,
            computers: computers(options)?,
            allow_unencrypted: options.allow_unencrypted,
            basic: options.passwords.basic,
            digest: options.passwords.digest,
            password_without_tls: options.passwords.allow_password_without_tls,
            mapping: mapping(options)?,
            state: state(
                options.memory.state.as_deref(),
                environment.state_directory.as_deref(),
            ),
            store: store(options.memory.store.as_deref())?,
            relay_name: options.memory.relay_name.clone(),
            forget_after: forget_after(&options.memory.forget_after)?,
            reuse_port: options.sharing.reuse_port,
            drain_delay: drain_delay(options)?,
            hostname: options.hostname.as_deref().map(hostname).transpose()?,
            self_reports: !options.reports.no_self_reports,
            log_to_outputs: options.reports.log_to_outputs,
            metrics: listen::metrics(options.metrics.as_deref())?,
            account: Account::find(options.user.as_deref(), options.group.as_deref())
                .map_err(Error::Account)?,
        })
    }
}

fn principals(options: &RelayOptions) -> PrincipalRule {
    PrincipalRule {
        patterns: options.kerberos.principal.clone(),
        realms: options.kerberos.realm.clone(),
    }
}

fn computers(options: &RelayOptions) -> Result<Option<ComputerRule>, Error> {
    let Some(kind) = options.require_computer_match else {
        return Ok(None);
    };
    let mismatch = match kind {
        MismatchKind::Mark => Mismatch::Mark,
        // A host that forges events could use a null session.
        MismatchKind::Refuse if !options.anonymous.is_empty() => return Err(Error::Computers),
        MismatchKind::Refuse => Mismatch::Refuse,
    };
    let exempt = options.computer_exempt.clone();
    Ok(Some(ComputerRule { mismatch, exempt }))
}

fn ntlm_helper(options: &RelayOptions) -> Result<Option<ntlm_helper::Settings>, Error> {
    let Some(text) = &options.ntlm_helper else {
        return Ok(None);
    };
    let words = shell_words::split(text).ok();
    let command = words.filter(|words| !words.is_empty());
    let command = command.ok_or_else(|| Error::Helper(text.clone()))?;
    let size = usize::from(options.ntlm_helpers);
    Ok(Some(ntlm_helper::Settings { command, size }))
}

fn tls_files(options: &RelayOptions, listeners: &[Listener]) -> Result<Option<tls::Files>, Error> {
    let (certificates, keys) = (&options.tls_cert, &options.tls_key);
    if certificates.len() != keys.len() {
        let (certificates, keys) = (certificates.len(), keys.len());
        return Err(Error::Pairs { certificates, keys });
    }
    match listeners.iter().find(|listener| listener.secure) {
        None if certificates.is_empty() => Ok(None),
        None => Err(Error::NoHttps),
        Some(secure) if certificates.is_empty() => {
            Err(Error::NoCertificate(format!("https://{}", secure.address)))
        }
        Some(_) => Ok(Some(tls::Files {
            pairs: certificates
                .iter()
                .cloned()
                .zip(keys.iter().cloned())
                .collect(),
            client_ca: options.client_ca.clone(),
            crl: options.crl.clone(),
            crl_partial: options.crl_partial,
            no_resume: options.no_tls_resume,
        })),
    }
}

fn outputs(options: &RelayOptions) -> Result<Vec<output::Settings>, Error> {
    let urls: &[String] = &options.output;
    let message = message(options.message);
    let rules = rules(options)?;
    let mut outputs: Vec<output::Settings> = Vec::new();
    let default = ["stdout:".to_owned()];
    for url in if urls.is_empty() {
        default.as_slice()
    } else {
        urls
    } {
        let parsed = output::Settings::parse_with(url, message);
        let mut settings = parsed.map_err(|source| Error::Output {
            url: url.clone(),
            source,
        })?;
        settings.filter = settings.filter.behind(&rules);
        if let Some(first) = outputs.iter().find(|other| same_place(other, &settings)) {
            return Err(Error::SameOutput {
                first: first.label.clone(),
                second: url.clone(),
            });
        }
        if options.reports.log_to_outputs && settings.header == syslog::Header::None {
            return Err(Error::LogWithoutHeader(url.clone()));
        }
        outputs.push(settings);
    }
    Ok(outputs)
}

/// The rules for all outputs.
fn rules(options: &RelayOptions) -> Result<Vec<Rule>, Error> {
    let filters = &options.filters;
    let only = filters
        .only
        .iter()
        .map(|text| ("--only", Effect::Only, text));
    let drop = filters
        .drop
        .iter()
        .map(|text| ("--drop", Effect::Drop, text));
    only.chain(drop)
        .map(|(flag, effect, text)| {
            Rule::parse(effect, text).map_err(|source| Error::Rule {
                flag,
                rule: text.clone(),
                source,
            })
        })
        .collect()
}

fn message(kind: MessageKind) -> syslog::MessageKind {
    match kind {
        MessageKind::Text => syslog::MessageKind::Text,
        MessageKind::Xml => syslog::MessageKind::Xml,
        MessageKind::Json => syslog::MessageKind::Json,
        MessageKind::Ecs => syslog::MessageKind::Ecs,
        MessageKind::Nxlog => syslog::MessageKind::Nxlog,
        MessageKind::Snare => syslog::MessageKind::Snare,
        MessageKind::Cef => syslog::MessageKind::Cef,
        MessageKind::Leef => syslog::MessageKind::Leef,
    }
}

/// Whether two outputs have the same target, which would get every event twice.
fn same_place(a: &output::Settings, b: &output::Settings) -> bool {
    use output::Target::{File, Unix};
    match (&a.target, &b.target) {
        (File { path, .. }, File { path: other, .. }) => path == other,
        (Unix { path, .. }, Unix { path: other, .. }) => path == other,
        (target, other) => target == other,
    }
}

fn channels(options: &RelayOptions) -> Result<Vec<String>, Error> {
    if options.channel.is_empty() && options.subscription.is_empty() {
        return Ok(CHANNELS.map(str::to_owned).to_vec());
    }
    for (index, name) in options.channel.iter().enumerate() {
        if !is_channel(name) {
            return Err(Error::Channel(name.clone()));
        }
        let earlier = options.channel.iter().take(index);
        if earlier
            .into_iter()
            .any(|other| other.eq_ignore_ascii_case(name))
        {
            return Err(Error::Twice {
                flag: "--channel",
                value: name.clone(),
            });
        }
    }
    Ok(options.channel.clone())
}

/// Windows forbids these characters in channel names (event manifest schema, `ChannelType`).
fn is_channel(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || "<>&\"'|\\:?*".contains(c);
    let length = name.chars().count();
    (1..=LONGEST_CHANNEL).contains(&length) && name.trim() == name && !name.contains(forbidden)
}

fn networks(flag: &'static str, texts: &[String]) -> Result<Vec<IpNet>, Error> {
    texts.iter().map(|text| network(flag, text)).collect()
}

/// A network; a bare address is a network of one host. Networks of IPv4-mapped addresses
/// become IPv4, like the addresses of sources.
fn network(flag: &'static str, text: &str) -> Result<IpNet, Error> {
    let wrong = || Error::Network {
        flag,
        value: text.to_owned(),
    };
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| wrong())?,
    };
    if network.trunc() != network {
        return Err(Error::HostBits {
            flag,
            value: text.to_owned(),
            network: network.trunc(),
        });
    }
    Ok(unmapped(network).unwrap_or(network))
}

fn unmapped(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = network else { return None };
    let address = v6.addr().to_ipv4_mapped()?;
    IpNet::new(address.into(), v6.prefix_len().checked_sub(96)?).ok()
}

fn mapping(options: &RelayOptions) -> Result<Mapping, Error> {
    Ok(Mapping {
        facility: facility(&options.facility)?,
        enterprise: options.enterprise.get(),
        bom: options.bom,
        ..Mapping::default()
    })
}

fn facility(text: &str) -> Result<FacilityRule, Error> {
    if text == "auto" {
        return Ok(FacilityRule::Auto);
    }
    let known = Facility::from_name(text).map(FacilityRule::Fixed);
    known.ok_or_else(|| Error::Facility(text.to_owned()))
}

/// An age in seconds: a number with a unit.
#[must_use]
pub fn age(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn forget_after(text: &str) -> Result<Option<Duration>, Error> {
    if text == "never" {
        return Ok(None);
    }
    let age = age(text).filter(|age| *age > 0);
    let age = age.ok_or_else(|| Error::ForgetAfter(text.to_owned()))?;
    Ok(Some(Duration::from_secs(age)))
}

/// The delay is useful only for balancers, and only with `--metrics`.
fn drain_delay(options: &RelayOptions) -> Result<Duration, Error> {
    let Some(text) = &options.sharing.drain_delay else {
        let has_balancer = !options.proxy.proxy_protocol.is_empty() && options.metrics.is_some();
        return Ok(if has_balancer { DRAIN } else { Duration::ZERO });
    };
    let delay = age(text).map(Duration::from_secs);
    let delay = delay.filter(|delay| *delay <= LONGEST_DRAIN);
    delay.ok_or_else(|| Error::DrainDelay(text.to_owned()))
}

/// The database of `--store`.
fn store(url: Option<&str>) -> Result<Option<postgres::Settings>, Error> {
    let settings = url.map(postgres::Settings::parse).transpose();
    settings.map_err(Error::Store)
}

/// The state folder: from the flag, systemd's variable, or the default.
#[must_use]
pub fn state(flag: Option<&Path>, variable: Option<&OsStr>) -> PathBuf {
    let first = |list: &OsStr| std::env::split_paths(list).next();
    let variable = || {
        variable
            .and_then(first)
            .filter(|path| !path.as_os_str().is_empty())
    };
    let flag = flag.map(Path::to_owned);
    flag.or_else(variable).unwrap_or_else(|| STATE.into())
}

/// A host for a URL: a name, an IPv4 address, or an IPv6 address, which gets brackets.
fn hostname(text: &str) -> Result<String, Error> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    // Digits and dots alone must be a valid address.
    let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !is_host_name(text) || numeric && text.parse::<Ipv4Addr>().is_err() {
        return Err(Error::Hostname(text.to_owned()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
