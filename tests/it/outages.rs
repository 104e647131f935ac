//! A database that fails while a relay is running: batches wait and are then answered 503,
//! `/readyz` and one log line have the reason, and the relay recovers automatically.

use crate::support::{
    Authority, Offer, Postgres, Relay, SmallDisk, Source, TempDir, numbered_event, wait_for,
    wait_for_long,
};

const MACHINE: &str = "ws-07.example.test";
const HELD: &str = "nothing is acknowledged until this is resolved";

/// A relay whose database fails while it is running.
struct Running {
    relay: Relay,
    metrics: u16,
    source: Source,
    offer: Offer,
    record: u64,
}

impl Running {
    fn start(dir: &TempDir, url: &str) -> Self {
        let output = format!("file:{}", dir.file("out"));
        let arguments = [
            "--output",
            &output,
            "--allow-unencrypted",
            "--channel",
            "Microsoft-Windows-Sysmon/Operational",
            "--store",
            url,
            "--metrics",
            "127.0.0.1:0",
        ];
        let mut relay = Relay::start(dir, &arguments);
        let metrics = relay.metrics_port();
        let mut source = relay.source(MACHINE).with_timeout(4);
        let offer = source.subscribe();
        assert!(source.deliver(&offer, &[numbered_event(1)], 1));
        Self {
            relay,
            metrics,
            source,
            offer,
            record: 1,
        }
    }

    /// A batch is answered 503 in time, heartbeats continue, and monitoring shows the reason.
    #[track_caller]
    fn assert_held(&mut self, words: &str) {
        let held = wait_for_long("503", || {
            let event = [self.next()];
            let answer = self
                .source
                .try_deliver(&self.offer, &event, self.record + 1)
                .ok()?;
            // Until the failure is complete.
            self.record += u64::from(answer.status == 200);
            (answer.status == 503).then_some(())
        });
        assert!(held.is_some(), "{words}: acknowledged");
        // The reason may be known only after the next attempt.
        wait_for(words, || {
            let ready = Relay::get(self.metrics, "/readyz");
            assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
            ready.contains(words).then_some(())
        });
    }

    fn next(&self) -> String {
        numbered_event(usize::try_from(self.record + 1).unwrap())
    }

    /// It recovers automatically.
    #[track_caller]
    fn assert_healed(&mut self) {
        let event = [self.next()];
        self.record += 1;
        wait_for("an Ack", || {
            let answer = self
                .source
                .try_deliver(&self.offer, &event, self.record)
                .ok()?;
            (answer.status == 200).then_some(())
        });
        wait_for("/readyz", || {
            Relay::get(self.metrics, "/readyz")
                .starts_with("HTTP/1.1 200")
                .then_some(())
        });
        let bookmark = self.relay.source(MACHINE).subscribe().record;
        assert_eq!(bookmark, Some(self.record));
    }
}

/// Waits for log lines that nothing is acknowledged.
fn complaints(running: &mut Running, count: usize) {
    running.relay.process.wait_for_log(HELD);
    wait_for("a line for each outage", || {
        (running.relay.process.log().matches(HELD).count() >= count).then_some(())
    });
    let log = running.relay.process.log();
    assert_eq!(log.matches(HELD).count(), count, "one line each: {log}");
}

#[test]
fn what_an_administrator_breaks_is_told_and_heals_when_it_is_mended() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let mut running = Running::start(&dir, &postgres.url());
    let rights = "INSERT, UPDATE ON wecrelay_bookmark";
    let steps: [(&str, &dyn Fn(bool)); 3] = [
        ("wecrelay store schema", &|is_right| {
            let words = if is_right { "GRANT" } else { "REVOKE" };
            let to = if is_right { "TO" } else { "FROM" };
            postgres.sql(&format!("{words} {rights} {to} wecrelay"));
        }),
        ("PGPASSWORD", &|is_right| {
            postgres.set_password(is_right);
            postgres.disconnect();
        }),
        ("name all servers in the URL", &|is_right| {
            let value = if is_right { "off" } else { "on" };
            postgres.sql(&format!(
                "ALTER ROLE wecrelay SET default_transaction_read_only = {value}"
            ));
            postgres.disconnect();
        }),
    ];
    for (number, (words, set)) in steps.iter().enumerate() {
        set(false);
        running.assert_held(words);
        set(true);
        running.assert_healed();
        complaints(&mut running, number + 1);
    }
}

