//! What the loop does when it gets a signal: read files anew, stop.

use crate::base::clock::Now;
use crate::server::outputs::socket::OutputSocket;
use crate::server::{Reloaded, Server};
use crate::tls;
use signal_hook::consts::{SIGHUP, SIGXFSZ};
use std::time::Duration;

/// Time for batches in flight after SIGTERM.
const STOP_TIME: Duration = Duration::from_secs(10);

impl Server {
    pub(super) fn handle_signals(&mut self, now: Now) {
        let signals: Vec<_> = self.signals.pending().collect();
        for signal in signals {
            if signal == SIGHUP {
                self.handle_reload(now);
            } else if signal == SIGXFSZ {
                log::debug!("a file is as large as this process may make it");
            } else if self.stopping.is_none() {
                log::info!("stopping: finishing batches in flight");
                self.stopping = Some(now.monotonic + STOP_TIME);
                self.notifier.stopping();
                self.listeners.clear();
                self.collector.stop(now);
            } else {
                self.stopping = Some(now.monotonic);
            }
        }
    }

    fn handle_reload(&mut self, now: Now) {
        self.notifier.reloading();
        let connectors = tls::connectors(self.outputs.iter().map(OutputSocket::settings));
        let connectors = connectors.map_err(|error| format!("--output {error}"));
        match connectors.and_then(|connectors| Ok((connectors, (self.reload)()?))) {
            Ok((connectors, Reloaded { settings, tls })) => {
                self.collector.replace_settings(settings);
                self.tls = tls;
                for (output, connector) in self.outputs.iter_mut().zip(connectors) {
                    output.replace_connector(connector);
                }
                if let Some(helpers) = &mut self.helpers {
                    helpers.restart(now);
                }
                log::info!("reloaded");
            }
            Err(why) => log::error!("not reloaded, everything stays as it was: {why}"),
        }
        for index in 0..self.outputs.len() {
            if self
                .outputs
                .get(index)
                .is_some_and(|o| o.is_file() && o.is_open())
            {
                self.reopen(now, index);
            }
        }
        self.notifier.ready();
    }
}
