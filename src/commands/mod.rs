//! What people do around the relay: the subcommands.

pub mod ca;
pub mod check;
pub mod completions;
pub mod doctor;
pub mod passwd;
pub mod probe;
pub mod run;
pub mod send;
pub mod sources;
pub mod windows;

mod words;
