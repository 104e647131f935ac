//! Which events go out: rules by channel, provider, event id and level.
//!
//! A rule is conditions joined by `;`, which must all hold; a condition is its name, a colon
//! and values joined by `,`, of which one must: `channel:Security;id:5156-5158,4688`.
//!
//! | condition | values |
//! |---|---|
//! | `channel`, `provider` | names as the event has them, in either case; `%2C`, `%3B` and the like stand for characters that would end them |
//! | `id` | numbers and ranges, 0 to 65535 |
//! | `level` | `critical`, `error`, `warning`, `information` (also events without a level, as audit events are), `verbose`, or numbers and ranges, 0 to 255 |

use std::fmt;
use std::ops::RangeInclusive;

use super::Event;

/// Names of levels and the numbers that they stand for.
const LEVELS: [(&str, &[u32]); 5] = [
    ("critical", &[1]),
    ("error", &[2]),
    ("warning", &[3]),
    ("information", &[0, 4]),
    ("verbose", &[5]),
];
const HIGHEST_ID: u32 = 65_535;
const HIGHEST_LEVEL: u32 = 255;

/// The effect of a rule on the events that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Only they are forwarded, and those of other such rules at the same place.
    Only,
    /// They are not forwarded.
    Drop,
}

/// One rule of `--only` or `--drop`; all of its conditions must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    effect: Effect,
    conditions: Vec<Condition>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Channel(Vec<String>),
    Provider(Vec<String>),
    Id(Vec<RangeInclusive<u32>>),
    Level(Vec<RangeInclusive<u32>>),
}

impl Rule {
    /// Parses a rule.
    ///
    /// ```
    /// use wecrelay::event::filter::{Effect, Rule};
    /// let rule = Rule::parse(Effect::Drop, "channel:Security;id:5156-5158,4688")?;
    /// assert_eq!(rule.to_string(), "drop=channel:Security;id:5156-5158,4688");
    /// # Ok::<(), wecrelay::event::filter::Error>(())
    /// ```
    ///
    /// # Errors
    /// What is invalid, with what is allowed.
    pub fn parse(effect: Effect, text: &str) -> Result<Self, Error> {
        let mut conditions: Vec<Condition> = Vec::new();
        for part in text.split(';') {
            let condition = Condition::parse(part.trim())?;
            let same = |other: &Condition| other.name() == condition.name();
            if conditions.iter().any(same) {
                return Err(Error::Twice(condition.name()));
            }
            conditions.push(condition);
        }
        let text = text.to_owned();
        Ok(Self {
            effect,
            conditions,
            text,
        })
    }

    fn is_about(&self, event: &Event<'_>) -> bool {
        self.conditions.iter().all(|part| part.holds(event))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.effect {
            Effect::Only => "only",
            Effect::Drop => "drop",
        };
        write!(f, "{name}={}", self.text)
    }
}

impl Condition {
    fn parse(text: &str) -> Result<Self, Error> {
        let (name, values) = text
            .split_once(':')
            .ok_or_else(|| Error::Condition(text.to_owned()))?;
        match name {
            "channel" => names("channel", values).map(Self::Channel),
            "provider" => names("provider", values).map(Self::Provider),
            "id" => ranges("id", values, HIGHEST_ID, |_| None).map(Self::Id),
            "level" => ranges("level", values, HIGHEST_LEVEL, level).map(Self::Level),
            _ => Err(Error::Condition(text.to_owned())),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Channel(_) => "channel",
            Self::Provider(_) => "provider",
            Self::Id(_) => "id",
            Self::Level(_) => "level",
        }
    }

    fn holds(&self, event: &Event<'_>) -> bool {
        let one_of =
            |names: &[String], name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        let within = |ranges: &[RangeInclusive<u32>], text: &str| {
            let number = text.parse::<u32>().ok();
            number.is_some_and(|number| ranges.iter().any(|range| range.contains(&number)))
        };
        match self {
            Self::Channel(names) => one_of(names, &event.channel),
            Self::Provider(names) => one_of(names, &event.provider),
            Self::Id(ranges) => within(ranges, &event.event_id),
            Self::Level(ranges) if event.level.is_empty() => within(ranges, "0"),
            Self::Level(ranges) => within(ranges, &event.level),
        }
    }
}

