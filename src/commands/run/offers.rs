//! Determines the subscriptions that are offered, and warns of doubtful ones.

use std::collections::BTreeMap;

use super::{Error, wall};
use crate::config::Config;
use crate::files::subscriptions;
use crate::hosts;
use crate::protocol::wsman::subscribe::{ContentFormat, Subscription};
use crate::windows::query;

pub(super) fn subscriptions(config: &Config) -> Result<Vec<Subscription>, Error> {
    let loaded =
        subscriptions::load(&config.subscriptions, wall()).map_err(Error::Subscriptions)?;
    loaded
        .notices
        .iter()
        .for_each(|notice| log::warn!("{notice}"));
    let mut subscriptions = loaded.subscriptions;
    if !config.channels.is_empty() {
        let quick = Subscription::quick(&config.channels, rendering(config));
        if let Some(same) = subscriptions.iter().find(|s| s.name == quick.name) {
            return Err(Error::SameName(same.name.to_string()));
        }
        subscriptions.push(quick);
    }
    if subscriptions.is_empty() {
        return Err(Error::NoSubscription);
    }
    if config.self_reports {
        add_self_reports(config, &mut subscriptions)?;
    }
    Ok(subscriptions)
}

/// Added last, so that it is the first to be omitted for hosts that accept only small
/// answers.
fn add_self_reports(config: &Config, subscriptions: &mut Vec<Subscription>) -> Result<(), Error> {
    let reports = Subscription::self_reports(rendering(config));
    if subscriptions.iter().any(|s| s.name == reports.name) {
        return Err(Error::SelfReports(reports.name.to_string()));
    }
    let mut channels = subscriptions.iter().flat_map(|s| query::channels(&s.query));
    if !channels.any(|channel| channel.eq_ignore_ascii_case(hosts::CHANNEL)) {
        subscriptions.push(reports);
    }
    Ok(())
}

/// Rendering about doubles the size of events, and only some outputs need the text.
fn rendering(config: &Config) -> ContentFormat {
    if config.wants_rendering() {
        ContentFormat::RenderedText
    } else {
        ContentFormat::Events
    }
}

/// Warns if hosts without a domain account bypass an access list, which applies to domain
/// accounts only.
pub(super) fn warn_of_unbound(config: &Config, subscriptions: &[Subscription]) {
    let methods = [
        (!config.anonymous.is_empty(), "--anonymous"),
        (config.users.is_some(), "--users"),
    ];
    let methods = methods.into_iter().filter(|(is_on, _)| *is_on);
    let methods: Vec<_> = methods.map(|(_, flag)| flag).collect();
    let listed = |s: &&Subscription| s.access.domain_computers.is_some();
    let names: Vec<_> = subscriptions
        .iter()
        .filter(listed)
        .map(|s| &s.name)
        .collect();
    if !methods.is_empty() && !names.is_empty() {
        log::warn!(
            "AllowedSourceDomainComputers of {names:?} applies to domain accounts only: hosts that \
             authenticate by {} get them too",
            methods.join(" or "),
        );
    }
}

/// The channels of each subscription, by the subscription's name.
pub(super) fn channels(subscriptions: &[Subscription]) -> BTreeMap<String, Vec<String>> {
    let channels = |s: &Subscription| (s.name.to_string(), query::channels(&s.query));
    subscriptions.iter().map(channels).collect()
}

/// Warns of channels that a reload adds to a subscription. A host with a bookmark reads a
/// channel that is missing from it from its first event on, whatever `ReadExistingEvents`
/// is.
pub(super) fn warn_of_added(
    before: &BTreeMap<String, Vec<String>>,
    after: &BTreeMap<String, Vec<String>>,
) {
    for (name, channels) in after {
        let Some(known) = before.get(name) else {
            continue;
        };
        let added: Vec<_> = channels.iter().filter(|c| !known.contains(c)).collect();
        if !added.is_empty() {
            log::warn!(
                "subscription {name:?} now selects from {added:?}: every host sends its whole \
                 history; a separate subscription would begin at the present"
            );
        }
    }
}
