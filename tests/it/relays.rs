//! Several relays with shared state: hosts connect to any of them, relays and the database are
//! killed, and no acknowledged event is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{
    Haproxy, Ledger, Player, Postgres, Random, Receiver, Relay, Tally, TempDir, wait_for_long,
};

const RELAYS: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(4);

/// The amount of work; scripts/soak sets it higher.
fn setting(name: &str, usual: u32) -> u32 {
    let text = std::env::var(format!("WECRELAY_RELAYS_{name}"));
    text.map_or(usual, |text| text.parse().unwrap())
}

struct Scene {
    postgres: Postgres,
    /// A synchronous standby, until it is promoted.
    standby: Option<Postgres>,
    fallen: Option<Postgres>,
    url: String,
    /// Whether hosts without a bookmark begin at the current end of their logs.
    is_from_end: bool,
    tally: Arc<Tally>,
    receiver: Receiver,
    dirs: Vec<TempDir>,
    relays: Vec<Relay>,
    random: Random,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
}

impl Scene {
    fn start(has_standby: bool, is_from_end: bool) -> Self {
        let postgres = Postgres::start();
        let standby = has_standby.then(|| postgres.standby());
        let alone = || postgres.url();
        let url = standby
            .as_ref()
            .map_or_else(alone, |it| postgres.url_with(it));
        let tally = Arc::<Tally>::default();
        let receiver = Receiver::start(&tally);
        let mut scene = Self {
            postgres,
            standby,
            fallen: None,
            url,
            is_from_end,
            tally,
            receiver,
            dirs: (0..RELAYS).map(|_| TempDir::new()).collect(),
            relays: Vec::new(),
            random: Random::new(u64::from(setting("SEED", 1))),
            ledger: Arc::default(),
            stop: Arc::default(),
        };
        for number in 0..RELAYS {
            let relay = scene.relay(number, 0);
            scene.relays.push(relay);
        }
        scene
    }

    fn relay(&self, number: usize, port: u16) -> Relay {
        let output = format!("tcp://127.0.0.1:{}", self.receiver.port());
        let name = format!("relay-{number}");
        let file = self.dirs[number].file("subscription.xml");
        std::fs::write(&file, subscription(self.is_from_end)).unwrap();
        let arguments = [
            "--output",
            &output,
            "--subscription",
            &file,
            "--no-self-reports",
            "--store",
            &self.url,
            "--relay-name",
            &name,
        ];
        Relay::start_on(port, &self.dirs[number], &arguments)
    }

    /// Hosts that may reach another relay with each connection, and send one or two batches on
    /// each. Like real hosts, they pause in between, and together they offer less than the relays
    /// can process: without pauses, each host would have to repeat a batch after each fault.
    fn hosts(&mut self, port: u16, hosts: u32, last: u32) -> Vec<JoinHandle<Player>> {
        let all = (1..=hosts).map(|number| {
            let mut player = Player::new(number, port, self.random.fork(), TIMEOUT);
            player.set_from_end(self.is_from_end);
            let mut random = self.random.fork();
            let (stop, ledger) = (Arc::clone(&self.stop), Arc::clone(&self.ledger));
            thread::spawn(move || {
                while player.acknowledged < last && !stop.load(Ordering::SeqCst) {
                    let until = (player.acknowledged + 25).min(last);
                    player.deliver_all(until, &ledger, &stop);
                    player.hang_up();
                    thread::sleep(random.millis(0..10 * u64::from(hosts)));
                }
                player
            })
        });
        all.collect()
    }

    fn kill_relay(&mut self) {
        let number = usize::try_from(self.random.below(3)).unwrap();
        let port = self.relays[number].port();
        self.ledger.story.note(&format!("relay {number} is killed"));
        self.relays[number].process.kill();
        thread::sleep(self.random.millis(0..200));
        self.relays[number] = self.relay(number, port);
    }

    /// Kills the database, and promotes the standby.
    fn promote(&mut self) {
        let standby = self.standby.take().unwrap();
        self.ledger.story.note("the primary is killed");
        self.postgres.kill();
        thread::sleep(self.random.millis(0..1000));
        standby.promote();
        self.ledger.story.note("its standby is promoted");
        // Its folder contains the relays' password.
        self.fallen = Some(std::mem::replace(&mut self.postgres, standby));
    }

