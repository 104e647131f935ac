//! The files that an administrator writes.

pub mod accounts;
pub mod keytabs;
pub mod login;
pub mod subscriptions;
