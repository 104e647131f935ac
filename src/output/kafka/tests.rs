//! A connection whose broker answers as none should.

use std::time::{Instant, SystemTime};

use super::{Connection, Context, Reply};
use crate::base::clock::Now;
use crate::protocol::kafka::Error;

fn now() -> Now {
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let monotonic = Instant::now();
    let wall = SystemTime::UNIX_EPOCH;
    Now { monotonic, wall }
}

/// One whose first request is written.
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

/// The answer to ApiVersions, with this number.
fn versions(number: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 22, 0, 0, 0, number, 0, 0, 0, 0, 0, 2];
    bytes.extend([0, 0, 0, 0, 0, 8, 0, 3, 0, 0, 0, 7]);
    bytes
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

/// A batch that a broker cannot have is not confirmed by it.
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
    // What is asked after it does not count.
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
