//! What those who watch are told.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::base::clock::Now;
use crate::metrics;
use crate::protocol::http::Response;
use crate::server::Server;
use crate::server::status::cache::Fresh;
use crate::server::status::host_names::Names;
use crate::server::status::{Answer, page, usage};
use crate::tls;

/// What is not made anew for each who asks.
pub(in crate::server) struct Watched {
    status: RefCell<Fresh<Rc<Vec<u8>>>>,
    states: RefCell<Fresh<Vec<(&'static str, usize)>>>,
    names: Names,
}

impl Watched {
    pub(in crate::server) fn new() -> Self {
        Self {
            names: Names::of_this_machine(),
            status: RefCell::new(Fresh::new(Duration::from_secs(1))),
            states: RefCell::new(Fresh::new(Duration::ZERO)),
        }
    }
}

impl Server {
    pub(in crate::server) fn serve_status(&mut self, now: Now) {
        let Some(mut status) = self.status.take() else {
            return;
        };
        let registry = self.poll.registry();
        status.serve(
            now,
            registry,
            &mut |path, hosts| match self.is_misdirected(path, hosts) {
                true => text_page(421, PLAIN, MISDIRECTED.to_owned()).into(),
                false => self.page(now, path),
            },
        );
        self.status = Some(status);
    }

    /// Whether a browser may have been led here by a name that is not ours. Who comes for
    /// numbers or health, such as Prometheus, may come by any name.
    fn is_misdirected(&self, path: &str, hosts: &[&str]) -> bool {
        if matches!(path, "/metrics" | "/healthz" | "/readyz") {
            return false;
        }
        let hostname = self.collector.hostname();
        let is_ours = |host: &&str| self.watched.names.has(host, hostname);
        !hosts.iter().all(is_ours)
    }

    fn page(&self, now: Now, path: &str) -> Answer {
        match path {
            "/" => page::page(),
            "/status.json" => {
                let write = || page::status(now, &self.snapshot(now), &self.collector);
                let mut status = self.watched.status.borrow_mut();
                return page::answer(status.get(now, || Rc::new(write())));
            }
            "/metrics" => {
                let count = || {
                    self.collector
                        .overview()
                        .by_state(self.collector.moment(now))
                };
                let sources = self.watched.states.borrow_mut().get(now, count);
                let snapshot = metrics::Snapshot {
                    sources,
                    ..self.snapshot(now)
                };
                text_page(200, metrics::CONTENT_TYPE, snapshot.expose())
            }
            // That it answers is the health of a loop.
            "/healthz" => text_page(200, PLAIN, "ok\n".to_owned()),
            "/readyz" => match self.collector.troubles() {
                troubles if troubles.is_empty() => {
                    let notices = self.collector.notices(now);
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

    fn snapshot(&self, now: Now) -> metrics::Snapshot {
        let ends = self.tls.as_ref().map_or_else(Vec::new, tls::Acceptor::ends);
        metrics::Snapshot {
            ends,
            accepting: !self.trouble.is_on(),
            started: self.collector.hosts().up_since(),
            process: usage::of_this_process(),
            ..self.collector.snapshot(now)
        }
    }
}

/// What whoever came by another name can do.
const MISDIRECTED: &str = "this is not a known name of this machine: use its address or its own name, or start the relay with --hostname\n";
const PLAIN: &str = "text/plain; charset=utf-8";

fn text_page(status: u16, kind: &str, text: String) -> Response {
    Response::with_body(status, text.into_bytes())
        .header("Content-Type", kind)
        .header("Cache-Control", "no-store")
}
