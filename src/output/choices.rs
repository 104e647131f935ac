//! The settings after the `?` of an output URL.

use super::{Error, LEAST_MAX, MOST_REPLAY, Scheme, UDP_MAX};
use crate::syslog::framing::Framing;

/// What was said; `None` where nothing was.
#[derive(Default)]
pub(super) struct Choices {
    pub(super) framing: Option<Framing>,
    pub(super) max: Option<usize>,
    pub(super) required: Option<bool>,
    pub(super) replay: Option<usize>,
    pub(super) stream: Option<bool>,
    pub(super) sync: Option<bool>,
}

impl Choices {
    /// Reads `name=value&name=value`; an empty query says nothing.
    pub(super) fn parse(scheme: Scheme, query: &str) -> Result<Self, Error> {
        let mut choices = Self::default();
        for setting in query.split('&').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            choices.set(scheme, name, value)?;
        }
        Ok(choices)
    }

    fn set(&mut self, scheme: Scheme, name: &str, value: &str) -> Result<(), Error> {
        let allowed = scheme.settings();
        let Some(name) = allowed.iter().copied().find(|known| *known == name) else {
            return Err(Error::setting(name, allowed));
        };
        let fresh = match name {
            "framing" => put(&mut self.framing, framing(value)?),
            "max" => put(&mut self.max, max(scheme, value)?),
            "replay" => put(&mut self.replay, bytes(name, value, 0, Some(MOST_REPLAY))?),
            "required" => put(&mut self.required, yes_or_no(name, value)?),
            "sync" => put(&mut self.sync, yes_or_no(name, value)?),
            _ => put(&mut self.stream, stream(value)?),
        };
        if fresh {
            Ok(())
        } else {
            Err(Error::Twice(name))
        }
    }
}

/// Stores `value`; false if there was one already.
fn put<T>(slot: &mut Option<T>, value: T) -> bool {
    slot.replace(value).is_none()
}

fn framing(value: &str) -> Result<Framing, Error> {
    match value {
        "octet" => Ok(Framing::OctetCounting),
        "lf" => Ok(Framing::LineFeed),
        _ => Err(Error::value("framing", value, "octet or lf")),
    }
}

fn stream(value: &str) -> Result<bool, Error> {
    match value {
        "stream" => Ok(true),
        "datagram" => Ok(false),
        _ => Err(Error::value("type", value, "datagram or stream")),
    }
}

fn yes_or_no(name: &'static str, value: &str) -> Result<bool, Error> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Error::value(name, value, "yes or no")),
    }
}

fn max(scheme: Scheme, value: &str) -> Result<usize, Error> {
    let most = (scheme == Scheme::Udp).then_some(UDP_MAX);
    bytes("max", value, LEAST_MAX, most)
}

/// A number of bytes between the bounds, with `K` or `M` (1024 and its square) after it.
fn bytes(
    name: &'static str,
    value: &str,
    least: usize,
    most: Option<usize>,
) -> Result<usize, Error> {
    let size = size(value)
        .ok_or_else(|| Error::value(name, value, "a number of bytes, such as 8192, 8K or 1M"))?;
    match most {
        _ if size < least => Err(Error::TooSmall { name, least }),
        Some(most) if size > most => Err(Error::TooLarge { name, most }),
        _ => Ok(size),
    }
}

fn size(value: &str) -> Option<usize> {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match value.strip_prefix(number)? {
        "" => 1,
        "k" | "K" => 1024,
        "m" | "M" => 1024 * 1024,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<usize>().ok()?.checked_mul(unit)
}
