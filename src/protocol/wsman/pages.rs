//! The responses to Enumerate and Pull (MS-WSMV 3.1.4.8 and 3.1.4.9, DSP0226 8): the
//! subscriptions of one source, in as many responses as its limits require.

use uuid::Uuid;

use super::context::Context;
use super::enumerate::{Draft, Offer, Size};
use super::soap::{ns, operation, relates_to, to, urn};
use super::subscribe::{MAX_ENVELOPE_SIZE, Subscription};
use super::{Header, action};

/// Sources that accept less get a fault (MS-WSMV 3.1.4.1.7).
const LEAST_ENVELOPE_SIZE: u32 = 8192;

/// Room for the text around the items below the header, and for the seal, in bytes.
const FRAME: usize = 2048;

/// Minimum size in bytes of a subscription without its query.
const LEAST: usize = 5000;

/// How much a source asks for at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// Maximum number of subscriptions; `None` for as many as fit.
    pub elements: Option<u32>,
    /// Maximum number of characters in all subscriptions together.
    pub characters: Option<u32>,
}

/// The result of adding a subscription to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It has been added.
    Taken,
    /// It belongs in the next response.
    Full,
    /// No response that the source accepts could contain it; the size in bytes that it
    /// would need.
    TooLarge(usize),
    /// It has more characters than the source asks for.
    TooLong,
}

/// A response under construction.
#[derive(Clone, Debug)]
pub struct Page {
    is_pull: bool,
    head: String,
    items: String,
    /// Size in bytes of everything around the items.
    frame: usize,
    used: usize,
    characters: usize,
    elements: u32,
    /// Maximum size in bytes, and maximum size of a response with a single subscription.
    limit: usize,
    largest: usize,
    portion: Portion,
}

impl Page {
    /// A response to `request`, an Enumerate or a Pull; `None` if the source accepts too
    /// little for any response.
    #[must_use]
    pub fn new(request: &Header, portion: Portion, message_id: Uuid) -> Option<Self> {
        let largest = request.max_envelope_size.unwrap_or(MAX_ENVELOPE_SIZE);
        let is_pull = request.action == action::PULL;
        let head = head(request, is_pull, message_id);
        let frame = FRAME + octets(&head);
        let page = Self {
            is_pull,
            items: String::new(),
            frame,
            used: frame,
            characters: 0,
            elements: 0,
            limit: size(largest.min(MAX_ENVELOPE_SIZE)),
            largest: size(largest),
            portion,
            head,
        };
        (largest >= LEAST_ENVELOPE_SIZE && frame < page.limit).then_some(page)
    }

    /// Whether it contains no subscriptions yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds a subscription if there is room; `new_id` returns random ids.
    pub fn push(&mut self, offer: &Offer<'_>, new_id: &mut dyn FnMut() -> Uuid) -> Fit {
        self.push_draft(&offer.draft(), offer.bookmark, new_id)
    }

