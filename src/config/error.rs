//! Why the command line was rejected, with what is allowed instead.

use std::{fmt, io};

use ipnet::IpNet;

use super::Flag;
use crate::event::filter;
use crate::output;
use crate::store::postgres;
use crate::syslog::Facility;
use crate::system::privileges;

/// What is wrong with the command line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No authentication method is enabled.
    NoMethod,
    /// `--ntlmv1` without accounts.
    Ntlmv1,
    /// `--require-computer-match=refuse` beside `--anonymous`.
    Computers,
    /// The command of `--ntlm-helper` cannot be split into words.
    Helper(String),
    /// `--listen` without `http://`.
    ListenScheme(String),
    /// `--listen https://` without a certificate.
    NoCertificate(String),
    /// A certificate without an https listener.
    NoHttps,
    /// Different numbers of keys and certificates.
    Pairs {
        /// Number of certificates.
        certificates: usize,
        /// Number of keys.
        keys: usize,
    },
    /// The value of `--store` is not a database URL.
    Store(postgres::UrlError),
    /// The value of `--drain-delay` is not a duration, or too long.
    DrainDelay(String),
    /// The value of `--forget-after` is not an age.
    ForgetAfter(String),
    /// `--allow-password-without-tls` without `--basic` and `--digest`.
    NoPassword,
    /// This flag has no effect, because no listener would offer the method.
    PasswordListener(&'static str),
    /// `--listen` with a path.
    ListenPath(String),
    /// An invalid host or port in `--listen`.
    Listen {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        source: output::Error,
    },
    /// The host name in `--listen` has no address.
    Resolve {
        /// The URL as it was given.
        url: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// A value given twice.
    Twice {
        /// The flag, with its dashes.
        flag: &'static str,
        /// The value as it was given.
        value: String,
    },
    /// An invalid `--output`.
    Output {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        source: output::Error,
    },
    /// An invalid rule in `--only` or `--drop`.
    Rule {
        /// The flag, with its dashes.
        flag: &'static str,
        /// The rule.
        rule: String,
        /// What is wrong with it.
        source: filter::Error,
    },
    /// `--log-to-outputs`, and an output whose messages have no header.
    LogWithoutHeader(String),
    /// Two outputs with the same target, which would get every event twice.
    SameOutput {
        /// The earlier value.
        first: String,
        /// The later one.
        second: String,
    },
    /// A value that is not a network.
    Network {
        /// The flag, with its dashes.
        flag: &'static str,
        /// The value as it was given.
        value: String,
    },
    /// A network with host bits set.
    HostBits {
        /// The flag, with its dashes.
        flag: &'static str,
        /// The value as it was given.
        value: String,
        /// The network that contains it.
        network: IpNet,
    },
    /// The value of `--hostname` cannot be part of a URL.
    Hostname(String),
    /// The value of `--channel` cannot be the name of a channel.
    Channel(String),
    /// An unknown `--facility`.
    Facility(String),
    /// The value of `--metrics` is not an address and port.
    Metrics(String),
    /// The account of `--user` or `--group` cannot be used.
    Account(privileges::Error),
}

impl Error {
    /// The flag that is at fault; `None` if any of several would fix the problem.
    #[must_use]
    pub fn flag(&self) -> Option<Flag> {
        Some(match self {
            Self::NoMethod => return None,
            Self::Ntlmv1 => Flag::new("--ntlmv1"),
            Self::Computers => Flag::new("--require-computer-match"),
            Self::Helper(command) => Flag::with("--ntlm-helper", command),
            Self::ListenScheme(url)
            | Self::NoCertificate(url)
            | Self::ListenPath(url)
            | Self::Listen { url, .. }
            | Self::Resolve { url, .. } => Flag::with("--listen", url),
            Self::NoHttps | Self::Pairs { .. } => Flag::new("--tls-cert"),
            Self::Store(_) => Flag::new("--store"),
            Self::DrainDelay(text) => Flag::with("--drain-delay", text),
            Self::ForgetAfter(text) => Flag::with("--forget-after", text),
            Self::NoPassword => Flag::new("--allow-password-without-tls"),
            Self::PasswordListener(flag) => Flag::new(flag),
            Self::Twice { flag, value }
            | Self::Network { flag, value }
            | Self::HostBits { flag, value, .. } => Flag::with(flag, value),
            Self::Rule { flag, rule, .. } => Flag::with(flag, rule),
            Self::Output { url, .. }
            | Self::LogWithoutHeader(url)
            | Self::SameOutput { second: url, .. } => Flag::with("--output", url),
            Self::Hostname(value) => Flag::with("--hostname", value),
            Self::Channel(value) => Flag::with("--channel", value),
            Self::Facility(value) => Flag::with("--facility", value),
            Self::Metrics(value) => Flag::with("--metrics", value),
            Self::Account(error) => Flag::of_account(error),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMethod => f.write_str(
                "no host could authenticate: use --keytab FILE (Kerberos, for hosts of a domain), --anonymous CIDR (hosts of that network, no credentials), \
                 --users FILE (accounts), --ntlm-helper COMMAND (accounts of the domain), --client-ca \
                 FILE (certificates), or several of them; for example --anonymous 192.0.2.0/24",
            ),
            Self::Ntlmv1 => {
                f.write_str("--ntlmv1: has no effect; it requires --users or --ntlm-helper")
            }
            Self::Computers => f.write_str(
                "--require-computer-match=refuse: null sessions (--anonymous) have no identity to \
                 compare Computer with, so an attacker would use one; use \
                 --require-computer-match=mark, or no --anonymous",
            ),
            Self::Helper(text) => write!(
                f,
                "--ntlm-helper {text}: not a command; allowed are a program and its arguments, with \
                 each quote closed, for example ntlm_auth --helper-protocol=ntlm-server-1"
            ),
            Self::ListenScheme(url) => write!(
                f,
                "--listen {url}: allowed are http://ADDR[:PORT] and https://ADDR[:PORT], for example \
                 http://0.0.0.0:5985"
            ),
            Self::NoCertificate(url) => {
                write!(f, "--listen {url}: https needs --tls-cert and --tls-key")
            }
            Self::NoHttps => f.write_str(
                "--tls-cert: no listener uses it; allowed with --listen https://ADDR[:PORT]",
            ),
            Self::Pairs { certificates, keys } => write!(
                f,
                "--tls-cert and --tls-key belong together: {certificates} of one, {keys} of the other"
            ),
            Self::NoPassword => f.write_str(
                "--allow-password-without-tls: has no effect; it requires --basic or --digest",
            ),
            Self::Store(error) => write!(f, "--store: {error}"),
            Self::DrainDelay(text) => write!(
                f,
                "--drain-delay {text}: allowed is a time with s or m from 0s to 10m, such as 10s"
            ),
            Self::ForgetAfter(text) => write!(
                f,
                "--forget-after {text}: allowed is an age with s, m, h, d or w, such as 90d, or never"
            ),
            Self::PasswordListener(flag) => write!(
                f,
                "{flag}: no listener offers it; use --listen https://ADDR[:PORT], or \
                 --allow-password-without-tls if the network can be trusted"
            ),
            Self::Metrics(value) => write!(
                f,
                "--metrics {value}: allowed is ADDRESS:PORT, for example 127.0.0.1:9598 or [::1]:9598"
            ),
            Self::Account(error) => write!(f, "{error}"),
            Self::ListenPath(url) => write!(
                f,
                "--listen {url}: a path is not allowed, since hosts are answered on every path; \
                 allowed is http://ADDR[:PORT]"
            ),
            // The sources of these three follow after a colon.
            Self::Listen { url, .. } | Self::Resolve { url, .. } => write!(f, "--listen {url}"),
            Self::Output { url, .. } => write!(f, "--output {url}"),
            Self::Twice { flag, value } => write!(f, "{flag} {value}: given twice"),
            Self::Rule { flag, source, .. } => write!(f, "{flag}: {source}"),
            Self::LogWithoutHeader(url) => write!(
                f,
                "--output {url}: the relay's own log, which --log-to-outputs sends there, needs a \
                 header; use header=rfc5424 or header=rfc3164, or omit --log-to-outputs"
            ),
            Self::SameOutput { first, second } => write!(
                f,
                "--output {second}: is the same destination as {first}, so every event would \
                 arrive there twice; remove one of them"
            ),
            Self::Network { flag, value } => write!(
                f,
                "{flag} {value}: allowed is ADDRESS or ADDRESS/BITS, for example 192.0.2.0/24 or \
                 2001:db8::7"
            ),
            Self::HostBits {
                flag,
                value,
                network,
            } => write!(
                f,
                "{flag} {value}: the address has bits beyond the prefix; use {network} for the \
                 network, or omit the prefix for a single host"
            ),
            Self::Hostname(value) => write!(
                f,
                "--hostname {value}: allowed is a host name or an IP address without scheme and port, \
                 for example collector.example.com"
            ),
            Self::Channel(value) => write!(
                f,
                "--channel {value}: not a channel name; allowed is what \"wevtutil el\" \
                 prints, for example Security"
            ),
            Self::Facility(value) => write!(
                f,
                "--facility {value}: allowed are auto, a number from 0 to 23, and {}",
                Facility::NAMES.join(", ")
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::Output { source, .. } => Some(source),
            Self::Resolve { source, .. } => Some(source),
            _ => None,
        }
    }
}
