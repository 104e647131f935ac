//! The collector in played time, between played sources and played outputs.

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
