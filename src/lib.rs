//! wecrelay: a Windows Event Collector that hands events to a syslog server.

pub mod auth;
pub mod bookmark;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod commands;
pub mod config;
pub mod connection;
pub mod event;
pub mod http;
pub mod link;
pub mod metrics;
pub mod ntlm;
pub mod output;
pub mod queue;
pub mod resolver;
pub mod server;
pub mod sldc;
pub mod source;
pub mod spnego;
pub mod store;
pub mod subscriptions;
pub mod syslog;
pub mod users;
pub mod wire;
pub mod wsman;
