//! Probes an output: connects as the relay does, without sending an event.
#![expect(clippy::disallowed_methods, reason = "it looks at sockets, in time")]

pub mod ask;
mod failure;
mod kafka;
mod otlp;
mod relp;
mod speaks;
mod tls_probe;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::output::{Dial, Secret, Settings, Step, Target};
use crate::syslog::framing::Framing;
use crate::system::resolver;
use crate::tls::connector::{Connector, Progress, Secured};

pub use failure::Failure;
pub use kafka::Failure as KafkaFailure;
pub use otlp::Failure as OtlpFailure;
pub use relp::Failure as RelpFailure;
pub use speaks::Speaks;

/// How long to wait for a receiver to reject the relay's certificate after a TLS 1.3
/// handshake.
const SETTLING: Duration = Duration::from_secs(1);

/// The result of a probe.
#[derive(Debug)]
pub struct Probe {
    /// Observations, one line each.
    pub facts: Vec<String>,
    /// Why the output cannot be used; `None` if the probe succeeded.
    pub failure: Option<Failure>,
}

/// Probes an output. Blocks for some tens of seconds at most.
#[must_use]
pub fn probe(settings: &Settings, connector: Option<&Connector>, secret: &Secret) -> Probe {
    let mut facts = Vec::new();
    let access = Access { connector, secret };
    let failure = attempt(settings, access, &mut facts).err();
    Probe { facts, failure }
}

/// The credentials for an output.
#[derive(Clone, Copy)]
struct Access<'a> {
    /// Settings of TLS connections; `None` without TLS.
    connector: Option<&'a Connector>,
    /// Passwords or headers by which the relay authenticates.
    secret: &'a Secret,
}

fn attempt(
    settings: &Settings,
    access: Access<'_>,
    facts: &mut Vec<String>,
) -> Result<(), Failure> {
    match &settings.target {
        Target::Udp { host, port } => {
            let place = (host.as_str(), *port);
            let dial = Dial::new(Some(place));
            resolve(place, dial.look_up_time(), facts)?;
            facts.push("UDP does not show whether a receiver listens".to_owned());
            Ok(())
        }
        Target::Tcp { host, port }
        | Target::Relp { host, port }
        | Target::Otlp { host, port, .. } => {
            let place = (host.as_str(), *port);
            let mut dial = Dial::new(Some(place));
            try_each(&mut dial, place, facts, |way, facts| {
                reach(settings, access, way, facts)
            })
        }
        Target::Kafka(topic) => kafka::attempt(settings, topic, access, facts),
        Target::Unix { path, stream } => {
            let connected = if *stream {
                UnixStream::connect(path).map(drop)
            } else {
                UnixDatagram::unbound().and_then(|socket| socket.connect(path))
            };
            connected.map_err(Failure::UnixSocket)?;
            facts.push("somebody listens".to_owned());
            Ok(())
        }
        Target::File { path, .. } => file(path, facts),
        Target::Stdout => Ok(()),
    }
}

/// An address, and the time limit for each step.
#[derive(Clone, Copy)]
struct Way {
    address: SocketAddr,
    time: Duration,
    /// Whether the address was resolved from a name.
    is_named: bool,
}

