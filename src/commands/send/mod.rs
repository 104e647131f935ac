//! `wecrelay send`: plays a Windows source, so that a collector can be seen working.
//!
//! It does what a workgroup host does: asks for the subscriptions, opens a second
//! connection to where they are delivered, says that it lives, pushes batches and
//! waits for each Ack. A batch that is not acknowledged is sent again.
#![expect(
    clippy::disallowed_methods,
    reason = "a command: it has sockets, files and a clock"
)]

mod events;

use crate::cli::SendOptions;
use crate::ntlm::initiator::{Client, Nonces};
use crate::source::{self, Endpoint, Reply, Session};
use crate::wsman;
use crate::wsman::source::{Offered, Sender};
use events::{Bookmarks, Supply};
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long an answer is waited for: what we ask the collector to keep to.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a batch is tried before it is given up.
const TRIES: u32 = 10;
/// Pause before a batch is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why nothing, or not everything, was acknowledged.
#[derive(Debug)]
pub enum Error {
    /// The file of events.
    File(PathBuf, io::Error),
    /// The file holds no `<Event>`.
    NoEvents(PathBuf),
    /// The collector's address, or the talk with it.
    Session(source::Error),
    /// The connection.
    Connection(String, io::Error),
    /// What the collector said.
    Answer(wsman::Error),
    /// The collector answered with that status.
    Status(&'static str, u16),
    /// No subscription of that name among those.
    NoSubscription(Option<String>, Vec<String>),
    /// No random bytes.
    Random(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "--events {}: {error}", path.display()),
            Self::NoEvents(path) => write!(f, "--events {}: no <Event> in it", path.display()),
            Self::Session(error) => write!(f, "{error}"),
            Self::Connection(to, error) => write!(f, "{to}: {error}"),
            Self::Answer(error) => write!(f, "the collector's answer: {error}"),
            Self::Status(what, status) => write!(f, "{what} was answered with {status}"),
            Self::NoSubscription(None, _) => write!(f, "the collector offers no subscription"),
            Self::NoSubscription(Some(name), offered) => {
                write!(
                    f,
                    "--subscription {name}: not offered; there are: {}",
                    offered.join(", ")
                )
            }
            Self::Random(why) => write!(f, "no random bytes: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<source::Error> for Error {
    fn from(error: source::Error) -> Self {
        Self::Session(error)
    }
}

impl From<wsman::Error> for Error {
    fn from(error: wsman::Error) -> Self {
        Self::Answer(error)
    }
}

/// Plays a source until all events are acknowledged.
///
/// # Errors
/// The file, the connection, or a refusal of the collector.
pub fn run(options: &SendOptions) -> Result<(), Error> {
    let mut supply = Supply::open(options)?;
    let mut host = Host::new(&options.machine)?;
    let offered = host.enumerate(&options.url)?;
    let names: Vec<_> = offered.iter().map(|o| o.name.clone()).collect();
    eprintln!(
        "{}: {} offered: {}",
        options.url,
        count(offered.len()),
        names.join(", ")
    );
    let wanted = |o: &Offered| {
        options
            .subscription
            .as_ref()
            .is_none_or(|name| *name == o.name)
    };
    let chosen = offered.into_iter().find(wanted);
    let chosen = chosen.ok_or(Error::NoSubscription(options.subscription.clone(), names))?;
    let began = Instant::now();
    let mut delivery = Delivery {
        host,
        subscription: chosen,
        connection: None,
    };
    delivery.heartbeat()?;
    let (events, batches) = delivery.push_all(&mut supply, options)?;
    let seconds = began.elapsed().as_secs_f64();
    let batches = if batches == 1 {
        "1 batch".into()
    } else {
        format!("{batches} batches")
    };
    eprintln!("acknowledged: {events} events in {batches}, {seconds:.2} s");
    Ok(())
}

fn count(subscriptions: usize) -> String {
    match subscriptions {
        1 => "1 subscription".into(),
        n => format!("{n} subscriptions"),
    }
}

/// The played host.
struct Host {
    machine: String,
    session: Uuid,
    random: rand::rngs::StdRng,
}

impl Host {
    fn new(machine: &str) -> Result<Self, Error> {
        let mut random = rand::rngs::StdRng::try_from_rng(&mut SysRng)
            .map_err(|error| Error::Random(error.to_string()))?;
        let session = new_uuid(&mut random);
        Ok(Self {
            machine: machine.to_owned(),
            session,
            random,
        })
    }

    fn connect(&self, url: &str) -> Result<Connection, Error> {
        let endpoint = Endpoint::parse(url)?;
        let to = endpoint.authority.clone();
        let failed = |error| Error::Connection(to.clone(), error);
        let stream = TcpStream::connect(&to).map_err(failed)?;
        let set_up = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(TIMEOUT)));
        set_up.map_err(failed)?;
        let workstation = self.machine.split('.').next().unwrap_or_default();
        let session = Session::new(endpoint, Client::anonymous(workstation));
        Ok(Connection {
            stream,
            session,
            to,
        })
    }

