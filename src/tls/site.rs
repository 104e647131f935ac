//! What belongs to a context, so that its handshakes find it.

use std::sync::{Arc, OnceLock};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{SslContext, SslContextBuilder, SslRef};

use super::clients::Clients;
use super::verdicts::Verdicts;

/// What the handshakes of a context need beside it.
pub(super) struct Site {
    /// MD5 of the channel bindings of its certificate.
    pub(super) bindings: Option<[u8; 16]>,
    pub(super) clients: Option<Arc<Clients>>,
    pub(super) verdicts: Arc<Verdicts>,
}

impl Site {
    pub(super) fn bindings(&self) -> Option<[u8; 16]> {
        self.bindings
    }

    pub(super) fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    pub(super) fn clients(&self) -> Option<(Arc<Clients>, Arc<Verdicts>)> {
        let clients = self.clients.as_ref()?;
        Some((Arc::clone(clients), Arc::clone(&self.verdicts)))
    }
}

/// OpenSSL gives indices out once a process, and never takes them back.
static PLACE: OnceLock<Index<SslContext, Site>> = OnceLock::new();

/// What belongs to the context of a connection, which the name that the client asks for has
/// chosen.
pub(super) fn site(ssl: &SslRef) -> Option<&Site> {
    ssl.ssl_context().ex_data(*PLACE.get()?)
}

/// Puts it where [`site`] finds it.
pub(super) fn set(builder: &mut SslContextBuilder, site: Site) -> Result<(), ErrorStack> {
    let place = match PLACE.get() {
        Some(place) => *place,
        None => {
            let new = SslContext::new_ex_index()?;
            *PLACE.get_or_init(|| new)
        }
    };
    builder.set_ex_data(place, site);
    Ok(())
}
