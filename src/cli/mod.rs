//! The command line: clap definitions and nothing else.
//!
//! The help texts here are also the OPTIONS section of `man/wecrelay.8`; `tests/man.rs`
//! verifies that. [`crate::config`] checks the values.

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
mod setup;
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
pub use output::FilterOptions;
pub use password::PasswordOptions;
pub use proxy::ProxyOptions;
pub use reports::ReportOptions;
pub use setup::SetupOptions;
pub use sharing::SharingOptions;
pub use state::StateOptions;
pub use store::{StoreCommand, StoreCopyOptions, StoreOptions};
pub use verbosity::Verbosity;
pub use verify::{CheckOptions, DoctorOptions};
pub use windows::{HostKind, WindowsForm, WindowsOptions};

/// The enterprise number of whoever builds it: `WECRELAY_ENTERPRISE`, 1 to 4294967295.
const ENTERPRISE: &str = match option_env!("WECRELAY_ENTERPRISE") {
    Some(number) => number,
    None => "32473",
};
// Checked at compile time: otherwise the program would reject its own default at every
// start.
const _: () = assert!(
    matches!(u32::from_str_radix(ENTERPRISE, 10), Ok(1..)),
    "WECRELAY_ENTERPRISE must be a number from 1 to 4294967295"
);

