//! Relays that share their state in PostgreSQL.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::support::{
    Authority, Pgbouncer, Postgres, Relay, Source, TempDir, numbered_event, run, wait_for,
};

const MACHINE: &str = "ws-07.example.test";

fn start(port: u16, dir: &TempDir, url: &str, more: &[&str]) -> Relay {
    let output = format!("file:{}", dir.file("out"));
    let mut arguments = vec![
        "--output",
        &output,
        "--allow-unencrypted",
        "--channel",
        "Microsoft-Windows-Sysmon/Operational",
        "--store",
        url,
    ];
    arguments.extend(more);
    Relay::start_on(port, dir, &arguments)
}

/// A relay that fails to start: checks for exit code 2, and returns its message.
#[track_caller]
fn refused(dir: &TempDir, url: &str) -> String {
    let output = format!("file:{}", dir.file("out"));
    let listen = [
        "--listen",
        "http://127.0.0.1:0",
        "--anonymous",
        "127.0.0.0/8",
    ];
    let what = ["--output", &output, "--channel", "System", "--store", url];
    let ended = run(&[&listen[..], &what].concat());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    said
}

#[track_caller]
fn deliver(source: &mut Source, record: u64) {
    let offer = source.subscribe();
    let event = numbered_event(usize::try_from(record).unwrap());
    assert!(source.deliver(&offer, &[event], record));
}

#[test]
fn a_database_is_made_as_the_manual_says() {
    let (postgres, dir) = (Postgres::start_bare(), TempDir::new());
    let passfile = postgres.write_secret("pgpass", "*:*:wecrelay:wecrelay:secret\n");
    let port = postgres.port();
    let url = format!(
        "postgresql://wecrelay@127.0.0.1:{port}/wecrelay?passfile={passfile}&sslmode=disable"
    );
    let relay = start(0, &dir, &url, &[]);
    deliver(&mut relay.source(MACHINE), 7);
    assert_eq!(relay.source(MACHINE).subscribe().record, Some(7));
}

#[test]
fn a_host_goes_on_at_another_relay_where_it_was() {
    let (postgres, a, b) = (Postgres::start(), TempDir::new(), TempDir::new());
    let first = start(0, &a, &postgres.url(), &["--relay-name", "a"]);
    let second = start(0, &b, &postgres.url(), &["--relay-name", "b"]);
    for round in 0..10 {
        let relay = if round % 2 == 0 { &first } else { &second };
        let mut source = relay.source(MACHINE);
        let before = (round > 0).then_some(10 + round - 1);
        assert_eq!(source.subscribe().record, before);
        deliver(&mut source, 10 + round);
    }
    assert!(!a.path().join("state").exists(), "no state folder is made");
    assert_eq!(postgres.sql("SELECT gen FROM wecrelay_bookmark"), "10");
}

/// A relay is suspended with an unread batch, as on an overloaded machine. Its host continues at
/// another relay; then the first relay reads the batch and the row.
#[test]
fn a_batch_that_is_read_after_its_host_has_left_does_not_take_the_bookmark_back() {
    let (postgres, a, b) = (Postgres::start(), TempDir::new(), TempDir::new());
    let first = start(0, &a, &postgres.url(), &["--relay-name", "a"]);
    let second = start(0, &b, &postgres.url(), &["--relay-name", "b"]);
    let mut at_b = second.source(MACHINE);
    deliver(&mut at_b, 5);
    let mut at_a = first.source(MACHINE);
    let offer = at_a.subscribe();
    let stop = || first.process.signal(Signal::STOP);
    at_a.deliver_in_vain(&offer, &[numbered_event(10)], 10, stop);
    deliver(&mut at_b, 10);
    deliver(&mut at_b, 50);
    first.process.signal(Signal::CONT);
    wait_for("the late batch", || {
        let written = postgres.sql("SELECT gen FROM wecrelay_bookmark");
        (written == "4").then_some(())
    });
    assert_eq!(second.source(MACHINE).subscribe().record, Some(50));
}

#[test]
fn state_survives_a_restart_of_the_relay() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let mut relay = start(0, &dir, &postgres.url(), &["--relay-name", "a"]);
    deliver(&mut relay.source(MACHINE), 41);
    assert!(relay.process.terminate().success());
    assert_eq!(postgres.sql("SELECT stopped FROM wecrelay_relay"), "t");
    assert_eq!(postgres.sql("SELECT count(*) FROM wecrelay_host"), "1");
    let relay = start(relay.port(), &dir, &postgres.url(), &["--relay-name", "a"]);
    assert_eq!(relay.source(MACHINE).subscribe().record, Some(41));
}

