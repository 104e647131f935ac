//! The account that `send` logs on with. Its password never stands on the command line.

use super::Error;
use crate::cli::SendOptions;
use crate::commands::passwd;
use crate::ntlm::crypto::NtHash;
use crate::ntlm::initiator::ClientAccount;
use crate::users::Account;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal};

/// The account of `--user`, with the password of `--password-file`, or asked for on
/// the terminal, or from the first line of standard input.
pub(super) fn read(options: &SendOptions) -> Result<Option<ClientAccount>, Error> {
    let Some(name) = &options.user else {
        return Ok(None);
    };
    let _: Account = name.parse().map_err(Error::Account)?;
    let stdin = io::stdin();
    let password = match &options.password_file {
        Some(path) => {
            let file = File::open(path).map_err(|e| Error::PasswordFile(path.clone(), e))?;
            passwd::read_line(BufReader::new(file))
        }
        None if stdin.is_terminal() => passwd::ask(&format!("Password for {name}: ")),
        None => passwd::read_line(stdin.lock()),
    };
    let password = password.map_err(Error::Password)?;
    Ok(Some(account(name, &password)))
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
