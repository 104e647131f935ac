//! Probes of several addresses with real sockets, as after the resolution of a name.

use std::net::TcpListener;
use std::thread;

use super::*;

/// A server that sends `answer` after the first bytes of each connection; nothing if it is
/// empty.
fn server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream, answer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, answer: &[u8]) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

const RELP: &[u8] = b"1 rsp 37 200 OK\nrelp_version=0\ncommands=syslog\n";

/// The result of a probe of a name with these addresses, and the time limit of each step.
fn probed(url: &str, addresses: &[SocketAddr]) -> (Probe, Vec<Duration>) {
    let settings = Settings::parse(url).unwrap();
    let place = ("log.example", 601);
    let mut dial = Dial::new(Some(place));
    assert_eq!(dial.go_on(), Step::LookUp);
    dial.handle_resolved(addresses);
    dial.begin();
    let (mut facts, mut times) = (Vec::new(), Vec::new());
    let outcome = try_each(&mut dial, place, &mut facts, |way, facts| {
        times.push(way.time);
        let access = Access {
            connector: None,
            secret: &Secret::None,
        };
        reach(&settings, access, way, facts)
    });
    let failure = outcome.err();
    (Probe { facts, failure }, times)
}

#[test]
fn the_next_address_is_tried_where_one_does_not_speak_as_it_should() {
    let good = server(RELP);
    let other = server(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let (found, times) = probed("relp://log.example", &[other, good]);
    assert!(found.failure.is_none(), "{found:?}");
    assert_eq!(times, [Duration::from_secs(3); 2]);
    let last = found.facts.last().unwrap();
    assert!(
        last.starts_with(&format!("skipped in favor of this address: {other}: ")),
        "{last}"
    );
    assert!(last.contains("a web server (HTTP)"), "{last}");
}

#[test]
fn an_address_that_refuses_or_is_silent_is_passed_over_in_time() {
    let good = server(RELP);
    // The listener is dropped immediately, so nothing listens on its port.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = server(b"");
    let (found, _) = probed("relp://log.example", &[gone, silent, good]);
    assert!(found.failure.is_none(), "{found:?}");
    let last = found.facts.last().unwrap();
    for expected in ["nothing listens there", "no answer in RELP", "use tcp://"] {
        assert!(last.contains(expected), "{expected}: {last}");
    }
}

#[test]
fn where_no_address_is_good_each_is_told() {
    let other = server(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (found, _) = probed("tcp://log.example", &[gone, other]);
    let failure = found.failure.unwrap().to_string();
    let gone = format!("{gone}: Connection refused");
    assert!(failure.contains(&gone), "{failure}");
    assert!(
        failure.contains(&format!("{other}: not syslog over TCP: ")),
        "{failure}"
    );
    // A single address has the same time limit as in the relay.
    let (_, times) = probed("tcp://log.example", &[other]);
    assert_eq!(times, [Duration::from_secs(10)]);
}
