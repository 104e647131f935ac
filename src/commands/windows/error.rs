//! Errors of `wecrelay windows`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::HostKind;
use crate::commands::{Failure, RUNNING, USAGE};
use crate::files::keytabs;
use crate::tls;

/// Why the instructions for Windows hosts cannot be generated.
#[derive(Debug)]
pub enum Error {
    /// Neither flags nor files contain a name of the relay.
    NoName,
    /// Kerberos requires a name, but the relay is known by this address only.
    Address(String),
    /// Port 0, so that the actual port is not known.
    NoPort,
    /// No enabled method allows hosts of this kind.
    NotLetIn(HostKind),
    /// The flags allow several kinds of hosts, but the output is for one kind.
    Several(Vec<HostKind>),
    /// `--client-ca` holds several authorities: subject and thumbprint of each.
    Issuers(Vec<(String, String)>),
    /// No authority in `--client-ca` has the thumbprint of `--issuer`.
    NoIssuer(String),
    /// The certificates cannot be read.
    Tls(tls::Error),
    /// The keytab cannot be read.
    Keytab(keytabs::Error),
    /// The file of `--out` cannot be written.
    Write(PathBuf, io::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Write(..)) {
            RUNNING
        } else {
            USAGE
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str(
                "by which name do hosts reach this relay? neither --listen nor a certificate or \
                 keytab has it: use --hostname NAME, for example --hostname collector.example.com",
            ),
            Self::Address(address) => write!(
                f,
                "hosts of a domain cannot get a ticket for the address {address}: use the name of \
                 the SPN, for example --hostname collector.example.com"
            ),
            Self::NoPort => f.write_str(
                "port 0 selects another port at each start: use a fixed port, for example --listen \
                 http://0.0.0.0:5985",
            ),
            Self::NotLetIn(kind) => {
                let flags = match kind {
                    HostKind::Domain => "--keytab or --ntlm-helper",
                    HostKind::Certificate => "--client-ca (with --listen https://...)",
                    HostKind::Workgroup => "--anonymous or --users",
                };
                write!(
                    f,
                    "--for {}: no enabled method allows them; it requires {flags}",
                    word(*kind)
                )
            }
            Self::Several(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| word(*kind)).collect();
                write!(
                    f,
                    "for which hosts? the flags allow several kinds: use --for {}",
                    kinds.join(" or --for ")
                )
            }
            Self::Issuers(issuers) => {
                let each: Vec<_> = issuers
                    .iter()
                    .map(|(subject, thumb)| format!("--issuer {thumb} ({subject})"))
                    .collect();
                write!(
                    f,
                    "which authority issued the hosts' certificates? use one of {}",
                    each.join(", ")
                )
            }
            Self::NoIssuer(asked) => write!(
                f,
                "--issuer {asked}: no certificate in --client-ca has this SHA-1 thumbprint"
            ),
            Self::Tls(error) => write!(f, "{error}"),
            Self::Keytab(error) => write!(f, "--keytab {error}"),
            Self::Write(path, error) => write!(f, "--out {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

/// The value of `--for` for a kind of hosts.
pub(super) fn word(kind: HostKind) -> String {
    let value = kind.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
