//! The content of `event@`: facts of the event and its source, with their names.

use std::borrow::Cow;

use super::Origin;
use super::message::{MAX_HOSTNAME, MAX_MSGID, Message, is_word};
use super::names::Numbered;
use crate::base::pieces::Pieces;
use crate::event::{self, Event, Rendering};

/// Reserved names in `event@`, which an event cannot use itself, besides those of other facts.
const OTHERS: [&str; 3] = ["Oversize", "Uid", "Truncated"];

/// The value of `TimestampFrom` if the event has no time.
pub(super) const RECEPTION: &str = "reception";

/// The name of a fact, also as the start of a parameter.
pub(super) struct Name {
    pub(super) text: &'static str,
    /// `text` with a space before it, and `="` after it.
    start: [u8; Self::ROOM],
    /// `text` in quotes, and a colon.
    member: [u8; Self::ROOM],
}

impl Name {
    const ROOM: usize = 32;

    const fn new(text: &'static str) -> Self {
        Self {
            text,
            start: Self::between(b' ', text, *b"=\""),
            member: Self::between(b'"', text, *b"\":"),
        }
    }

    /// A longer text than fits does not compile.
    const fn between(before: u8, text: &str, after: [u8; 2]) -> [u8; Self::ROOM] {
        let mut whole = [before; Self::ROOM];
        let (_, rest) = whole.split_at_mut(1);
        let (name, rest) = rest.split_at_mut(text.len());
        name.copy_from_slice(text.as_bytes());
        let (end, _) = rest.split_at_mut(2);
        end.copy_from_slice(&after);
        whole
    }

    /// Appends the start of a parameter, up to its value.
    #[inline(always)]
    pub(super) fn push_start(&self, out: &mut Pieces<'_>) {
        out.front(&self.start, self.text.len() + " =\"".len());
    }

    /// Appends the start of a JSON member, up to its value.
    #[inline(always)]
    pub(super) fn push_member(&self, out: &mut Pieces<'_>) {
        out.front(&self.member, self.text.len() + "\"\":".len());
    }
}

/// A fact under a reserved name; not present if empty.
pub(super) type Fact<'f> = (&'static Name, &'f str);

macro_rules! name {
    ($text:literal) => {
        const { &Name::new($text) }
    };
}

impl Message<'_, '_> {
    /// Calls `take` with the name and value of each fact, the most important first: truncation
    /// omits the last ones first. Empty facts are skipped, except further elements of `System`.
    pub(super) fn each_fact(&self, mut take: impl FnMut(&str, &str)) {
        take("Uid", self.uid.as_str());
        self.each_named_fact(|(name, value)| take(name.text, value));
        self.each_extra(take);
    }

