//! The files that an administrator writes: accounts, keytabs, credentials of outputs,
//! subscriptions.

pub mod accounts;
pub mod keytabs;
pub mod output_secrets;
pub mod secret;
pub mod subscriptions;
