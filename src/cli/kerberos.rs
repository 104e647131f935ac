//! The flags for Kerberos.

use std::path::PathBuf;

use clap::Args;

/// Hosts of a domain.
#[derive(Args, Clone, Debug, Default)]
pub struct KerberosOptions {
    /// Let hosts of a domain in by Kerberos: file with the keys of this collector
    ///
    /// Repeatable. A keytab, as ktpass, msktutil and "net ads keytab" write it, with the
    /// key of HTTP/NAME, where NAME is the collector's in the hosts' policy (docs/kerberos.md).
    /// Read anew when it changes; a bad one then keeps the keys as they were. Only accounts of
    /// machines come in by it, unless --principal, --realm or a subscription's list of
    /// accounts says otherwise. Default: none.
    ///
    /// Danger: whoever has the key can play this collector to all hosts, and any host to
    /// it. Keep the file readable by the relay only.
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub keytab: Vec<PathBuf>,

    /// Also let this principal in, though it is no machine: NAME@REALM
    ///
    /// Repeatable. For service accounts and people; as in Identity of their events. * stands
    /// for any characters, ? for one, case does not matter. A subscription that has a list of
    /// accounts (AllowedSourceDomainComputers) goes by that alone. Default: none.
    ///
    /// Example: --principal 'svc-forwarder@EXAMPLE.COM' --principal 'host/*@EXAMPLE.COM'
    #[arg(
        long,
        value_name = "PATTERN",
        requires = "keytab",
        help_heading = "Sources"
    )]
    pub principal: Vec<String>,

    /// Also let everybody of this Kerberos realm in, not only machines
    ///
    /// Repeatable. A subscription that has a list of accounts
    /// (AllowedSourceDomainComputers) goes by that alone. Default: none.
    ///
    /// Danger: each user of the realm can then send events; with --require-computer-match at
    /// least none of other hosts.
    ///
    /// Example: --realm EXAMPLE.COM
    #[arg(
        long,
        value_name = "REALM",
        requires = "keytab",
        help_heading = "Sources"
    )]
    pub realm: Vec<String>,

    /// Also take Kerberos tickets that are encrypted with RC4
    ///
    /// Danger: an RC4 key is the account's NT hash: from one recorded ticket an attacker
    /// guesses the password offline and fast, and what RC4 seals is weakly protected.
    #[arg(long, requires = "keytab", help_heading = "Sources")]
    pub kerberos_rc4: bool,
}
