//! A connection whose broker violates the protocol, and batches that brokers reject.

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::{
    BrokerId, Compression, Connection, Context, Desk, Event, Identity, Partitions, Produced,
    Producer, Reply, Settings,
};
use crate::base::clock::Now;
use crate::output::Refused;
use crate::output::queue::{BatchId, Frames, Queue};
use crate::output::refusing::Refusing;
use crate::protocol::kafka::{Code, Error};
use crate::record::{self, Kind};
use crate::syslog::{Header, Line, Mapping, Sender, Severity, Style};

fn now() -> Now {
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let monotonic = Instant::now();
    let wall = SystemTime::UNIX_EPOCH;
    Now { monotonic, wall }
}

/// A connection whose first request is written.
fn connected() -> Connection {
    let mut connection = Connection::new("192.0.2.1", 9092);
    connection.handle_opened(now());
    write_all(&mut connection);
    connection
}

fn write_all(connection: &mut Connection) {
    connection.handle_written(connection.outgoing().len());
}

fn tell(connection: &mut Connection, bytes: &[u8]) -> Result<Vec<Reply>, Error> {
    let context = Context {
        topic: "events",
        login: None,
        random: [0; 32],
    };
    connection.handle_received(now(), bytes, &context)
}

/// The answer to ApiVersions, with this correlation id.
fn versions(number: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 22, 0, 0, 0, number, 0, 0, 0, 0, 0, 2];
    bytes.extend([0, 0, 0, 0, 0, 8, 0, 3, 0, 0, 0, 7]);
    bytes
}

/// The same as [`versions`], from a broker that supports producer ids.
fn versions_with_producer_ids(number: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 28, 0, 0, 0, number, 0, 0, 0, 0, 0, 3];
    bytes.extend([0, 0, 0, 0, 0, 8, 0, 3, 0, 0, 0, 7, 0, 22, 0, 0, 0, 1]);
    bytes
}

/// An answer with its length and correlation id.
fn framed(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + body.len()).unwrap().to_be_bytes();
    [&length, &[0, 0, 0, number], body].concat()
}

/// The answer to Metadata, version 7: it is broker 1 at the same address, and leads all partitions.
fn metadata(number: u8, partitions: u8) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 9];
    body.extend(b"192.0.2.1");
    body.extend([0, 0, 0x23, 0x84, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]);
    body.extend([0, 0, 0, 1, 0, 0, 0, 6]);
    body.extend(b"events");
    body.extend([0, 0, 0, 0, partitions]);
    for index in 0..partitions {
        body.extend([0, 0, 0, 0, 0, index, 0, 0, 0, 1, 0, 0, 0, 9]);
        body.extend([0; 12]);
    }
    framed(number, &body)
}

/// The answer to Produce, version 8: a code for each partition.
fn produced(number: u8, codes: &[i16]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, 0, 6];
    body.extend(b"events");
    body.extend(u32::try_from(codes.len()).unwrap().to_be_bytes());
    for (index, code) in (0_u32..).zip(codes) {
        body.extend(index.to_be_bytes());
        body.extend(code.to_be_bytes());
        body.extend([0; 24]);
        body.extend([0, 0, 0, 0, 0xff, 0xff]);
    }
    body.extend([0; 4]);
    framed(number, &body)
}

fn producer(now: Now) -> Producer {
    let settings = Settings {
        brokers: vec![("192.0.2.1".to_owned(), 9092)],
        topic: "events".to_owned(),
        compression: Compression::None,
        mechanism: None,
    };
    Producer::new(&settings, "kafka", [0; 32], now)
}

/// The broker receives everything that was to be written, and sends this.
fn exchange(producer: &mut Producer, now: Now, answer: &[u8], desk: &mut Desk<'_>) {
    let broker = BrokerId(0);
    let sent = producer.outgoing(broker).len();
    for event in [Event::Written(sent), Event::Received(answer)] {
        producer.handle(now, broker, event, desk);
    }
}

#[test]
fn an_answer_counts_however_it_is_cut() {
    let answer = versions(1);
    for cut in 0..answer.len() {
        let mut connection = connected();
        assert!(tell(&mut connection, &answer[..cut]).unwrap().is_empty());
        assert!(!connection.is_up());
        let replies = tell(&mut connection, &answer[cut..]).unwrap();
        assert!(matches!(replies[..], [Reply::Up]), "{cut}");
        assert!(connection.is_up());
    }
}

