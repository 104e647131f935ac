//! Over RELP to rsyslog, over OTLP, and to Kafka: faults of all kinds occur at any time and can
//! overlap, including those of relay and receiver, because here nothing is acknowledged that
//! the receiver has not confirmed.

use rustix::process::Signal;

use super::held::Held;
use super::kafka::Broker;
use super::scene::Scene;
use crate::support::{
    Authority, Fault, OtlpReceiver, Plan, Proxy, Record, Rsyslog, Server, Tally, free_port,
    wait_for_long,
};

const RECEIVER: &str = "log.example.test";
const RELAY: &str = "relay.example.test";

#[derive(Clone, Copy)]
enum Break {
    Relay,
    Kill,
    Both,
    Pause,
    Refuse,
    Strike(&'static str, Fault),
}

const BREAKS: [Break; 13] = [
    Break::Relay,
    Break::Relay,
    Break::Relay,
    Break::Relay,
    Break::Kill,
    Break::Kill,
    Break::Both,
    Break::Pause,
    Break::Refuse,
    Break::Strike("output connections cut", Fault::Cut),
    Break::Strike("output connections reset", Fault::Reset),
    Break::Strike("output connections half closed", Fault::HalfClose),
    Break::Strike("output connections slow", Fault::Slow(5000)),
];

/// Faults that last for some time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absence {
    Dead,
    Stopped,
    Refusing,
}

#[test]
fn over_relp_nothing_acknowledged_is_lost_whatever_breaks() {
    let rsyslog = Rsyslog::relp();
    Confirming::behind("relp", rsyslog, |port| format!("relp://127.0.0.1:{port}")).run();
}

#[test]
fn over_relp_with_tls_nothing_acknowledged_is_lost_whatever_breaks() {
    let authority = Authority::new("log authority");
    let rsyslog = Rsyslog::relp_tls(&authority, &authority.issue(&[RECEIVER]), RELAY);
    let own = authority.issue(&[RELAY]);
    Confirming::behind("relp+tls", rsyslog, |port| {
        format!(
            "relp+tls://127.0.0.1:{port}?ca={}&cert={}&key={}&name={RECEIVER}",
            authority.file(),
            own.certificate,
            own.key
        )
    })
    .run();
}

#[test]
fn over_otlp_nothing_acknowledged_is_lost_whatever_breaks() {
    let receiver = OtlpReceiver::start();
    Confirming::behind("otlp", receiver, |port| {
        format!("otlp+http://127.0.0.1:{port}")
    })
    .run();
}

#[test]
fn to_kafka_nothing_acknowledged_is_lost_whatever_breaks() {
    let port = free_port();
    let output = Proxy::to(port);
    let broker = Broker::start(port, output.port());
    let url = format!(
        "kafka://127.0.0.1:{}/events?message=xml&header=rfc5424",
        output.port()
    );
    Confirming::start("kafka", broker, output, url).run();
}

/// A receiver that confirms messages.
pub(super) trait Peer {
    /// Kills it; it keeps confirmed messages.
    fn kill(&mut self, output: &Proxy);

    /// Starts it again, if it was killed.
    fn restart(&mut self);

    fn signal(&self, signal: Signal);

    /// Everything that it has received so far.
    fn tally(&self) -> Tally;
}

impl Peer for Server {
    fn kill(&mut self, _: &Proxy) {
        self.kill();
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn signal(&self, signal: Signal) {
        self.signal(signal);
    }

    fn tally(&self) -> Tally {
        let tally = Tally::default();
        let connection = tally.open();
        self.each_record(|record: Record| tally.note_record(connection, &record));
        tally
    }
}

/// A receiver that confirms, and the faults around it.
struct Confirming<P> {
    scene: Scene,
    receiver: P,
    output: Proxy,
    deck: Vec<Break>,
    absences: Held<Absence>,
}

impl Confirming<Server> {
    /// A server behind a proxy; `url` is called with the proxy's port.
    fn behind(name: &'static str, receiver: Server, url: impl FnOnce(u16) -> String) -> Self {
        let output = Proxy::to(receiver.port());
        let url = url(output.port());
        Self::start(name, receiver, output, url)
    }
}

impl<P: Peer> Confirming<P> {
    fn start(name: &'static str, receiver: P, output: Proxy, url: String) -> Self {
        let mut scene = Scene::start(name, |_| url);
        let mut random = scene.random.fork();
        // Every third connection to the receiver has a fault.
        output.plan(move || {
            if random.one_in(3) {
                Plan {
                    fault: Fault::any(&mut random),
                    at: random.below(500_000),
                }
            } else {
                Plan::NONE
            }
        });
        Self {
            scene,
            receiver,
            output,
            deck: Vec::new(),
            absences: Held::new(),
        }
    }

    fn run(mut self) {
        let mut rounds = 0;
        while !self.scene.is_enough(rounds) {
            for _ in 0..6 {
                self.break_something();
            }
            rounds += 1;
        }
        self.finish();
    }

    fn break_something(&mut self) {
        let between = self.scene.between();
        let Self {
            scene,
            receiver,
            output,
            absences,
            ..
        } = self;
        scene.wait_and(between, || {
            while let Some(absence) = absences.take_due() {
                end_absence(absence, receiver, output);
                output.refuse(absences.contains(&Absence::Refusing));
            }
        });
        match self.scene.random.draw(&mut self.deck, &BREAKS) {
            Break::Relay => self.scene.break_now(),
            Break::Kill => self.kill_receiver(),
            Break::Both => {
                self.kill_receiver();
                self.scene.end_and_restart(Signal::KILL, "SIGKILL");
            }
            Break::Pause => self.pause_receiver(),
            Break::Refuse => self.refuse(),
            Break::Strike(name, fault) => {
                self.scene.note(name);
                self.output.strike(fault);
            }
        }
    }

    fn kill_receiver(&mut self) {
        let time = self.scene.random.millis(0..1000);
        if self.absences.hold(Absence::Dead, time) {
            self.scene.note("receiver killed");
            self.receiver.kill(&self.output);
            self.absences.forget(|absence| *absence == Absence::Stopped);
        }
    }

    fn pause_receiver(&mut self) {
        let time = self.scene.random.millis(100..5000);
        if !self.absences.contains(&Absence::Dead) && self.absences.hold(Absence::Stopped, time) {
            self.scene.note("receiver stopped for a while");
            self.receiver.signal(Signal::STOP);
        }
    }

    fn refuse(&mut self) {
        let time = self.scene.random.millis(0..1500);
        if self.absences.hold(Absence::Refusing, time) {
            self.scene.note("receiver refuses");
            self.output.strike(Fault::Reset);
            self.output.refuse(true);
        }
    }

    fn finish(mut self) {
        while let Some(absence) = self.absences.take_any() {
            end_absence(absence, &mut self.receiver, &self.output);
        }
        self.output.calm();
        let hosts = self.scene.join_hosts();
        self.scene.end_relay();
        let tally = wait_for_long("what was acknowledged", || {
            let tally = self.receiver.tally();
            hosts
                .iter()
                .all(|&(host, last)| tally.missing(host, last).is_empty())
                .then_some(tally)
        });
        let tally = tally.unwrap_or_else(|| self.receiver.tally());
        self.scene.check(&tally, &hosts, Some(&self.output));
    }
}

fn end_absence(absence: Absence, receiver: &mut impl Peer, output: &Proxy) {
    match absence {
        Absence::Dead => receiver.restart(),
        Absence::Stopped => receiver.signal(Signal::CONT),
        Absence::Refusing => output.refuse(false),
    }
}
