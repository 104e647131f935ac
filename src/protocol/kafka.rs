//! The producer's side of the Kafka protocol: requests, answers, record batches, SASL.
//!
//! Requests and answers are those of <https://kafka.apache.org/protocol>. They are read and
//! written here, and not by a crate, because an answer is foreign: no length in it may make
//! memory be allocated that its bytes do not fill, and a record is to be copied once.

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

/// Largest answer that is taken, in bytes: the metadata of a topic with as many partitions as
/// an answer may list fits.
pub const ANSWER_MAX: usize = 16 << 20;
/// Longest text of the broker's that is repeated in errors, in characters.
const QUOTE_MAX: usize = 200;

/// Why a connection to a broker cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An answer to this request that ends before its end, at this byte.
    Cut(&'static str, usize),
    /// An answer of so many bytes.
    Length(i32),
    /// An answer to this request that lists more than is kept.
    Listed(&'static str),
    /// An answer with this number, while another one is due.
    Correlation(i32),
    /// An answer that nothing was asked for.
    Unasked,
    /// An answer to a request that was not sent wholly.
    Early,
    /// A request that the broker does not know in a version that is known here.
    Unsupported(&'static str),
    /// The broker refuses a request.
    Refused(&'static str, Code, Option<String>),
    /// The answer about the topic tells nothing of it.
    Topic,
    /// The broker does not have the mechanism, but these.
    Mechanism(Vec<String>),
    /// The broker does not take user and password.
    Login(Option<String>),
    /// A broker that does not know the password that it is to check.
    Scram(&'static str),
    /// A batch that could not be compressed.
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

/// The start of a text of the broker's, fit for a log.
#[must_use]
pub fn quoted(text: &str) -> String {
    let start: String = text.chars().take(QUOTE_MAX).collect();
    visible(&start).into_owned()
}

#[cfg(test)]
mod tests;
