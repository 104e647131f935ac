//! A collector between simulated sources and outputs, in simulated time: the event loop without
//! system calls.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::host::Host;
use super::peer::{End, Peer};
use super::receiver::{Reach, Receiver, Taking};
use crate::auth::Policy;
use crate::base::clock::Now;
use crate::client::{Endpoint, Session};
use crate::collector::{Collector, ConnId, Input, Output, OutputId, Settings};
use crate::connection::{Limits, Rules};
use crate::files::accounts::Users;
use crate::output::Task;
use crate::output::{self, Target};
use crate::protocol::ntlm::Server;
use crate::protocol::ntlm::initiator::{Client, Nonces};
use crate::protocol::wsman::subscribe::{ContentFormat, Subscription};
use crate::store::{Answer, Done, Error, Job, Memory, Ticket, perform};
use crate::syslog::Mapping;

/// The default address of sources in tests.
pub(super) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// Maximum number of turns without any time passing; more is an endless loop.
const TURNS: usize = 10_000;

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A collector for hosts of 192.0.2.0/24, and the account `ACME\host`.
pub(super) fn settings() -> Settings {
    let users = "ACME\\host:{NT}8846f7eaee8fb117ad06bdd830b7586c\n";
    let users = Users::parse(users, "users".as_ref()).unwrap();
    Settings {
        balancers: Vec::new(),
        rules: Rules {
            auth: Policy {
                anonymous: vec!["192.0.2.0/24".parse().unwrap()],
                has_accounts: true,
                accounts: Rc::new(users),
                ntlmv1: false,
                passwords: None,
                domain: false,
                server: Server::from_hostname("collector.example.com"),
                kerberos: None,
                bindings: crate::auth::Bindings::Require,
                names: Vec::new(),
            },
            allow_unencrypted: false,
            limits: Limits::default(),
        },
        subscriptions: vec![Subscription::quick(
            &["System".to_owned()],
            ContentFormat::Events,
        )],
        mapping: Mapping::default(),
        hostname: None,
        computers: None,
        principals: crate::collector::PrincipalRule::default(),
        forget_after: Some(seconds(90 * 86_400)),
    }
}

pub(super) struct Pair {
    pub(super) now: Now,
    pub(super) collector: Collector,
    pub(super) store: Memory,
    /// The jobs that the store has not answered.
    pub(super) jobs: VecDeque<(Ticket, Job)>,
    /// The store answers only when the test requests it.
    pub(super) is_store_slow: bool,
    pub(super) outputs: Vec<Receiver>,
    pub(super) peers: BTreeMap<ConnId, Peer>,
    pub(super) random: StdRng,
    /// The connections about which the domain was to be asked.
    pub(super) asked: Vec<ConnId>,
    urls: Vec<output::Settings>,
    next: u64,
    /// Counts everything that happens.
    happened: u64,
    /// Number of inputs that the collector still handles before it is killed.
    pub(super) fuel: Option<usize>,
}

impl Pair {
    pub(super) fn new(outputs: &[&str]) -> Self {
        Self::with_settings(outputs, settings(), 1)
    }

