//! The subcommands and their flags.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    CaOptions, CheckOptions, DoctorOptions, HealthOptions, HostsOptions, SetupOptions, ShellKind,
    StoreOptions, WindowsOptions,
};

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write a first configuration, check it, and print what to do on the Windows hosts
    ///
    /// Prompts on the terminal for values that no flag gives; without a terminal, --for and
    /// --hostname are required. Writes wecrelay.toml with a comment on each key, and
    /// subscriptions/logs.xml. Existing files stay, unless --force is given. Prompts again after
    /// an invalid answer; an invalid flag ends it before anything is written.
    ///
    /// Exit code 0: written, and checked if no key or certificate is missing. 1: a file cannot
    /// be written, or the check has findings. 2: an answer is missing or invalid.
    ///
    /// Example: wecrelay init --for workgroup --hostname collector.example.com
    /// --anonymous 192.0.2.0/24 /etc/wecrelay
    Init(SetupOptions),
    /// Verify all flags and files, and show what the relay would do with them
    ///
    /// Accepts the flags of the relay. Prints the addresses to listen on and whether they are
    /// free, which hosts are allowed, the certificates, the subscriptions with their queries,
    /// problems in the queries, and the outputs. Does not listen, store, or send anything.
    ///
    /// Exit code 0: the relay would start, and nothing was found. 1: it would start, but a query
    /// has a problem, or with --probe an output does not answer correctly. 2: it would not
    /// start.
    Check(Box<CheckOptions>),
    /// Find out why events do not arrive, and how to fix it
    ///
    /// Accepts the flags of the running relay. Checks the clock, DNS names, the keytab,
    /// certificates, ports and the services that answer on them, outputs, and the state folder.
    /// Each finding has a reason, a remedy, commands to run on the Windows host, and the log and
    /// event to look for there. Changes nothing, and sends no event.
    ///
    /// Exit code 0: nothing keeps events from arriving. 1: something does. 2: the flags are
    /// invalid.
    ///
    /// Example: wecrelay doctor --config /etc/wecrelay/wecrelay.toml ws-07.example.com
    Doctor(Box<DoctorOptions>),
    /// Show the hosts: the state of each, what it has sent, what is missing, and why
    ///
    /// Reads the state folder, whether or not the relay runs (it writes the folder every five
    /// seconds). Exit code 2: the folder does not exist, or has no hosts.
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
    /// Accepts the flags of the relay, and prints the matching policy string, rights, services,
    /// and certificates: as text, a registry file, a PowerShell script, an Intune profile, or an
    /// Ansible playbook, and a script that reverts the changes. The relay's name is taken from
    /// --hostname, or else from --listen, the certificate, or the keytab.
    ///
    /// Example: wecrelay windows --form powershell --hostname collector.example.com
    /// --keytab /etc/wecrelay/collector.keytab
    Windows(Box<WindowsOptions>),
    /// Simulate Windows hosts: fetch a subscription and push events to a collector
    ///
    /// Works with any collector that allows null sessions, the account of --user, or the
    /// certificate of --cert or --pfx. Use it for a first trial, to test a setup, or to generate
    /// load. Prints how many events were acknowledged.
    Send(SendOptions),
    /// Copy the relay's state to or from PostgreSQL, or print the tables for it
    Store(StoreOptions),
    /// Print a line for the file of --users
    ///
    /// Prompts for the password twice on the terminal, or reads it from the first line of
    /// standard input if that is not a terminal. Prints the line to standard output.
    Passwd(PasswdOptions),
    /// Create certificates for hosts without a domain: a small certificate authority
    ///
    /// In this order: init, server, host. None of them overwrites files that it did not create.
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
    /// Events to send: a file of <Event> elements, for example one per line
    ///
    /// Default: a few sample events.
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// How many events to send in all; the file is repeated as needed
    ///
    /// Default: each event once, from each host.
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,
    /// At most this many events per second
    ///
    /// Default: as fast as the collector acknowledges.
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// At most this many events in one batch
    #[arg(long, value_name = "N", default_value = "50")]
    pub batch: NonZeroU32,
    /// Name of the simulated host (MachineID)
    #[arg(long, value_name = "NAME", default_value = "sender.example.com")]
    pub machine: String,
    /// How many hosts to simulate, each with its own connections
    ///
    /// With more than one they are called NAME-0001 and so on, after --machine, and share --count
    /// and --rate.
    #[arg(long, value_name = "N", default_value = "1")]
    pub hosts: NonZeroU32,
    /// Push to the subscription of this name
    ///
    /// Default: the first one offered.
    #[arg(long, value_name = "NAME")]
    pub subscription: Option<String>,
    /// Log on with this account (NTLM) instead of a null session
    ///
    /// Prompts for the password on the terminal, or reads it from the first line of standard
    /// input if that is not a terminal.
    #[arg(long, value_name = "[DOMAIN\\]USER", group = "secret")]
    pub user: Option<String>,
    /// Read the password of --user or --pfx from the first line of this file
    #[arg(long, value_name = "FILE", requires = "secret")]
    pub password_file: Option<PathBuf>,
    /// Certificate of the simulated host (PEM), for https
    ///
    /// As "wecrelay ca host" creates it, followed by intermediate issuers if there are any.
    /// Without --user it is the only credential.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Private key of --cert (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Certificate and key of the simulated host in one file (PKCS #12), for https
    ///
    /// Its password is read like that of --user.
    #[arg(long, value_name = "FILE", group = "secret", conflicts_with = "cert")]
    pub pfx: Option<PathBuf>,
    /// Authorities of the collector's certificate (PEM), for https
    ///
    /// Replaces the authorities that the system trusts, which are the default.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Compress bodies (SLDC) if the subscription requests it
    #[arg(long)]
    pub sldc: bool,
}

/// The arguments of `wecrelay passwd`.
#[derive(Args, Clone, Debug)]
pub struct PasswdOptions {
    /// Print the line that --digest needs, with hashes for SHA-256 and MD5
    ///
    /// Clients show the realm when they prompt for a password: 1 to 255 ASCII characters without
    /// colon, quote and backslash. All Digest lines of a file must have the same realm. Write
    /// the account exactly as clients send it.
    ///
    /// Example: wecrelay passwd --digest 'Event collector' 'ACME\collector'
    #[arg(long, value_name = "REALM")]
    pub digest: Option<String>,

    /// The account; without DOMAIN it matches any domain
    #[arg(value_name = "[DOMAIN\\]USER")]
    pub account: String,
}
