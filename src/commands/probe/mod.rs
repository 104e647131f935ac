//! What answers at an output: found out as the relay would connect, without an event.
#![expect(clippy::disallowed_methods, reason = "it looks at sockets, in time")]

pub mod ask;
mod kafka;
mod otlp;
mod speaks;
mod tls_probe;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::base::visible::visible;
use crate::output::{Dial, Secret, Settings, Step, Target};
use crate::protocol::relp::{self, Answer, Client};
use crate::syslog::framing::Framing;
use crate::system::resolver;
use crate::tls::connector::{Connector, Progress, Secured};
use speaks::Speaks;

/// How long a receiver may take to refuse our certificate after a TLS 1.3 handshake.
const SETTLING: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// What was seen, a line each.
    pub facts: Vec<String>,
    /// Why events could not go there, and what to do.
    pub failure: Option<String>,
}

/// Connects to an output; blocks for some tens of seconds at most.
#[must_use]
pub fn probe(settings: &Settings, connector: Option<&Connector>, secret: &Secret) -> Probe {
    let mut facts = Vec::new();
    let access = Access { connector, secret };
    let failure = attempt(settings, access, &mut facts).err();
    Probe { facts, failure }
}

/// How an output is reached.
#[derive(Clone, Copy)]
struct Access<'a> {
    /// What makes connections secure, if they are to be.
    connector: Option<&'a Connector>,
    /// What the receiver knows us by.
    secret: &'a Secret,
}

fn attempt(settings: &Settings, access: Access<'_>, facts: &mut Vec<String>) -> Result<(), String> {
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
            connected.map_err(|error| {
                format!("{error}: is the syslog server running, and does it create this socket?")
            })?;
            facts.push("somebody listens".to_owned());
            Ok(())
        }
        Target::File { path, .. } => file(path, facts),
        Target::Stdout => Ok(()),
    }
}

/// One address, and how long each step towards it may take.
#[derive(Clone, Copy)]
struct Way {
    address: SocketAddr,
    time: Duration,
    /// Whether a name led to it.
    is_named: bool,
}

/// Looks up and goes from address to address as the relay itself does, until one is good.
fn try_each(
    dial: &mut Dial,
    place: (&str, u16),
    facts: &mut Vec<String>,
    mut reach: impl FnMut(Way, &mut Vec<String>) -> Result<(), String>,
) -> Result<(), String> {
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
        if !dial.handle_failed(&why) {
            return Err(dial.reasons().unwrap_or(why));
        }
        step = dial.go_on();
    }
    Err(format!("{} has no address", place.0))
}

