//! The flags for Kerberos.

use std::path::PathBuf;

use clap::Args;

/// Hosts of a domain.
#[derive(Args, Clone, Debug, Default)]
pub struct KerberosOptions {
    /// Allow hosts of a domain by Kerberos: keytab with the keys of this collector
    ///
    /// Repeatable. A keytab, as ktpass, msktutil and "net ads keytab" write it, with the key of
    /// HTTP/NAME, where NAME is the collector in the hosts' policy (docs/kerberos.md). Read
    /// again when it changes; if it is invalid then, the old keys stay. Only machine accounts
    /// are allowed, unless --principal, --realm or a subscription's list of accounts allows
    /// others. Default: none.
    ///
    /// Danger: anyone who has the key can impersonate this collector to all hosts, and any host
    /// to this collector. Make the file readable by the relay only.
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub keytab: Vec<PathBuf>,

    /// Also allow this principal, which is not a machine: NAME@REALM
    ///
    /// Repeatable. For service accounts and users; as in Identity of their events. * matches any
    /// characters, ? matches one, case is ignored. A subscription with a list of accounts
    /// (AllowedSourceDomainComputers) uses that list only. Default: none.
    ///
    /// Example: --principal 'svc-forwarder@EXAMPLE.COM' --principal 'host/*@EXAMPLE.COM'
    #[arg(
        long,
        value_name = "PATTERN",
        requires = "keytab",
        help_heading = "Sources"
    )]
    pub principal: Vec<String>,

    /// Also allow every principal of this Kerberos realm, not only machines
    ///
    /// Repeatable. A subscription with a list of accounts (AllowedSourceDomainComputers) uses
    /// that list only. Default: none.
    ///
    /// Danger: every user of the realm can then send events; with --require-computer-match at
    /// least not those of other hosts.
    ///
    /// Example: --realm EXAMPLE.COM
    #[arg(
        long,
        value_name = "REALM",
        requires = "keytab",
        help_heading = "Sources"
    )]
    pub realm: Vec<String>,

    /// Also accept Kerberos tickets that are encrypted with RC4
    ///
    /// Danger: an RC4 key is the account's NT hash: an attacker who recorded one ticket can
    /// guess the password offline and fast, and RC4 protects sealed data poorly.
    #[arg(long, requires = "keytab", help_heading = "Sources")]
    pub kerberos_rc4: bool,
}