    /// The same for a formatted subscription, with the source's stored bookmark.
    pub fn push_draft(
        &mut self,
        draft: &Draft,
        bookmark: Option<&str>,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Fit {
        let asked = self.portion.elements.map_or(u32::MAX, |most| most.max(1));
        if self.elements >= asked {
            return Fit::Full;
        }
        let start = self.items.len();
        let size = draft.push_to(&mut self.items, bookmark, new_id);
        let fit = self.take(start == 0, size);
        if fit != Fit::Taken {
            self.items.truncate(start);
        }
        fit
    }

    /// Counts an item if there is room for it.
    fn take(&mut self, is_first: bool, added: Size) -> Fit {
        let octets = added.octets;
        let characters = self.characters.saturating_add(added.characters);
        if self.frame + octets > self.largest {
            return Fit::TooLarge(self.frame + octets);
        }
        let asked = self.portion.characters.map_or(usize::MAX, size);
        match (is_first, characters <= asked) {
            (true, false) => return Fit::TooLong,
            (false, false) => return Fit::Full,
            // An item that is larger than usual is sent alone, if the source accepts it.
            (false, true) if self.used + octets > self.limit => return Fit::Full,
            (_, true) => {}
        }
        self.used += octets;
        self.characters = characters;
        self.elements += 1;
        Fit::Taken
    }

    /// Completes the envelope. `more` is where the enumeration continues; `None` if this is
    /// the end.
    #[must_use]
    pub fn finish(self, more: Option<&Context>) -> String {
        let Self { head, items, .. } = self;
        let context = more.map(Context::to_text).unwrap_or_default();
        let (name, prefix) = if self.is_pull {
            ("PullResponse", 'n')
        } else {
            ("EnumerateResponse", 'w')
        };
        let context = match (self.is_pull, more) {
            (true, None) => String::new(),
            _ => format!("<n:EnumerationContext>{context}</n:EnumerationContext>"),
        };
        let end = match more {
            None => format!("<{prefix}:EndOfSequence/>"),
            Some(_) => String::new(),
        };
        format!(
            "{head}<n:{name}>{context}<{prefix}:Items>{items}</{prefix}:Items>{end}</n:{name}>\
             </s:Body></s:Envelope>"
        )
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Size of a text in bytes, in the larger of the encodings that a source may request.
fn octets(text: &str) -> usize {
    Size::of(text).octets
}

/// Estimates how many subscriptions may fit into a response, whatever their bookmarks, so
/// that not more bookmarks are read than needed.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    octets: usize,
    elements: u32,
    /// Larger subscriptions are skipped.
    largest: usize,
}

/// The room in a response to this source.
#[must_use]
pub fn room(request: &Header, portion: Portion) -> Room {
    let largest = request.max_envelope_size.unwrap_or(MAX_ENVELOPE_SIZE);
    Room {
        octets: size(largest.min(MAX_ENVELOPE_SIZE)),
        elements: portion.elements.unwrap_or(u32::MAX).max(1),
        largest: size(largest),
    }
}

impl Room {
    /// Whether there is room before this subscription, which may itself be larger than what
    /// is left.
    pub fn takes(&mut self, subscription: &Subscription) -> bool {
        let has_room = self.octets > 0 && self.elements > 0;
        let least = octets(&subscription.query) + LEAST;
        if least <= self.largest {
            self.octets = self.octets.saturating_sub(least);
            self.elements = self.elements.saturating_sub(1);
        }
        has_room
    }
}

fn head(request: &Header, is_pull: bool, message_id: Uuid) -> String {
    let action = if is_pull {
        action::PULL_RESPONSE
    } else {
        action::ENUMERATE_RESPONSE
    };
    response_head(request, action, message_id)
}

/// The response to Release.
#[must_use]
pub fn release_response(request: &Header, message_id: Uuid) -> String {
    let head = response_head(request, action::RELEASE_RESPONSE, message_id);
    format!("{head}</s:Body></s:Envelope>")
}

fn response_head(request: &Header, action: &str, message_id: Uuid) -> String {
    let (s, a, n) = (ns::SOAP, ns::ADDRESSING, ns::ENUMERATION);
    let (w, p) = (ns::WSMAN, ns::WSMAN_MS);
    let id = urn(message_id);
    let (operation, to, relates_to) = (operation(request), to(request), relates_to(request));
    format!(
        "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"{s}\" xmlns:a=\"{a}\" xmlns:n=\"{n}\" \
         xmlns:w=\"{w}\" xmlns:p=\"{p}\"><s:Header><a:Action>{action}</a:Action>\
         <a:MessageID>{id}</a:MessageID>{to}{operation}{relates_to}</s:Header><s:Body>"
    )
}

/// What the responses to a source that receives all of some subscriptions amount to; for
/// `wecrelay check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Number of responses: an Enumerate and the Pulls after it.
    pub pages: usize,
    /// Size of all responses in bytes.
    pub octets: usize,
    /// Subscriptions that exceed the default limit of Windows, and the sizes in bytes that
    /// they would need.
    pub too_large: Vec<(String, usize)>,
}

/// Determines the responses to a source with the default limits of Windows.
#[must_use]
pub fn survey(offers: &[Offer<'_>]) -> Survey {
    let request = Header::default();
    let begin = || Page::new(&request, Portion::default(), Uuid::nil());
    let mut survey = Survey::default();
    let mut page = begin();
    for offer in offers {
        let mut fit = page.as_mut().map(|page| page.push(offer, &mut Uuid::nil));
        if fit == Some(Fit::Full) {
            survey.note(page);
            page = begin();
            fit = page.as_mut().map(|page| page.push(offer, &mut Uuid::nil));
        }
        if let Some(Fit::TooLarge(octets)) = fit {
            let name = offer.subscription.name.to_string();
            survey.too_large.push((name, octets));
        }
    }
    survey.note(page);
    survey
}

impl Survey {
    fn note(&mut self, page: Option<Page>) {
        self.pages += 1;
        self.octets += page.map_or(0, |page| octets(&page.finish(None)));
    }
}

#[cfg(test)]
mod tests;