    pub(super) fn with_settings(outputs: &[&str], settings: Settings, seed: u64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant has no other beginning"
        )]
        let monotonic = Instant::now();
        let wall = UNIX_EPOCH + seconds(1_800_000_000);
        let now = Now { monotonic, wall };
        let urls = outputs.iter().map(|url| output::Settings::parse(url));
        let urls: Vec<_> = urls.map(Result::unwrap).collect();
        let mut pair = Self {
            now,
            collector: Collector::new(now, settings, urls.clone(), [7; 32]),
            store: Memory::new(),
            jobs: VecDeque::new(),
            is_store_slow: false,
            outputs: urls.iter().map(|_| Receiver::default()).collect(),
            peers: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
            asked: Vec::new(),
            urls,
            next: 0,
            happened: 0,
            fuel: None,
        };
        pair.drive();
        pair
    }

    /// Kills the relay and starts it again with the same state folder.
    pub(super) fn restart(&mut self) {
        self.jobs.clear();
        self.fuel = None;
        self.peers
            .values_mut()
            .for_each(|peer| peer.end = End::Closed);
        self.outputs
            .iter_mut()
            .for_each(|output| output.is_open = false);
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        self.collector = Collector::new(self.now, settings(), self.urls.clone(), seed);
    }

    pub(super) fn is_killed(&self) -> bool {
        self.fuel == Some(0)
    }

    /// Handles one input; a killed collector handles none.
    pub(super) fn handle(&mut self, input: &Input<'_>) {
        if self.is_killed() {
            return;
        }
        self.fuel = self.fuel.map(|fuel| fuel - 1);
        self.collector.handle(self.now, input);
    }

    fn commit(&mut self) {
        if self.is_killed() {
            return;
        }
        self.fuel = self.fuel.map(|fuel| fuel - 1);
        self.happened += u64::from(self.collector.wants_commit());
        self.collector.commit(self.now);
        self.ask_store();
    }

    /// Takes the collector's jobs for the store; performs them unless the store is slow.
    pub(super) fn ask_store(&mut self) {
        loop {
            while let Some(asked) = self.collector.poll_job() {
                self.jobs.push_back(asked);
                self.happened += 1;
            }
            if self.is_store_slow || self.is_killed() || self.jobs.is_empty() {
                return;
            }
            self.answer_job(0);
        }
    }

    /// The store performs one of the jobs, and answers.
    pub(super) fn answer_job(&mut self, index: usize) {
        if let Some(answer) = self.do_job(index) {
            self.give_answer(answer);
        }
    }

    /// The store performs one of the jobs; its answer is in flight.
    pub(super) fn do_job(&mut self, index: usize) -> Option<Answer> {
        let (ticket, job) = self.jobs.remove(index)?;
        Some(perform(&mut self.store, ticket, job))
    }

    /// The store performs one of the jobs and loses its connection, so that the job is sent again.
    pub(super) fn do_job_unheard(&mut self, index: usize) {
        let (ticket, job) = self.jobs[index].clone();
        drop(perform(&mut self.store, ticket, job));
    }

    /// The store performs one of the jobs, and its answer is lost.
    pub(super) fn lose_answer(&mut self, index: usize) {
        let Some((ticket, job)) = self.jobs.remove(index) else {
            return;
        };
        let mut answer = perform(&mut self.store, ticket, job);
        let lost = || Error::Busy {
            file: "memory".into(),
        };
        answer.done = match answer.done {
            Done::Read(_) => Done::Read(Err(lost())),
            Done::Written(_) => Done::Written(Err(lost())),
            done => done,
        };
        self.give_answer(answer);
    }

    pub(super) fn give_answer(&mut self, answer: Answer) {
        if self.is_killed() {
            return;
        }
        self.fuel = self.fuel.map(|fuel| fuel - 1);
        self.happened += 1;
        self.collector.handle_answer(self.now, answer);
        while let Some(asked) = self.collector.poll_job() {
            self.jobs.push_back(asked);
        }
    }

    /// Loads what the store contains, as at the start.
    pub(super) fn load(&mut self) {
        self.collector.load();
        self.ask_store();
    }

    /// Saves what has changed, as the loop does when it is due.
    pub(super) fn save_hosts(&mut self) {
        self.collector.save_hosts(self.now);
        self.ask_store();
    }

    /// Saves everything, as the loop does at its end.
    pub(super) fn save_all_hosts(&mut self) {
        self.collector.save_all_hosts(self.now);
        self.ask_store();
        assert!(!self.collector.awaits_store());
    }

    /// One turn of the loop. Returns whether anything happened.
    pub(super) fn turn(&mut self) -> bool {
        let before = self.happened;
        self.read_peers();
        self.handle(&Input::Timeout);
        self.drain();
        self.write_outputs();
        self.commit();
        self.drain();
        self.happened > before
    }

    /// Turns until only time can change anything.
    #[track_caller]
    pub(super) fn drive(&mut self) {
        let settled = (0..TURNS).any(|_| !self.turn() || self.is_killed());
        assert!(settled, "the loop goes on without anything new");
        if !self.is_killed() {
            let due = self.collector.poll_timeout();
            assert!(
                due.is_none_or(|at| at > self.now.monotonic),
                "the loop would spin: {due:?} is over at {:?}",
                self.now.monotonic
            );
        }
    }

    /// Advances time to the next deadline.
    #[track_caller]
    pub(super) fn step(&mut self) {
        let due = self.collector.poll_timeout().unwrap();
        let wait = due.saturating_duration_since(self.now.monotonic);
        self.now = self.now + wait;
        self.drive();
    }

    /// Advances time, deadline by deadline.
    #[track_caller]
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while !self.is_killed()
            && let Some(due) = self.collector.poll_timeout()
            && due <= end.monotonic
        {
            self.step();
        }
        self.now = end;
        self.drive();
    }

    pub(super) fn connect(&mut self, address: IpAddr, session: Option<Session>) -> ConnId {
        let id = ConnId(self.next);
        self.next += 1;
        self.peers.insert(id, Peer::new(session));
        self.handle(&Input::Accepted(id, address));
        id
    }

    /// A connection on which the test writes and reads bytes.
    pub(super) fn connect_raw(&mut self, address: IpAddr) -> ConnId {
        self.connect(address, None)
    }

    pub(super) fn connect_client(&mut self, host: &Host, path: &str) -> ConnId {
        let authority = "collector.example.com:5985".to_owned();
        let path = path.to_owned();
        let client: Client = host.client();
        let session = Session::new(
            Endpoint {
                authority,
                path,
                secure: false,
            },
            client,
        );
        self.connect(host.address, Some(session))
    }

    pub(super) fn peer(&mut self, id: ConnId) -> &mut Peer {
        self.peers.get_mut(&id).unwrap()
    }

    /// Sends bytes, and runs the collector until nothing changes.
    #[track_caller]
    pub(super) fn send(&mut self, id: ConnId, bytes: &[u8]) {
        self.peer(id).outgoing.extend_from_slice(bytes);
        self.drive();
    }

    /// The source closes its connection.
    pub(super) fn close(&mut self, id: ConnId) {
        if self
            .peers
            .remove(&id)
            .is_some_and(|peer| peer.end != End::Closed)
        {
            self.handle(&Input::Ended(id));
        }
    }

    /// The connection of an output fails after its application has read everything.
    #[track_caller]
    pub(super) fn cut_output(&mut self, index: usize) {
        let read = self.outputs[index].written();
        self.cut_output_after(index, read);
    }

    /// The same, after the application has read only `bytes` bytes.
    pub(super) fn cut_output_after(&mut self, index: usize, bytes: usize) {
        self.outputs[index].end(bytes);
        self.handle(&Input::Failed(OutputId(index), "connection reset"));
    }

    pub(super) fn new_uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    fn read_peers(&mut self) {
        let ids: Vec<_> = self.peers.keys().copied().collect();
        for id in ids {
            self.read_peer(id);
        }
    }

    fn read_peer(&mut self, id: ConnId) {
        if !self.collector.is_reading(self.now) || !self.collector.wants_input(id) {
            return;
        }
        let peer = self.peer(id);
        if peer.end == End::Closed {
            return;
        }
        if let Some(session) = &mut peer.session {
            peer.outgoing.extend(session.take_outgoing());
        }
        let bytes = std::mem::take(&mut peer.outgoing);
        if !bytes.is_empty() {
            self.happened += 1;
            self.handle(&Input::Received(id, &bytes));
        }
    }

    /// Performs the collector's tasks.
    fn drain(&mut self) {
        while !self.is_killed()
            && let Some(output) = self.collector.poll_output()
        {
            self.happened += 1;
            match output {
                Output::Send(id) => self.write_peer(id),
                Output::Shutdown(id) => self.note_end(id, End::ShutDown),
                Output::Close(id) => self.note_end(id, End::Closed),
                Output::Ask(id) => self.asked.push(id),
                Output::Link(id, Task::LookUp) => {
                    let address = SocketAddr::from(([192, 0, 2, 1], 601));
                    self.handle(&Input::Resolved(id, Ok(&[address])));
                }
                Output::Link(id, Task::Open | Task::Connect(_)) => {
                    match self.outputs[id.0].open() {
                        Reach::Listening => self.handle(&Input::Opened(id)),
                        Reach::Refusing => self.handle(&Input::Failed(id, "refused")),
                        Reach::Silent => {}
                    }
                }
                Output::Link(id, Task::Close) => self.outputs[id.0].is_open = false,
                Output::Link(id, Task::Measure) => self.measure(id),
                // These outputs have no brokers.
                Output::Broker(..) => {}
            }
        }
    }

    fn note_end(&mut self, id: ConnId, end: End) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.end = end;
        }
    }

    pub(super) fn write_peer(&mut self, id: ConnId) {
        let bytes = self.collector.outgoing(id).to_vec();
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.reads) else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        peer.received.extend_from_slice(&bytes);
        self.happened += 1;
        let mut nonces = Nonces::default();
        self.random.fill_bytes(&mut nonces.session_key);
        self.random.fill_bytes(&mut nonces.client_challenge);
        if let Some(session) = &mut peer.session {
            match session.handle_received(&bytes, &nonces) {
                Ok(reply) => peer.replies.extend(reply),
                Err(_) => peer.broken = true,
            }
        }
        self.handle(&Input::Sent(id, bytes.len()));
    }

    fn write_outputs(&mut self) {
        for index in 0..self.outputs.len() {
            let id = OutputId(index);
            self.write_output(id);
            let link = self.collector.link(id);
            if link.is_some_and(output::link::Link::wants_measure) {
                self.measure(id);
            }
        }
    }

    fn write_output(&mut self, id: OutputId) {
        while !self.is_killed()
            && let Some(bytes) = self.collector.link(id).unwrap().next_bytes()
        {
            match self.outputs[id.0].take(bytes) {
                Taking::Blocked => return,
                Taking::Wrote(count) => self.handle(&Input::Written(id, count)),
                Taking::Failed => {
                    self.outputs[id.0].is_open = false;
                    self.handle(&Input::Failed(id, "broken pipe"));
                }
            }
            self.happened += 1;
        }
    }

    /// Advances time for receivers with a limited rate.
    pub(super) fn play_receivers(&mut self, time: Duration) {
        for index in 0..self.outputs.len() {
            let is_relp = matches!(self.urls[index].target, Target::Relp { .. });
            let answers = self.outputs[index].play(time, is_relp);
            if !answers.is_empty() {
                self.handle(&Input::Replied(OutputId(index), &answers));
            }
        }
        self.drive();
    }

    fn measure(&mut self, id: OutputId) {
        let left = self.outputs[id.0].unacknowledged();
        self.handle(&Input::Measured(id, left));
    }
}
