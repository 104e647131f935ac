//! Probes brokers as the relay connects to them, without sending a message: versions,
//! login, and topic.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant, SystemTime};

use rand::TryRng;
use rand::rngs::{SysError, SysRng};

use super::{Access, Line, Way, connect, explain, open, took, try_each};
use crate::base::clock::Now;
use crate::output::kafka::{self, Connection, Context, Reply};
use crate::output::{Dial, Secret, Settings};
use crate::protocol::kafka::{Api, Broker, Code, Error, Login, Mechanism, Metadata};
use crate::tls::connector::Connector;

/// Maximum number of partition leaders to connect to.
const LEADERS: usize = 16;
/// Timeout for the connection to each of them.
const LEADER_TIME: Duration = Duration::from_secs(5);

/// Why a topic cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The connection fails.
    Io(io::Error),
    /// The system provides no random bytes.
    Random(SysError),
    /// The broker closes the connection instead of answering.
    Closed {
        /// Whether it answered an earlier request.
        answered: bool,
        /// Whether the relay is configured to log in.
        login: bool,
    },
    /// The broker does not answer in time.
    Silent,
    /// The answer is not in Kafka's protocol, or is a refusal.
    Answer(Error),
    /// The topic cannot be used; the broker's error code.
    Topic(String, Code),
    /// This number of the topic's partitions has no leader.
    NoLeader(String, usize),
    /// A broker cannot be reached at the address that it advertises.
    Advertised(Broker, Box<super::Failure>),
    /// No broker of the URL can be used; the reason for each.
    Brokers(Vec<(String, super::Failure)>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Random(error) => write!(f, "{error}"),
            Self::Closed { answered, login } => f.write_str(closed(*answered, *login)),
            Self::Silent => write!(f, "not a Kafka answer: is this the port of a broker?"),
            Self::Answer(error) => write!(f, "{error}"),
            Self::Topic(name, code) => write!(f, "topic {name}: {code}"),
            Self::NoLeader(name, count) => write!(
                f,
                "topic {name}: {count} of its partitions have no leader: are all brokers up?"
            ),
            Self::Advertised(broker, failure) => {
                let Broker { id, host, port } = broker;
                write!(
                    f,
                    "broker {id} advertises {host}:{port} (advertised.listeners), which fails: {failure}"
                )
            }
            Self::Brokers(failures) => {
                for (index, (place, failure)) in failures.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{place}: {failure}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Failure {}

/// A failure, and whether a broker had answered before it.
struct Failed {
    why: Failure,
    is_broker: bool,
}

/// Checks whether the topic could receive events.
pub(super) fn attempt(
    settings: &Settings,
    topic: &kafka::Settings,
    access: Access<'_>,
    facts: &mut Vec<String>,
) -> Result<(), super::Failure> {
    let login = match access.secret {
        Secret::Login(login) => topic.mechanism.zip(Some(login.clone())),
        _ => None,
    };
    let mut failures = Vec::new();
    for (host, port) in &topic.brokers {
        let (settings, connector) = for_host(settings, access.connector, host);
        let place = (host.as_str(), *port);
        let mut found = None;
        let tried = try_each(&mut Dial::new(Some(place)), place, facts, |way, facts| {
            let line = open(&settings, connector.as_ref(), way, facts)?;
            let is_plain = matches!(line, Line::Plain(_));
            let asked = ask(line, &topic.topic, login.as_ref(), facts);
            found = Some(asked.map_err(|Failed { why, is_broker }| {
                let is_unknown = is_plain && !is_broker;
                explain(super::Failure::Kafka(why), is_unknown, &settings, way)
            })?);
            Ok(())
        });
        match (tried, found) {
            (Ok(()), Some(found)) => {
                return judge(topic, &found, facts).map_err(super::Failure::Kafka);
            }
            (tried, _) => failures.extend(tried.err().map(|why| (format!("{host}:{port}"), why))),
        }
    }
    Err(super::Failure::Kafka(Failure::Brokers(failures)))
}

/// With TLS, each broker has its own certificate, which must be for its own name.
fn for_host(
    settings: &Settings,
    connector: Option<&Connector>,
    host: &str,
) -> (Settings, Option<Connector>) {
    let (mut settings, mut connector) = (settings.clone(), connector.cloned());
    if let (Some(tls), Some(connector)) = (&mut settings.tls, &mut connector)
        && tls.name.is_empty()
    {
        host.clone_into(&mut tls.name);
        connector.name_receiver(host);
    }
    (settings, connector)
}

fn ask(
    mut line: Line,
    topic: &str,
    login: Option<&(Mechanism, Login)>,
    facts: &mut Vec<String>,
) -> Result<Metadata, Failed> {
    let begun = Instant::now();
    let mut connection = Connection::new("", 0);
    connection.handle_opened(now());
    let mut is_broker = false;
    loop {
        let failed = |why: Failure| Failed { why, is_broker };
        let replies = exchange(&mut line, &mut connection, topic, login, is_broker);
        let replies = replies.map_err(failed)?;
        is_broker = true;
        for reply in replies {
            let failed = |error: Error| Failed {
                why: Failure::Answer(error),
                is_broker,
            };
            match reply {
                Reply::Up => {
                    let user = login.map_or_else(String::new, |(mechanism, login)| {
                        format!(", as {} ({})", login.user, mechanism.name())
                    });
                    facts.push(format!("Kafka{user} ({})", took(begun)));
                    connection.version(Api::Produce).map_err(failed)?;
                    if connection.version(Api::InitProducerId).is_err() {
                        facts.push("it does not support idempotent producers".to_owned());
                    }
                    connection.ask_metadata(now(), topic).map_err(failed)?;
                }
                Reply::Metadata(found) => return Ok(found),
                Reply::ProducerId(_) | Reply::Produced(_) => {}
            }
        }
    }
}

/// Sends pending requests, and reads once. `is_broker` is whether the server has answered
/// before.
fn exchange(
    line: &mut Line,
    connection: &mut Connection,
    topic: &str,
    login: Option<&(Mechanism, Login)>,
    is_broker: bool,
) -> Result<Vec<Reply>, Failure> {
    while !connection.outgoing().is_empty() {
        let count = line.write(connection.outgoing()).map_err(Failure::Io)?;
        connection.handle_written(count);
    }
    let mut buffer = [0; 16 * 1024];
    let count = match line.read(&mut buffer) {
        Ok(0) => {
            return Err(Failure::Closed {
                answered: is_broker,
                login: login.is_some(),
            });
        }
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Failure::Silent),
        Err(error) => return Err(Failure::Io(error)),
    };
    let mut random = [0; 32];
    SysRng
        .try_fill_bytes(&mut random)
        .map_err(Failure::Random)?;
    let context = Context {
        topic,
        login,
        random,
    };
    let bytes = buffer.get(..count).unwrap_or_default();
    let replies = connection.handle_received(now(), bytes, &context);
    replies.map_err(Failure::Answer)
}

fn closed(answered: bool, login: bool) -> &'static str {
    match (answered, login) {
        (false, _) => {
            "the connection was closed instead of answered: is this the port of a broker, and does \
             this listener require TLS (kafka+tls)?"
        }
        (true, false) => {
            "the broker closed the connection instead of answering: does this listener require \
             SASL (?login=)?"
        }
        (true, true) => {
            "the broker closed the connection during the login: see its log, and ?sasl="
        }
    }
}

