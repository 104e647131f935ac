//! A simulated host: it subscribes, and sends one message after another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;
use wecrelay::base::wire::{self, Charset};
use wecrelay::client::Endpoint;
use wecrelay::protocol::wsman::source;

use crate::Result;
use crate::batch::{self, Template};
use crate::connection::{Connection, Target};
use crate::load::Shared;
use crate::options::Mode;
use crate::ranges::Ranges;

/// Measurements of a host.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Times from a message to its Ack, in the measured time.
    pub(crate) acks: Vec<Duration>,
    pub(crate) connections: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) last_ack: Option<Instant>,
    /// All acknowledged records, including those before and after that time.
    pub(crate) acked: Ranges,
}

/// A connection, and the subscription that it delivers to.
struct Subscribed {
    delivery: Connection,
    template: Arc<Template>,
    messages: u64,
}

pub(crate) struct Host<'s> {
    shared: &'s Shared,
    number: usize,
    name: String,
    next_record: u64,
    /// The address for events, once it is known.
    place: Option<(Endpoint, Arc<Template>)>,
    subscribed: Option<Subscribed>,
    is_ready: bool,
    pub(crate) seen: Seen,
}

impl<'s> Host<'s> {
    pub(crate) fn new(shared: &'s Shared, number: usize) -> Self {
        Self {
            shared,
            number,
            name: batch::host_name(number),
            next_record: shared.options.first_record,
            place: None,
            subscribed: None,
            is_ready: false,
            seen: Seen::default(),
        }
    }

    /// Sends until the end of the load.
    pub(crate) fn play(mut self) -> Self {
        let interval = self.shared.options.interval.map(Duration::from_secs_f64);
        let mut due = Instant::now() + self.stagger(interval);
        let mut batch = 0;
        while !self.shared.is_over() {
            if let Some(interval) = interval {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                due += interval;
            }
            // A message that failed is sent again.
            if batch == 0 {
                batch = self.shared.take_batch();
            }
            if batch == 0 && self.shared.options.mode == Mode::Events {
                break;
            }
            match self.send(batch) {
                Ok(()) => batch = 0,
                Err(why) => self.fail(&why.to_string()),
            }
        }
        self
    }

    /// Connects and sends one heartbeat, unless the load has ended.
    pub(crate) fn hold(&mut self) {
        while let Err(why) = self.send(0) {
            self.fail(&why.to_string());
            if self.shared.is_over() {
                break;
            }
        }
    }

    /// Spreads hosts evenly over their interval.
    fn stagger(&self, interval: Option<Duration>) -> Duration {
        let share = self.number as f64 / self.shared.options.sources as f64;
        interval.unwrap_or_default().mul_f64(share)
    }

    fn fail(&mut self, why: &str) {
        self.subscribed = None;
        self.place = None;
        *self.seen.failures.entry(why.to_owned()).or_default() += 1;
        thread::sleep(Duration::from_secs_f64(self.shared.options.retry));
    }

    fn send(&mut self, batch: usize) -> Result<()> {
        let most = self.shared.options.reconnect.unwrap_or(u64::MAX);
        if self
            .subscribed
            .as_ref()
            .is_none_or(|now| now.messages >= most)
        {
            self.subscribed = None;
            self.subscribed = Some(self.subscribe()?);
            self.wait_for_others();
        }
        let Some(subscribed) = &mut self.subscribed else {
            return Ok(());
        };
        let message = Uuid::from_u128(rand::random());
        let body = subscribed
            .template
            .fill(message, &self.name, self.next_record);
        let sent = Instant::now();
        let answer = subscribed.delivery.ask(body)?;
        source::check_ack(&answer, message)?;
        subscribed.messages += 1;
        self.note(sent, batch);
        Ok(())
    }

    /// Waits so that all hosts begin at the same time, and none is measured while others connect.
    fn wait_for_others(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            self.shared.wait_until_set_up();
        }
    }

    fn note(&mut self, sent: Instant, batch: usize) {
        let now = Instant::now();
        if batch > 0 {
            let next = self.next_record + batch as u64;
            self.seen.acked.insert(self.next_record, next - 1);
            self.next_record = next;
        }
        if self.shared.is_measured() {
            self.seen.acks.push(now - sent);
            self.seen.last_ack = Some(now);
        }
    }

    /// As Windows does: requests the subscriptions once, and connects to the address for events.
    fn subscribe(&mut self) -> Result<Subscribed> {
        let options = &self.shared.options;
        let (endpoint, template) = match self.place.take() {
            Some(place) => place,
            None => self.enumerate()?,
        };
        let delivery = self.shared.target.connect(&endpoint, options.sldc)?;
        if self.shared.is_measured() {
            self.seen.connections += 1;
        }
        self.place = Some((endpoint, Arc::clone(&template)));
        Ok(Subscribed {
            delivery,
            template,
            messages: 0,
        })
    }

    fn enumerate(&self) -> Result<(Endpoint, Arc<Template>)> {
        let target: &Target = &self.shared.target;
        let message = Uuid::from_u128(rand::random());
        let sender = batch::sender(&self.shared.options.url, &self.name, message);
        let envelope = wire::encode_text(&source::enumerate(&sender), Charset::Utf16);
        let answer = target.connect(target.manager(), false)?.ask(envelope)?;
        let page = source::parse_enumerate_response(&answer, message)?;
        let offered = page.offered.into_iter().next();
        let offered = offered.ok_or("the collector offers no subscription")?;
        let endpoint = Endpoint::parse(&offered.notify_to)?;
        Ok((endpoint, self.shared.template(&offered)))
    }
}
