//! The credentials of `wecrelay send`. Passwords are never arguments, because other users
//! can see the command line.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal};

use zeroize::Zeroizing;

use super::Error;
use crate::cli::SendOptions;
use crate::commands::passwd;
use crate::files::accounts::Account;
use crate::protocol::ntlm::crypto::NtHash;
use crate::protocol::ntlm::initiator::ClientAccount;
use crate::tls::HostFiles;

/// The account of `--user`. Its password is read from `--password-file`, from a prompt on
/// the terminal, or from the first line of standard input. `None` without `--user`.
pub(super) fn read(options: &SendOptions) -> Result<Option<ClientAccount>, Error> {
    let Some(name) = &options.user else {
        return Ok(None);
    };
    let _: Account = name.parse().map_err(Error::Account)?;
    let password = password(options, name)?;
    Ok(Some(account(name, &password)))
}

/// The files for https. The password of `--pfx` is read like that of `--user`.
pub(super) fn files(options: &SendOptions) -> Result<HostFiles, Error> {
    let pfx = options.pfx.as_ref().map(|path| {
        let password = password(options, &path.display().to_string())?;
        Ok::<_, Error>((path.clone(), password))
    });
    Ok(HostFiles {
        authorities: options.ca.clone(),
        pair: options.cert.clone().zip(options.key.clone()),
        pfx: pfx.transpose()?,
    })
}

fn password(options: &SendOptions, whose: &str) -> Result<Zeroizing<String>, Error> {
    let stdin = io::stdin();
    let password = match &options.password_file {
        Some(path) => {
            let file = File::open(path).map_err(|e| Error::PasswordFile(path.clone(), e))?;
            passwd::read_line(BufReader::new(file))
        }
        None if stdin.is_terminal() => passwd::ask(&format!("Password for {whose}: ")),
        None => passwd::read_line(stdin.lock()),
    };
    password.map_err(Error::Password)
}

fn account(name: &str, password: &str) -> ClientAccount {
    let (domain, user) = name.split_once('\\').unwrap_or(("", name));
    ClientAccount {
        user: user.to_owned(),
        domain: domain.to_owned(),
        hash: NtHash::from_password(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_may_stand_without_a_domain() {
        let parts = |name| {
            let account = account(name, "password");
            (account.domain, account.user)
        };
        assert_eq!(parts("ACME\\host"), ("ACME".into(), "host".into()));
        assert_eq!(parts("host"), (String::new(), "host".into()));
    }
}