#[test]
fn a_pooler_may_give_each_transaction_to_another_connection() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let pooler = Pgbouncer::start(&postgres);
    let url = postgres.url_on(pooler.port(), "sslmode=disable");
    let relay = start(0, &dir, &url, &[]);
    let mut source = relay.source(MACHINE);
    for record in 1..50 {
        deliver(&mut source, record);
    }
    assert_eq!(source.subscribe().record, Some(49));
}

#[test]
fn a_pooler_that_refuses_a_login_is_told_from_a_server_that_is_down() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let pooler = Pgbouncer::start(&postgres);
    let url = postgres.url_on(pooler.port(), "sslmode=disable");
    let said = refused(&dir, &url.replace("/wec?", "/other?"));
    assert!(said.contains("if this is pgbouncer: its log"), "{said}");
    std::fs::write(dir.file("wrong"), "*:*:*:*:wrong\n").unwrap();
    std::fs::set_permissions(dir.file("wrong"), PermissionsExt::from_mode(0o600)).unwrap();
    let (place, _) = url.split_once('?').unwrap();
    let wrong = dir.file("wrong");
    let said = refused(&dir, &format!("{place}?sslmode=disable&passfile={wrong}"));
    assert!(said.contains("set the password with ALTER ROLE"), "{said}");
}

#[test]
fn a_unix_socket_needs_neither_tls_nor_a_password() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let (folder, port) = (postgres.folder(), postgres.port());
    let url = format!("postgresql://wecrelay@/wec?host={folder}&port={port}");
    let relay = start(0, &dir, &url, &[]);
    deliver(&mut relay.source(MACHINE), 7);
    assert_eq!(relay.source(MACHINE).subscribe().record, Some(7));
}

#[test]
fn tls_is_verified_and_the_password_tied_to_it() {
    let authority = Authority::new("our authority");
    let own = authority.issue(&["127.0.0.1"]);
    let (postgres, dir) = (Postgres::start_secure(&own), TempDir::new());
    let ca = authority.file();
    let settings = format!("sslrootcert={ca}&channel_binding=require");
    let relay = start(0, &dir, &postgres.url_on(postgres.port(), &settings), &[]);
    deliver(&mut relay.source(MACHINE), 7);
    let used = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE usename = 'wecrelay'";
    assert_eq!(postgres.sql(used), "t");

    let other = Authority::new("another authority");
    let wrong = format!("sslrootcert={}", other.file());
    let said = refused(&dir, &postgres.url_on(postgres.port(), &wrong));
    assert!(
        said.contains("sslrootcert= must name the authority"),
        "{said}"
    );
}

#[test]
fn a_certificate_for_another_name_is_refused_but_where_that_is_asked_for() {
    let authority = Authority::new("our authority");
    let own = authority.issue(&["db.example.com"]);
    let (postgres, dir) = (Postgres::start_secure(&own), TempDir::new());
    let settings = format!("sslrootcert={}", authority.file());
    let url = postgres.url_on(postgres.port(), &settings);
    let said = refused(&dir, &url);
    assert!(said.contains("for the name in the URL"), "{said}");
    let relay = start(0, &dir, &format!("{url}&sslmode=verify-ca"), &[]);
    deliver(&mut relay.source(MACHINE), 7);
}

#[test]
fn what_is_wrong_at_the_start_is_told_with_its_remedy() {
    let (mut postgres, dir) = (Postgres::start(), TempDir::new());
    let url = postgres.url();
    let said = refused(&dir, &url.replace("sslmode=disable", "sslmode=require"));
    assert!(
        said.contains("does not support TLS") && said.contains("sslmode=disable"),
        "{said}"
    );
    let said = refused(&dir, &url.replace("/wec?", "/nothing?"));
    assert!(said.contains("CREATE DATABASE"), "{said}");
    let wrong = postgres.write_secret("wrong", "*:*:*:*:wrong\n");
    let said = refused(&dir, &format!("{url}&passfile={wrong}"));
    assert!(
        said.contains("28P01") && said.contains("PGPASSWORD"),
        "{said}"
    );
    std::fs::set_permissions(&wrong, PermissionsExt::from_mode(0o644)).unwrap();
    let said = refused(&dir, &format!("{url}&passfile={wrong}"));
    assert!(said.contains("chmod 600"), "{said}");

    postgres.sql("REVOKE CREATE ON SCHEMA public FROM wecrelay");
    let said = refused(&dir, &url);
    assert!(said.contains("wecrelay store schema"), "{said}");
    postgres.sql("ALTER ROLE wecrelay SET default_transaction_read_only = on");
    let said = refused(&dir, &url);
    assert!(said.contains("it is read-only"), "{said}");
    postgres.sql("ALTER ROLE wecrelay RESET default_transaction_read_only");

    postgres.sql("GRANT CREATE ON SCHEMA public TO wecrelay");
    postgres.sql("ALTER ROLE wecrelay CONNECTION LIMIT 0");
    let said = refused(&dir, &url);
    assert!(
        said.contains("53300") && said.contains("max_connections"),
        "{said}"
    );
    postgres.sql("ALTER ROLE wecrelay CONNECTION LIMIT -1");
    drop(start(0, &dir, &url, &[]));
    let lock = postgres.lock("wecrelay_state");
    let said = refused(&dir, &format!("{url}&statement_timeout=1"));
    assert!(
        said.contains("57014") && said.contains("look for locks"),
        "{said}"
    );
    drop(lock);

    postgres.sql("SET password_encryption = 'md5'; ALTER ROLE wecrelay PASSWORD 'x'");
    let hba = std::path::Path::new(&postgres.folder()).join("data/pg_hba.conf");
    let lines = std::fs::read_to_string(&hba).unwrap();
    for (method, words) in [("md5", "by md5"), ("password", "in clear text")] {
        std::fs::write(&hba, lines.replace("scram-sha-256", method)).unwrap();
        postgres.sql("SELECT pg_reload_conf()");
        wait_for("the new pg_hba.conf", || {
            refused(&dir, &url).contains(words).then_some(())
        });
    }
    postgres.stop();
    let said = refused(&dir, &url);
    assert!(said.contains("is it running"), "{said}");
}