fn names(condition: &'static str, values: &str) -> Result<Vec<String>, Error> {
    let name = |value: &str| {
        decoded(value.trim())
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                Error::value(
                    condition,
                    value,
                    "a name; %2C stands for a comma, %3B for a semicolon",
                )
            })
    };
    values.split(',').map(name).collect()
}

/// Decodes `%2C` and the like.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(
            u8::from_str_radix(code, 16)
                .ok()
                .filter(|_| code.bytes().all(|b| b.is_ascii_hexdigit()))?,
        );
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

fn level(name: &str) -> Option<&'static [u32]> {
    let mut known = LEVELS.iter();
    known.find_map(|(known, levels)| known.eq_ignore_ascii_case(name).then_some(*levels))
}

fn ranges(
    condition: &'static str,
    values: &str,
    highest: u32,
    named: impl Fn(&str) -> Option<&'static [u32]>,
) -> Result<Vec<RangeInclusive<u32>>, Error> {
    let allowed = match condition {
        "id" => "a number from 0 to 65535, or a range such as 5156-5158",
        _ => {
            "critical, error, warning, information, verbose, a number from 0 to 255, or a range such as 1-3"
        }
    };
    let wrong = |value: &str| Error::value(condition, value, allowed);
    let mut ranges = Vec::new();
    for value in values.split(',').map(str::trim) {
        if let Some(numbers) = named(value) {
            ranges.extend(numbers.iter().map(|number| *number..=*number));
            continue;
        }
        let (first, last) = value.split_once('-').unwrap_or((value, value));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text
                .parse::<u32>()
                .ok()
                .filter(|number| digits && *number <= highest);
            number.ok_or_else(|| wrong(value))
        };
        let range = number(first)?..=number(last)?;
        if range.is_empty() {
            return Err(wrong(value));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// The rules of the relay and of an output, in the order in which they are evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    tests: Vec<Test>,
}

/// One reason for which an event may be filtered out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// None of these rules matches.
    Only(Vec<Rule>),
    /// This rule matches.
    Drop(Rule),
}

impl Filter {
    /// Adds the rules of one place, the relay's or the output's. A place with `only` rules
    /// forwards events that one of them matches.
    pub fn add(&mut self, rules: &[Rule]) {
        let (only, drop): (Vec<_>, Vec<_>) = rules
            .iter()
            .cloned()
            .partition(|rule| rule.effect == Effect::Only);
        if !only.is_empty() {
            self.tests.push(Test::Only(only));
        }
        self.tests.extend(drop.into_iter().map(Test::Drop));
    }

    /// Puts these rules before the existing ones.
    #[must_use]
    pub fn behind(self, rules: &[Rule]) -> Self {
        let mut filter = Self::default();
        filter.add(rules);
        filter.tests.extend(self.tests);
        filter
    }

    /// The reason for which the event is filtered out, as an index into
    /// [`Filter::reasons`]; `None` if it is forwarded.
    #[must_use]
    pub fn keeps(&self, event: &Event<'_>) -> Option<usize> {
        self.tests.iter().position(|test| match test {
            Test::Only(rules) => !rules.iter().any(|rule| rule.is_about(event)),
            Test::Drop(rule) => rule.is_about(event),
        })
    }

    /// The reasons as text, such as `drop=id:4688`.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let text = |test: &Test| match test {
            Test::Only(rules) => {
                let rules: Vec<_> = rules.iter().map(Rule::to_string).collect();
                rules.join(" ")
            }
            Test::Drop(rule) => rule.to_string(),
        };
        self.tests.iter().map(text).collect()
    }
}

/// Why a rule is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no known name before a colon.
    Condition(String),
    /// A condition that occurs twice.
    Twice(&'static str),
    /// A value that is not allowed for its condition.
    Value {
        /// Name of the condition: channel, provider, id, or level.
        condition: &'static str,
        /// The value that was given.
        found: String,
        /// Description of the allowed values.
        allowed: &'static str,
    },
}

