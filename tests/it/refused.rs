//! `?refused=`: the fate of an event that a RELP receiver rejects, over real sockets, with
//! rsyslog for the cases in which it can reject one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::{
    Relay, RelpSink, Rsyslog, Source, TempDir, Verdict, lines_of, numbered_event, parse_line,
    wait_for,
};

/// The number of the rejected event.
const POISON: usize = 666_666;
const WAYS: [Verdict; 3] = [Verdict::Refuse, Verdict::PassOver, Verdict::End];

/// A receiver that rejects one event ("poison") until it is repaired.
struct Receiver {
    sink: RelpSink,
    taken: Arc<Mutex<Vec<usize>>>,
    /// The rejected message as received.
    refused: Arc<Mutex<Vec<u8>>>,
    is_mended: Arc<AtomicBool>,
}

impl Receiver {
    fn start(way: Verdict) -> Self {
        let taken = Arc::<Mutex<Vec<usize>>>::default();
        let refused = Arc::<Mutex<Vec<u8>>>::default();
        let is_mended = Arc::<AtomicBool>::default();
        let shared = (
            Arc::clone(&taken),
            Arc::clone(&refused),
            Arc::clone(&is_mended),
        );
        let sink = RelpSink::start(move || {
            let (taken, refused, is_mended) = shared.clone();
            move |message: &[u8]| {
                let number = number(message);
                if number == POISON && !is_mended.load(Ordering::SeqCst) {
                    *refused.lock().unwrap() = message.to_vec();
                    return way;
                }
                taken.lock().unwrap().push(number);
                Verdict::Take
            }
        });
        Self {
            sink,
            taken,
            refused,
            is_mended,
        }
    }

    fn url(&self, refused: &str) -> String {
        format!("{}?refused={refused}", self.sink.url())
    }

    /// How often a message was accepted.
    fn times(&self, number: usize) -> usize {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|&&one| one == number).count()
    }
}

fn number(message: &[u8]) -> usize {
    let line = parse_line(message).unwrap();
    line.value("data", "Sequence").parse().unwrap()
}

fn start(dir: &TempDir, output: &str) -> Relay {
    Relay::start(dir, &["--output", output, "--allow-unencrypted"])
}

fn events(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(numbered_event).collect()
}

/// Another host delivers until `is_done`; returns the number of acknowledged batches of ten.
fn deliver_beside(relay: &Relay, is_done: &Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let mut source = relay.source("good.example.test");
    let is_done = Arc::clone(is_done);
    thread::spawn(move || {
        let offer = source.subscribe();
        let mut batches = 0;
        while !is_done.load(Ordering::SeqCst) {
            let numbers = batches * 10..(batches + 1) * 10;
            let reply = source.try_deliver(&offer, &events(numbers), 1).unwrap();
            assert_eq!(reply.status, 200, "{}", reply.head);
            batches += 1;
            thread::sleep(Duration::from_millis(20));
        }
        batches
    })
}

/// Delivers the rejected event between two others, and returns the status of the answer.
fn deliver_poison(source: &mut Source) -> u16 {
    let offer = source.subscribe();
    let events = events([900_001, POISON, 900_002]);
    source.try_deliver(&offer, &events, 1).unwrap().status
}

#[test]
fn a_refused_event_stays_with_its_host_and_harms_no_other() {
    for way in [Verdict::Refuse, Verdict::PassOver] {
        let (receiver, dir) = (Receiver::start(way), TempDir::new());
        let mut relay = start(&dir, &receiver.url("retry"));
        let is_done = Arc::<AtomicBool>::default();
        let others = deliver_beside(&relay, &is_done);
        // Three attempts without an answer take longer than the timeout of the host.
        let mut source = relay.source("poison.example.test").with_timeout(20);
        assert_eq!(deliver_poison(&mut source), 503, "{way:?}");
        is_done.store(true, Ordering::SeqCst);
        let batches = others.join().unwrap();
        assert!(batches > 10, "{way:?}: {batches} batches of others");
        for number in 0..batches * 10 {
            assert_eq!(receiver.times(number), 1, "{way:?}: event {number}");
        }
        let told = relay
            .process
            .wait_for_log("the receiver refuses an event of");
        let expected = format!(
            "ws-07.example.test (subscription wecrelay, channel Microsoft-Windows-Sysmon/Operational, EventRecordID {POISON}, "
        );
        assert!(told.contains(&expected), "{told}");
        // After the repair, the host's repeat is delivered when it is no longer delayed.
        receiver.is_mended.store(true, Ordering::SeqCst);
        wait_for("the repeat", || {
            (deliver_poison(&mut source) == 200).then_some(())
        });
        assert_eq!(receiver.times(POISON), 1, "{way:?}");
    }
}

