//! Kerberos 5, the service's side, in Rust alone: no C library, no `krb5.conf`.
//!
//! A keytab is all that is needed: its keys open the tickets that hosts bring.

pub mod crypto;
pub mod keytab;
pub mod pac;
pub mod wrap;
