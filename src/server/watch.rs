//! What those who watch are told.

use super::{Server, page};
use crate::clock::Now;
use crate::http::Response;
use crate::metrics;
use crate::tls;

impl Server {
    pub(super) fn serve_status(&mut self, now: Now) {
        let Some(mut status) = self.status.take() else {
            return;
        };
        status.serve(now, self.poll.registry(), &mut |path| self.page(now, path));
        self.status = Some(status);
    }

    fn page(&self, now: Now, path: &str) -> Response {
        match path {
            "/" => page::page(),
            "/status.json" => self
                .written
                .borrow_mut()
                .answer(now, || page::status(now, &self.snapshot(), &self.collector)),
            "/metrics" => text_page(200, metrics::CONTENT_TYPE, self.snapshot().expose()),
            // That it answers is the health of a loop.
            "/healthz" => text_page(200, PLAIN, "ok\n".to_owned()),
            "/readyz" => match self.collector.troubles() {
                troubles if troubles.is_empty() => text_page(200, PLAIN, "ok\n".to_owned()),
                troubles => text_page(503, PLAIN, troubles.join("\n") + "\n"),
            },
            _ => text_page(
                404,
                PLAIN,
                "there are /, /status.json, /metrics, /healthz and /readyz\n".to_owned(),
            ),
        }
    }

    fn snapshot(&self) -> metrics::Snapshot {
        let ends = self.tls.as_ref().map_or_else(Vec::new, tls::Acceptor::ends);
        self.collector.snapshot(self.started, ends)
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn text_page(status: u16, kind: &str, text: String) -> Response {
    Response::with_body(status, text.into_bytes())
        .header("Content-Type", kind)
        .header("Cache-Control", "no-store")
}
