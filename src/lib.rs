//! wecrelay: a Windows Event Collector that hands events to a syslog server.
//!
//! # The way of an event
//!
//! One direction; each step takes a value and gives the next:
//!
//! ```text
//! bytes          server::sources     read from a source's socket
//! HTTP request   http::request       Request { head, body }
//! authenticate   auth::Acceptor      Challenge back, or Identity and SecurityContext
//! unseal         http::multipart     sealed part -> SecurityContext::unseal, in place
//! decompress     sldc                bytes, capped
//! decode         wire                UTF-16 or UTF-8 text
//! SOAP           wsman               Message { header, body }
//! event          event               Event, from each event's XML
//! RFC 5424       syslog              frames in the form that each output wants
//! queue          queue, link         waits for an output, written by server::output
//! delivered      link                in the output's own sense
//! committed      store               the source's bookmark, one transaction a turn
//! Ack            wsman, connection   sealed, back to the source
//! ```
//!
//! A batch is acknowledged when every output has delivered it and its bookmark is
//! committed; before that the source keeps it. Nothing is spooled.
//!
//! # Layers
//!
//! Lowest first; a file imports from its own layer or a lower one, which
//! `tests/layers.rs` checks:
//!
//! 1. bytes: [`wire`], [`xml`], [`sldc`], [`sid`], [`clock`], [`visible`];
//! 2. protocols: [`http`], [`ntlm`], [`kerberos`], [`spnego`], [`sddl`], [`auth`], [`proxy`],
//!    [`wsman`], [`event`], [`bookmark`], [`query`], [`syslog`], [`remedies`];
//! 3. machines: [`connection`], [`helper`], [`output`], [`ownlog`], [`logqueue`], [`queue`], [`link`], [`hosts`],
//!    [`collector`], [`metrics`],
//!    [`source`], [`store`];
//! 4. effects: [`sqlite`], [`users`], [`keytabs`], [`subscriptions`], [`resolver`], [`systemd`],
//!    [`privileges`],
//!    [`tls`], [`server`];
//! 5. entry: [`cli`], [`config`], [`relay`], [`commands`].
//!
//! Protocols and machines are sans-IO: they take bytes, time and random bytes as
//! arguments and give back bytes and decisions. Only the event loop in [`server`]
//! touches sockets, files and the clock.
//!
//! # The loop rule
//!
//! One turn of the loop ([`server::run`]):
//!
//! 1. wait until something is ready or [`collector::Collector::poll_timeout`] is due;
//! 2. read what is ready and hand it to [`collector::Collector::handle`];
//! 3. drain [`collector::Collector::poll_output`];
//! 4. write to the outputs what their [`link::Link`]s offer, and report it;
//! 5. [`collector::Collector::commit`] once: a thousand sources cost one transaction;
//! 6. drain again, which sends the Acks.

pub mod auth;
pub mod bookmark;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod commands;
pub mod config;
pub mod connection;
pub mod event;
pub mod helper;
pub mod hosts;
pub mod http;
pub mod kerberos;
pub mod keytabs;
pub mod link;
pub mod logqueue;
pub mod metrics;
pub mod ntlm;
pub mod output;
pub mod ownlog;
pub mod privileges;
pub mod proxy;
pub mod query;
pub mod queue;
pub mod relay;
pub mod remedies;
pub mod resolver;
pub mod sddl;
pub mod server;
pub mod sid;
pub mod sldc;
pub mod source;
pub mod spnego;
pub mod sqlite;
pub mod store;
pub mod subscriptions;
pub mod syslog;
pub mod systemd;
pub mod tls;
pub mod users;
pub mod visible;
pub mod wire;
pub mod wsman;
pub mod xml;