    fn sender<'a>(&'a mut self, to: &'a str) -> Sender<'a> {
        let (message, operation) = (new_uuid(&mut self.random), new_uuid(&mut self.random));
        Sender {
            to,
            machine: &self.machine,
            locale: "en-US",
            session: self.session,
            message,
            operation,
            timeout: TIMEOUT,
            max_envelope_size: 512_000,
        }
    }

    fn nonces(&mut self) -> Nonces {
        let mut nonces = Nonces::default();
        self.random.fill_bytes(&mut nonces.session_key);
        self.random.fill_bytes(&mut nonces.client_challenge);
        nonces
    }

    fn enumerate(&mut self, url: &str) -> Result<Vec<Offered>, Error> {
        let mut connection = self.connect(url)?;
        let nonces = self.nonces();
        let sender = self.sender(url);
        let (message, operation) = (sender.message, sender.operation);
        let envelope = wsman::source::enumerate(&sender);
        let text = connection.ask("Enumerate", &envelope, &nonces)?;
        let offered = wsman::source::parse_enumerate_response(&text, message)?;
        let end = wsman::source::end(new_uuid(&mut self.random), operation);
        connection.call(&end, &nonces)?;
        Ok(offered)
    }
}

fn new_uuid(random: &mut impl Rng) -> Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

struct Connection {
    stream: TcpStream,
    session: Session,
    to: String,
}

impl Connection {
    fn call(&mut self, envelope: &str, nonces: &Nonces) -> Result<Reply, Error> {
        let failed = |error| Error::Connection(self.to.clone(), error);
        self.session.call(envelope);
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.stream
                .write_all(&self.session.take_outgoing())
                .map_err(failed)?;
            let count = self.stream.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            if let Some(reply) = self.session.handle_received(bytes, nonces)? {
                return Ok(reply);
            }
        }
    }

    /// Sends a message that is answered by an envelope.
    fn ask(&mut self, what: &'static str, text: &str, nonces: &Nonces) -> Result<String, Error> {
        match self.call(text, nonces)? {
            Reply {
                status: 200,
                text: Some(text),
            } => Ok(text),
            Reply { status, .. } => Err(Error::Status(what, status)),
        }
    }
}

/// One subscription that is delivered to.
struct Delivery {
    host: Host,
    subscription: Offered,
    connection: Option<Connection>,
}

impl Delivery {
    fn heartbeat(&mut self) -> Result<(), Error> {
        let to = self.subscription.notify_to.clone();
        let sender = self.host.sender(&to);
        let message = sender.message;
        let envelope = wsman::source::heartbeat(&sender, &self.subscription.reference);
        self.acknowledged("Heartbeat", &envelope, message)
    }

    fn push_all(
        &mut self,
        supply: &mut Supply,
        options: &SendOptions,
    ) -> Result<(u64, u64), Error> {
        let most = self
            .subscription
            .max_elements
            .unwrap_or(u32::MAX)
            .min(options.batch.get());
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let room = self.subscription.max_envelope_size.unwrap_or(512_000);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let began = Instant::now();
        let mut bookmarks = Bookmarks::default();
        let (mut events, mut batches) = (0, 0);
        loop {
            let batch = supply.next_batch(most, room);
            if batch.is_empty() {
                return Ok((events, batches));
            }
            batch.iter().for_each(|event| bookmarks.note(event));
            self.push(&batch, &bookmarks)?;
            events += u64::try_from(batch.len()).unwrap_or(u64::MAX);
            batches += 1;
            if let Some(rate) = options.rate {
                let due = Duration::from_secs_f64(lossy(events) / f64::from(rate.get()));
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
        }
    }

    /// Sends a batch until it is acknowledged, as Windows does.
    fn push(&mut self, batch: &[String], bookmarks: &Bookmarks) -> Result<(), Error> {
        for tries in 1.. {
            let to = self.subscription.notify_to.clone();
            let sender = self.host.sender(&to);
            let message = sender.message;
            let events = batch.iter().map(String::as_str);
            let reference = &self.subscription.reference;
            let bookmark = bookmarks.xml();
            let text = wsman::source::events(&sender, reference, Some(&bookmark), events);
            match self.acknowledged("a batch", &text, message) {
                Err(error) if tries < TRIES => {
                    eprintln!("{error}; trying again");
                    self.connection = None;
                    std::thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, what: &'static str, text: &str, message: Uuid) -> Result<(), Error> {
        let nonces = self.host.nonces();
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.host.connect(&self.subscription.notify_to)?),
        };
        let answer = connection.ask(what, text, &nonces)?;
        Ok(wsman::source::check_ack(&answer, message)?)
    }
}

/// For rates, where a lost bit does not matter.
fn lossy(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
