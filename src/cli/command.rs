//! The subcommands and their flags.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use super::{
    CaOptions, CheckOptions, DoctorOptions, HealthOptions, HostsOptions, ShellKind, StoreOptions,
    WindowsOptions,
};
use clap::{Args, Subcommand};

/// What people do around the relay.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Verify all flags and files, and say what the relay would do with them
    ///
    /// Takes the flags of the relay. Prints where it listens and whether that is free, who
    /// gets in, its certificates, which subscriptions with which queries it offers to whom,
    /// what is wrong with the queries, and where events go. Nothing is listened on or stored,
    /// and no event is sent.
    ///
    /// Exit code 0: it would start, and nothing was found. 1: it would start, but a query
    /// has a finding, or with --probe an output does not answer as it should. 2: it would
    /// not start.
    Check(Box<CheckOptions>),
    /// Look for what keeps events from coming, and say what to do about it
    ///
    /// Takes the flags of the relay that runs. Looks at clock, names in DNS, the keytab,
    /// certificates, ports and what answers there, outputs and the state folder. For each
    /// finding it says why that matters, what to do, what to type on the Windows host, and
    /// which event of which log to look at there. Nothing is changed, and no event is sent.
    ///
    /// Exit code 0: nothing stops events. 1: something does. 2: flags that are no flags.
    ///
    /// Example: wecrelay doctor --config /etc/wecrelay.toml ws-07.example.com
    Doctor(Box<DoctorOptions>),
    /// Show the hosts: how each of them is, what it has sent, what is missing, and why
    ///
    /// Reads the state folder, while the relay runs (which writes it every five seconds) and
    /// after. Exit code 2: there is no such folder, or it holds no hosts.
    #[command(visible_alias = "sources")]
    Hosts(HostsOptions),
    /// Check that a running relay is healthy, for the health check of a container
    ///
    /// Requests /healthz, or /readyz with --ready, at the address of --metrics, and prints the
    /// answer. Gives up after 3 s.
    ///
    /// Exit code 0: healthy. 1: no answer, or not ready, with the reasons. 2: not an address.
    ///
    /// Example: wecrelay health --ready 127.0.0.1:9598
    Health(HealthOptions),
    /// Print what Windows hosts need in order to forward to this relay
    ///
    /// Takes the flags of the relay, and fits them: policy string, rights, services and
    /// certificates, as text, as a registry file, for PowerShell, Intune or Ansible; and what
    /// undoes it. The relay's name is that of --hostname, or else of --listen, of the
    /// certificate or of the keytab.
    ///
    /// Example: wecrelay windows --form powershell --hostname collector.example.com
    /// --keytab /etc/wecrelay/collector.keytab
    Windows(Box<WindowsOptions>),
    /// Play Windows hosts: fetch a subscription and push events to a collector
    ///
    /// Works against any collector that lets null sessions in, or the account of
    /// --user; for a try, to test a set-up, or as load. Prints what was
    /// acknowledged.
    Send(SendOptions),
    /// Move what the relay remembers to or from PostgreSQL, or print the tables for it
    Store(StoreOptions),
    /// Make a line for the file of --users
    ///
    /// Asks for the password twice on the terminal, or reads it from the first
    /// line of standard input if that is not a terminal. The line goes to standard
    /// output.
    Passwd(PasswdOptions),
    /// Make certificates for hosts without a domain: a small authority
    ///
    /// In this order: init, server, host. None of them overwrites what it did not make.
    Ca(CaOptions),
    /// Print the completions for a shell
    ///
    /// bash: source it, or put it as wecrelay into /usr/share/bash-completion/completions.
    /// zsh: as _wecrelay into a folder of $fpath. fish: as wecrelay.fish into
    /// /usr/share/fish/vendor_completions.d. The packages have all three.
    Completions(CompletionsOptions),
}

/// The arguments of `wecrelay completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsOptions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: ShellKind,
}

/// The flags of `wecrelay send`.
#[derive(Args, Clone, Debug)]
pub struct SendOptions {
    /// The collector's subscription manager, http or https
    #[arg(default_value = "http://127.0.0.1:5985/wsman/SubscriptionManager/WEC")]
    pub url: String,
    /// Events to send: a file of <Event> elements, such as one a line
    ///
    /// Default: a few sample events.
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// How many events to send in all; the file is repeated as needed
    ///
    /// Default: each event once, from each host.
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,
    /// At most this many events a second
    ///
    /// Default: as fast as the collector acknowledges.
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// At most this many events in one batch
    #[arg(long, value_name = "N", default_value = "50")]
    pub batch: NonZeroU32,
    /// The name that the played host gives itself (MachineID)
    #[arg(long, value_name = "NAME", default_value = "sender.example.com")]
    pub machine: String,
    /// How many hosts to play, each with connections of its own
    ///
    /// With more than one they are called NAME-0001 and so on, after --machine, and
    /// share --count and --rate.
    #[arg(long, value_name = "N", default_value = "1")]
    pub hosts: NonZeroU32,
    /// Push to the subscription of this name
    ///
    /// Default: the first one offered.
    #[arg(long, value_name = "NAME")]
    pub subscription: Option<String>,
    /// Log on with this account (NTLM) instead of a null session
    ///
    /// Its password is asked for on the terminal, or is the first line of standard
    /// input if that is not a terminal.
    #[arg(long, value_name = "[DOMAIN\\]USER", group = "secret")]
    pub user: Option<String>,
    /// Take the password of --user or --pfx from the first line of this file
    #[arg(long, value_name = "FILE", requires = "secret")]
    pub password_file: Option<PathBuf>,
    /// Certificate of the played host (PEM), for https
    ///
    /// As "wecrelay ca host" makes it, with the issuers behind it if there are intermediate
    /// ones. Without --user nothing else is shown.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Private key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Certificate and key of the played host in one file (PKCS #12), for https
    ///
    /// Its password is taken as that of --user is.
    #[arg(long, value_name = "FILE", group = "secret", conflicts_with = "cert")]
    pub pfx: Option<PathBuf>,
    /// Authorities of the collector's certificate (PEM), for https
    ///
    /// Default: those that the system trusts.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Compress what is delivered (SLDC), where the subscription asks for it
    #[arg(long)]
    pub sldc: bool,
}

/// The arguments of `wecrelay passwd`.
#[derive(Args, Clone, Debug)]
pub struct PasswdOptions {
    /// Make the line that --digest needs, with hashes for SHA-256 and MD5
    ///
    /// Hosts are shown the realm when they are asked for a password: 1 to 255 ASCII
    /// characters without colon, quote and backslash. All Digest lines of a file must be
    /// of one realm. The account is to be written exactly as hosts will write it.
    ///
    /// Example: wecrelay passwd --digest 'Event collector' 'ACME\collector'
    #[arg(long, value_name = "REALM")]
    pub digest: Option<String>,

    /// The account; without DOMAIN it fits any domain
    #[arg(value_name = "[DOMAIN\\]USER")]
    pub account: String,
}