/// Whether one address would take events.
fn reach(
    settings: &Settings,
    access: Access<'_>,
    way: Way,
    facts: &mut Vec<String>,
) -> Result<(), String> {
    let mut line = open(settings, access.connector, way, facts)?;
    let is_plain = matches!(line, Line::Plain(_));
    match settings.target {
        Target::Otlp { .. } => {
            let said = otlp::export(line, &settings.target, access.secret, facts);
            said.map_err(|error| match error {
                otlp::Error::NoAnswer(why) if is_plain => with_what_speaks(why, settings, way),
                otlp::Error::NoAnswer(why) | otlp::Error::Refused(why) => why,
            })
        }
        Target::Relp { .. } => greet(line, facts).map_err(|why| {
            if is_plain {
                with_what_speaks(why, settings, way)
            } else {
                why
            }
        }),
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
) -> Result<Vec<SocketAddr>, String> {
    let begun = Instant::now();
    let found = resolver::lookup_within(host, port, time)
        .map_err(|error| format!("{host} has no address: {error}; check DNS and /etc/hosts"))?;
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

fn connect(way: Way, facts: &mut Vec<String>) -> Result<TcpStream, String> {
    let Way { address, time, .. } = way;
    let begun = Instant::now();
    match TcpStream::connect_timeout(&address, time) {
        Ok(stream) => {
            facts.push(format!("{address} answers ({})", took(begun)));
            let limited = stream
                .set_read_timeout(Some(time))
                .and_then(|()| stream.set_write_timeout(Some(time)));
            limited.map_err(|error| error.to_string())?;
            Ok(stream)
        }
        // Where a name has led here, the address is told anyway.
        Err(error) if way.is_named => Err(unreachable(&error)),
        Err(error) => Err(format!("{address}: {}", unreachable(&error))),
    }
}

fn unreachable(error: &io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::ConnectionRefused => {
            "nothing listens there: is the syslog server running, and on this port?"
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer: check the address and firewalls",
        _ => "check the network",
    };
    format!("{error}: {remedy}")
}

/// Connects, and makes it secure where that is asked for.
fn open(
    settings: &Settings,
    connector: Option<&Connector>,
    way: Way,
    facts: &mut Vec<String>,
) -> Result<Line, String> {
    let stream = connect(way, facts)?;
    let (Some(connector), Some(tls)) = (connector, &settings.tls) else {
        return Ok(Line::Plain(stream));
    };
    // Whoever is refused below is shown first: names and dates say why.
    facts.extend(tls_probe::look(tls, stream));
    let stream = connect(way, &mut Vec::new())?;
    let begun = Instant::now();
    let socket = stream.try_clone().map_err(|error| error.to_string())?;
    let secured = secure(connector, stream, begun, way.time);
    let secured = secured.map_err(|why| with_what_speaks(why, settings, way))?;
    facts.push(format!("it is accepted for {} ({})", tls.name, took(begun)));
    Ok(Line::Tls(Box::new(secured), socket))
}

/// Whether what listens waits for messages, and does not speak something else.
fn wait(way: Way, facts: &mut Vec<String>) -> Result<(), String> {
    match speaks::find(way.address, way.time) {
        None => Ok(()),
        Some(Speaks::Waits) => {
            facts.push("it waits for messages".to_owned());
            Ok(())
        }
        Some(other) => Err(format!("not syslog over TCP: {}", other.remedy("tls"))),
    }
}

/// A failure, and what listens there instead, if that can be told.
fn with_what_speaks(why: String, settings: &Settings, way: Way) -> String {
    // Some broker waits in silence, as a syslog receiver does, until it is spoken to as one.
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
        None | Some(Speaks::Closes) => why,
        Some(Speaks::Tls) if settings.tls.is_some() => why,
        Some(speaks) => format!("{why}; {}", speaks.remedy(secured)),
    }
}

/// The relay's own handshake, on a socket that blocks.
fn secure(
    connector: &Connector,
    stream: TcpStream,
    begun: Instant,
    time: Duration,
) -> Result<Secured, String> {
    let text = |error: io::Error| error.to_string();
    let stream = mio::net::TcpStream::from_std(stream);
    let mut progress = connector.connect(begun, stream).map_err(text)?;
    loop {
        match progress {
            Progress::Done(secured) => return Ok(secured),
            Progress::Pending(handshake) if begun.elapsed() < time => {
                progress = handshake.resume(Instant::now()).map_err(text)?;
            }
            Progress::Pending(_) => {
                return Err("no answer to the TLS handshake: is this port for TLS?".to_owned());
            }
        }
    }
}

/// A connection to a receiver.
enum Line {
    Plain(TcpStream),
    /// The second is the same socket, to set what TLS hides.
    Tls(Box<Secured>, TcpStream),
}

impl Line {
    /// With TLS 1.3 the receiver may refuse us after our side is done.
    fn settle(&mut self) -> Result<(), String> {
        let Self::Tls(secured, socket) = self else {
            return Ok(());
        };
        let limited = socket.set_read_timeout(Some(SETTLING));
        limited.map_err(|error| error.to_string())?;
        let said = secured.read(&mut [0; 1024]);
        secured.finish();
        match said {
            Ok(0) => Err(
                "the receiver closes the connection after the TLS handshake; \
                          it may not accept this relay's certificate (?cert=, ?key=)"
                    .to_owned(),
            ),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
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

/// Opens a RELP session, says what the receiver offers, and closes it.
fn greet(mut line: Line, facts: &mut Vec<String>) -> Result<(), String> {
    let begun = Instant::now();
    let mut client = Client::new();
    say(&mut line, &mut client)?;
    let (mut received, mut answers) = (Vec::new(), Vec::new());
    while !answers.contains(&Answer::Opened) {
        let mut buffer = [0; 4096];
        let count = match line.read(&mut buffer) {
            Ok(0) => {
                return Err(
                    "the receiver closed the connection instead of answering: is this port RELP \
                     (imrelp), and does it accept this relay's certificate?"
                        .to_owned(),
                );
            }
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err("no answer in RELP: is this port RELP (imrelp)?".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        received.extend_from_slice(bytes);
        let handled = client.handle(bytes, &mut answers);
        handled.map_err(|error| error.to_string())?;
    }
    facts.push(format!("RELP: {} ({})", offers(&received), took(begun)));
    client.close();
    say(&mut line, &mut client)?;
    match line {
        Line::Plain(stream) => drop(stream.shutdown(Shutdown::Write)),
        Line::Tls(mut secured, _) => secured.finish(),
    }
    Ok(())
}

fn say(line: &mut Line, client: &mut Client) -> Result<(), String> {
    while !client.outgoing().is_empty() {
        let count = line.write(client.outgoing());
        let count = count.map_err(|error| error.to_string())?;
        client.handle_written(count);
    }
    Ok(())
}

/// What the answer to `open` lists, fit for a terminal.
fn offers(received: &[u8]) -> String {
    let Ok(Some((frame, _))) = relp::parse(received) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(frame.data);
    let lines = text.lines().skip(1).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.collect();
    visible(&lines.join(", ")).into_owned()
}

/// Whether a file could be appended to; it is not made for that.
fn file(path: &Path, facts: &mut Vec<String>) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err("this is a folder, not a file".to_owned()),
        Ok(found) if found.file_type().is_fifo() => Ok(()),
        Ok(found) => {
            let opened = fs::OpenOptions::new().append(true).open(path);
            opened.map_err(|error| error.to_string())?;
            facts.push(format!("is there, {} bytes", found.len()));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            rustix::fs::access(folder, rustix::fs::Access::WRITE_OK)
                .map_err(|error| format!("cannot create files in {}: {error}", folder.display()))?;
            facts.push("does not exist yet, and can be created".to_owned());
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn took(begun: Instant) -> String {
    format!("{} ms", begun.elapsed().as_millis())
}

#[cfg(test)]
mod tests;
