//! The producer's side of the Kafka protocol: requests, answers, record batches, and SASL.
//!
//! Follows <https://kafka.apache.org/protocol>. Implemented here rather than by a crate
//! because answers are foreign: no length in them may cause an allocation that their bytes
//! do not fill, and a record should be copied only once.

mod batch;
mod codes;
mod compression;
mod login;
mod messages;
mod partition;
mod sasl;
mod wire;

use std::fmt;

use crate::base::visible::visible;

pub use batch::{
    BATCH_OVERHEAD, Batch, Place, ProducerId, RECORD_OVERHEAD, push_record, record_header,
    record_parts,
};
pub use codes::{Class, Code};
pub use compression::Compression;
pub use login::{LinesError, Login};
pub use messages::{
    Api, Broker, Metadata, PartitionLeader, Produced, Versions, parse_produced, parse_producer_id,
    parse_sasl_authenticate, parse_sasl_handshake, push_init_producer_id, push_metadata,
    push_produce, push_request, push_sasl_authenticate, push_sasl_handshake,
};
pub use partition::partition_of;
pub use sasl::{Mechanism, Sasl};

/// Maximum size of an answer in bytes. Enough for the metadata of a topic with as many
/// partitions as one answer may list.
pub const ANSWER_MAX: usize = 16 << 20;
/// Maximum number of characters of the broker's text to repeat in errors.
const QUOTE_MAX: usize = 200;

/// Why a connection to a broker cannot continue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The answer to this request is truncated at this offset.
    Cut(&'static str, usize),
    /// An answer with this invalid length prefix.
    Length(i32),
    /// The answer to this request lists more items than allowed.
    Listed(&'static str),
    /// An answer with this correlation id, which is not the expected one.
    Correlation(i32),
    /// An answer without a request.
    Unasked,
    /// An answer to a request that has not been sent completely.
    Early,
    /// The broker supports no version of this request that is supported here.
    Unsupported(&'static str),
    /// The broker rejected this request; its error code and message.
    Refused(&'static str, Code, Option<String>),
    /// The answer about the topic does not mention it.
    Topic,
    /// The broker does not support the SASL mechanism; the ones that it supports.
    Mechanism(Vec<String>),
    /// The broker rejected user and password; its message.
    Login(Option<String>),
    /// The SCRAM exchange failed; in particular if the broker does not prove that it knows
    /// the password.
    Scram(&'static str),
    /// A batch could not be compressed.
    Compression(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(what, at) => {
                write!(f, "the broker's answer to {what} ends early, at byte {at}")
            }
            Self::Length(length) => write!(
                f,
                "not a Kafka answer: {length} bytes; is this the port of a broker, with or without \
                 TLS as in the URL?"
            ),
            Self::Listed(what) => write!(
                f,
                "the broker's answer to {what} lists more than {} items",
                wire::LISTED_MAX
            ),
            Self::Correlation(number) => {
                write!(f, "the broker answered request {number} out of order")
            }
            Self::Unasked => f.write_str("the broker sent an unexpected answer"),
            Self::Early => f.write_str("the broker answered before it had the whole request"),
            Self::Unsupported(name) => write!(
                f,
                "the broker does not support a version of {name} that wecrelay supports (Kafka 2.1 \
                 or newer)"
            ),
            Self::Refused(name, code, message) => {
                write!(f, "the broker refuses {name}: {code}")?;
                write_quoted(f, message.as_deref())
            }
            Self::Topic => f.write_str("the broker's answer does not contain the topic"),
            Self::Mechanism(offered) => {
                f.write_str("the broker does not offer this SASL mechanism, but ")?;
                f.write_str(&quoted(&offered.join(", ")))
            }
            Self::Login(message) => {
                f.write_str("the broker does not accept user and password (?login=)")?;
                write_quoted(f, message.as_deref())
            }
            Self::Scram(why) => write!(f, "SCRAM: {why}"),
            Self::Compression(why) => write!(f, "compression failed: {why}"),
        }
    }
}

impl std::error::Error for Error {}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: Option<&str>) -> fmt::Result {
    match text {
        Some(text) if !text.is_empty() => write!(f, ": {}", quoted(text)),
        _ => Ok(()),
    }
}

/// The start of a text from the broker, with invisible characters escaped for the log.
#[must_use]
pub fn quoted(text: &str) -> String {
    let start: String = text.chars().take(QUOTE_MAX).collect();
    visible(&start).into_owned()
}

#[cfg(test)]
mod tests;
