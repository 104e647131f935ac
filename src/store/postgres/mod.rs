//! PostgreSQL's protocol, version 3 (chapter 55 of its manual), as a machine: bytes and time
//! go in, bytes and answers come out.
//!
//! [`Client`] stands for the database. Its owner connects, does TLS, reads and writes:
//! [`Client::poll_task`] says what is to be done after each call. Every request is a
//! transaction of its own that may be done twice without harm, so that a pooler may stand
//! between and a lost answer is asked for again. [`Shared`] is the store on top of it.

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
