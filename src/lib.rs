//! wecrelay: a Windows Event Collector that hands events to a syslog server.
//!
//! # The way of an event
//!
//! One direction; each step takes a value and gives the next:
//!
//! ```text
//! bytes          server::sources            read from a host's socket, through TLS or not
//! HTTP request   protocol::http::request    Request { head, body }
//! authenticate   auth::Acceptor             Challenge back, or Identity and SecurityContext
//! unseal         protocol::http::multipart  sealed part -> SecurityContext::unseal, in place
//! decompress     protocol::sldc             bytes, capped
//! decode         base::wire                 UTF-16 or UTF-8 text
//! message        collector::connections     whose it is, and whether there is room for it
//! SOAP           protocol::wsman            Message { header, body }
//! host           hosts::Table               who sends what, and since when
//! event          event                      Event, from each event's XML
//! RFC 5424       syslog                     frames in the form that each output wants
//! record         record                     the same for outputs that speak no syslog
//! turn           collector::batches         begun when every required output has room
//! queue          output::queue, ::link      waits for an output, written by server::outputs
//! delivered      output::link               in the output's own sense
//! judged         collector::commits         what the batch's bookmark may replace
//! committed      store                      the host's bookmark, one transaction a turn
//! Ack            protocol::wsman, connection  sealed, back to the host
//! ```
//!
//! A batch is acknowledged when every output has delivered it and its bookmark is
//! committed; before that the host keeps it. Nothing is spooled.
//!
//! # Rooms
//!
//! Lowest first; a room imports from those above it in this list only, and names only the
//! outside crates of its row in `tests/layers.rs`, which checks both:
//!
//! 1. [`base`]: bytes, text, XML, time; [`windows`]: Microsoft's own formats; [`protocol`]:
//!    what is spoken; [`event`], [`syslog`], [`record`],
//!    [`bookmark`]; [`system`]: the system below;
//! 2. machines: [`auth`], [`connection`], [`hosts`], [`metrics`], [`output`], [`client`],
//!    [`store`], [`collector`];
//! 3. effects: [`files`], [`tls`], [`store::sqlite`], [`server`];
//! 4. entry: [`cli`], [`config`], [`commands`].
//!
//! Protocols and machines are sans-IO: they take bytes, time and random bytes as
//! arguments and give back bytes and decisions. Only the event loop in [`server`]
//! touches sockets, files and the clock.
//!
//! # The loop rule
//!
//! One turn of the loop ([`server::run`]):
//!
//! 1. wait until something is ready, the store has answered, or
//!    [`collector::Collector::poll_timeout`] is due;
//! 2. read what is ready and hand it to [`collector::Collector::handle`], answers of the store
//!    to [`collector::Collector::handle_answer`];
//! 3. drain [`collector::Collector::poll_output`];
//! 4. write to the outputs what their [`output::link::Link`]s offer, and report it;
//! 5. [`collector::Collector::commit`] once: a thousand sources cost one transaction, which
//!    [`collector::Collector::poll_job`] gives to the thread of the store;
//! 6. drain again: Acks of batches without a bookmark leave at once, the others in the turn
//!    in which the store answers.

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