#[test]
fn what_is_no_answer_ends_the_connection() {
    let expected: [(Vec<u8>, Error); 6] = [
        (vec![0x7f, 0xff, 0xff, 0xff], Error::Length(i32::MAX)),
        (vec![0xff, 0xff, 0xff, 0xff], Error::Length(-1)),
        (vec![0, 0, 0, 3], Error::Length(3)),
        (b"HTTP/1.1 400".to_vec(), Error::Length(0x4854_5450)),
        (versions(2), Error::Correlation(2)),
        ([versions(1), versions(2)].concat(), Error::Unasked),
    ];
    for (bytes, error) in expected {
        assert_eq!(
            tell(&mut connected(), &bytes).err(),
            Some(error),
            "{bytes:?}"
        );
    }
}

/// An answer to a batch that the broker cannot have received does not confirm it.
#[test]
fn an_answer_before_its_request_is_written_ends_the_connection() {
    let mut connection = Connection::new("192.0.2.1", 9092);
    connection.handle_opened(now());
    assert!(connection.outgoing().ends_with(b"wecrelay"));
    connection.handle_written(connection.outgoing().len() - 1);
    assert_eq!(
        tell(&mut connection, &versions(1)).err(),
        Some(Error::Early)
    );
    // What is requested after that does not count.
    let mut connection = connected();
    tell(&mut connection, &versions(1)).unwrap();
    connection.ask_metadata(now(), "events").unwrap();
    write_all(&mut connection);
    connection.ask_metadata(now(), "events").unwrap();
    let cut = [0, 0, 0, 4, 0, 0, 0, 2];
    let error = tell(&mut connection, &cut).unwrap_err();
    assert!(matches!(error, Error::Cut("Metadata", _)), "{error}");
}

#[test]
fn a_broker_that_knows_too_little_is_named_so() {
    let mut connection = connected();
    tell(&mut connection, &versions(1)).unwrap();
    let error = connection.ask_producer_id(now()).unwrap_err();
    assert!(error.to_string().contains("Kafka 2.1 or newer"), "{error}");
    connection.ask_metadata(now(), "events").unwrap();
    write_all(&mut connection);
    let huge = [0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
    let error = tell(&mut connection, &huge).unwrap_err();
    assert!(matches!(error, Error::Cut("Metadata", _)), "{error}");
}

#[test]
fn a_broker_that_knows_no_producer_ids_gets_batches_all_the_same() {
    let now = now();
    let mut producer = producer(now);
    let mut queue = Queue::by_message();
    let mut refusing = Refusing::new(Refused::Drop, true, "kafka");
    let mut desk = Desk {
        queue: &mut queue,
        refusing: &mut refusing,
        delivered: &mut Vec::new(),
    };
    let broker = BrokerId(0);
    producer.handle_timeout(now, &mut desk);
    producer.handle(now, broker, Event::Opened, &mut desk);
    exchange(&mut producer, now, &versions(1), &mut desk);
    // Requests the topic and nothing else.
    assert_eq!(producer.identity, Identity::None);
    assert_eq!(producer.take_failures(), [""; 0]);
    exchange(&mut producer, now, &metadata(2, 1), &mut desk);
    assert!(producer.is_working());
    desk.queue.push(BatchId(1), records(["text"].into_iter()));
    producer.handle_queued(now, &mut desk);
    let sent = producer.outgoing(broker);
    // Producer -1, epoch -1, sequence -1.
    assert!(
        sent.windows(14).any(|bytes| bytes == [0xff; 14]),
        "{sent:?}"
    );
}

/// A pause that ends while there is no producer id does not remain due.
#[test]
fn a_producer_without_an_id_sleeps_until_something_can_be_done() {
    let mut now = now();
    let mut producer = producer(now);
    let mut queue = Queue::by_message();
    let mut refusing = Refusing::new(Refused::Drop, true, "kafka");
    let mut desk = Desk {
        queue: &mut queue,
        refusing: &mut refusing,
        delivered: &mut Vec::new(),
    };
    producer.handle_timeout(now, &mut desk);
    producer.handle(now, BrokerId(0), Event::Opened, &mut desk);
    let identity = framed(3, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1]);
    for answer in [versions_with_producer_ids(1), metadata(2, 2), identity] {
        exchange(&mut producer, now, &answer, &mut desk);
    }
    assert!(matches!(producer.identity, Identity::Known(_)));
    for (id, host) in (1..).zip(["a", "b", "c", "d", "e", "f"]) {
        desk.queue
            .push(BatchId(id), records_of(host, ["text"].into_iter()));
    }
    producer.handle_queued(now, &mut desk);
    // One partition has lost the sequence, the other one retries in 100 ms.
    exchange(&mut producer, now, &produced(4, &[47, 7]), &mut desk);
    assert_eq!(producer.identity, Identity::Asked(0));
    let mut wakes = 0;
    let end = now.monotonic + super::connection::ANSWER_TIME;
    while let Some(at) = producer.poll_timeout()
        && at < end
    {
        wakes += 1;
        assert!(
            wakes < 10,
            "{:?} is over",
            end.saturating_duration_since(at)
        );
        now = now + at.saturating_duration_since(now.monotonic);
        producer.handle_timeout(now, &mut desk);
    }
    assert_eq!(producer.take_failures().len(), 1);
    // With an id, both partitions get their batches immediately.
    let identity = framed(5, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1]);
    exchange(&mut producer, now, &identity, &mut desk);
    exchange(&mut producer, now, &produced(6, &[0, 0]), &mut desk);
    exchange(&mut producer, now, &produced(7, &[0, 0]), &mut desk);
    assert_eq!(desk.delivered.len(), 6);
}