/// Checks that the topic exists and that its leaders can be reached.
fn judge(
    topic: &kafka::Settings,
    found: &Metadata,
    facts: &mut Vec<String>,
) -> Result<(), Failure> {
    let name = &topic.topic;
    if !found.code.is_good() {
        return Err(Failure::Topic(name.clone(), found.code));
    }
    let led = found.partitions.iter().filter(|p| p.leader >= 0);
    let leaders: BTreeSet<_> = led.clone().map(|p| p.leader).collect();
    let (count, led) = (found.partitions.len(), led.count());
    facts.push(format!(
        "topic {name}: {count} partitions, led by {} of {} brokers",
        leaders.len(),
        found.brokers.len()
    ));
    if led < count || count == 0 {
        return Err(Failure::NoLeader(name.clone(), count - led));
    }
    let brokers = found.brokers.iter().filter(|b| leaders.contains(&b.id));
    for broker in brokers.take(LEADERS) {
        let port = u16::try_from(broker.port).unwrap_or(0);
        let place = (broker.host.as_str(), port);
        let mut seen = Vec::new();
        let reached = try_each(
            &mut Dial::new(Some(place)),
            place,
            &mut seen,
            |way, facts| {
                let time = way.time.min(LEADER_TIME);
                connect(Way { time, ..way }, facts).map(drop)
            },
        );
        reached.map_err(|why| Failure::Advertised(broker.clone(), Box::new(why)))?;
    }
    Ok(())
}

fn now() -> Now {
    Now {
        monotonic: Instant::now(),
        wall: SystemTime::now(),
    }
}
