//! What those who watch are told.

use super::Server;
use crate::clock::Now;
use crate::http::Response;
use crate::metrics;
use crate::tls;

impl Server {
    pub(super) fn serve_status(&mut self, now: Now) {
        let Some(mut status) = self.status.take() else {
            return;
        };
        status.serve(now, self.poll.registry(), &mut |path| self.page(path));
        self.status = Some(status);
    }

    fn page(&self, path: &str) -> Response {
        match path {
            "/metrics" => {
                let ends = self.tls.as_ref().map_or_else(Vec::new, tls::Acceptor::ends);
                let text = self.collector.snapshot(self.started, ends).expose();
                text_page(200, metrics::CONTENT_TYPE, text)
            }
            // That it answers is the health of a loop.
            "/healthz" => text_page(200, PLAIN, "ok\n".to_owned()),
            "/readyz" => match self.collector.troubles() {
                troubles if troubles.is_empty() => text_page(200, PLAIN, "ok\n".to_owned()),
                troubles => text_page(503, PLAIN, troubles.join("\n") + "\n"),
            },
            _ => text_page(
                404,
                PLAIN,
                "there are /metrics, /healthz and /readyz\n".to_owned(),
            ),
        }
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn text_page(status: u16, kind: &str, text: String) -> Response {
    Response::with_body(status, text.into_bytes())
        .header("Content-Type", kind)
        .header("Cache-Control", "no-store")
}
