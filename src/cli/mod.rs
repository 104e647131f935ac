//! What can be typed: clap definitions and nothing else.
//!
//! The help texts here are also the OPTIONS section of `man/wecrelay.8`
//! (`tests/man.rs` compares them). Values are checked in [`crate::config`].

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    rustdoc::bare_urls,
    reason = "the comments are help texts for a terminal"
)]

mod bindings;
mod ca;
mod command;
mod file;
mod health;
mod hosts;
mod kerberos;
mod kinds;
mod output;
mod password;
mod proxy;
mod reports;
mod sharing;
mod state;
mod store;
mod verbosity;
mod verify;
mod windows;

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser};

pub use bindings::BindingOptions;
pub use ca::{
    CaCommand, CaOptions, CrlOptions, HostOptions, InitOptions, KeyKind, ManagerOptions, PfxKind,
    PolicyOptions, RevokeOptions, ServerOptions,
};
pub use command::{Command, CompletionsOptions, PasswdOptions, SendOptions};
pub use file::FileOption;
pub use health::HealthOptions;
pub use hosts::HostsOptions;
pub use kerberos::KerberosOptions;
pub use kinds::{BindingsKind, LogFormat, MessageKind, MismatchKind, ShellKind};
pub use password::PasswordOptions;
pub use proxy::ProxyOptions;
pub use reports::ReportOptions;
pub use sharing::SharingOptions;
pub use state::StateOptions;
pub use store::{StoreCommand, StoreCopyOptions, StoreOptions};
pub use verbosity::Verbosity;
pub use verify::{CheckOptions, DoctorOptions};
pub use windows::{HostKind, WindowsForm, WindowsOptions};

/// Take the events that Windows hosts forward and hand them to a syslog server.
///
/// wecrelay is a Windows Event Collector: hosts are told its address by group
/// policy, fetch subscriptions from it and push their events. Each event
/// becomes one RFC 5424 message. A batch is acknowledged to its host only after
/// every output has delivered it.
///
/// Every way of getting in is off until a flag turns it on: give at least one
/// of --keytab, --anonymous, --users, --ntlm-helper and --client-ca.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "wecrelay",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Options {
    /// What to run instead of the relay.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of the relay itself.
    #[command(flatten)]
    pub relay: RelayOptions,
    /// How much is logged; for the subcommands too.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// The flags of the relay, as typed.
#[derive(Args, Clone, Debug)]
pub struct RelayOptions {
    /// Address to listen on: http://ADDR[:PORT] or https://ADDR[:PORT]
    ///
    /// Repeatable. The port is 5985, for https 5986, if left out; port 0 takes a
    /// free one, which is logged. https needs --tls-cert and --tls-key. IPv6 addresses
    /// stand in brackets. A name is resolved once, at the start, and all its addresses
    /// are listened on. Default: port 5985 on 0.0.0.0 and, where the system has IPv6,
    /// on [::].
    ///
    /// Example: --listen http://192.0.2.10:5985 --listen 'http://[2001:db8::10]'
    #[arg(short, long, value_name = "URL", help_heading = "Sources")]
    pub listen: Vec<String>,

    /// Let hosts of this network in without a credential: ADDRESS[/BITS]
    ///
    /// Repeatable; a bare address is one host. Such hosts use an NTLM null
    /// session, as Windows hosts outside a domain do. Default: none.
    ///
    /// Danger: a null session gives neither identity nor secrecy. Whoever can send
    /// from such an address can forge events of any host; whoever recorded a
    /// session's handshake can read it. Such events are marked
    /// Auth="ntlm-anonymous".
    ///
    /// Example: --anonymous 192.0.2.0/24 --anonymous 2001:db8::7
    #[arg(long, value_name = "CIDR", help_heading = "Sources")]
    pub anonymous: Vec<String>,

    /// Hosts of a domain.
    #[command(flatten)]
    pub kerberos: KerberosOptions,

    /// File of the accounts that hosts may authenticate with (NTLM)
    ///
    /// One account a line, hashed; "wecrelay passwd" makes such lines. They are for
    /// NTLM, and with --basic and --digest for these too. Default: none.
    ///
    /// Danger: the hash of a line is as good as its password for getting in.
    /// Keep the file readable by the relay only.
    ///
    /// Example: --users /etc/wecrelay/users
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub users: Option<PathBuf>,

    /// Basic and Digest.
    #[command(flatten)]
    pub passwords: PasswordOptions,

    /// Have accounts of the domain verified by this command (NTLM)
    ///
    /// Accounts that are not in --users are asked of it, in the protocol ntlm-server-1 of
    /// Samba's ntlm_auth(1): winbind, joined to the domain, asks a domain controller. The
    /// relay must be in the group that may open winbind's privileged pipe (on Debian
    /// winbindd_priv). Words are split at blanks; quotes and backslashes hold them
    /// together as in a shell, which is not involved. The command is tried at the start,
    /// is started again when it ends, and anew on SIGHUP. Default: none.
    ///
    /// While the domain cannot be asked, its hosts get 401 and come again; that is logged.
    ///
    /// Example: --ntlm-helper 'ntlm_auth --helper-protocol=ntlm-server-1'
    #[arg(long, value_name = "COMMAND", help_heading = "Sources")]
    pub ntlm_helper: Option<String>,

