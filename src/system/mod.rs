//! Interfaces to the operating system: service manager, privileges, name resolution,
//! logging.

pub mod json;
#[cfg(test)]
pub(crate) mod kept_log;
pub mod log_queue;
pub mod logger;
pub mod privileges;
pub mod resolver;
pub(crate) mod sys;
pub mod systemd;
