//! Tests of the collector in simulated time, between simulated sources and outputs.

mod bookmarks;
mod chaos;
mod clones;
mod computers;
mod connections;
mod delivery;
mod goodput;
mod host;
mod messages;
mod ntlm_domain;
mod outputs;
mod paging;
mod pair;
mod peer;
mod proxied;
mod receiver;
mod room;
mod state;
mod stopping;
mod store;