    /// Calls `take` with each fact but `Uid` that has a reserved name and is not empty.
    #[inline(always)]
    pub(super) fn each_named_fact(&self, mut take: impl FnMut(Fact<'_>)) {
        let event = self.facts();
        let malformed = self.event.as_ref().err();
        let malformed = malformed.map_or_else(String::new, ToString::to_string);
        let first = self.first_facts(&malformed);
        let system = facts(event);
        let keywords = event
            .rendering
            .as_ref()
            .map_or_else(Cow::default, keyword_names);
        let rendering = event.rendering.as_ref();
        let rendered = rendering.map(|rendering| rendered_names(rendering, &keywords));
        let rendered = rendered.as_ref().map_or([].as_slice(), |names| names);
        for facts in [first.as_slice(), &system, rendered] {
            for &(name, value) in facts {
                if !value.is_empty() {
                    take((name, value));
                }
            }
        }
    }

    /// Calls `take` with each further element of `System`, under a unique name.
    pub(super) fn each_extra(&self, mut take: impl FnMut(&str, &str)) {
        let event = self.facts();
        if event.extra.is_empty() {
            return;
        }
        let mut names = Numbered::default();
        let reserved = self.first_facts("").into_iter().chain(facts(event));
        let rendering = Rendering::default();
        let reserved = reserved.chain(rendered_names(&rendering, ""));
        names.reserve(reserved.map(|(name, _)| name.text).chain(OTHERS));
        for (name, value) in &event.extra {
            take(names.next(name).as_str(), value);
        }
    }

    /// The facts that matter most.
    fn first_facts<'f>(&'f self, malformed: &'f str) -> [Fact<'f>; 15] {
        let (event, origin) = (self.facts(), self.origin);
        let unless = |fits: bool, value: &'f str| if fits { "" } else { value };
        let has_time = self.time.is_some();
        [
            (name!("Malformed"), malformed),
            (name!("Channel"), &event.channel),
            (name!("EventRecordID"), &event.record_id),
            (name!("Provider"), &event.provider),
            (name!("ProcessID"), &event.process_id),
            (name!("Subscription"), origin.subscription),
            (name!("Identity"), origin.identity),
            (name!("AccountSid"), origin.account_sid),
            (name!("Auth"), origin.auth),
            (name!("ComputerMismatch"), origin.computer_mismatch),
            (name!("Repaired"), self.repaired()),
            // These only if the header could not hold them unchanged.
            (
                name!("Computer"),
                unless(is_word(&event.computer, MAX_HOSTNAME), &event.computer),
            ),
            (
                name!("EventID"),
                unless(is_word(&event.event_id, MAX_MSGID), &event.event_id),
            ),
            (name!("SystemTime"), unless(has_time, &event.time_created)),
            (name!("TimestampFrom"), unless(has_time, RECEPTION)),
        ]
    }

    /// How the event's text was repaired; empty if it was not.
    pub(super) fn repaired(&self) -> &'static str {
        repaired(self.facts(), self.origin)
    }
}

/// How the event's text was repaired, in words; empty if it was not.
#[must_use]
pub fn repaired(event: &Event<'_>, origin: &Origin<'_>) -> &'static str {
    let repaired = event.repaired.as_ref();
    let reason = repaired.map_or("", |repaired| repaired.reason);
    if origin.repaired {
        event::and_forbidden(reason)
    } else {
        reason
    }
}

/// The names of keywords, in one text.
fn keyword_names<'r>(rendering: &'r Rendering<'_>) -> Cow<'r, str> {
    match &*rendering.keywords {
        [] => Cow::Borrowed(""),
        [one] => Cow::Borrowed(one),
        several => Cow::Owned(several.join(", ")),
    }
}

fn rendered_names<'r>(rendering: &'r Rendering<'_>, keywords: &'r str) -> [Fact<'r>; 7] {
    [
        (name!("LevelName"), &rendering.level),
        (name!("TaskName"), &rendering.task),
        (name!("OpcodeName"), &rendering.opcode),
        (name!("KeywordNames"), keywords),
        (name!("ProviderName"), &rendering.provider),
        (name!("ChannelName"), &rendering.channel),
        (name!("Culture"), &rendering.culture),
    ]
}

/// Facts of `System` that are not in the header, with their names in event XML.
pub(super) fn facts<'e>(event: &'e Event<'_>) -> [Fact<'e>; 14] {
    [
        (name!("Level"), &event.level),
        (name!("Version"), &event.version),
        (name!("Task"), &event.task),
        (name!("Opcode"), &event.opcode),
        (name!("Keywords"), &event.keywords),
        (name!("Qualifiers"), &event.qualifiers),
        (name!("ThreadID"), &event.thread_id),
        (name!("UserID"), &event.user_id),
        (name!("ActivityID"), &event.activity_id),
        (name!("RelatedActivityID"), &event.related_activity_id),
        (name!("ProviderGuid"), &event.provider_guid),
        (name!("EventSourceName"), &event.event_source_name),
        (name!("DataName"), &event.data_name),
        (name!("UserDataName"), &event.user_data_name),
    ]
}

/// Whether event XML has this fact as a number.
#[inline(always)]
pub(super) fn is_number(name: &str) -> bool {
    matches!(
        name,
        "EventID"
            | "EventRecordID"
            | "ProcessID"
            | "ThreadID"
            | "Level"
            | "Version"
            | "Task"
            | "Opcode"
            | "Qualifiers"
    )
}
