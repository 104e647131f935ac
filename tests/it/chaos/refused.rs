//! Over RELP to a receiver that refuses a message now and then, as one does that has no
//! room for it or takes it for poison: what it refuses is nobody's until it takes it.

use super::scene::Scene;
use crate::support::{Random, Tally, wait_for_long};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// One message of so many is refused, each time that it comes.
const ONE_IN: u64 = 400;

#[test]
fn over_relp_nothing_acknowledged_is_lost_though_messages_are_refused() {
    let tally = Arc::<Tally>::default();
    let receiver = Refusing::start(&tally);
    let port = receiver.port;
    let mut scene = Scene::start("relp+refused", |_| format!("relp://127.0.0.1:{port}"));
    let mut rounds = 0;
    while !scene.is_enough(rounds) {
        for _ in 0..4 {
            scene.break_relay();
        }
        rounds += 1;
    }
    let hosts = scene.join_hosts();
    scene.end_relay();
    let all = || {
        let mut hosts = hosts.iter();
        hosts
            .all(|&(host, last)| tally.missing(host, last).is_empty())
            .then_some(())
    };
    let _ = wait_for_long("what was acknowledged", all);
    let refused = receiver.refused.load(Ordering::Relaxed);
    assert!(refused > 0, "nothing was refused");
    (0..refused).for_each(|_| scene.note("message refused"));
    // What comes after a refused message is taken before it.
    scene.check_arrivals(&tally, &hosts, None);
}

struct Refusing {
    port: u16,
    refused: Arc<AtomicU64>,
}

impl Refusing {
    /// Its threads end with the test.
    fn start(tally: &Arc<Tally>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = Arc::<AtomicU64>::default();
        let (tally, count) = (Arc::clone(tally), Arc::clone(&refused));
        thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming()) {
                let (tally, count) = (Arc::clone(&tally), Arc::clone(&count));
                let mut random = Random::new(number);
                // A connection that breaks is no fault here.
                thread::spawn(move || {
                    stream.and_then(|stream| serve(&stream, &tally, &count, &mut random))
                });
            }
        });
        Self { port, refused }
    }
}

/// Answers one session.
fn serve(
    stream: &TcpStream,
    tally: &Tally,
    refused: &AtomicU64,
    random: &mut Random,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = tally.open();
    let (mut from, mut to) = (BufReader::new(stream), stream);
    loop {
        let number = word(&mut from)?;
        let command = word(&mut from)?;
        let data = data(&mut from)?;
        let answer = match command.as_str() {
            "open" => "200 OK\nrelp_version=0\nrelp_software=test\ncommands=syslog".to_owned(),
            "syslog" if random.one_in(ONE_IN) => {
                refused.fetch_add(1, Ordering::Relaxed);
                "500 no room for this one".to_owned()
            }
            "syslog" => {
                tally.note(connection, &data);
                "200 OK".to_owned()
            }
            _ => {
                writeln!(to, "{number} rsp 0\n0 serverclose 0")?;
                return Ok(());
            }
        };
        writeln!(to, "{number} rsp {} {answer}", answer.len())?;
    }
}

/// Up to the next blank.
fn word(from: &mut impl BufRead) -> std::io::Result<String> {
    let mut word = Vec::new();
    from.read_until(b' ', &mut word)?;
    if word.pop() != Some(b' ') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&word).into_owned())
}

/// Length, and if it is not 0 a blank and that much data; then a line feed.
fn data(from: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    let next = loop {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        match byte[0] {
            digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            other => break other,
        }
    };
    if next == b'\n' {
        return Ok(Vec::new());
    }
    let mut data = vec![0; length + 1];
    from.read_exact(&mut data)?;
    data.pop();
    Ok(data)
}
