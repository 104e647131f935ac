//! The size of the answers that offer subscriptions to a host.

use super::hostname;
use crate::config::Config;
use crate::protocol::wsman::pages::{Survey, survey};
use crate::protocol::wsman::subscribe::{MAX_ENVELOPE_SIZE, Subscription};
use crate::protocol::wsman::{Offer, Policy, Profile};
use crate::windows::query;

/// Measures the answers for a host that gets all of these subscriptions, each with a
/// bookmark.
pub(super) fn measure(config: &Config, subscriptions: &[Subscription]) -> Survey {
    let base = format!("https://{}:5986/wsman/subscriptions", hostname(config));
    let url = |s: &Subscription| format!("{base}/{}", s.id());
    // The longest profile.
    let issuer_thumbprints = vec!["0".repeat(40)];
    let policy = Policy {
        profiles: vec![Profile::HttpsMutual { issuer_thumbprints }],
    };
    let each = subscriptions.iter();
    let parts: Vec<_> = each.map(|s| (s, url(s), bookmark(s))).collect();
    let offers: Vec<_> = parts
        .iter()
        .map(|(subscription, url, bookmark)| Offer {
            subscription,
            url,
            policy: &policy,
            bookmark: Some(bookmark),
        })
        .collect();
    survey(&offers)
}

/// A bookmark of typical size.
fn bookmark(subscription: &Subscription) -> String {
    let channels = query::channels(&subscription.query);
    let channel = |name: &String| {
        format!("<Bookmark Channel=\"{name}\" RecordId=\"123456789\" IsCurrent=\"true\"/>")
    };
    let channels: String = channels.iter().map(channel).collect();
    format!("<BookmarkList>{channels}</BookmarkList>")
}

/// Warns of each subscription that is too large to be offered.
pub(super) fn warn_of_too_large(survey: &Survey) {
    for (name, octets) in &survey.too_large {
        log::warn!("subscription {name:?} {}", too_large(*octets));
    }
}

/// Describes the problem of a subscription that needs this many bytes of an answer, with a
/// remedy.
#[must_use]
pub fn too_large(octets: usize) -> String {
    format!(
        "takes {} kB of an answer, and a host accepts {} kB (MaxEnvelopeSizekb of WinRM): it is \
         not offered to hosts; split its query into several subscriptions",
        octets.div_ceil(1000),
        MAX_ENVELOPE_SIZE / 1000
    )
}