impl Error {
    fn value(condition: &'static str, found: &str, allowed: &'static str) -> Self {
        let found = found.to_owned();
        Self::Value {
            condition,
            found,
            allowed,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(text) => write!(
                f,
                "\"{text}\" is not a condition; allowed are channel:NAME, provider:NAME, id:NUMBER \
                 and level:NAME, separated by \";\", and several values by \",\", as in \
                 channel:Security;id:5156-5158,4688"
            ),
            Self::Twice(name) => write!(
                f,
                "{name}: appears twice in one rule; separate its values with \",\", or use two \
                 rules"
            ),
            Self::Value {
                condition,
                found,
                allowed,
            } => write!(
                f,
                "{condition}: cannot be \"{found}\"; allowed is {allowed}"
            ),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(channel: &str, id: &str, level: &str) -> Event<'static> {
        Event {
            channel: channel.to_owned().into(),
            provider: "Prov, the; 1st".into(),
            event_id: id.to_owned().into(),
            level: level.to_owned().into(),
            ..Event::default()
        }
    }

    fn filter(places: &[&[(Effect, &str)]]) -> Filter {
        let mut filter = Filter::default();
        for rules in places {
            let rules: Vec<_> = rules
                .iter()
                .map(|(effect, text)| Rule::parse(*effect, text).unwrap())
                .collect();
            filter.add(&rules);
        }
        filter
    }

    #[test]
    fn all_conditions_and_one_value_of_each_must_hold() {
        let drop = |text| filter(&[&[(Effect::Drop, text)]]);
        let noise = event("Security", "5157", "0");
        let cases = [
            ("channel:Security;id:5156-5158,4688", true),
            ("id:5157", true),
            ("id:1,5158-6000", false),
            ("channel:security", true),
            ("channel:System,Security;level:information", true),
            ("channel:System;id:5157", false),
            ("level:verbose", false),
            ("level:0", true),
            ("level:1-3", false),
            ("provider:Prov%2C the%3b 1st", true),
            ("provider:Prov", false),
        ];
        for (text, stays) in cases {
            assert_eq!(drop(text).keeps(&noise).is_some(), stays, "{text}");
        }
        // What is not there is no number, and no level is that of audit events.
        assert_eq!(drop("id:0-65535").keeps(&event("", "", "")), None);
        assert_eq!(drop("level:information").keeps(&event("", "", "")), Some(0));
    }

    #[test]
    fn rules_of_one_place_add_up_and_places_must_agree() {
        let rules = filter(&[
            &[
                (Effect::Only, "channel:Security"),
                (Effect::Only, "channel:System;level:1-2"),
            ],
            &[(Effect::Drop, "id:4688"), (Effect::Only, "id:1-9999")],
        ]);
        let expected = [
            "only=channel:Security only=channel:System;level:1-2",
            "only=id:1-9999",
            "drop=id:4688",
        ];
        assert_eq!(rules.reasons(), expected);
        let cases = [
            (("Security", "4624", "0"), None),
            (("System", "41", "1"), None),
            (("System", "41", "4"), Some(0)),
            (("Setup", "41", "1"), Some(0)),
            (("Security", "10000", "0"), Some(1)),
            (("Security", "4688", "0"), Some(2)),
        ];
        for ((channel, id, level), kept) in cases {
            assert_eq!(
                rules.keeps(&event(channel, id, level)),
                kept,
                "{channel} {id}"
            );
        }
        assert_eq!(Filter::default().keeps(&event("Security", "1", "0")), None);
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_is_allowed() {
        let cases = [
            ("", "is not a condition"),
            ("Security", "is not a condition"),
            ("user:x", "is not a condition"),
            ("channel:", "channel: cannot be \"\""),
            ("channel:a,,b", "channel: cannot be \"\""),
            ("provider:50%", "provider: cannot be"),
            ("provider:%zz", "provider: cannot be"),
            ("provider:%ff", "provider: cannot be"),
            ("id:65536", "a number from 0 to 65535"),
            ("id:9-1", "id: cannot be \"9-1\""),
            ("id:-1", "id: cannot be"),
            ("id:+1", "id: cannot be"),
            ("id:1-2-3", "id: cannot be"),
            ("level:256", "level: cannot be"),
            ("level:fatal", "critical, error, warning"),
            ("id:1;id:2", "id: appears twice"),
        ];
        for (text, expected) in cases {
            let error = Rule::parse(Effect::Only, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
