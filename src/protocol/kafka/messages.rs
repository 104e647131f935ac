//! The requests that a producer makes, and their answers.
//!
//! Only versions without tagged fields are spoken: every broker since Kafka 2.1 has them, and
//! Kafka 4 still does (KIP-896). But [`Api::InitProducerId`] is asked in a newer one where it
//! can be: some broker gives a number to nobody who does not say that it has none yet.

use super::wire::{Answer, put_i16, put_i32, put_i64, put_length, put_string};
use super::{Code, Error, ProducerId};

/// The end of what has tagged fields, and has none.
const NO_TAGS: u8 = 0;

/// A kind of request, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Messages for partitions.
    Produce,
    /// The brokers, and the leaders of partitions.
    Metadata,
    /// Which mechanism of SASL follows.
    SaslHandshake,
    /// What kinds and versions of requests the broker knows.
    ApiVersions,
    /// A number for an idempotent producer.
    InitProducerId,
    /// A step of SASL.
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

    /// The versions that are spoken here.
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

    /// Whether requests and answers in this version have tagged fields (KIP-482).
    fn is_tagged(self, version: i16) -> bool {
        self == Self::InitProducerId && version >= 2
    }

    /// Its name in the protocol.
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

/// What a broker knows: the versions of each kind of request.
#[derive(Clone, Debug, Default)]
pub struct Versions(Vec<(i16, i16, i16)>);

impl Versions {
    /// Reads the answer to [`Api::ApiVersions`].
    ///
    /// # Errors
    /// An answer that is cut, or a broker that refuses.
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

    /// The newest version that both sides speak.
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

/// Appends a request whose body `write` appends.
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

/// The body of [`Api::Metadata`] for one topic, which is not to be made.
pub fn push_metadata(out: &mut Vec<u8>, topic: &str) {
    put_length(out, 1);
    put_string(out, topic);
    out.push(0);
}

/// Where a broker is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Node id of the broker.
    pub id: i32,
    /// Its host, as it wants to be called.
    pub host: String,
    /// Advertised port.
    pub port: i32,
}

/// One partition of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLeader {
    /// What is wrong with it.
    pub code: Code,
    /// Index of the partition, from 0.
    pub index: i32,
    /// The broker that takes messages for it; -1 while there is none.
    pub leader: i32,
}

/// The answer to [`Api::Metadata`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// All brokers that are up.
    pub brokers: Vec<Broker>,
    /// What is wrong with the topic.
    pub code: Code,
    /// Partitions of the topic with their leaders.
    pub partitions: Vec<PartitionLeader>,
}

impl Metadata {
    /// Reads it.
    ///
    /// # Errors
    /// An answer that is cut, or not about `topic`.
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
        // Replicas, those in sync, and from version 5 on those that are offline.
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

/// The body of [`Api::InitProducerId`] without transactions; their timeout is other clients'
/// default, since some broker may look at it all the same.
pub fn push_init_producer_id(out: &mut Vec<u8>, version: i16) {
    let is_tagged = Api::InitProducerId.is_tagged(version);
    if is_tagged {
        out.push(0);
    } else {
        put_i16(out, -1);
    }
    put_i32(out, 60_000);
    if version >= 3 {
        // It has no number and no epoch yet.
        put_i64(out, -1);
        put_i16(out, -1);
    }
    if is_tagged {
        out.push(NO_TAGS);
    }
}

/// Reads the answer to [`Api::InitProducerId`].
///
/// # Errors
/// An answer that is cut.
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

/// The body of [`Api::Produce`]: batches for partitions of one topic, to be confirmed by all
/// replicas in sync within `timeout` milliseconds.
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

/// What became of the batch for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Index of the partition, from 0.
    pub partition: i32,
    /// What is wrong.
    pub code: Code,
    /// The records that are to blame, by their place in the batch, and why.
    pub records: Vec<(i32, Option<String>)>,
    /// Why the batch was refused.
    pub message: Option<String>,
}

/// Reads the answer to [`Api::Produce`].
///
/// # Errors
/// An answer that is cut.
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

/// The body of [`Api::SaslHandshake`].
pub fn push_sasl_handshake(out: &mut Vec<u8>, mechanism: &str) {
    put_string(out, mechanism);
}

/// Reads the answer to [`Api::SaslHandshake`].
///
/// # Errors
/// An answer that is cut, and a mechanism that the broker does not have.
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

/// The body of [`Api::SaslAuthenticate`].
pub fn push_sasl_authenticate(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads the answer to [`Api::SaslAuthenticate`].
///
/// # Errors
/// An answer that is cut, and a broker that refuses us.
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
