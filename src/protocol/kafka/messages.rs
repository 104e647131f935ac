//! The requests of a producer and the answers to them.
//!
//! Only versions without tagged fields are used: every broker since Kafka 2.1 supports
//! them, and Kafka 4 still does (KIP-896). The exception is [`Api::InitProducerId`], for
//! which a newer version is used where possible: some implementations assign a producer id
//! only to a client that states explicitly that it has none.

use super::wire::{Answer, put_i16, put_i32, put_i64, put_length, put_string};
use super::{Code, Error, ProducerId};

/// An empty list of tagged fields.
const NO_TAGS: u8 = 0;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Sends messages to partitions.
    Produce,
    /// Asks for brokers and leaders of partitions.
    Metadata,
    /// Announces which SASL mechanism follows.
    SaslHandshake,
    /// Asks which requests and versions the broker supports.
    ApiVersions,
    /// Asks for a producer id.
    InitProducerId,
    /// One step of the SASL exchange.
    SaslAuthenticate,
}

impl Api {
    fn key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Metadata => 3,
            Self::SaslHandshake => 17,
            Self::ApiVersions => 18,
            Self::InitProducerId => 22,
            Self::SaslAuthenticate => 36,
        }
    }

    /// Oldest and newest version that are implemented here.
    fn versions(self) -> (i16, i16) {
        match self {
            Self::Produce => (3, 8),
            Self::Metadata => (4, 7),
            Self::SaslHandshake => (1, 1),
            Self::ApiVersions => (0, 0),
            Self::InitProducerId => (0, 3),
            Self::SaslAuthenticate => (0, 1),
        }
    }

    /// Whether requests and answers of this version have tagged fields (KIP-482).
    fn is_tagged(self, version: i16) -> bool {
        self == Self::InitProducerId && version >= 2
    }

    /// The name in the protocol documentation, for log messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Metadata => "Metadata",
            Self::SaslHandshake => "SaslHandshake",
            Self::ApiVersions => "ApiVersions",
            Self::InitProducerId => "InitProducerId",
            Self::SaslAuthenticate => "SaslAuthenticate",
        }
    }
}

/// The versions of each request that a broker supports.
#[derive(Clone, Debug, Default)]
pub struct Versions(Vec<(i16, i16, i16)>);

impl Versions {
    /// Parses the answer to [`Api::ApiVersions`].
    ///
    /// # Errors
    /// The answer is truncated, or the broker rejected the request.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut answer = Answer::new("ApiVersions", bytes);
        let code = Code(answer.i16()?);
        if !code.is_good() {
            return Err(Error::Refused("ApiVersions", code, None));
        }
        let mut versions = Vec::new();
        answer.each(|a| {
            versions.push((a.i16()?, a.i16()?, a.i16()?));
            Ok(())
        })?;
        Ok(Self(versions))
    }

    /// The newest version that both sides support.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn of(&self, api: Api) -> Result<i16, Error> {
        let (oldest, newest) = api.versions();
        let theirs = self.0.iter().find(|(key, ..)| *key == api.key());
        let both = theirs.map(|(_, least, most)| (oldest.max(*least), newest.min(*most)));
        match both {
            Some((least, most)) if least <= most => Ok(most),
            _ => Err(Error::Unsupported(api.name())),
        }
    }
}

/// Appends a request with its length prefix and header; `write` appends its body.
/// `correlation` comes back in the answer.
pub fn push_request(
    out: &mut Vec<u8>,
    api: Api,
    version: i16,
    correlation: i32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    put_i32(out, 0);
    put_i16(out, api.key());
    put_i16(out, version);
    put_i32(out, correlation);
    put_string(out, "wecrelay");
    if api.is_tagged(version) {
        out.push(NO_TAGS);
    }
    write(out);
    let length = out.len().saturating_sub(start).saturating_sub(4);
    let length = i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes();
    if let Some(room) = out.get_mut(start..start + 4) {
        room.copy_from_slice(&length);
    }
}

/// Appends the body of [`Api::Metadata`] for one topic, without auto-creating it.
pub fn push_metadata(out: &mut Vec<u8>, topic: &str) {
    put_length(out, 1);
    put_string(out, topic);
    out.push(0);
}

/// The address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Node id of the broker.
    pub id: i32,
    /// Host name as the broker advertises it, which must be resolvable from here.
    pub host: String,
    /// Advertised port.
    pub port: i32,
}

/// A partition of the topic and its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLeader {
    /// The partition's error code.
    pub code: Code,
    /// Index of the partition, from 0.
    pub index: i32,
    /// Node id of the broker that accepts messages for it; -1 while there is none.
    pub leader: i32,
}

/// The answer to [`Api::Metadata`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// All live brokers.
    pub brokers: Vec<Broker>,
    /// The topic's error code.
    pub code: Code,
    /// Partitions of the topic with their leaders.
    pub partitions: Vec<PartitionLeader>,
}

impl Metadata {
    /// Parses the answer.
    ///
    /// # Errors
    /// The answer is truncated, or does not mention `topic`.
    pub fn parse(bytes: &[u8], version: i16, topic: &str) -> Result<Self, Error> {
        let mut answer = Answer::new("Metadata", bytes);
        answer.i32()?;
        let mut brokers = Vec::new();
        answer.each(|a| {
            let (id, host, port) = (a.i32()?, a.string()?, a.i32()?);
            brokers.push(Broker { id, host, port });
            a.nullable_string().map(drop)
        })?;
        answer.nullable_string()?;
        answer.i32()?;
        let mut found = None;
        answer.each(|a| {
            let code = Code(a.i16()?);
            let name = a.string()?;
            a.i8()?;
            let partitions = partitions(a, version)?;
            if name == topic {
                found = Some((code, partitions));
            }
            Ok(())
        })?;
        let (code, partitions) = found.ok_or(Error::Topic)?;
        Ok(Self {
            brokers,
            code,
            partitions,
        })
    }
}

