//! The contexts for handshakes, as long as nothing that they depend on changes.
//!
//! A generation ends with a reload, when a CA certificate or revocation list becomes valid
//! or expires, and after half a day. Its sessions end with it: they are kept in the memory
//! of its context, and a client gets only their random id. Session tickets, which contain
//! the whole state, would need keys that have to be stored and rotated, and OpenSSL parses
//! the client's certificate again for each ticket that it issues or accepts.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, NameType, SniError, Ssl, SslAcceptor, SslAcceptorBuilder, SslContext,
    SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode, SslVerifyMode,
    select_next_proto,
};
use openssl::x509::X509;

use super::clients::Clients;
use super::site::{self, Site};
use super::verdicts::Verdicts;
use super::verification::Verification;
use super::{Error, end_point, pem, refusal};
use crate::auth;
use crate::system::sys;

/// Maximum life of a generation, and so of a session, however often it is resumed.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// How far the clock may be set back without a new generation.
const SET_BACK: Duration = Duration::from_secs(300);
/// Maximum number of sessions, each with 1 to 8 kB; the oldest are removed first. OpenSSL
/// also removes those not resumed for two hours.
const MOST_SESSIONS: i32 = 20_000;
/// Session id context, which restricts resumption to our own sessions.
const SESSIONS_OF: &[u8] = b"wecrelay";

/// What contexts are made from.
pub(super) struct Parts {
    /// One for each server certificate; the first one is for clients that send no server
    /// name.
    pub(super) pairs: Vec<Pair>,
    pub(super) clients: Option<Arc<Clients>>,
    /// Whether clients may resume sessions.
    pub(super) resume: bool,
}

/// A server certificate with its intermediates.
pub(super) struct Pair {
    pub(super) chain: Vec<X509>,
    pub(super) key: PKey<Private>,
    pub(super) names: Vec<String>,
}

pub(super) struct Generation {
    context: SslContext,
    verdicts: Arc<Verdicts>,
    begin: SystemTime,
    /// The first time at which it is no longer valid.
    end: SystemTime,
}

impl Generation {
    pub(super) fn begin(parts: &Parts, now: SystemTime) -> Result<Self, Error> {
        let verdicts = Arc::new(Verdicts::default());
        let contexts = parts.pairs.iter().map(|pair| {
            let context = context(parts, pair, Arc::clone(&verdicts))?;
            Ok((pair.names.clone(), context))
        });
        let contexts: Result<Vec<_>, Error> = contexts.collect();
        let mut contexts = contexts?.into_iter();
        let (names, mut first) = contexts.next().ok_or(Error::NoCertificate)?;
        let others: Vec<_> = contexts
            .map(|(names, context)| (names, context.build().into_context()))
            .collect();
        first.set_servername_callback(move |ssl, _| choose(ssl, &names, &others));
        let turns = parts.clients.iter().flat_map(|clients| clients.turns());
        let (past, future): (Vec<_>, Vec<_>) = turns.partition(|turn| *turn <= now);
        let begin = past.into_iter().chain(now.checked_sub(SET_BACK)).max();
        let end = future.into_iter().chain(now.checked_add(LIFE)).min();
        Ok(Self {
            context: first.build().into_context(),
            verdicts,
            begin: begin.unwrap_or(now),
            end: end.unwrap_or(now),
        })
    }

    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        !(self.begin..self.end).contains(&now) || self.verdicts.is_full()
    }

    /// The server's side of a new connection.
    pub(super) fn start(&self) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        refusal::prepare(&mut ssl)?;
        Ok(ssl)
    }
}

impl Drop for Generation {
    // Open connections keep the context, perhaps for days, but not its sessions.
    fn drop(&mut self) {
        sys::forget_sessions(&self.context);
    }
}

fn context(
    parts: &Parts,
    pair: &Pair,
    verdicts: Arc<Verdicts>,
) -> Result<SslAcceptorBuilder, Error> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let builder: &mut SslContextBuilder = &mut acceptor;
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
    if parts.resume {
        builder.set_session_cache_mode(SslSessionCacheMode::SERVER);
        builder.set_session_cache_size(MOST_SESSIONS);
        builder.set_session_id_context(SESSIONS_OF)?;
        builder.set_num_tickets(1)?;
    } else {
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        builder.set_num_tickets(0)?;
    }
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    pem::present(builder, pair.chain.iter().cloned(), &pair.key)?;
    match &parts.clients {
        Some(clients) => {
            clients.ask(builder)?;
            sys::judge_by::<Verification>(builder);
        }
        None => builder.set_verify(SslVerifyMode::NONE),
    }
    let end_point = pair.chain.first().and_then(|leaf| end_point::of(leaf));
    let site = Site {
        bindings: end_point.map(|hash| auth::channel_bindings(&hash)),
        clients: parts.clients.clone(),
        verdicts,
    };
    site::set(builder, site)?;
    Ok(acceptor)
}

/// Selects the certificate with the name that the client asks for, or else the first one.
fn choose(
    ssl: &mut SslRef,
    first: &[String],
    others: &[(Vec<String>, SslContext)],
) -> Result<(), SniError> {
    let Some(asked) = ssl
        .servername(NameType::HOST_NAME)
        .map(str::to_ascii_lowercase)
    else {
        return Ok(());
    };
    let is_named = |names: &[String]| names.iter().any(|name| super::fits(name, &asked));
    if is_named(first) {
        return Ok(());
    }
    match others.iter().find(|(names, _)| is_named(names)) {
        Some((_, context)) => ssl
            .set_ssl_context(context)
            .map_err(|_| SniError::ALERT_FATAL),
        None => Ok(()),
    }
}
