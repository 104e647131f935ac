//! Kerberos 5, the service's side.

pub mod pac;
