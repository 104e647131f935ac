//! What people do around the relay: the subcommands.

pub mod passwd;
pub mod send;
