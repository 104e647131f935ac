//! How many of its subscriptions a source asks for: the bodies of Enumerate, Pull, and
//! Release (WS-Enumeration 3, DSP0226 8.2).

use super::soap::{child, ns};
use super::{Context, Error, Portion};
use crate::base::xml::{Node, trimmed_text};

/// Without `MaxElements`, as many as fit, although DSP0226 means one: Windows always sends
/// it, and a client that omits it is unlikely to implement Pull.
pub(super) fn enumerate(body: Node<'_, '_>) -> Portion {
    let asked = child(body, ns::ENUMERATION, "Enumerate");
    Portion {
        elements: asked.and_then(|asked| count(asked, ns::WSMAN, "MaxElements")),
        characters: None,
    }
}

/// Without `MaxElements`, one (WS-Enumeration 3.2).
pub(super) fn pull(body: Node<'_, '_>) -> Result<(Option<Context>, Portion), Error> {
    let asked = child(body, ns::ENUMERATION, "Pull").ok_or(Error::Missing("Pull"))?;
    let elements = count(asked, ns::ENUMERATION, "MaxElements").unwrap_or(1);
    let portion = Portion {
        elements: Some(elements),
        characters: count(asked, ns::ENUMERATION, "MaxCharacters"),
    };
    Ok((context(asked)?, portion))
}

pub(super) fn release(body: Node<'_, '_>) -> Result<Option<Context>, Error> {
    let asked = child(body, ns::ENUMERATION, "Release").ok_or(Error::Missing("Release"))?;
    context(asked)
}

/// The position that it refers to; `None` if it cannot be one that a collector has issued.
fn context(asked: Node<'_, '_>) -> Result<Option<Context>, Error> {
    let context = child(asked, ns::ENUMERATION, "EnumerationContext");
    let context = context.ok_or(Error::Missing("EnumerationContext"))?;
    Ok(Context::parse(&trimmed_text(context)))
}

/// A positive number; one that is too large means no limit.
fn count(asked: Node<'_, '_>, namespace: &str, name: &str) -> Option<u32> {
    let text = trimmed_text(child(asked, namespace, name)?);
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}
