//! Why an output URL is invalid, and what is allowed instead.

use std::fmt;

use super::Scheme;
use crate::event::filter;

/// What is wrong with a URL of `--output`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An unknown word before the colon.
    Scheme {
        /// The word that was given.
        found: String,
        /// The nearest known word, if one is close enough to be meant.
        nearest: Option<&'static str>,
    },
    /// A host without the two slashes before it.
    Slashes,
    /// Not a host name or address.
    Host(String),
    /// An IPv6 address without brackets.
    Brackets(String),
    /// Not a port number.
    Port(String),
    /// `unix` or `file` (the content) without a path.
    Path(&'static str),
    /// Something after `stdout:`.
    StdoutPlace(String),
    /// A setting that this kind of output does not have.
    Setting {
        /// The name that was given.
        found: String,
        /// The nearest existing setting, if one is close enough to be meant.
        nearest: Option<&'static str>,
        /// All settings of this kind of output.
        allowed: &'static [&'static str],
    },
    /// A setting given twice.
    Twice(&'static str),
    /// A value that is not allowed for its setting.
    Value {
        /// Name of the setting.
        name: &'static str,
        /// The value that was given.
        found: String,
        /// Description of the allowed values.
        allowed: &'static str,
    },
    /// A size below its minimum.
    TooSmall {
        /// Name of the setting.
        name: &'static str,
        /// The minimum in bytes.
        least: usize,
    },
    /// A size above its maximum.
    TooLarge {
        /// Name of the setting.
        name: &'static str,
        /// The maximum in bytes.
        most: usize,
    },
    /// A framing for an output that sends datagrams.
    DatagramFraming,
    /// An invalid rule in `only=` or `drop=`.
    Rule {
        /// Name of the setting.
        name: &'static str,
        /// What is wrong with the rule.
        source: filter::Error,
    },
    /// Structured data for a header that cannot contain any.
    DataWithoutHeader,
    /// Characters that are not allowed in the path of a URL.
    UrlPath(String),
    /// A setting for `data@` although messages have no structured data.
    NoDataElement,
    /// A private key without its certificate.
    KeyAlone,
    /// Not `BROKER[,BROKER]/TOPIC`.
    Topic(String),
    /// A mechanism of SASL without a user.
    SaslAlone,
    /// A password that would be sent unencrypted.
    Cleartext,
}

impl Error {
    pub(super) fn scheme(word: &str) -> Self {
        let nearest = nearest(word, &Scheme::WORDS);
        let found = word.to_owned();
        Self::Scheme { found, nearest }
    }

    pub(super) fn setting(name: &str, allowed: &'static [&'static str]) -> Self {
        Self::Setting {
            found: name.to_owned(),
            nearest: nearest(name, allowed),
            allowed,
        }
    }

    pub(super) fn value(name: &'static str, value: &str, allowed: &'static str) -> Self {
        let found = value.to_owned();
        Self::Value {
            name,
            found,
            allowed,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme { found, nearest } => {
                write!(f, "\"{found}\" is not a kind of output")?;
                did_you_mean(f, *nearest, ":")?;
                f.write_str("; allowed are udp://HOST:PORT, tcp, tls, relp, relp+tls, otlp+http and otlp+https in the same way, kafka://BROKER/TOPIC and kafka+tls, unix:PATH, file:PATH and stdout:")
            }
            Self::Slashes => {
                f.write_str("two slashes must follow the colon, as in tcp://syslog.example.com:601")
            }
            Self::Host(host) => write!(f, "\"{host}\" is not a host name or an IP address"),
            Self::Brackets(text) => write!(
                f,
                "\"{text}\" has several colons; write an IPv6 address in brackets, as in [2001:db8::1]:601"
            ),
            Self::Port(port) => write!(f, "\"{port}\" is not a port from 1 to 65535"),
            Self::Path(scheme) => write!(
                f,
                "a path must follow the colon, as in {scheme}:/run/events"
            ),
            Self::StdoutPlace(place) => {
                write!(f, "only settings may follow \"stdout:\", not \"{place}\"")
            }
            Self::Setting {
                found,
                nearest,
                allowed,
            } => {
                write!(f, "unknown setting \"{found}\"")?;
                did_you_mean(f, *nearest, "=")?;
                write!(f, "; allowed are {}", allowed.join(", "))
            }
            Self::Twice(name) => write!(f, "{name}= is given twice"),
            Self::Value {
                name,
                found,
                allowed,
            } => {
                write!(f, "{name}= cannot be \"{found}\"; allowed is {allowed}")
            }
            Self::TooSmall { name, least } => write!(f, "{name}= must be at least {least} bytes"),
            Self::TooLarge { name, most } => write!(f, "{name}= can be at most {most} bytes"),
            Self::DatagramFraming => {
                f.write_str("framing= is for streams; with unix, add type=stream")
            }
            Self::Rule { name, source } => write!(f, "{name}=: {source}"),
            Self::DataWithoutHeader => f.write_str(
                "sd= is for header=rfc5424, the only one with structured data; omit sd=, or use \
                 header=rfc5424 (the default of snare, cef and leef is rfc3164)",
            ),
            Self::Topic(place) => write!(
                f,
                "\"{place}\" does not end with a topic (letters, digits, dots, hyphens and \
                 underscores, at most 249), as in kafka://k1.example.com:9092,k2.example.com/windows-events"
            ),
            Self::SaslAlone => f.write_str(
                "sasl= needs login=, a file with the user on its first line and the password on \
                 its second",
            ),
            Self::Cleartext => f.write_str(
                "sasl=plain would send the password in clear text: use kafka+tls, \
                 sasl=scram-sha-512, or cleartext=yes",
            ),
            Self::UrlPath(path) => write!(
                f,
                "\"{path}\" is not a URL path: write spaces, # and characters outside ASCII \
                 percent-encoded, as in %20"
            ),
            Self::NoDataElement => f.write_str(
                "data= is for messages with structured data; omit data=, or use header=rfc5424 and \
                 sd=bounded",
            ),
            Self::KeyAlone => {
                f.write_str("key= needs cert=, the certificate that the key belongs to")
            }
        }
    }
}

impl std::error::Error for Error {}

fn did_you_mean(f: &mut fmt::Formatter<'_>, word: Option<&str>, after: &str) -> fmt::Result {
    word.map_or(Ok(()), |word| {
        write!(f, ", did you mean \"{word}{after}\"?")
    })
}

/// The word that `found` was probably meant to be: at most two typing errors away, fewer
/// for short words.
fn nearest(found: &str, words: &'static [&'static str]) -> Option<&'static str> {
    let errors = |word: &&str| distance(found, word);
    let word = words.iter().copied().min_by_key(errors)?;
    // Two errors in a word of three letters make any other such word.
    (errors(&word) <= word.len().min(5) / 2).then_some(word)
}

/// Number of letters to add, remove, or replace (Levenshtein distance).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (above, a) in from.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(to.chars()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}
