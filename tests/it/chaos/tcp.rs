//! Over TCP and TLS: faults of relay and receiver alternate.

use std::sync::Arc;

use super::scene::{Scene, TIMEOUT};
use crate::support::{
    Authority, Fault, Ledger, Plan, Player, Proxy, Receiver, Tally, wait_for_long,
};

/// The host whose events show that all earlier ones have arrived.
const PROBE: u32 = 0;

#[derive(Clone, Copy)]
enum ReceiverFault {
    Kill,
    Stall,
    Refuse,
    Strike(&'static str, Fault),
}

const RECEIVER_FAULTS: [ReceiverFault; 8] = [
    ReceiverFault::Kill,
    ReceiverFault::Kill,
    ReceiverFault::Stall,
    ReceiverFault::Refuse,
    ReceiverFault::Strike("output connections cut", Fault::Cut),
    ReceiverFault::Strike("output connections reset", Fault::Reset),
    ReceiverFault::Strike("output connections half closed", Fault::HalfClose),
    ReceiverFault::Strike("output connections slow", Fault::Slow(5000)),
];

#[test]
fn over_tcp_nothing_acknowledged_is_lost_whatever_breaks() {
    let tally = Arc::<Tally>::default();
    let receiver = Receiver::start(&tally);
    Tcp::start("tcp", tally, receiver, |port| {
        format!("tcp://127.0.0.1:{port}")
    })
    .run();
}

#[test]
fn over_tls_nothing_acknowledged_is_lost_whatever_breaks() {
    let tally = Arc::<Tally>::default();
    let authority = Authority::new("log authority");
    let receiver = Receiver::start_tls(&tally, &authority.issue(&["127.0.0.1"]));
    let ca = authority.file();
    Tcp::start("tls", tally, receiver, |port| {
        format!("tls://127.0.0.1:{port}?ca={ca}")
    })
    .run();
}

/// A relay that sends through a proxy to a receiver over TCP or TLS. The guarantee holds
/// unless relay and receiver fail within one replay window: so their faults alternate, and
/// everything must arrive in between.
struct Tcp {
    scene: Scene,
    tally: Arc<Tally>,
    receiver: Receiver,
    output: Proxy,
    probe: Player,
    deck: Vec<ReceiverFault>,
}

impl Tcp {
    fn start(
        name: &'static str,
        tally: Arc<Tally>,
        receiver: Receiver,
        url: impl FnOnce(u16) -> String,
    ) -> Self {
        let output = Proxy::to(receiver.port());
        let mut scene = Scene::start(name, |_| url(output.port()));
        let port = scene.relay().port();
        let probe = Player::new(PROBE, port, scene.random.fork(), TIMEOUT);
        Self {
            scene,
            tally,
            receiver,
            output,
            probe,
            deck: Vec::new(),
        }
    }

    fn run(mut self) {
        let mut rounds = 0;
        while !self.scene.is_enough(rounds) {
            self.break_relay();
            self.settle();
            self.break_receiver();
            self.settle();
            rounds += 1;
        }
        self.finish();
    }

    fn break_relay(&mut self) {
        for _ in 0..5 {
            let random = &mut self.scene.random;
            if random.one_in(2) {
                self.output.strike(Fault::harmless(random));
            }
            self.scene.break_relay();
        }
    }

    fn break_receiver(&mut self) {
        for _ in 0..4 {
            self.scene.wait(self.scene.between());
            match self.scene.random.draw(&mut self.deck, &RECEIVER_FAULTS) {
                ReceiverFault::Kill => self.kill_receiver(),
                ReceiverFault::Stall => self.stall_receiver(),
                ReceiverFault::Refuse => self.refuse(),
                ReceiverFault::Strike(name, fault) => self.strike(name, fault),
            }
        }
    }

    fn kill_receiver(&mut self) {
        self.scene.note("receiver killed");
        self.receiver.kill();
        self.scene.wait(0..500);
        self.receiver.restart();
    }

    fn stall_receiver(&mut self) {
        self.scene.note("receiver stalled");
        self.receiver.stall(true);
        self.scene.wait(100..6000);
        self.receiver.stall(false);
    }

    fn refuse(&mut self) {
        self.scene.note("receiver refuses");
        self.output.refuse(true);
        self.output.strike(Fault::Reset);
        self.scene.wait(0..1000);
        self.output.calm();
    }

    /// Breaks the connection to the receiver, and possibly the following ones.
    fn strike(&mut self, name: &'static str, fault: Fault) {
        self.scene.note(name);
        let mut random = self.scene.random.fork();
        self.output.plan(move || Plan {
            fault: Fault::any(&mut random),
            at: random.below(300_000),
        });
        self.output.strike(fault);
    }

    /// Causes no faults until everything that was acknowledged so far has arrived.
    fn settle(&mut self) {
        self.scene.mend_relay();
        self.output.calm();
        self.receiver.restart();
        self.receiver.stall(false);
        let next = self.probe.acknowledged + 1;
        let ledger = Ledger::default();
        wait_for_long("the probe", || {
            if self.probe.acknowledged < next {
                self.probe.step(next, &ledger);
            }
            self.tally.contains(PROBE, next).then_some(())
        })
        .expect("the probe does not arrive");
        wait_for_long("the end of old connections", || {
            (self.output.connections() <= 1 && self.receiver.connections() <= 1).then_some(())
        })
        .expect("old connections do not end");
    }

    fn finish(mut self) {
        let hosts = self.scene.join_hosts();
        self.settle();
        self.scene.end_relay();
        self.scene.check(&self.tally, &hosts, Some(&self.output));
    }
}
