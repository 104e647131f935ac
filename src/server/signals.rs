//! What the loop does when it gets a signal: read files anew, stop.

use signal_hook::consts::{SIGHUP, SIGTERM, SIGXFSZ};

use crate::base::clock::Now;
use crate::server::ending::Step;
use crate::server::outputs::socket::OutputSocket;
use crate::server::{Reloaded, Server};
use crate::tls;

impl Server {
    pub(super) fn handle_signals(&mut self, now: Now) {
        let signals: Vec<_> = self.signals.pending().collect();
        for signal in signals {
            if signal == SIGHUP {
                self.handle_reload(now);
            } else if signal == SIGXFSZ {
                log::debug!("a file is as large as this process may make it");
            } else {
                // Whoever types Ctrl-C does not want to wait for a balancer.
                self.handle_end(now, signal == SIGTERM);
            }
        }
    }

    fn handle_end(&mut self, now: Now, is_patient: bool) {
        let longest = self.ending.longest();
        match self.ending.request(now, is_patient) {
            Step::Announce => {
                log::info!(
                    "stopping: /readyz answers 503; hosts are served until load balancers have \
                     noticed"
                );
                self.notifier.stopping(longest);
                self.collector.announce_end();
            }
            Step::Finish => {
                self.notifier.stopping(longest);
                self.finish(now);
            }
            Step::Abandon => log::info!("stopping at once"),
        }
    }

    /// Takes nobody in any more, when balancers had time to notice.
    pub(super) fn go_on_ending(&mut self, now: Now) {
        if self.ending.handle_timeout(now) {
            self.finish(now);
        }
    }

    fn finish(&mut self, now: Now) {
        log::info!("stopping: finishing batches in flight");
        self.listeners.clear();
        self.collector.stop(now);
    }

    fn handle_reload(&mut self, now: Now) {
        self.notifier.reloading();
        let connectors = tls::connectors(self.outputs.iter().map(OutputSocket::settings));
        let connectors = connectors.map_err(|error| format!("--output {error}"));
        match connectors.and_then(|connectors| Ok((connectors, (self.reload)()?))) {
            Ok((
                connectors,
                Reloaded {
                    settings,
                    tls,
                    secrets,
                },
            )) => {
                self.collector.replace_settings(settings);
                self.collector.replace_secrets(now, secrets);
                self.tls = tls;
                for (output, connector) in self.outputs.iter_mut().zip(connectors) {
                    output.replace_connector(connector);
                }
                if let Some(helpers) = &mut self.helpers {
                    helpers.restart(now);
                }
                log::info!("reloaded");
            }
            Err(why) => log::error!("not reloaded, nothing has changed: {why}"),
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