fn partitions(answer: &mut Answer<'_>, version: i16) -> Result<Vec<PartitionLeader>, Error> {
    let mut partitions = Vec::new();
    answer.each(|a| {
        let (code, index, leader) = (Code(a.i16()?), a.i32()?, a.i32()?);
        if version >= 7 {
            a.i32()?;
        }
        // Replicas, in-sync replicas, and since version 5 offline replicas.
        for _ in 0..if version >= 5 { 3 } else { 2 } {
            a.skip_numbers()?;
        }
        partitions.push(PartitionLeader {
            code,
            index,
            leader,
        });
        Ok(())
    })?;
    Ok(partitions)
}

/// Appends the body of [`Api::InitProducerId`] without a transaction. The transaction
/// timeout is the default of other clients, because some implementations check it
/// nevertheless.
pub fn push_init_producer_id(out: &mut Vec<u8>, version: i16) {
    let is_tagged = Api::InitProducerId.is_tagged(version);
    if is_tagged {
        out.push(0);
    } else {
        put_i16(out, -1);
    }
    put_i32(out, 60_000);
    if version >= 3 {
        // No producer id and no epoch yet.
        put_i64(out, -1);
        put_i16(out, -1);
    }
    if is_tagged {
        out.push(NO_TAGS);
    }
}

/// Parses the answer to [`Api::InitProducerId`]; the inner error is the broker's code.
///
/// # Errors
/// The answer is truncated.
pub fn parse_producer_id(bytes: &[u8], version: i16) -> Result<Result<ProducerId, Code>, Error> {
    let mut answer = Answer::new("InitProducerId", bytes);
    if Api::InitProducerId.is_tagged(version) {
        answer.skip_tags()?;
    }
    answer.i32()?;
    let code = Code(answer.i16()?);
    let (id, epoch) = (answer.i64()?, answer.i16()?);
    Ok(if code.is_good() {
        Ok(ProducerId { id, epoch })
    } else {
        Err(code)
    })
}

/// Appends the body of [`Api::Produce`]: batches for partitions of one topic, to be
/// confirmed by all in-sync replicas (`acks=all`) within `timeout` milliseconds.
pub fn push_produce<'a>(
    out: &mut Vec<u8>,
    topic: &str,
    timeout: i32,
    batches: impl ExactSizeIterator<Item = (i32, &'a [u8])>,
) {
    put_i16(out, -1);
    put_i16(out, -1);
    put_i32(out, timeout);
    put_length(out, 1);
    put_string(out, topic);
    put_length(out, batches.len());
    for (partition, batch) in batches {
        put_i32(out, partition);
        put_length(out, batch.len());
        out.extend_from_slice(batch);
    }
}

/// The result of a batch for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Index of the partition, from 0.
    pub partition: i32,
    /// The partition's error code.
    pub code: Code,
    /// The records at fault: index in the batch, and reason. Since version 8.
    pub records: Vec<(i32, Option<String>)>,
    /// The broker's message; since version 8.
    pub message: Option<String>,
}

/// Parses the answer to [`Api::Produce`].
///
/// # Errors
/// The answer is truncated.
pub fn parse_produced(bytes: &[u8], version: i16) -> Result<Vec<Produced>, Error> {
    let mut answer = Answer::new("Produce", bytes);
    let mut produced = Vec::new();
    answer.each(|a| {
        a.string()?;
        a.each(|a| {
            let (partition, code) = (a.i32()?, Code(a.i16()?));
            a.i64()?;
            a.i64()?;
            if version >= 5 {
                a.i64()?;
            }
            let mut records = Vec::new();
            let mut message = None;
            if version >= 8 {
                a.each(|a| {
                    records.push((a.i32()?, a.nullable_string()?));
                    Ok(())
                })?;
                message = a.nullable_string()?;
            }
            produced.push(Produced {
                partition,
                code,
                records,
                message,
            });
            Ok(())
        })
    })?;
    Ok(produced)
}

/// Appends the body of [`Api::SaslHandshake`].
pub fn push_sasl_handshake(out: &mut Vec<u8>, mechanism: &str) {
    put_string(out, mechanism);
}

/// Parses the answer to [`Api::SaslHandshake`].
///
/// # Errors
/// The answer is truncated, or the broker does not support the mechanism.
pub fn parse_sasl_handshake(bytes: &[u8]) -> Result<(), Error> {
    let mut answer = Answer::new("SaslHandshake", bytes);
    let code = Code(answer.i16()?);
    let mut offered = Vec::new();
    answer.each(|a| {
        offered.push(a.string()?);
        Ok(())
    })?;
    if code.is_good() {
        Ok(())
    } else {
        Err(Error::Mechanism(offered))
    }
}

/// Appends the body of [`Api::SaslAuthenticate`] with a token.
pub fn push_sasl_authenticate(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Parses the answer to [`Api::SaslAuthenticate`]; returns the broker's token.
///
/// # Errors
/// The answer is truncated, or the broker rejected the login.
pub fn parse_sasl_authenticate(bytes: &[u8]) -> Result<&[u8], Error> {
    let mut answer = Answer::new("SaslAuthenticate", bytes);
    let code = Code(answer.i16()?);
    let message = answer.nullable_string()?;
    let token = answer.bytes()?;
    if code.is_good() {
        Ok(token)
    } else {
        Err(Error::Login(message))
    }
}