/// Resolves the name and tries its addresses in the same order as the relay, until one
/// succeeds.
fn try_each(
    dial: &mut Dial,
    place: (&str, u16),
    facts: &mut Vec<String>,
    mut reach: impl FnMut(Way, &mut Vec<String>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let is_named = place.0.parse::<IpAddr>().is_err();
    let mut step = dial.go_on();
    if step == Step::LookUp {
        let found = resolve(place, dial.look_up_time(), facts)?;
        dial.handle_resolved(&found);
        step = dial.next_known();
    }
    while let Step::Connect(address) = step {
        let time = dial.step_time();
        let way = Way {
            address,
            time,
            is_named,
        };
        let Err(why) = reach(way, facts) else {
            let others = dial.reasons();
            facts
                .extend(others.map(|others| format!("skipped in favor of this address: {others}")));
            return Ok(());
        };
        if !dial.handle_failed(&why.to_string()) {
            return Err(dial.reasons().map_or(why, Failure::Addresses));
        }
        step = dial.go_on();
    }
    Err(Failure::NoAddress(place.0.to_owned(), None))
}

/// Checks whether a receiver at one address could receive events.
fn reach(
    settings: &Settings,
    access: Access<'_>,
    way: Way,
    facts: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut line = open(settings, access.connector, way, facts)?;
    let is_plain = matches!(line, Line::Plain(_));
    match settings.target {
        Target::Otlp { .. } => {
            otlp::export(line, &settings.target, access.secret, facts).map_err(|failure| {
                let is_unknown = is_plain && !failure.is_answer();
                explain(Failure::Otlp(failure), is_unknown, settings, way)
            })
        }
        Target::Relp { .. } => relp::greet(line, facts)
            .map_err(|failure| explain(Failure::Relp(failure), is_plain, settings, way)),
        _ if is_plain && settings.framing == Framing::OctetCounting => {
            drop(line);
            wait(way, facts)
        }
        _ => line.settle(),
    }
}

fn resolve(
    (host, port): (&str, u16),
    time: Duration,
    facts: &mut Vec<String>,
) -> Result<Vec<SocketAddr>, Failure> {
    let begun = Instant::now();
    let found = resolver::lookup_within(host, port, time)
        .map_err(|error| Failure::NoAddress(host.to_owned(), Some(error)))?;
    let addresses: Vec<_> = found.iter().map(|found| found.ip().to_string()).collect();
    if addresses != [host] {
        facts.push(format!(
            "{host} is {} ({})",
            addresses.join(", "),
            took(begun)
        ));
    }
    Ok(found)
}

fn connect(way: Way, facts: &mut Vec<String>) -> Result<TcpStream, Failure> {
    let Way { address, time, .. } = way;
    let begun = Instant::now();
    match TcpStream::connect_timeout(&address, time) {
        Ok(stream) => {
            facts.push(format!("{address} answers ({})", took(begun)));
            let limited = stream
                .set_read_timeout(Some(time))
                .and_then(|()| stream.set_write_timeout(Some(time)));
            limited?;
            Ok(stream)
        }
        Err(error) => {
            let shown = (!way.is_named).then_some(address);
            Err(Failure::Unreachable(shown, error))
        }
    }
}

/// Connects, with TLS if the output has it.
fn open(
    settings: &Settings,
    connector: Option<&Connector>,
    way: Way,
    facts: &mut Vec<String>,
) -> Result<Line, Failure> {
    let stream = connect(way, facts)?;
    let (Some(connector), Some(tls)) = (connector, &settings.tls) else {
        return Ok(Line::Plain(stream));
    };
    // Printed before the verified handshake: if that fails, names and dates of the
    // certificate explain why.
    facts.extend(tls_probe::look(tls, stream));
    let stream = connect(way, &mut Vec::new())?;
    let begun = Instant::now();
    let socket = stream.try_clone()?;
    let secured = secure(connector, stream, begun, way.time);
    let secured = secured.map_err(|failure| explain(failure, true, settings, way))?;
    facts.push(format!("it is accepted for {} ({})", tls.name, took(begun)));
    Ok(Line::Tls(Box::new(secured), socket))
}

/// Checks that the receiver waits for messages, instead of using another protocol.
fn wait(way: Way, facts: &mut Vec<String>) -> Result<(), Failure> {
    match speaks::find(way.address, way.time) {
        None => Ok(()),
        Some(Speaks::Waits) => {
            facts.push("it waits for messages".to_owned());
            Ok(())
        }
        Some(other) => Err(Failure::NotSyslog(other)),
    }
}

/// Adds to a failure which protocol the receiver has, if that can be determined.
/// `is_unknown` is whether nothing has confirmed the expected protocol yet.
fn explain(failure: Failure, is_unknown: bool, settings: &Settings, way: Way) -> Failure {
    if !is_unknown {
        return failure;
    }
    // Some brokers wait silently, as syslog receivers do, until they receive a Kafka
    // request.
    let is_for_kafka = matches!(settings.target, Target::Kafka(_));
    let speaks = if is_for_kafka && speaks::is_broker(way.address, way.time) {
        Some(Speaks::Kafka)
    } else {
        speaks::find(way.address, way.time)
    };
    let secured = match settings.target {
        Target::Relp { .. } => "relp+tls",
        Target::Kafka(_) => "kafka+tls",
        Target::Otlp { .. } => "otlp+https",
        _ => "tls",
    };
    match speaks {
        None | Some(Speaks::Closes) => failure,
        Some(Speaks::Tls) if settings.tls.is_some() => failure,
        Some(speaks) => Failure::Instead(Box::new(failure), speaks, secured),
    }
}

/// The relay's own handshake, on a blocking socket.
fn secure(
    connector: &Connector,
    stream: TcpStream,
    begun: Instant,
    time: Duration,
) -> Result<Secured, Failure> {
    let stream = mio::net::TcpStream::from_std(stream);
    let mut progress = connector.connect(begun, stream)?;
    loop {
        match progress {
            Progress::Done(secured) => return Ok(secured),
            Progress::Pending(handshake) if begun.elapsed() < time => {
                progress = handshake.resume(Instant::now())?;
            }
            Progress::Pending(_) => return Err(Failure::SilentHandshake),
        }
    }
}

/// A connection to a receiver.
enum Line {
    Plain(TcpStream),
    /// The second is the same socket, for its timeouts, which the TLS stream does not
    /// expose.
    Tls(Box<Secured>, TcpStream),
}

impl Line {
    /// Waits for a possible rejection: with TLS 1.3, the receiver checks the relay's
    /// certificate after the handshake is complete for the relay.
    fn settle(&mut self) -> Result<(), Failure> {
        let Self::Tls(secured, socket) = self else {
            return Ok(());
        };
        socket.set_read_timeout(Some(SETTLING))?;
        let said = secured.read(&mut [0; 1024]);
        secured.finish();
        match said {
            Ok(0) => Err(Failure::ClosedAfterHandshake),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(Failure::Io(error)),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(secured, _) => secured.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(secured, _) => secured.write(bytes),
        }
    }
}

/// Checks whether a file can be appended to, without creating it.
fn file(path: &Path, facts: &mut Vec<String>) -> Result<(), Failure> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Failure::Folder),
        Ok(found) if found.file_type().is_fifo() => Ok(()),
        Ok(found) => {
            fs::OpenOptions::new().append(true).open(path)?;
            facts.push(format!("is there, {} bytes", found.len()));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            rustix::fs::access(folder, rustix::fs::Access::WRITE_OK)
                .map_err(|error| Failure::NotCreatable(folder.to_owned(), error.into()))?;
            facts.push("does not exist yet, and can be created".to_owned());
            Ok(())
        }
        Err(error) => Err(Failure::Io(error)),
    }
}

fn took(begun: Instant) -> String {
    format!("{} ms", begun.elapsed().as_millis())
}

#[cfg(test)]
mod tests;
