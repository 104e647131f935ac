//! The system below: the service manager, privileges, names, the log's thread.

pub mod json;
pub mod log_queue;
pub mod logger;
pub mod privileges;
pub mod resolver;
pub(crate) mod sys;
pub mod systemd;