    /// How many processes of --ntlm-helper run: 1 to 64
    ///
    /// Each verifies one account at a time, within 10 s; more accounts wait.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u8).range(1..=64),
        requires = "ntlm_helper",
        help_heading = "Sources"
    )]
    pub ntlm_helpers: u8,

    /// Certificate chain of https listeners (PEM), the host's own first
    ///
    /// Repeatable, with a --tls-key each: a client gets the one that has the name it
    /// asks for, or else the first. It must be valid now; from 30 days before its end
    /// on, that is logged daily. SIGHUP reads it anew.
    ///
    /// Example: --tls-cert /etc/wecrelay/collector.pem --tls-key /etc/wecrelay/collector.key
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        help_heading = "Sources"
    )]
    pub tls_cert: Vec<PathBuf>,

    /// Private key of the --tls-cert in the same place (PEM, without a password)
    ///
    /// Danger: whoever has the key can play this collector to the hosts. Keep the file
    /// readable by the relay only.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        help_heading = "Sources"
    )]
    pub tls_key: Vec<PathBuf>,

    /// Let hosts in by client certificates that these authorities issued (PEM)
    ///
    /// The file may hold several authorities, with the intermediate ones that Windows
    /// does not send. A certificate must be for client authentication; its common
    /// name, or else its first DNS name, is the host's identity. Hosts without one may
    /// still come by --anonymous or --users. Only on https listeners. SIGHUP reads it
    /// anew. Default: no client certificates.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        help_heading = "Sources"
    )]
    pub client_ca: Option<PathBuf>,

    /// Revocation lists of the authorities in --client-ca (PEM)
    ///
    /// Nobody of an authority gets in whose list is missing or has expired; start and check
    /// name it. A root in --client-ca needs its list too. Lists must be complete: parts by
    /// reason, indirect ones and lone deltas are refused. SIGHUP reads it anew.
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_ca",
        help_heading = "Sources"
    )]
    pub crl: Option<PathBuf>,

    /// Let certificates in that no list of --crl covers
    ///
    /// An expired list still keeps its hosts out. SIGHUP reads it anew.
    ///
    /// Danger: nobody can be kept out whose authority has no list.
    #[arg(long, requires = "crl", help_heading = "Sources")]
    pub crl_partial: bool,

    /// Have each TLS connection of a host begin with a whole handshake
    ///
    /// Default: a host may take up the session of an earlier connection, for half a day, with
    /// what is in its ticket, whose keys are in the relay's memory only. Its certificate is
    /// judged as of now, and a change of --client-ca, --crl or --tls-cert ends all sessions.
    #[arg(long, requires = "tls_cert", help_heading = "Sources")]
    pub no_tls_resume: bool,

    /// Also take NTLMv1 answers (with extended session security)
    ///
    /// Needs --users or --ntlm-helper. Default: only NTLMv2. A domain may refuse them all
    /// the same.
    ///
    /// Danger: from one recorded NTLMv1 logon an attacker with rented hardware
    /// computes the account's hash (single DES), and can then log on as it anywhere.
    #[arg(long, help_heading = "Sources")]
    pub ntlmv1: bool,

    /// How logons are tied to their TLS connection.
    #[command(flatten)]
    pub bindings: BindingOptions,

    /// Also take bodies that are not sealed, after authentication
    ///
    /// Default: on http listeners a body that is not sealed is refused.
    ///
    /// Danger: an attacker between host and relay can read, change and add events:
    /// without sealing, authentication vouches for nothing that follows it.
    #[arg(long, help_heading = "Sources")]
    pub allow_unencrypted: bool,

    /// Only take events whose Computer is the authenticated host
    ///
    /// Accounts, principals and certificates are compared with Computer by the host's name,
    /// without case, and by its domain where both sides name one: the account
    /// DOM\WIN10$, the principal WIN10$@DOM.EXAMPLE and a certificate for
    /// win10.dom.example may send events of WIN10.dom.example or WIN10. A host whose DNS
    /// domain is not its realm has to be exempt. Default: Computer is not looked at.
    ///
    /// refuse (also with no value): a batch with an event of another host is answered 403,
    /// whole, and logged. The source keeps it and sends it again, so nothing is lost; but it
    /// gets no further until it is exempt, or its log has gone on. That concerns a host that
    /// was renamed, too. Null sessions have no identity: --anonymous does not go with it.
    ///
    /// mark: such an event goes out with ComputerMismatch="HOST", the authenticated host. Those
    /// of null sessions are not compared; they have Auth="ntlm-anonymous".
    #[arg(
        long,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "refuse",
        value_enum,
        help_heading = "Sources"
    )]
    pub require_computer_match: Option<MismatchKind>,

    /// An identity that may send events of other hosts, such as a collector between
    ///
    /// Repeatable. As in Identity of its events; * stands for any characters, ? for one,
    /// case does not matter.
    ///
    /// Example: --computer-exempt 'WEC01$@DOM.EXAMPLE' --computer-exempt 'wec*.dom.example'
    #[arg(
        long,
        value_name = "IDENTITY",
        requires = "require_computer_match",
        help_heading = "Sources"
    )]
    pub computer_exempt: Vec<String>,

    /// Load balancers.
    #[command(flatten)]
    pub proxy: ProxyOptions,

    /// Several relays.
    #[command(flatten)]
    pub sharing: SharingOptions,

    /// The relay's name in the addresses that hosts push to
    ///
    /// A host name or an IP address that the hosts can reach, without scheme and
    /// port. Default: the name by which the host itself came, from the To header
    /// of its request.
    ///
    /// Example: --hostname collector.example.com
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub hostname: Option<String>,

    /// Subscription file, or folder of them (*.xml)
    ///
    /// Repeatable. The XML is the one that "wecutil gs NAME /f:xml" prints and
    /// "wecutil cs FILE" reads. Hosts get as many as there are, in several answers
    /// if need be; "wecrelay check" says how large they are together. Default: see
    /// --channel.
    ///
    /// Example: --subscription /etc/wecrelay/subscriptions
    #[arg(short, long, value_name = "PATH", help_heading = "Events")]
    pub subscription: Vec<PathBuf>,

    /// Subscribe to all events of a channel
    ///
    /// Repeatable, and may stand beside --subscription. Default, if neither is
    /// given: Application, Security, Setup and System.
    ///
    /// Example: --channel Security --channel Microsoft-Windows-Sysmon/Operational
    #[arg(short, long, value_name = "NAME", help_heading = "Events")]
    pub channel: Vec<String>,

    /// What hosts report themselves.
    #[command(flatten)]
    pub reports: ReportOptions,

    /// Where events go: udp, tcp, tls, relp, unix, file or stdout
    #[arg(short, long, value_name = "URL", long_help = output::HELP, help_heading = "Events")]
    pub output: Vec<String>,

    /// What the MSG part of a message holds, unless an output says otherwise
    ///
    /// With text, xml and json, structured data has the event's fields too; the others are
    /// layouts that products for security events read without a parser of your own. Hosts are
    /// asked to render the message text, which about doubles what they send, only if some
    /// output has text, ecs, nxlog or snare.
    #[arg(
        long,
        value_name = "KIND",
        value_enum,
        default_value_t,
        help_heading = "Events"
    )]
    pub message: MessageKind,

    /// Syslog facility: auto, a name such as local3, or a number from 0 to 23
    ///
    /// auto: authpriv for events of the Security channel, user for all others.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "auto",
        help_heading = "Events"
    )]
    pub facility: String,

    /// Private enterprise number in the names of structured data (event@N, data@N)
    ///
    /// The default is the number that RFC 5612 reserves for documentation.
    #[arg(
        long,
        value_name = "N",
        default_value = "32473",
        help_heading = "Events"
    )]
    pub enterprise: NonZeroU32,

    /// Put the UTF-8 byte order mark before MSG
    ///
    /// RFC 5424 asks for it, yet most receivers show it as text. Default: no mark.
    #[arg(long, help_heading = "Events")]
    pub bom: bool,

    /// What the relay remembers.
    #[command(flatten)]
    pub memory: StateOptions,

    /// Show a status page, metrics and health over HTTP at this address: ADDRESS:PORT
    ///
    /// GET / is a page for people: hosts and how they are, outputs, refusals. /metrics is
    /// for Prometheus; /healthz answers while the relay lives, /readyz while events can be
    /// delivered, else it says what is in the way. The page wants to be asked by an address
    /// or a name of this machine, that of --hostname included. Default: none.
    ///
    /// Danger: whoever reaches the address can read it, without authentication. It names
    /// hosts with their accounts and addresses, subscriptions and outputs, no events.
    ///
    /// Example: --metrics 127.0.0.1:9598
    #[arg(long, value_name = "ADDR", help_heading = "Relay")]
    pub metrics: Option<String>,

    /// Become this user after the ports are bound; only root can
    ///
    /// With the user's groups. Files that the relay rereads (--users, certificates,
    /// subscriptions) must be readable by the user too, or SIGHUP keeps the old ones; a
    /// missing --state folder is made for the user. Under systemd, User= or DynamicUser=
    /// does the same. Default: stay who we are.
    #[arg(long, value_name = "NAME", help_heading = "Relay")]
    pub user: Option<String>,

    /// Become a member of this group after the ports are bound; only root can
    ///
    /// Default: the group of --user.
    #[arg(long, value_name = "NAME", help_heading = "Relay")]
    pub group: Option<String>,

    /// Where more flags stand.
    #[command(flatten)]
    pub file: FileOption,
}
