//! By which methods hosts can authenticate: at least one, and each on a listener that offers it.

use super::error::Error;
use super::listen::Listener;
use crate::cli::RelayOptions;

/// Hosts must be able to authenticate.
pub(super) fn check(options: &RelayOptions) -> Result<(), Error> {
    let has_accounts = options.users.is_some() || options.ntlm_helper.is_some();
    let methods = [
        !options.anonymous.is_empty(),
        has_accounts,
        !options.kerberos.keytab.is_empty(),
        options.client_ca.is_some(),
    ];
    if !methods.contains(&true) {
        return Err(Error::NoMethod);
    }
    if options.ntlmv1 && !has_accounts {
        return Err(Error::Ntlmv1);
    }
    Ok(())
}

/// Basic and Digest must be usable on some listener.
pub(super) fn check_passwords(options: &RelayOptions, listeners: &[Listener]) -> Result<(), Error> {
    let method = match (options.passwords.basic, options.passwords.digest) {
        (true, _) => "--basic",
        (false, true) => "--digest",
        (false, false) if options.passwords.allow_password_without_tls => {
            return Err(Error::NoPassword);
        }
        (false, false) => return Ok(()),
    };
    let is_offered =
        |listener: &Listener| listener.secure || options.passwords.allow_password_without_tls;
    if listeners.iter().any(is_offered) {
        Ok(())
    } else {
        Err(Error::PasswordListener(method))
    }
}
