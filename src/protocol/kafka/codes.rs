//! The brokers' error codes: what each means for a producer, and what an administrator can
//! do.

use std::fmt;

/// A Kafka error code; 0 means no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub i16);

/// How a producer has to react to an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The batch has been stored, now or earlier.
    Good,
    /// Another broker leads the partition now: request the metadata and send the batch
    /// again.
    Moved,
    /// A transient failure in the cluster: send the batch again.
    Retry,
    /// The batch is too large: split it.
    TooLarge,
    /// The broker rejects a record; sending it again would not help.
    Refused,
    /// The broker has lost track of the sequence: request a new producer id.
    Sequence,
    /// An administrator has to fix something.
    Outage,
}

/// Code, class, name in the protocol, and remedy.
type Row = (i16, Class, &'static str, &'static str);

/// The codes that an answer to one of our requests can contain, ascending. Others count as
/// outages.
const TABLE: &[Row] = &[
    (
        -1,
        Class::Outage,
        "UNKNOWN_SERVER_ERROR",
        "see the broker's log",
    ),
    (0, Class::Good, "NONE", ""),
    (2, Class::Retry, "CORRUPT_MESSAGE", "see the broker's log"),
    (3, Class::Moved, "UNKNOWN_TOPIC_OR_PARTITION", CREATE),
    (5, Class::Moved, "LEADER_NOT_AVAILABLE", BROKERS),
    (6, Class::Moved, "NOT_LEADER_OR_FOLLOWER", ""),
    (7, Class::Retry, "REQUEST_TIMED_OUT", REPLICAS),
    (8, Class::Moved, "BROKER_NOT_AVAILABLE", BROKERS),
    (9, Class::Moved, "REPLICA_NOT_AVAILABLE", ""),
    (10, Class::TooLarge, "MESSAGE_TOO_LARGE", LARGE),
    (13, Class::Moved, "NETWORK_EXCEPTION", ""),
    (14, Class::Retry, "COORDINATOR_LOAD_IN_PROGRESS", ""),
    (15, Class::Retry, "COORDINATOR_NOT_AVAILABLE", BROKERS),
    (16, Class::Retry, "NOT_COORDINATOR", ""),
    (
        17,
        Class::Outage,
        "INVALID_TOPIC_EXCEPTION",
        "the topic in the URL is not a valid name",
    ),
    (18, Class::TooLarge, "RECORD_LIST_TOO_LARGE", LARGE),
    (19, Class::Retry, "NOT_ENOUGH_REPLICAS", REPLICAS),
    (
        20,
        Class::Retry,
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        REPLICAS,
    ),
    (
        21,
        Class::Outage,
        "INVALID_REQUIRED_ACKS",
        "see the topic's min.insync.replicas",
    ),
    (29, Class::Outage, "TOPIC_AUTHORIZATION_FAILED", ACCESS),
    (31, Class::Outage, "CLUSTER_AUTHORIZATION_FAILED", ACCESS),
    (
        32,
        Class::Refused,
        "INVALID_TIMESTAMP",
        "compare the clocks of relay and broker",
    ),
    (
        33,
        Class::Outage,
        "UNSUPPORTED_SASL_MECHANISM",
        "see ?sasl=",
    ),
    (
        34,
        Class::Outage,
        "ILLEGAL_SASL_STATE",
        "does this listener require SASL (?sasl=)?",
    ),
    (
        35,
        Class::Outage,
        "UNSUPPORTED_VERSION",
        "Kafka 2.1 or newer is required",
    ),
    (42, Class::Outage, "INVALID_REQUEST", "see the broker's log"),
    (
        43,
        Class::Outage,
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        "the topic's message format is older than Kafka 0.11",
    ),
    (
        44,
        Class::Outage,
        "POLICY_VIOLATION",
        "see the broker's policies",
    ),
    (45, Class::Sequence, "OUT_OF_ORDER_SEQUENCE_NUMBER", ""),
    (46, Class::Good, "DUPLICATE_SEQUENCE_NUMBER", ""),
    (47, Class::Sequence, "INVALID_PRODUCER_EPOCH", ""),
    (49, Class::Sequence, "INVALID_PRODUCER_ID_MAPPING", ""),
    (
        53,
        Class::Outage,
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        ACCESS,
    ),
    (
        56,
        Class::Moved,
        "KAFKA_STORAGE_ERROR",
        "see the broker's disks and log",
    ),
    (
        58,
        Class::Outage,
        "SASL_AUTHENTICATION_FAILED",
        "see ?login=",
    ),
    (59, Class::Sequence, "UNKNOWN_PRODUCER_ID", ""),
    (74, Class::Moved, "FENCED_LEADER_EPOCH", ""),
    (75, Class::Moved, "UNKNOWN_LEADER_EPOCH", ""),
    (
        76,
        Class::Outage,
        "UNSUPPORTED_COMPRESSION_TYPE",
        "choose another ?compress=",
    ),
    (
        87,
        Class::Refused,
        "INVALID_RECORD",
        "see the topic's settings and the broker's log",
    ),
    (
        89,
        Class::Retry,
        "THROTTLING_QUOTA_EXCEEDED",
        "see the quotas of this user",
    ),
    (90, Class::Sequence, "PRODUCER_FENCED", ""),
    (100, Class::Moved, "UNKNOWN_TOPIC_ID", ""),
];

const CREATE: &str =
    "create the topic first (kafka-topics.sh --create); wecrelay does not create topics";
const BROKERS: &str = "a partition has no leader: are all brokers up?";
const REPLICAS: &str = "too few replicas are in sync: are all brokers up (min.insync.replicas)?";
const LARGE: &str = "see max.message.bytes of the topic, and ?max= here";
const ACCESS: &str = "allow this user to Write to and Describe the topic (kafka-acls.sh)";

impl Code {
    /// Whether there is no error.
    #[must_use]
    pub fn is_good(self) -> bool {
        self.0 == 0
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|(code, ..)| *code == self.0)
    }

    /// How to react to it.
    #[must_use]
    pub fn class(self) -> Class {
        self.row().map_or(Class::Outage, |(_, class, ..)| *class)
    }

    /// Whether an answer to `InitProducerId` means that this user gets no idempotent
    /// producer, although it may still send messages: brokers before 2.8 require the right
    /// `IdempotentWrite` on the cluster, and some other implementations do not support it
    /// at all.
    #[must_use]
    pub fn denies_idempotence(self) -> bool {
        matches!(self.0, 31 | 35)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some((_, _, name, "")) => f.write_str(name),
            Some((_, _, name, remedy)) => write!(f, "{name} ({remedy})"),
            None => write!(f, "error {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_in_order() {
        assert!(TABLE.is_sorted_by(|(a, ..), (b, ..)| a < b));
    }

    #[test]
    fn only_what_denies_a_producer_id_for_good_does_so() {
        let denying: Vec<i16> = (-1..200)
            .filter(|code| Code(*code).denies_idempotence())
            .collect();
        assert_eq!(denying, [31, 35]);
    }

    #[test]
    fn what_is_not_known_is_an_outage_with_its_number() {
        assert_eq!(Code(999).class(), Class::Outage);
        assert_eq!(Code(999).to_string(), "error 999");
        assert!(Code(3).to_string().contains("create the topic first"));
        assert_eq!(Code(6).to_string(), "NOT_LEADER_OR_FOLLOWER");
    }
}