    fn kill_database(&mut self) {
        self.ledger.story.note("the database is killed");
        self.postgres.kill();
        thread::sleep(self.random.millis(0..1000));
        self.postgres.restart();
        self.ledger.story.note("it is started again");
    }
}

#[test]
fn hosts_come_to_any_relay_while_relays_and_the_database_are_killed() {
    let promotions = setting("PROMOTIONS", 0);
    play(
        Scene::start(promotions > 0, false),
        (setting("HOSTS", 30), setting("EVENTS", 30_000)),
        [setting("KILLS", 4), setting("OUTAGES", 1), promotions],
    );
}

#[test]
fn nothing_is_skipped_without_existing_events_and_when_a_standby_is_promoted() {
    play(Scene::start(true, true), (15, 7500), [2, 1, 1]);
}

/// Kills relays and the database, and promotes its standby, the given number of times each.
fn play(mut scene: Scene, (hosts, events): (u32, u32), [kills, outages, promotions]: [u32; 3]) {
    let ports: Vec<_> = scene.relays.iter().map(Relay::port).collect();
    let balancer = Haproxy::balance(&ports);
    let last = events / hosts;
    let players = scene.hosts(balancer.port(0), hosts, last);
    let rounds = kills + outages + promotions;
    for round in 1..=rounds {
        let due = u64::from(events) * u64::from(round) / u64::from(rounds + 1);
        wait_for_long("more Acks", || {
            let acknowledged = scene.ledger.acknowledged.load(Ordering::Relaxed);
            (acknowledged >= due).then_some(())
        });
        match round % (kills / outages.max(1) + 1) {
            // In the middle of the faults.
            _ if scene.standby.is_some() && round > rounds / 2 => scene.promote(),
            0 => scene.kill_database(),
            _ => scene.kill_relay(),
        }
    }
    wait_for_long("all Acks", || {
        players.iter().all(JoinHandle::is_finished).then_some(())
    });
    scene.stop.store(true, Ordering::SeqCst);
    let mut players: Vec<_> = players
        .into_iter()
        .map(|player| player.join().unwrap())
        .collect();
    for player in &mut players {
        assert_eq!(player.acknowledged, last, "host {}", player.number);
        assert_eq!(scene.tally.missing(player.number, last), [0_u32; 0]);
        // Every relay returns its bookmark at the end of its log.
        player.restart();
        wait_for_long("an answer", || {
            player.step(last, &scene.ledger);
            player.is_subscribed().then_some(())
        });
        assert_eq!(player.acknowledged, last);
    }
    let (arrivals, distinct) = (scene.tally.arrivals(), scene.tally.distinct());
    assert_eq!(distinct, usize::try_from(last * hosts).unwrap());
    // Only unacknowledged events are repeated. Their number per fault depends on the number of
    // hosts with a batch in flight: of many hosts, most are waiting for their turn.
    let unacknowledged = scene.ledger.unacknowledged.load(Ordering::Relaxed);
    let repeats = arrivals - distinct;
    assert!(u64::try_from(repeats).unwrap() <= unacknowledged);
    let repeats = repeats as f64 / distinct as f64 * 100.0;
    assert!(repeats < 2.0 || events < 300_000, "{repeats:.2} % repeats");
    println!(
        "{distinct} events, {repeats:.2} % repeats, {:?}",
        scene.ledger
    );
    assert_eq!(scene.tally.errors(), [""; 0]);
}

/// A subscription to a channel, from its current end or from the beginning.
fn subscription(is_from_end: bool) -> String {
    let is_existing = !is_from_end;
    format!(
        r#"<Subscription xmlns="http://schemas.microsoft.com/2006/03/windows/events/subscription">
  <SubscriptionId>Shared</SubscriptionId>
  <SubscriptionType>SourceInitiated</SubscriptionType>
  <Enabled>true</Enabled>
  <Uri>http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog</Uri>
  <Query><![CDATA[<QueryList><Query Id="0"><Select Path="Microsoft-Windows-Sysmon/Operational">*</Select></Query></QueryList>]]></Query>
  <ReadExistingEvents>{is_existing}</ReadExistingEvents>
  <ContentFormat>Events</ContentFormat>
</Subscription>"#
    )
}