/// Collect events that Windows hosts forward, and send them to a syslog server.
///
/// wecrelay is a Windows Event Collector: hosts get its address from group policy, fetch
/// subscriptions from it, and push their events. Each event becomes one RFC 5424 message.
/// A batch is acknowledged to its host only after every output has delivered it.
///
/// All authentication methods are off by default: enable at least one of --keytab,
/// --anonymous, --users, --ntlm-helper and --client-ca.
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
    /// Repeatable. The default port is 5985, for https 5986; port 0 selects a free one, which
    /// is logged. https needs --tls-cert and --tls-key. Write IPv6 addresses in brackets. A
    /// name is resolved once, at startup, and the relay listens on all its addresses. Default:
    /// port 5985 on 0.0.0.0 and, where the system has IPv6, on [::].
    ///
    /// Example: --listen http://192.0.2.10:5985 --listen 'http://[2001:db8::10]'
    #[arg(short, long, value_name = "URL", help_heading = "Sources")]
    pub listen: Vec<String>,

    /// Allow hosts of this network without credentials: ADDRESS[/BITS]
    ///
    /// Repeatable; an address without BITS is one host. Such hosts use an NTLM null session,
    /// as Windows hosts outside a domain do. Default: none.
    ///
    /// Danger: a null session provides neither authentication nor confidentiality. Anyone who
    /// can send from such an address can forge events of any host; anyone who recorded a
    /// session's handshake can decrypt the session. Such events are marked
    /// Auth="ntlm-anonymous".
    ///
    /// Example: --anonymous 192.0.2.0/24 --anonymous 2001:db8::7
    #[arg(long, value_name = "CIDR", help_heading = "Sources")]
    pub anonymous: Vec<String>,

    /// Hosts of a domain.
    #[command(flatten)]
    pub kerberos: KerberosOptions,

    /// File of accounts that hosts can authenticate with (NTLM)
    ///
    /// One account per line, hashed; "wecrelay passwd" prints such lines. With --basic and
    /// --digest they are used for these methods, too. Default: none.
    ///
    /// Danger: a hash in this file is equivalent to its password. Make the file readable by
    /// the relay only.
    ///
    /// Example: --users /etc/wecrelay/users
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub users: Option<PathBuf>,

    /// Basic and Digest.
    #[command(flatten)]
    pub passwords: PasswordOptions,

    /// Command that verifies domain accounts (NTLM)
    ///
    /// Used for accounts that are not in --users. The command speaks the protocol ntlm-server-1
    /// of Samba's ntlm_auth(1): winbind, joined to the domain, verifies them at a domain
    /// controller. The relay must be in the group that can open winbind's privileged pipe
    /// (winbindd_priv on Debian). Words are split at blanks; quotes and backslashes work as in a shell,
    /// but no shell is involved. The command is tested at startup, and restarted when it ends
    /// and on SIGHUP. Default: none.
    ///
    /// While the domain is unavailable, its hosts get 401 and retry; this is logged.
    ///
    /// Example: --ntlm-helper 'ntlm_auth --helper-protocol=ntlm-server-1'
    #[arg(long, value_name = "COMMAND", help_heading = "Sources")]
    pub ntlm_helper: Option<String>,

    /// Number of --ntlm-helper processes: 1 to 64
    ///
    /// Each verifies one account at a time, within 10 s; further accounts wait.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u8).range(1..=64),
        requires = "ntlm_helper",
        help_heading = "Sources"
    )]
    pub ntlm_helpers: u8,

    /// Certificate chain of https listeners (PEM), the relay's own certificate first
    ///
    /// Repeatable, with one --tls-key each: a client gets the certificate for the name that it
    /// requests, or else the first. It must be valid; from 30 days before it expires, a warning
    /// is logged daily. SIGHUP reads it again.
    ///
    /// Example: --tls-cert /etc/wecrelay/collector.pem --tls-key /etc/wecrelay/collector.key
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        help_heading = "Sources"
    )]
    pub tls_cert: Vec<PathBuf>,

    /// Private key of the --tls-cert in the same position (PEM, without a password)
    ///
    /// Danger: anyone who has the key can impersonate this collector. Make the file readable by
    /// the relay only.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        help_heading = "Sources"
    )]
    pub tls_key: Vec<PathBuf>,

    /// Allow hosts with client certificates issued by these authorities (PEM)
    ///
    /// The file can hold several authorities, including the intermediate ones that Windows does
    /// not send. A certificate must be for client authentication; its common name, or else its
    /// first DNS name, is the host's identity. Hosts without one can still use --anonymous or
    /// --users. On https listeners only. SIGHUP reads it again. Default: no client
    /// certificates.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        help_heading = "Sources"
    )]
    pub client_ca: Option<PathBuf>,

    /// Revocation lists of the authorities in --client-ca (PEM)
    ///
    /// Hosts of an authority whose list is missing or expired are rejected; the startup log and
    /// "wecrelay check" name it. A root in --client-ca needs a list, too. Lists must be
    /// complete: lists for some reasons only, indirect lists, and deltas without their base are
    /// errors. SIGHUP reads it again.
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_ca",
        help_heading = "Sources"
    )]
    pub crl: Option<PathBuf>,

    /// Allow certificates of authorities without a list in --crl
    ///
    /// Hosts of an authority with an expired list are still rejected. SIGHUP reads it again.
    ///
    /// Danger: no host of an authority without a list can be revoked.
    #[arg(long, requires = "crl", help_heading = "Sources")]
    pub crl_partial: bool,

    /// Require a full TLS handshake for each connection of a host
    ///
    /// Default: a host can resume the session of an earlier connection for half a day at most.
    /// Sessions are in the relay's memory only, up to 20,000. The host's certificate is
    /// checked as of now, and a reload ends all sessions.
    #[arg(long, requires = "tls_cert", help_heading = "Sources")]
    pub no_tls_resume: bool,

    /// Also accept NTLMv1 (with extended session security)
    ///
    /// Needs --users or --ntlm-helper. Default: NTLMv2 only. A domain can still reject all of
    /// them.
    ///
    /// Danger: from one recorded NTLMv1 logon an attacker with rented hardware computes the
    /// account's hash (single DES), and can then log on as that account anywhere.
    #[arg(long, help_heading = "Sources")]
    pub ntlmv1: bool,

    /// How logons are tied to their TLS connection.
    #[command(flatten)]
    pub bindings: BindingOptions,

    /// Also accept unsealed bodies after authentication
    ///
    /// Default: on http listeners an unsealed body is rejected.
    ///
    /// Danger: an attacker between host and relay can read, change and add events: without
    /// sealing, authentication protects nothing that follows it.
    #[arg(long, help_heading = "Sources")]
    pub allow_unencrypted: bool,

    /// Accept only events whose Computer is the authenticated host
    ///
    /// Accounts, principals and certificates are compared with Computer by host name, ignoring
    /// case, and by domain where both have one: the account DOM\WIN10$, the principal
    /// WIN10$@DOM.EXAMPLE and a certificate for win10.dom.example can send events of
    /// WIN10.dom.example or WIN10. Exempt hosts whose DNS domain differs from their realm.
    /// Default: Computer is not checked.
    ///
    /// refuse (also without a value): a batch with an event of another host is answered 403 as a
    /// whole, and logged. The host keeps it and retries, so nothing is lost; but it is stuck
    /// until it is exempt or its log has wrapped. This includes hosts that were renamed. Null
    /// sessions have no identity: --anonymous cannot be combined with it.
    ///
    /// mark: such an event is forwarded with ComputerMismatch="HOST", the authenticated host.
    /// Events of null sessions are not compared; they have Auth="ntlm-anonymous".
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

    /// Identity that can send events of other hosts, such as an intermediate collector
    ///
    /// Repeatable. As in Identity of its events; * matches any characters, ? matches one, case
    /// is ignored.
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

    /// Name of the relay in the addresses that hosts push to
    ///
    /// A host name or an IP address that hosts can reach, without scheme and port. Default: the
    /// name that the host used, from the To header of its request.
    ///
    /// Example: --hostname collector.example.com
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub hostname: Option<String>,

    /// Subscription file, or folder of such files (*.xml)
    ///
    /// Repeatable. The XML is what "wecutil gs NAME /f:xml" prints and "wecutil cs FILE" reads.
    /// Hosts get all subscriptions, in several answers if necessary; "wecrelay check" shows
    /// their size. Default: see --channel.
    ///
    /// Example: --subscription /etc/wecrelay/subscriptions
    #[arg(short, long, value_name = "PATH", help_heading = "Events")]
    pub subscription: Vec<PathBuf>,

    /// Subscribe to all events of a channel
    ///
    /// Repeatable, and can be combined with --subscription. Default without either:
    /// Application, Security, Setup and System.
    ///
    /// Example: --channel Security --channel Microsoft-Windows-Sysmon/Operational
    #[arg(short, long, value_name = "NAME", help_heading = "Events")]
    pub channel: Vec<String>,

    /// What hosts report themselves.
    #[command(flatten)]
    pub reports: ReportOptions,

    /// Where to send events: udp, tcp, tls, relp, kafka, otlp, unix, file or stdout
    #[arg(short, long, value_name = "URL", long_help = output::HELP, help_heading = "Events")]
    pub output: Vec<String>,

    /// Which events go out at all.
    #[command(flatten)]
    pub filters: FilterOptions,

    /// Content of the MSG part of messages, for outputs without ?message=
    ///
    /// With text, xml and json, structured data has the event's fields too; the others are
    /// layouts that SIEMs parse without configuration. Hosts render the message text, which about
    /// doubles the data that they send, only if an output has text, ecs, nxlog or snare.
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
    /// The default is set when wecrelay is built; without a setting it is 32473, which RFC 5612
    /// reserves for documentation.
    #[arg(
        long,
        value_name = "N",
        default_value = ENTERPRISE,
        help_heading = "Events"
    )]
    pub enterprise: NonZeroU32,

    /// Put the UTF-8 byte order mark before MSG
    ///
    /// RFC 5424 requires it, but most receivers show it as text. Default: no mark.
    #[arg(long, help_heading = "Events")]
    pub bom: bool,

    /// What the relay remembers.
    #[command(flatten)]
    pub memory: StateOptions,

    /// Serve a status page, metrics and health over HTTP at this address: ADDRESS:PORT
    ///
    /// GET / is the status page: hosts and their state, outputs, refusals. /metrics is for
    /// Prometheus; /healthz answers while the relay runs; /readyz answers 200 while events can
    /// be delivered, else 503 with the reasons. The page must be requested by an address or a
    /// name of this machine, or the name of --hostname. Default: none.
    ///
    /// Danger: there is no authentication. The page shows hosts with their accounts and
    /// addresses, subscriptions and outputs, but no events.
    ///
    /// Example: --metrics 127.0.0.1:9598
    #[arg(long, value_name = "ADDR", help_heading = "Relay")]
    pub metrics: Option<String>,

    /// Run as this user after binding the ports; needs root
    ///
    /// With the user's groups. Files that the relay reads again (--users, certificates,
    /// subscriptions) must be readable by the user, or SIGHUP keeps the old ones; a missing
    /// --state folder is created for the user. Under systemd, use User= or DynamicUser=
    /// instead. Default: keep the current user.
    #[arg(long, value_name = "NAME", help_heading = "Relay")]
    pub user: Option<String>,

    /// Run as this group after binding the ports; needs root
    ///
    /// Default: the group of --user.
    #[arg(long, value_name = "NAME", help_heading = "Relay")]
    pub group: Option<String>,

    /// The file with more flags.
    #[command(flatten)]
    pub file: FileOption,
}
