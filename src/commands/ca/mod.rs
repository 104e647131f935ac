//! `wecrelay ca`: a small certificate authority for hosts outside a domain.
//!
//! Its folder contains `ca.pem`, `ca.key`, `crl.pem`, the index `index.txt`, and issued
//! certificates in `servers` and `hosts`. Every change holds the folder's lock. The index
//! is written before the other files, because a certificate that is not in it cannot be
//! revoked.

mod authority;
mod authority_folder;
mod error;
mod files;
mod index;
mod install;
mod names;
mod paths;
mod pfx;
mod report;
mod windows;

use std::io::{self, Write};
use std::time::SystemTime;

use crate::cli::CaCommand;
use authority_folder::AuthorityFolder;

pub use crate::cli::CaOptions as Options;
pub use error::Error;

/// Runs the subcommand, and prints which files it created and what to do with them.
///
/// # Errors
/// An invalid name, an existing certificate, no authority in the folder, or files that
/// cannot be read or written.
pub fn run(options: &Options) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "certificates begin and end")]
    let now = SystemTime::now();
    let dir = &options.dir;
    let said = match &options.command {
        CaCommand::Init(init) => authority_folder::init(dir, init, now)?,
        CaCommand::Server(server) => AuthorityFolder::open(dir)?.server(server, now)?,
        CaCommand::Host(host) => AuthorityFolder::open(dir)?.hosts(host, now)?,
        CaCommand::Revoke(revoke) => AuthorityFolder::open(dir)?.revoke(revoke, now)?,
        CaCommand::Crl(crl) => AuthorityFolder::open(dir)?.list_anew(crl, now)?,
        CaCommand::List => report::list(dir, now)?,
        CaCommand::Policy(policy) => report::policy(dir, policy, now)?,
    };
    let changes = !matches!(options.command, CaCommand::List | CaCommand::Policy(_));
    let said = match &options.install {
        Some(to) if changes => said + &install::install(dir, to, now)?,
        Some(_) => {
            let why = "--install goes with init, server, host, revoke and crl";
            return Err(Error::Refused(why.to_owned()));
        }
        None => said,
    };
    let mut out = io::stdout().lock();
    let written = out.write_all(said.as_bytes()).and_then(|()| out.flush());
    written.map_err(Error::Print)
}
