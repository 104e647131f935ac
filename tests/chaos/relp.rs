//! Over RELP to rsyslog: everything breaks at any time, relay and receiver together
//! too, for here nothing is acknowledged that rsyslog has not confirmed.

use crate::scene::Scene;
use crate::support::{Fault, Plan, Proxy, Record, Rsyslog, Server, Tally, wait_for};
use rustix::process::Signal;

#[derive(Clone, Copy)]
enum Break {
    Relay,
    Receiver,
    Both,
    Pause,
    Refuse,
    Strike(&'static str, Fault),
}

const BREAKS: [Break; 10] = [
    Break::Relay,
    Break::Relay,
    Break::Receiver,
    Break::Receiver,
    Break::Both,
    Break::Pause,
    Break::Refuse,
    Break::Strike("output cut", Fault::Cut),
    Break::Strike("output reset", Fault::Reset),
    Break::Strike("output half closed", Fault::HalfClose),
];

#[test]
fn over_relp_nothing_acknowledged_is_lost_whatever_breaks() {
    let mut relp = Relp::start();
    let mut rounds = 0;
    while !relp.scene.is_enough(rounds) {
        for _ in 0..5 {
            relp.break_something();
        }
        rounds += 1;
    }
    relp.finish();
}

struct Relp {
    scene: Scene,
    rsyslog: Server,
    output: Proxy,
    deck: Vec<Break>,
}

impl Relp {
    fn start() -> Self {
        let rsyslog = Rsyslog::relp();
        let output = Proxy::to(rsyslog.port());
        let mut scene = Scene::start("relp", |_| format!("relp://127.0.0.1:{}", output.port()));
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
            rsyslog,
            output,
            deck: Vec::new(),
        }
    }

    fn break_something(&mut self) {
        self.scene.wait(100..600);
        match self.scene.random.draw(&mut self.deck, &BREAKS) {
            Break::Relay => self.scene.break_relay(),
            Break::Receiver => self.kill_receiver(),
            Break::Both => self.kill_both(),
            Break::Pause => self.pause_receiver(),
            Break::Refuse => self.refuse(),
            Break::Strike(name, fault) => {
                self.scene.note(name);
                self.output.strike(fault);
            }
        }
    }

    fn kill_receiver(&mut self) {
        self.scene.note("rsyslog killed");
        self.rsyslog.kill();
        self.scene.wait(0..500);
        self.rsyslog.restart();
    }

    fn kill_both(&mut self) {
        self.scene.note("both killed");
        self.rsyslog.kill();
        self.scene.end_and_restart(Signal::KILL, "SIGKILL");
        self.scene.wait(0..500);
        self.rsyslog.restart();
    }

    fn pause_receiver(&mut self) {
        self.scene.note("rsyslog stopped for a while");
        self.rsyslog.signal(Signal::STOP);
        self.scene.wait(100..5000);
        self.rsyslog.signal(Signal::CONT);
    }

    fn refuse(&mut self) {
        self.scene.note("receiver refuses");
        self.output.strike(Fault::Reset);
        self.output.refuse(true);
        self.scene.wait(0..1000);
        self.output.refuse(false);
    }

    fn finish(mut self) {
        let hosts = self.scene.join_hosts();
        self.output.calm();
        self.scene.end_relay();
        let tally = wait_for("what was acknowledged", || {
            let tally = self.tally();
            hosts
                .iter()
                .all(|&(host, last)| tally.missing(host, last).is_empty())
                .then_some(tally)
        });
        self.scene.check(&tally, &hosts);
    }

    fn tally(&self) -> Tally {
        let tally = Tally::default();
        let connection = tally.open();
        self.rsyslog
            .each_record(|record: Record| tally.note_record(connection, &record));
        tally
    }
}