#[test]
fn a_slow_database_holds_batches_and_nobody_else() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let url = format!("{}&statement_timeout=1", postgres.url());
    let mut running = Running::start(&dir, &url);
    let lock = postgres.lock("wecrelay_bookmark");
    running.assert_held("look for locks");
    drop(lock);
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE%' AND pid <> pg_backend_pid()");
    running.assert_healed();
    complaints(&mut running, 1);
}

#[test]
fn a_full_disk_of_the_database_holds_batches() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let mut running = Running::start(&dir, &postgres.url());
    let folder = format!("{}/small", postgres.folder());
    let disk = SmallDisk::mount(&folder);
    assert!(
        disk.is_mounted(),
        "run this test as root, or as unshare -Urm cargo test"
    );
    postgres.move_to("wecrelay_bookmark", &folder);
    disk.fill();
    // Rows of new hosts fill the disk.
    let held = (1..400).any(|number| {
        let machine = format!("ws-{number}.example.test");
        let mut source = running.relay.source(&machine).with_timeout(4);
        let offer = source.subscribe();
        let answer = source.try_deliver(&offer, &[numbered_event(1)], 1);
        answer.unwrap().status == 503
    });
    assert!(held, "all of them have room");
    running.assert_held("free space on its disk");
    disk.free();
    running.assert_healed();
    complaints(&mut running, 1);
    postgres.sql("ALTER TABLE wecrelay_bookmark SET TABLESPACE pg_default");
}

#[test]
fn tables_of_a_later_version_are_noticed_within_a_minute() {
    let (postgres, dir) = (Postgres::start(), TempDir::new());
    let mut running = Running::start(&dir, &postgres.url());
    postgres.sql("UPDATE wecrelay_state SET version = version + 1");
    running.assert_held("a later version of wecrelay");
    postgres.sql("UPDATE wecrelay_state SET version = version - 1");
    running.assert_healed();
    complaints(&mut running, 1);
}

#[test]
fn another_certificate_of_the_server_is_not_believed() {
    let authority = Authority::new("our authority");
    let own = authority.issue(&["127.0.0.1"]);
    let (mut postgres, dir) = (Postgres::start_secure(&own), TempDir::new());
    let settings = format!("sslrootcert={}", authority.file());
    let url = postgres.url_on(postgres.port(), &settings);
    let mut running = Running::start(&dir, &url);
    let other = Authority::new("another authority");
    let strange = other.issue(&["127.0.0.1"]);
    postgres.replace_certificate(&strange);
    running.assert_held("sslrootcert= must name the authority");
    postgres.replace_certificate(&own);
    running.assert_healed();
}

#[test]
fn a_standby_that_is_promoted_is_found_and_has_all_that_was_acknowledged() {
    let dir = TempDir::new();
    let mut primary = Postgres::start();
    let standby = primary.standby();
    let mut running = Running::start(&dir, &primary.url_with(&standby));
    // Until then it is read-only, and is not mistaken for the primary.
    running.assert_healed();
    primary.kill();
    running.assert_held("PostgreSQL at 127.0.0.1");
    standby.promote();
    running.assert_healed();
    complaints(&mut running, 1);
}

/// An administrator cancels the wait of a commit for the standby: PostgreSQL reports success
/// with a warning, but the standby does not have the commit.
#[test]
fn a_commit_that_has_not_waited_for_its_standby_is_not_acknowledged() {
    let dir = TempDir::new();
    let primary = Postgres::start();
    let mut standby = primary.standby();
    let mut running = Running::start(&dir, &primary.url_with(&standby));
    standby.kill();
    let offer = running.offer.clone();
    let mut source = running.relay.source(MACHINE).with_timeout(20);
    let host = std::thread::spawn(move || source.deliver(&offer, &[numbered_event(2)], 2));
    let give_up = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                   WHERE wait_event = 'SyncRep' AND query LIKE '%wecrelay_bookmark%'";
    // On every retry.
    for _ in 0..3 {
        wait_for("a commit that waits", || {
            (primary.sql(give_up) == "1").then_some(())
        });
        wait_for("the remedy", || {
            let ready = Relay::get(running.metrics, "/readyz");
            ready.contains("synchronous_standby_names").then_some(())
        });
        assert!(!host.is_finished(), "answered");
    }
    standby.restart_as_standby();
    assert!(host.join().unwrap(), "an Ack, now that both have it");
    running.record = 2;
    running.assert_healed();
    complaints(&mut running, 1);
}
