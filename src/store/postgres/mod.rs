//! PostgreSQL's protocol, version 3 (chapter 55 of its manual), as a state machine: bytes
//! and time go in, bytes and answers come out.
//!
//! [`Client`] represents the database. Its owner connects, does TLS, reads, and writes;
//! [`Client::poll_task`] returns what to do after each call. Every request is a transaction
//! of its own that may be executed twice without harm, so that a pooler may be in between,
//! and a lost answer can be requested again. [`Shared`] is the store on top of it. libpq is
//! not used: its blocking interface and C code do not fit (see
//! `docs/decisions/postgresql.md`).

mod client;
mod connection;
mod error;
pub mod passfile;
mod request;
mod shared;
pub mod tables;
mod url;

pub use client::{Client, Task, Ticket};
pub use error::{Failure, Kind};
pub use request::{Request, Row, Rows, Statement, Unexpected, Value};
pub use shared::Shared;
pub use url::{Error as UrlError, Place, Settings, TlsMode};
