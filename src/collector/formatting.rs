//! Formats the events of a batch as messages, in every encoding that an output needs.

use super::access::Source;
use super::bounds::TooLarge;
use super::computer::Mismatch;
use super::outputs::Encodings;
use super::{Settings, bounds};
use crate::base::clock::Now;
use crate::bookmark::{self, BatchFacts};
use crate::connection::{Refusal, RefusalKind};
use crate::event::{self, Event};
use crate::metrics::Counters;
use crate::output::queue::Frames;
use crate::protocol::wsman::{Header, RawEvent, Subscription};
use crate::syslog::Origin;

/// Why a batch was not formatted.
pub(super) enum Unformatted {
    /// It was rejected.
    Refused(Refusal),
    /// It exceeds a limit of [`bounds`].
    TooLarge(TooLarge),
}

impl From<TooLarge> for Unformatted {
    fn from(why: TooLarge) -> Self {
        Self::TooLarge(why)
    }
}

/// A formatted batch.
pub(super) struct Formatted {
    /// The messages, one item for each encoding.
    pub(super) frames: Result<Vec<Frames>, Unformatted>,
    /// What its events reveal about the source's position in its logs.
    pub(super) facts: BatchFacts,
    /// Statistics for the metrics.
    pub(super) counters: Counters,
}

/// Formats all events of a batch. Rejects it if it contains events of other hosts and the
/// configuration forbids that.
pub(super) fn format(
    now: Now,
    settings: &Settings,
    encodings: &mut Encodings,
    (source, subscription, header): (&Source, &Subscription, &Header),
    events: &[RawEvent<'_>],
) -> Formatted {
    let account_sid = source.identity.sid();
    let account_sid = account_sid.map_or_else(String::new, |sid| sid.to_string());
    let origin = Origin {
        address: source.address,
        machine_id: header.machine_id.as_deref().unwrap_or_default(),
        identity: &source.identity.name,
        account_sid: &account_sid,
        auth: source.identity.method.as_str(),
        subscription: &subscription.name,
        computer_mismatch: "",
        repaired: false,
        received: now.wall,
    };
    let mut batch = Batch {
        settings,
        source,
        header,
        facts: BatchFacts::new(),
        counters: Counters::default(),
    };
    let frames = batch.write(encodings, &origin, events);
    Formatted {
        frames,
        facts: batch.facts,
        counters: batch.counters,
    }
}

/// A batch being formatted.
struct Batch<'a> {
    settings: &'a Settings,
    source: &'a Source,
    header: &'a Header,
    facts: BatchFacts,
    counters: Counters,
}

impl Batch<'_> {
    fn write(
        &mut self,
        encodings: &mut Encodings,
        origin: &Origin<'_>,
        events: &[RawEvent<'_>],
    ) -> Result<Vec<Frames>, Unformatted> {
        let size = bounds::expected_size(events)?;
        let mut frames = encodings.frames(events.len(), size);
        let mapping = &self.settings.mapping;
        let rule = self.settings.computers.as_ref();
        let rule = rule.and_then(|rule| Some((rule.mismatch, rule.host(&self.source.identity)?)));
        let expected = rule.map(|(_, host)| host.to_string()).unwrap_or_default();
        let mut room = event::Room::default();
        for raw in events {
            let event = event::parse_into(&raw.xml, &mut room);
            let mut origin = *origin;
            origin.repaired = raw.repaired;
            match &event {
                Ok(event) if event.is_bookmark_event() => {
                    self.facts.note_bookmark_event();
                    self.counters.bookmark_events += 1;
                    continue;
                }
                Ok(event) => note_event(&mut self.facts, event),
                Err(malformed) => {
                    self.counters.malformed += 1;
                    log::debug!("host {}: malformed event: {malformed}", origin.machine_id);
                    note_event(&mut self.facts, &malformed.system);
                }
            }
            let computer = computer_of(&event);
            if let Some((mismatch, host)) = rule
                && computer.is_some_and(|computer| !host.is(computer))
            {
                self.counters.mismatches += 1;
                if mismatch == Mismatch::Refuse {
                    let computer = computer.unwrap_or_default();
                    let refusal = not_its_own(self.source, self.header, &expected, computer);
                    return Err(Unformatted::Refused(refusal));
                }
                origin.computer_mismatch = &expected;
            }
            let check = bounds::check_size;
            self.counters.truncated +=
                encodings.write(mapping, &raw.xml, &event, &origin, &mut frames, check)?;
            if let Ok(event) = event {
                room.reuse(event);
            }
        }
        // They may remain in memory for long, in the replay window.
        frames.iter_mut().for_each(|f| f.bytes.shrink_to_fit());
        Ok(frames)
    }
}

/// The rejection of a batch with events of another host. The source keeps it and retries
/// until someone intervenes.
fn not_its_own(source: &Source, header: &Header, expected: &str, computer: &str) -> Refusal {
    let who = source.describe(header);
    let computer: String = computer.chars().take(255).collect();
    let reason = format!(
        "{who}: an event of Computer {computer:?}, but the host is {} ({expected}); it keeps the \
         batch; if it is to forward events of others, exempt it with --computer-exempt, or use \
         --require-computer-match=mark",
        source.identity.name
    );
    Refusal::new(RefusalKind::Computer, 403, reason)
}

/// The Computer of an event, which may be empty; `None` if an event that could not be parsed has
/// none.
fn computer_of<'e>(event: &'e Result<Event<'_>, event::Malformed>) -> Option<&'e str> {
    match event {
        Ok(event) => Some(&event.computer),
        Err(malformed) => Some(&*malformed.system.computer).filter(|name| !name.is_empty()),
    }
}

fn note_event(facts: &mut BatchFacts, event: &Event<'_>) {
    if let Ok(record) = event.record_id.parse() {
        facts.note(
            &event.channel,
            record,
            bookmark::event_time(&event.time_created),
        );
    }
}
