//! wecrelay: a Windows Event Collector that forwards events to syslog, Kafka, and
//! OpenTelemetry receivers.
//!
//! # The path of an event
//!
//! Data flows in one direction; each step consumes a value and produces the next:
//!
//! ```text
//! bytes          server::sources            read from a host's socket, through TLS or not
//! HTTP request   protocol::http::request    Request { head, body }
//! authenticate   auth::Acceptor             Challenge back, or Identity and SecurityContext
//! unseal         protocol::http::multipart  sealed part -> SecurityContext::unseal, in place
//! decompress     protocol::sldc             bytes, capped
//! decode         base::wire                 UTF-16 or UTF-8 text
//! message        collector::connections     the host's identity, and whether memory is left
//! SOAP           protocol::wsman            Message { header, body }
//! host           hosts::Table               the state of each host
//! event          event                      Event, from each event's XML
//! RFC 5424       syslog                     frames in the format of each output
//! record         record                     JSON or OTLP, for outputs other than syslog
//! turn           collector::batches         starts when every required output has room
//! queue          output::queue, ::link      queued for each output, written by server::outputs
//! delivered      output::link               as the protocol of the output confirms it
//! checked        collector::commits         which stored bookmark the batch's may replace
//! committed      store                      bookmarks, one transaction per loop iteration
//! Ack            protocol::wsman, connection  sealed, back to the host
//! ```
//!
//! A batch is acknowledged after every required output has delivered it and its bookmark is
//! committed. Until then the host keeps it in its own log; the relay does not spool events
//! to disk.
//!
//! # Layers
//!
//! A module imports only from modules before it in this list, and names only the outside
//! crates of its row in `tests/layers.rs`, which checks both rules:
//!
//! 1. foundations: [`base`] (bytes, text, XML, time), [`windows`] (formats defined by
//!    Microsoft), [`protocol`] (network protocols), [`event`], [`syslog`], [`record`],
//!    [`bookmark`], [`system`] (the operating system);
//! 2. state machines: [`auth`], [`connection`], [`hosts`], [`metrics`], [`output`],
//!    [`client`], [`store`], [`collector`];
//! 3. input and output: [`files`], [`tls`], [`store::sqlite`], [`server`];
//! 4. entry points: [`cli`], [`config`], [`commands`].
//!
//! Protocols and state machines are sans-IO: bytes, time, and random bytes are arguments,
//! and bytes and decisions are results. Except for [`system`], only groups 3 and 4 access
//! sockets, files, and the clock.
//!
//! # The event loop
//!
//! One iteration of the loop ([`server::run`]):
//!
//! 1. Wait until a socket is ready, the store has answered, or
//!    [`collector::Collector::poll_timeout`] is due.
//! 2. Read from the ready sockets and pass the bytes to [`collector::Collector::handle`];
//!    pass answers of the store to [`collector::Collector::handle_answer`].
//! 3. Drain [`collector::Collector::poll_output`].
//! 4. Write to each output what its [`output::link::Link`] offers, and report how much was
//!    written.
//! 5. Call [`collector::Collector::commit`] once. The bookmarks of all hosts in this
//!    iteration cost one transaction, which [`collector::Collector::poll_job`] passes to
//!    the thread of the store.
//! 6. Drain again: Acks of batches without a bookmark leave immediately, the others in the
//!    iteration in which the store answers.

pub mod auth;
pub mod base;
pub mod bookmark;
pub mod cli;
pub mod client;
pub mod collector;
pub mod commands;
pub mod config;
pub mod connection;
pub mod event;
pub mod files;
pub mod hosts;
pub mod metrics;
pub mod output;
pub mod protocol;
pub mod record;
pub mod server;
pub mod store;
pub mod syslog;
pub mod system;
pub mod tls;
pub mod windows;
