//! Delivery from one host to one subscription, one batch at a time.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Error;
use super::events::{Bookmarks, Supply};
use super::host::{Connection, Host};
use crate::commands::terminal::{Color, Paint, note};
use crate::commands::words::plain;
use crate::protocol::wsman;
use crate::protocol::wsman::source::Offered;

/// Maximum number of attempts for a message.
const TRIES: u32 = 10;
/// Pause between attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// Heartbeat interval if the subscription has none.
const HEARTBEAT: Duration = Duration::from_secs(900);

/// A host, its subscription, and the events that it still has to send.
pub(super) struct Delivery {
    host: Host,
    subscription: Offered,
    connection: Option<Connection>,
    supply: Supply,
    bookmarks: Bookmarks,
    /// Maximum number of events in a batch.
    most: usize,
    /// When the collector last acknowledged a message.
    heard: Instant,
}

impl Delivery {
    /// Connects and sends the first heartbeat.
    pub(super) fn begin(
        host: Host,
        subscription: Offered,
        supply: Supply,
        most: u32,
    ) -> Result<Self, Error> {
        let most = subscription.max_elements.unwrap_or(u32::MAX).min(most);
        let mut delivery = Self {
            host,
            subscription,
            connection: None,
            supply,
            bookmarks: Bookmarks::default(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            heard: Instant::now(),
        };
        delivery.heartbeat()?;
        Ok(delivery)
    }

    /// Sends a heartbeat if the interval has passed since the last acknowledged message.
    pub(super) fn heartbeat_if_due(&mut self) -> Result<(), Error> {
        let interval = self.subscription.heartbeat.unwrap_or(HEARTBEAT);
        if self.heard.elapsed() < interval {
            return Ok(());
        }
        self.retrying(Self::heartbeat)
    }

    /// Sends the next batch, and retries until it is acknowledged, as Windows does. Returns
    /// the number of its events; 0 if there are no more.
    pub(super) fn push(&mut self) -> Result<u64, Error> {
        let room = self.subscription.max_envelope_size.unwrap_or(512_000);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let batch = self.supply.next_batch(self.most, room);
        batch.iter().for_each(|event| self.bookmarks.note(event));
        if !batch.is_empty() {
            self.retrying(|delivery| delivery.deliver(&batch))?;
        }
        Ok(u64::try_from(batch.len()).unwrap_or(u64::MAX))
    }

    fn retrying(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for tries in 1.. {
            match attempt(self) {
                Err(error) if tries < TRIES => {
                    let error = plain(&error.to_string());
                    let retrying = Paint::new(&io::stderr()).paint(Color::Yellow, "retrying");
                    note(&format!("{}: {error}; {retrying}", self.host.machine));
                    self.connection = None;
                    thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
        Ok(())
    }

    fn heartbeat(&mut self) -> Result<(), Error> {
        let to = self.subscription.notify_to.clone();
        let sender = self.host.sender(&to);
        let message = sender.message;
        let envelope = wsman::source::heartbeat(&sender, &self.subscription.reference);
        self.acknowledged("Heartbeat", &envelope, message)
    }

    fn deliver(&mut self, batch: &[String]) -> Result<(), Error> {
        let to = self.subscription.notify_to.clone();
        let sender = self.host.sender(&to);
        let message = sender.message;
        let events = batch.iter().map(String::as_str);
        let bookmark = self.bookmarks.xml();
        let reference = &self.subscription.reference;
        let text = wsman::source::events(&sender, reference, Some(&bookmark), events);
        self.acknowledged("a batch", &text, message)
    }

    fn acknowledged(&mut self, what: &'static str, text: &str, message: Uuid) -> Result<(), Error> {
        let nonces = self.host.nonces();
        let compress = self.host.manner.sldc && self.subscription.compression;
        let to = &self.subscription.notify_to;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.host.connect_further(to, compress)?),
        };
        let answer = connection.ask(what, text, &nonces)?;
        wsman::source::check_ack(&answer, message)?;
        self.heard = Instant::now();
        Ok(())
    }
}
