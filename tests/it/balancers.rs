//! The load balancers in docs/high-availability.md, configured as described there, in front of
//! two relays with shared state: hosts keep their addresses, connect to both, and continue with
//! the second when the first is down.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::support::{
    Postgres, Process, Relay, Source, TempDir, free_port, lines_of, manual, numbered_event,
    wait_for,
};

/// The address of the host.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Two relays on the same port of two addresses.
struct Pair {
    one: Relay,
    two: Relay,
    files: [String; 2],
    // Removed after the processes have ended.
    _dirs: [TempDir; 2],
    _postgres: Postgres,
}

impl Pair {
    fn start(port: u16, metrics: u16) -> Self {
        let (postgres, dirs) = (Postgres::start(), [TempDir::new(), TempDir::new()]);
        let url = postgres.url();
        let files = dirs.each_ref().map(|dir| dir.file("events"));
        let start = |index: usize, address: &str| {
            let listen = format!("http://{address}:{port}");
            let (output, metrics) = (
                format!("file:{}", files[index]),
                format!("{address}:{metrics}"),
            );
            let flags = [
                "--listen",
                &listen,
                "--metrics",
                &metrics,
                "--output",
                &output,
                "--allow-unencrypted",
                "--proxy-protocol",
                "127.0.0.1",
                "--store",
                &url,
                "--relay-name",
                address,
                "--drain-delay",
                "0s",
            ];
            Relay::start(&dirs[index], &flags)
        };
        let (one, two) = (start(0, "127.0.0.11"), start(1, "127.0.0.12"));
        Self {
            one,
            two,
            files,
            _dirs: dirs,
            _postgres: postgres,
        }
    }

    /// Sends events through the load balancer at `front`, before and after the first relay
    /// ends, which a load balancer with health checks logs.
    fn serve(mut self, front: u16, balancer: &mut Process, gone: Option<&str>) {
        wait_for("the balancer", || {
            assert!(balancer.is_running(), "it ended: {}", balancer.log());
            TcpStream::connect(("127.0.0.1", front)).ok()
        });
        // New connections each time, so that both relays are used.
        for number in 0..8 {
            Self::deliver(front, number);
        }
        let [at_one, at_two] = self.files.each_ref().map(|file| sequences(file));
        assert!(
            !at_one.is_empty() && !at_two.is_empty(),
            "{at_one:?} {at_two:?}"
        );
        assert_eq!(at_one.len() + at_two.len(), 8);
        assert!(self.one.process.terminate().success());
        if let Some(words) = gone {
            balancer.wait_for_log(words);
        }
        Self::deliver(front, 8);
        assert_eq!(sequences(&self.files[0]), at_one);
        assert_eq!(sequences(&self.files[1]), [&at_two[..], &[8]].concat());
        assert!(self.two.process.is_running());
    }

    /// The host resumes from its bookmark, regardless of the relay.
    #[track_caller]
    fn deliver(front: u16, number: u32) {
        let mut host = Source::new(front, "ws-07.example.test").from(HOST);
        // Three connections per round, so that batches go to both relays.
        host.subscribe();
        let offer = host.subscribe();
        assert_eq!(offer.record, number.checked_sub(1).map(u64::from));
        let event = numbered_event(usize::try_from(number).unwrap());
        assert!(host.deliver(&offer, &[event], number.into()));
    }
}

/// The numbers of the events in a file, all of which must have the host's own address.
fn sequences(file: &str) -> Vec<usize> {
    let lines = lines_of(&std::fs::read(file).unwrap());
    for line in &lines {
        assert_eq!(line.value("origin", "ip"), HOST.to_string());
    }
    lines.iter().map(crate::support::Line::sequence).collect()
}

#[test]
fn haproxy_watches_the_relays_and_turns_to_the_second() {
    let (dir, front, port, metrics) = (TempDir::new(), free_port(), free_port(), free_port());
    let pair = Pair::start(port, metrics);
    let places = [
        ("bind :5985", format!("bind 127.0.0.1:{front}")),
        ("bind :5986", format!("bind 127.0.0.1:{}", free_port())),
        ("192.0.2.11:5985", format!("127.0.0.11:{port}")),
        ("192.0.2.12:5985", format!("127.0.0.12:{port}")),
        ("192.0.2.11:5986", format!("127.0.0.11:{port}")),
        ("192.0.2.12:5986", format!("127.0.0.12:{port}")),
        (
            "check port 9598 inter 2s",
            format!("check port {metrics} inter 100ms"),
        ),
    ];
    let places = places.each_ref().map(|(from, to)| (*from, to.as_str()));
    std::fs::write(dir.file("conf"), manual("HAProxy", &places)).unwrap();
    let program = "/usr/sbin/haproxy";
    assert!(Path::new(program).exists(), "no haproxy: run scripts/peers");
    let mut command = Command::new(program);
    command.args(["-db", "-f", &dir.file("conf")]);
    pair.serve(
        front,
        &mut Process::start(command),
        Some("Server wecrelay/one is DOWN"),
    );
}

#[test]
fn nginx_turns_to_the_second_relay_when_the_first_is_gone() {
    let (dir, front, port) = (TempDir::new(), free_port(), free_port());
    let pair = Pair::start(port, free_port());
    let places = [
        ("192.0.2.11:5986", format!("127.0.0.11:{port}")),
        ("192.0.2.12:5986", format!("127.0.0.12:{port}")),
        ("listen 5986", format!("listen 127.0.0.1:{front}")),
    ];
    let places = places.each_ref().map(|(from, to)| (*from, to.as_str()));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/nginx/usr");
    let program = format!("{root}/sbin/nginx");
    assert!(Path::new(&program).exists(), "no nginx: run scripts/peers");
    let config = format!(
        "load_module {root}/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\npid {};\n\
         error_log stderr;\nevents {{}}\n{}",
        dir.file("pid"),
        manual("nginx", &places)
    );
    std::fs::write(dir.file("conf"), config).unwrap();
    let mut command = Command::new(program);
    command.args(["-c", &dir.file("conf"), "-e", "stderr"]);
    pair.serve(front, &mut Process::start(command), None);
}
