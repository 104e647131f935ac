//! The flags of `wecrelay ca`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, value_parser};

/// The arguments of `wecrelay ca`.
#[derive(Args, Clone, Debug)]
pub struct CaOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: CaCommand,
    /// Folder of the authority: its key, its list of certificates, and the certificates
    #[arg(long, value_name = "DIR", default_value = "wecrelay-ca", global = true)]
    pub dir: PathBuf,
    /// Also copy the files that the relay reads into this folder
    ///
    /// ca.pem, crl.pem, and the collector's certificates with their keys, readable by the owner
    /// of the folder only. Needs root if that is another user. The relay reads them on SIGHUP
    /// (systemctl reload wecrelay).
    ///
    /// Example: sudo wecrelay ca revoke ws1.example.com --install /etc/wecrelay/tls
    #[arg(long, value_name = "DIR", global = true)]
    pub install: Option<PathBuf>,
}

/// What the authority does.
#[derive(Clone, Debug, Subcommand)]
pub enum CaCommand {
    /// Create the authority: ca.pem, ca.key and an empty crl.pem
    ///
    /// Danger: anyone who has ca.key can create certificates for any host. It does not have to
    /// be on the collector, which reads ca.pem and crl.pem only.
    Init(InitOptions),
    /// Create the collector's certificate: servers/NAME.pem and servers/NAME.key
    Server(ServerOptions),
    /// Create certificates for Windows hosts, each with a script that sets up the host
    ///
    /// In hosts/: NAME.pfx (certificate and key), NAME.password, NAME.pem (certificate only)
    /// and NAME.ps1. Copy the .pfx and the .ps1 to the host and run the script there as
    /// administrator; it prompts for the password. With -Undo it removes the certificates and the
    /// subscription manager.
    Host(HostOptions),
    /// Revoke a certificate, and write a new crl.pem
    ///
    /// The relay needs the new list: use --install, then SIGHUP.
    Revoke(RevokeOptions),
    /// Write a new crl.pem
    ///
    /// Required before the list expires: after that all hosts are rejected. The relay needs the
    /// new list: use --install, then SIGHUP.
    Crl(CrlOptions),
    /// List the certificates: state, expiry, kind, serial number, names
    List,
    /// Print the subscription manager for the group policy, with the authority's thumbprint
    ///
    /// With HOST: the PowerShell script that sets this host up.
    Policy(PolicyOptions),
}

/// The arguments of `wecrelay ca init`.
#[derive(Args, Clone, Debug)]
pub struct InitOptions {
    /// The authority's common name
    #[arg(long, value_name = "NAME", default_value = "wecrelay CA")]
    pub name: String,
    /// How many days its certificate is valid
    #[arg(long, value_name = "N", default_value = "3650", value_parser = value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Kind of key
    #[arg(long, value_name = "KIND", value_enum, default_value = "rsa3072")]
    pub key: KeyKind,
}

/// The arguments of `wecrelay ca server`.
#[derive(Args, Clone, Debug)]
pub struct ServerOptions {
    /// Names and addresses of the collector; the first names the files
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How many days it is valid
    #[arg(long, value_name = "N", default_value = "825", value_parser = value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Kind of key
    ///
    /// Server 2012 R2 without updates has no strong cipher for RSA.
    #[arg(long, value_name = "KIND", value_enum, default_value = "p256")]
    pub key: KeyKind,
    /// Create a new certificate even if one exists
    ///
    /// The old one stays valid until it expires or is revoked.
    #[arg(long)]
    pub renew: bool,
}

/// The arguments of `wecrelay ca host`.
#[derive(Args, Clone, Debug)]
pub struct HostOptions {
    /// Full names of the hosts, each the identity of one
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How many days they are valid
    #[arg(long, value_name = "N", default_value = "730", value_parser = value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Kind of key
    #[arg(long, value_name = "KIND", value_enum, default_value = "rsa2048")]
    pub key: KeyKind,
    /// Encryption of the .pfx
    #[arg(long, value_name = "KIND", value_enum, default_value = "3des")]
    pub pfx: PfxKind,
    /// Read the password of the .pfx from the first line of this file
    ///
    /// Default: a random one, written to hosts/NAME.password.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Create new certificates even if some exist
    ///
    /// The old ones stay valid until they expire or are revoked.
    #[arg(long)]
    pub renew: bool,
    /// Where the script points the host to.
    #[command(flatten)]
    pub manager: ManagerOptions,
}

/// Where hosts are pointed to.
#[derive(Args, Clone, Debug)]
pub struct ManagerOptions {
    /// Name and port of the collector: NAME[:PORT]
    ///
    /// Default: the first name of the one server certificate, and port 5986.
    #[arg(long, value_name = "NAME")]
    pub collector: Option<String>,
    /// How often hosts request their subscriptions, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = value_parser!(u32).range(1..))]
    pub refresh: u32,
}

/// The arguments of `wecrelay ca revoke`.
#[derive(Args, Clone, Debug)]
pub struct RevokeOptions {
    /// Name, for all certificates of it, or serial number
    #[arg(value_name = "NAME|SERIAL")]
    pub what: String,
    /// How long the list is.
    #[command(flatten)]
    pub list: CrlOptions,
}

/// The arguments of `wecrelay ca crl`.
#[derive(Args, Clone, Debug)]
pub struct CrlOptions {
    /// How many days the revocation list is valid
    #[arg(long, value_name = "N", default_value = "365", value_parser = value_parser!(u32).range(1..=36_500))]
    pub days: u32,
}

/// The arguments of `wecrelay ca policy`.
#[derive(Args, Clone, Debug)]
pub struct PolicyOptions {
    /// The host to print the script of
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
    /// Where it points the host to.
    #[command(flatten)]
    pub manager: ManagerOptions,
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// RSA, 2048 bits
    Rsa2048,
    /// RSA, 3072 bits
    Rsa3072,
    /// Elliptic curve P-256
    P256,
}

/// How a .pfx is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PfxKind {
    /// 3DES and SHA-1: every version of Windows
    #[value(name = "3des")]
    TripleDes,
    /// AES-256 and SHA-256: Windows 10 1709, Server 2019 and newer
    Aes256,
}
