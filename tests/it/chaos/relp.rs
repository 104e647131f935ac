//! Over RELP to rsyslog, and over OTLP: everything breaks at any time, one over the other,
//! relay and receiver together too, for here nothing is acknowledged that the receiver has
//! not confirmed.

use rustix::process::Signal;

use super::held::Held;
use super::scene::Scene;
use crate::support::{
    Authority, Fault, OtlpReceiver, Plan, Proxy, Record, Rsyslog, Server, Tally, TempDir,
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

/// What lasts for a while.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absence {
    Dead,
    Stopped,
    Refusing,
}

#[test]
fn over_relp_nothing_acknowledged_is_lost_whatever_breaks() {
    let rsyslog = Rsyslog::relp();
    Confirming::start("relp", rsyslog, |_, port| {
        format!("relp://127.0.0.1:{port}")
    })
    .run();
}

#[test]
fn over_relp_with_tls_nothing_acknowledged_is_lost_whatever_breaks() {
    let authority = Authority::new("log authority");
    let rsyslog = Rsyslog::relp_tls(&authority, &authority.issue(&[RECEIVER]), RELAY);
    let own = authority.issue(&[RELAY]);
    Confirming::start("relp+tls", rsyslog, |_, port| {
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
    Confirming::start("otlp", receiver, |_, port| {
        format!("otlp+http://127.0.0.1:{port}")
    })
    .run();
}

/// A receiver that confirms, and what breaks around it.
struct Confirming {
    scene: Scene,
    receiver: Server,
    output: Proxy,
    deck: Vec<Break>,
    absences: Held<Absence>,
}

impl Confirming {
    fn start(
        name: &'static str,
        receiver: Server,
        url: impl FnOnce(&TempDir, u16) -> String,
    ) -> Self {
        let output = Proxy::to(receiver.port());
        let mut scene = Scene::start(name, |dir| url(dir, output.port()));
        let mut random = scene.random.fork();
        // Every third connection to the receiver breaks somewhere.
        output.plan(move || match random.one_in(3) {
            true => Plan {
                fault: Fault::any(&mut random),
                at: random.below(500_000),
            },
            false => Plan::NONE,
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
            self.receiver.kill();
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
            let tally = self.tally();
            hosts
                .iter()
                .all(|&(host, last)| tally.missing(host, last).is_empty())
                .then_some(tally)
        });
        let tally = tally.unwrap_or_else(|| self.tally());
        self.scene.check(&tally, &hosts, Some(&self.output));
    }

    fn tally(&self) -> Tally {
        let tally = Tally::default();
        let connection = tally.open();
        self.receiver
            .each_record(|record: Record| tally.note_record(connection, &record));
        tally
    }
}

fn end_absence(absence: Absence, receiver: &mut Server, output: &Proxy) {
    match absence {
        Absence::Dead => receiver.restart(),
        Absence::Stopped => receiver.signal(Signal::CONT),
        Absence::Refusing => output.refuse(false),
    }
}
