//! The tests of the real binary, in one program with a module per subject.
//!
//! `cargo test --test it` runs all of them, `cargo test --test it relp::` those of one subject.
//! Tests that need more than `scripts/peers` installs are ignored by default; the reason names
//! the script that runs them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    reason = "test code may panic and use the clock, files and sockets"
)]

mod balancers;
mod bookmarks;
mod ca;
mod chaos;
mod check;
mod contrib;
mod doctor_hosts;
mod draining;
mod flags;
mod fleet;
mod hosts;
mod http;
mod init;
mod kafka;
mod kerberos;
mod lifecycle;
mod log;
mod metrics;
mod ntlm_helper;
mod otlp;
mod outages;
mod outputs;
mod own_log;
mod passwords;
mod postgres;
mod privileges;
mod receivers;
mod recipes;
mod refused;
mod relays;
mod relp;
mod rsyslog;
mod samba;
mod send;
mod signals;

mod syslog_ng;
mod systemd;
mod terminal;
mod tls_in;
mod tls_out;
mod tls_resume;
mod vectors;

#[path = "../support/mod.rs"]
mod support;