#[test]
fn tables_may_be_made_by_their_owner_and_have_the_least_rights() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    postgres.sql("REVOKE CREATE ON SCHEMA public FROM wecrelay");
    let schema = run(&["store", "schema"]);
    assert!(schema.status.success());
    postgres.sql(&String::from_utf8(schema.stdout).unwrap());
    let mut relay = start(0, &dir, &postgres.url(), &[]);
    deliver(&mut relay.source(MACHINE), 7);
    assert!(relay.process.terminate().success());
    let log = relay.process.log();
    assert!(!log.contains("42501"), "{log}");

    postgres.sql("UPDATE wecrelay_state SET version = 2");
    let said = refused(&dir, &postgres.url());
    assert!(said.contains("a later version of wecrelay"), "{said}");
}

#[test]
fn while_the_database_is_away_nothing_is_acknowledged_and_nothing_lost() {
    let (mut postgres, dir) = (Postgres::start(), TempDir::new());
    let mut relay = start(0, &dir, &postgres.url(), &["--metrics", "127.0.0.1:0"]);
    let mut source = relay.source(MACHINE).with_timeout(8);
    let offer = source.subscribe();
    for round in 0..3 {
        let record = 10 + round;
        let event = [numbered_event(usize::try_from(record).unwrap())];
        match round {
            0 => postgres.kill(),
            _ => postgres.stop(),
        }
        let answer = source.try_deliver(&offer, &event, record).unwrap();
        assert_eq!(answer.status, 503);
        relay
            .process
            .wait_for_log("nothing is acknowledged until this is resolved");
        postgres.restart();
        wait_for("an Ack", || {
            source.deliver(&offer, &event, record).then_some(())
        });
        assert_eq!(relay.source(MACHINE).subscribe().record, Some(record));
    }
    let log = relay.process.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("nothing is acknowledged"));
    assert_eq!(lines.count(), 3, "one line each: {log}");
    assert!(relay.process.terminate().success());
}

#[test]
fn a_state_folder_is_copied_into_the_database_and_back() {
    let (postgres, dir, back) = (Postgres::start(), TempDir::new(), TempDir::new());
    let output = format!("file:{}", dir.file("out"));
    let with = [
        "--output",
        &output,
        "--allow-unencrypted",
        "--channel",
        "System",
    ];
    let mut relay = Relay::start(&dir, &with);
    let machines = ["ws-01.example.test", "ws-02.example.test"];
    for (machine, record) in machines.iter().zip([5, 9]) {
        deliver(&mut relay.source(machine), record);
    }
    let (state, url, again) = (dir.file("state"), postgres.url(), back.file("state"));
    let copy = |from: &str, to: &str| run(&["store", "copy", from, to]);
    let running = copy(&state, &url);
    assert_eq!(running.status.code(), Some(1), "a relay uses it");
    assert!(relay.process.terminate().success());
    for (from, to) in [(&state, &url), (&url, &again)] {
        let done = copy(from, to);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        assert_eq!(done.stdout, b"copied 2 bookmarks and 2 hosts\n");
        let twice = copy(from, to);
        assert_eq!(twice.status.code(), Some(2), "there are bookmarks");
    }
    let relay = Relay::start(&back, &with);
    for (machine, record) in machines.iter().zip([5, 9]) {
        assert_eq!(relay.source(machine).subscribe().record, Some(record));
    }
}
