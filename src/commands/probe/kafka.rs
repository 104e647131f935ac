//! Asks brokers as the relay does, without a message: versions, the user, the topic.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

use super::{Access, Line, Way, connect, open, took, try_each, with_what_speaks};
use crate::base::clock::Now;
use crate::output::kafka::{self, Connection, Context, Reply};
use crate::output::{Dial, Secret, Settings};
use crate::protocol::kafka::{Api, Error, Login, Mechanism, Metadata};
use crate::tls::connector::Connector;

/// Leaders that are connected to.
const LEADERS: usize = 16;
/// How long each of them may take.
const LEADER_TIME: Duration = Duration::from_secs(5);

/// What went wrong, and whether it is a broker that says so.
struct Failure {
    why: String,
    is_broker: bool,
}

/// Whether the topic would take events.
pub(super) fn attempt(
    settings: &Settings,
    topic: &kafka::Settings,
    access: Access<'_>,
    facts: &mut Vec<String>,
) -> Result<(), String> {
    let login = match access.secret {
        Secret::Login(login) => topic.mechanism.zip(Some(login.clone())),
        _ => None,
    };
    let mut reasons = Vec::new();
    for (host, port) in &topic.brokers {
        let (settings, connector) = for_host(settings, access.connector, host);
        let place = (host.as_str(), *port);
        let mut found = None;
        let tried = try_each(&mut Dial::new(Some(place)), place, facts, |way, facts| {
            let line = open(&settings, connector.as_ref(), way, facts)?;
            let is_plain = matches!(line, Line::Plain(_));
            let asked = ask(line, &topic.topic, login.as_ref(), facts);
            found = Some(asked.map_err(|failure| {
                if is_plain && !failure.is_broker {
                    with_what_speaks(failure.why, &settings, way)
                } else {
                    failure.why
                }
            })?);
            Ok(())
        });
        match (tried, found) {
            (Ok(()), Some(found)) => return judge(topic, &found, facts),
            (tried, _) => reasons.extend(tried.err().map(|why| format!("{host}:{port}: {why}"))),
        }
    }
    Err(reasons.join("; "))
}

/// With TLS each broker has a certificate of its own.
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
) -> Result<Metadata, Failure> {
    let begun = Instant::now();
    let mut connection = Connection::new("", 0);
    connection.handle_opened(now());
    let mut is_broker = false;
    loop {
        let failed = |why: String| Failure { why, is_broker };
        let replies = exchange(&mut line, &mut connection, topic, login, is_broker);
        let replies = replies.map_err(failed)?;
        is_broker = true;
        for reply in replies {
            let failed = |error: Error| Failure {
                why: error.to_string(),
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

/// Says what is to be said, and takes in what comes. `is_broker` says whether it has
/// answered before.
fn exchange(
    line: &mut Line,
    connection: &mut Connection,
    topic: &str,
    login: Option<&(Mechanism, Login)>,
    is_broker: bool,
) -> Result<Vec<Reply>, String> {
    while !connection.outgoing().is_empty() {
        let count = line.write(connection.outgoing());
        connection.handle_written(count.map_err(|error| error.to_string())?);
    }
    let mut buffer = [0; 16 * 1024];
    let count = match line.read(&mut buffer) {
        Ok(0) => return Err(closed(is_broker, login.is_some()).to_owned()),
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return Err("not a Kafka answer: is this the port of a broker?".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut random = [0; 32];
    rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut random)
        .map_err(|error| error.to_string())?;
    let context = Context {
        topic,
        login,
        random,
    };
    let bytes = buffer.get(..count).unwrap_or_default();
    let replies = connection.handle_received(now(), bytes, &context);
    replies.map_err(|error| error.to_string())
}

fn closed(is_broker: bool, has_login: bool) -> &'static str {
    match (is_broker, has_login) {
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

/// Whether the topic is there, and its leaders are.
fn judge(topic: &kafka::Settings, found: &Metadata, facts: &mut Vec<String>) -> Result<(), String> {
    let name = &topic.topic;
    if !found.code.is_good() {
        return Err(format!("topic {name}: {}", found.code));
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
        return Err(format!(
            "topic {name}: {} of its partitions have no leader: are all brokers up?",
            count - led
        ));
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
        reached.map_err(|why| {
            format!(
                "broker {} advertises {}:{port} (advertised.listeners), which fails: {why}",
                broker.id, broker.host
            )
        })?;
    }
    Ok(())
}

fn now() -> Now {
    Now {
        monotonic: Instant::now(),
        wall: SystemTime::now(),
    }
}