/// Records of 9 kB that contain this text.
fn records(texts: impl Iterator<Item = &'static str>) -> Rc<Frames> {
    records_of("h", texts)
}

fn records_of(host: &str, texts: impl Iterator<Item = &'static str>) -> Rc<Frames> {
    let sender = Sender {
        hostname: host.to_owned(),
        process: 1,
    };
    let style = Style {
        header: Header::None,
        ..Style::default()
    };
    let mut frames = Frames::default();
    for text in texts {
        let line = Line {
            severity: Severity::Notice,
            time: SystemTime::UNIX_EPOCH,
            text: text.repeat(9000 / text.len()),
        };
        let mapping = Mapping::default();
        record::write_own(
            Kind::Kafka,
            &mapping,
            &sender,
            &line,
            &style,
            &mut frames.bytes,
        );
        frames.ends.push(frames.bytes.len());
    }
    Rc::new(frames)
}

#[test]
fn batches_grow_again_after_a_record_that_was_too_large_alone() {
    let mut queue = Queue::by_message();
    let mut refusing = Refusing::new(Refused::Drop, true, "kafka");
    let mut delivered = Vec::new();
    let mut partitions = Partitions::new(Compression::None);
    let is_poison = |number| if number == 7 { "poison" } else { "sweets" };
    queue.push(BatchId(1), records((0..500).map(is_poison)));
    queue.push(BatchId(2), records((0..500).map(|_| "sweets")));
    let mut desk = Desk {
        queue: &mut queue,
        refusing: &mut refusing,
        delivered: &mut delivered,
    };
    partitions.set_count(1, &mut desk);
    let (mut now, mut largest, mut refusals) = (now(), 0, 0);
    while desk.queue.backlog() > 0 {
        now = now + Duration::from_secs(20);
        partitions.fill(&mut desk);
        partitions.take_due(now, &mut desk);
        let size = partitions.prepare(now, 0, None, &mut desk).unwrap();
        assert!(size > 0 && refusals < 100);
        let has_poison = partitions.batches(&[0])[0]
            .1
            .windows(6)
            .any(|b| b == b"poison");
        if has_poison {
            refusals += 1;
            let told = Produced {
                partition: 0,
                code: Code(10),
                records: Vec::new(),
                message: None,
            };
            partitions.handle_refused(now, 0, &told, &mut desk);
            largest = 0;
        } else {
            largest = largest.max(size);
            partitions.handle_delivered(0, &mut desk);
        }
    }
    assert!((5..20).contains(&refusals), "{refusals}");
    assert!(largest > 900_000, "{largest}");
    assert_eq!(delivered, [BatchId(1), BatchId(2)]);
    assert_eq!(refusing.dropped, 1);
}