#[test]
fn a_refused_event_may_be_dropped_and_is_counted() {
    for way in WAYS {
        let (receiver, dir) = (Receiver::start(way), TempDir::new());
        let output = receiver.url("drop");
        let arguments = [
            "--output",
            &output,
            "--allow-unencrypted",
            "--metrics",
            "127.0.0.1:0",
        ];
        let mut relay = Relay::start(&dir, &arguments);
        let is_done = Arc::<AtomicBool>::default();
        let others = deliver_beside(&relay, &is_done);
        assert_eq!(deliver_poison(&mut relay.source("p.test")), 200, "{way:?}");
        is_done.store(true, Ordering::SeqCst);
        assert!(others.join().unwrap() > 0);
        let times = [900_001, POISON, 900_002].map(|number| receiver.times(number));
        assert!(times[0] > 0 && times[1] == 0 && times[2] > 0, "{times:?}");
        let metrics = metrics(&mut relay);
        let counted = "wecrelay_output_dropped_messages_total{output=";
        let counted = metrics.lines().find(|line| line.starts_with(counted));
        assert!(
            counted.is_some_and(|line| line.ends_with(" 1")),
            "{metrics}"
        );
    }
}

fn metrics(relay: &mut Relay) -> String {
    let line = relay.process.wait_for_log("metrics on http://");
    let address = line.rsplit('/').nth(1).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_refused_event_is_whole_in_its_file_and_on_disk_before_its_host_is_answered() {
    for way in WAYS {
        let (receiver, dir) = (Receiver::start(way), TempDir::new());
        // If the file cannot be written, the host keeps the event.
        let (folder, file) = (dir.file("kept"), dir.file("kept/refused"));
        let syncs = dir.file("syncs");
        let output = receiver.url(&format!("file:{file}"));
        let relay = Relay::start_with(
            &dir,
            &["--output", &output, "--allow-unencrypted"],
            &[("LD_PRELOAD", &noting_syncs(&dir)), ("SYNCS", &syncs)],
        );
        let is_done = Arc::<AtomicBool>::default();
        let others = deliver_beside(&relay, &is_done);
        let mut source = relay.source("poison.example.test");
        assert_eq!(deliver_poison(&mut source), 503, "{way:?}");
        std::fs::create_dir(&folder).unwrap();
        // A host whose event was rejected is delayed for some seconds.
        wait_for("the repeat", || {
            (deliver_poison(&mut source) == 200).then_some(())
        });
        // Read immediately: nothing may be written after the answer.
        let (kept, synced) = (
            std::fs::read(&file).unwrap(),
            std::fs::read_to_string(&syncs).unwrap(),
        );
        let lines = lines_of(&kept);
        assert_eq!(lines.len(), 1, "{way:?}");
        assert_eq!(number(kept.trim_ascii_end()), POISON);
        let refused = receiver.refused.lock().unwrap();
        assert_eq!(kept.trim_ascii_end(), refused.trim_ascii_end());
        let mut noted = synced.lines();
        let size = kept.len();
        assert!(
            noted.any(|line| line == format!("{size} {file}")),
            "{synced}"
        );
        assert!(
            noted.any(|line| line.ends_with(&format!(" {folder}"))),
            "its name is not on disk: {synced}"
        );
        is_done.store(true, Ordering::SeqCst);
        others.join().unwrap();
        assert_eq!(receiver.times(POISON), 0, "{way:?}");
    }
}

/// A preloaded library that records each file that is synced, and its length.
fn noting_syncs(dir: &TempDir) -> String {
    const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    char link[64], path[4096];
    struct stat found;
    int result = real(fd);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    FILE *notes = fopen(getenv("SYNCS"), "a");
    if (result == 0 && length > 0 && notes && fstat(fd, &found) == 0)
        fprintf(notes, "%ld %.*s\n", (long)found.st_size, (int)length, path);
    if (notes)
        fclose(notes);
    return result;
}
"#;
    let (source, library) = (dir.file("syncs.c"), dir.file("syncs.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", &library, &source, "-ldl"])
        .status();
    assert!(compiled.unwrap().success(), "cc failed");
    library
}

#[test]
fn rsyslog_refuses_what_is_too_long_for_it_and_takes_all_else() {
    let rsyslog = Rsyslog::relp_of("4k");
    let long = numbered_event(POISON).replace("::ffff:192.0.2.10;", &"x".repeat(6000));
    for (policy, status) in [("retry", 503), ("drop", 200)] {
        let dir = TempDir::new();
        let output = format!("relp://127.0.0.1:{}?refused={policy}", rsyslog.port());
        let mut relay = start(&dir, &output);
        let is_done = Arc::<AtomicBool>::default();
        let others = deliver_beside(&relay, &is_done);
        let mut source = relay.source("poison.example.test");
        let offer = source.subscribe();
        let reply = source
            .try_deliver(&offer, std::slice::from_ref(&long), 1)
            .unwrap();
        assert_eq!(reply.status, status, "{policy}");
        is_done.store(true, Ordering::SeqCst);
        let batches = others.join().unwrap();
        relay
            .process
            .wait_for_log("the receiver refuses an event of");
        wait_for("what was acknowledged", || {
            let arrived = rsyslog.sequences();
            (0..batches * 10)
                .all(|n| arrived.contains(&n))
                .then_some(())
        });
        assert!(!rsyslog.sequences().contains(&POISON), "{policy}");
    }
}
