//! The responses to monitoring requests.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::Registry;

use crate::base::clock::Now;
use crate::collector::Collector;
use crate::metrics;
use crate::protocol::http::Response;
use crate::server::status::cache::Fresh;
use crate::server::status::host_names::Names;
use crate::server::status::{Answer, Status, page, usage};
use crate::tls;

/// The connections for monitoring, and responses that are shared among them.
pub(in crate::server) struct Watchers {
    /// `None` without `--metrics`.
    sockets: Option<Status>,
    pages: Pages,
}

impl Watchers {
    /// Registers the listener with tokens from `first` on.
    ///
    /// # Errors
    /// The listener cannot be registered.
    pub(in crate::server) fn new(
        socket: Option<TcpListener>,
        registry: &Registry,
        first: usize,
    ) -> io::Result<Self> {
        let sockets = socket.map(|socket| Status::new(socket, registry, first));
        Ok(Self {
            sockets: sockets.transpose()?,
            pages: Pages::new(),
        })
    }

    /// Maximum number of connections.
    pub(in crate::server) fn places(&self) -> usize {
        self.sockets.as_ref().map_or(0, Status::places)
    }

    pub(in crate::server) fn note_event(&mut self, token: usize) {
        if let Some(sockets) = self.sockets.as_mut().filter(|s| s.owns(token)) {
            sockets.note_event(token);
        }
    }

    pub(in crate::server) fn poll_timeout(&self) -> Option<Instant> {
        self.sockets.as_ref().and_then(Status::poll_timeout)
    }

    /// Serves the connections; responses show `seen`.
    pub(in crate::server) fn serve(&mut self, now: Now, registry: &Registry, seen: &Seen<'_>) {
        let Self { sockets, pages } = self;
        if let Some(sockets) = sockets {
            sockets.serve(now, registry, &mut |path, host| {
                pages.answer(now, path, host, seen)
            });
        }
    }
}

/// The state that responses show.
pub(in crate::server) struct Seen<'a> {
    pub(in crate::server) collector: &'a Collector,
    /// The keys and certificates of https listeners.
    pub(in crate::server) tls: Option<&'a tls::Acceptor>,
    /// Whether there is room for new connections.
    pub(in crate::server) accepting: bool,
}

impl Seen<'_> {
    fn snapshot(&self, now: Now) -> metrics::Snapshot {
        metrics::Snapshot {
            ends: self.tls.map_or_else(Vec::new, tls::Acceptor::ends),
            accepting: self.accepting,
            started: self.collector.hosts().up_since(),
            process: usage::of_this_process(),
            ..self.collector.snapshot(now)
        }
    }
}

/// The responses, some of them cached.
struct Pages {
    status: Fresh<Rc<Vec<u8>>>,
    states: Fresh<Vec<(&'static str, usize)>>,
    names: Names,
}

impl Pages {
    fn new() -> Self {
        Self {
            names: Names::of_this_machine(),
            status: Fresh::new(Duration::from_secs(1)),
            states: Fresh::new(Duration::ZERO),
        }
    }

    fn answer(&mut self, now: Now, path: &str, host: Option<&str>, seen: &Seen<'_>) -> Answer {
        if self.is_misdirected(path, host, seen.collector.hostname()) {
            return text_page(421, PLAIN, MISDIRECTED.to_owned()).into();
        }
        match path {
            "/" => page::page(),
            "/status.json" => {
                let write = || page::status(now, &seen.snapshot(now), seen.collector);
                return page::answer(self.status.get(now, || Rc::new(write())));
            }
            "/metrics" => {
                let moment = seen.collector.moment(now);
                let count = || seen.collector.overview().by_state(moment);
                let snapshot = metrics::Snapshot {
                    sources: self.states.get(now, count),
                    ..seen.snapshot(now)
                };
                text_page(200, metrics::CONTENT_TYPE, snapshot.expose())
            }
            // A response at all shows that the loop works.
            "/healthz" => text_page(200, PLAIN, "ok\n".to_owned()),
            "/readyz" => match seen.collector.troubles() {
                troubles if troubles.is_empty() => {
                    let notices = seen.collector.notices(now);
                    let lines: Vec<_> = ["ok".to_owned()].into_iter().chain(notices).collect();
                    text_page(200, PLAIN, lines.join("\n") + "\n")
                }
                troubles => text_page(503, PLAIN, troubles.join("\n") + "\n"),
            },
            _ => text_page(
                404,
                PLAIN,
                "available: /, /status.json, /metrics, /healthz and /readyz\n".to_owned(),
            ),
        }
        .into()
    }

    /// Whether a browser may have been directed here by a name that another site controls (DNS
    /// rebinding). Scrapers and health checks, such as Prometheus, may use any name.
    fn is_misdirected(&self, path: &str, host: Option<&str>, hostname: Option<&str>) -> bool {
        if matches!(path, "/metrics" | "/healthz" | "/readyz") {
            return false;
        }
        host.is_some_and(|host| !self.names.has(host, hostname))
    }
}

/// The text for requests with an unknown host name.
const MISDIRECTED: &str = "this is not a known name of this machine: use its address or its own name, or start the relay with --hostname\n";
const PLAIN: &str = "text/plain; charset=utf-8";

fn text_page(status: u16, kind: &str, text: String) -> Response {
    Response::with_body(status, text.into_bytes())
        .header("Content-Type", kind)
        .header("Cache-Control", "no-store")
}
