//! A simulated Windows host and its events.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use uuid::Uuid;

use super::pair::{ADDRESS, Pair, seconds};
use crate::client::Reply;
use crate::collector::ConnId;
use crate::protocol::ntlm::crypto::NtHash;
use crate::protocol::ntlm::initiator::{Client, ClientAccount};
use crate::protocol::wsman::source::{self, Offered, Sender};

const MANAGER: &str = "/wsman/SubscriptionManager/WEC";

#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) machine: String,
    pub(super) address: IpAddr,
    /// The password for the account `host`; `None` without credentials.
    pub(super) password: Option<String>,
    /// The domain that it sends for that account.
    pub(super) domain: &'static str,
    /// How long it waits for an answer.
    pub(super) timeout: Duration,
    /// Characters added to each event.
    pub(super) padding: usize,
    pub(super) offered: Option<Offered>,
    /// The connection on which it delivers.
    pub(super) conn: Option<ConnId>,
}

impl Host {
    pub(super) fn new(machine: &str) -> Self {
        Self {
            machine: machine.to_owned(),
            address: ADDRESS,
            password: None,
            domain: "ACME",
            timeout: seconds(60),
            padding: 0,
            offered: None,
            conn: None,
        }
    }

    pub(super) fn with_password(machine: &str, password: &str) -> Self {
        Self {
            password: Some(password.to_owned()),
            ..Self::new(machine)
        }
    }

    pub(super) fn client(&self) -> Client {
        let Some(password) = &self.password else {
            return Client::anonymous(&self.machine);
        };
        let account = ClientAccount {
            user: "host".to_owned(),
            domain: self.domain.to_owned(),
            hash: NtHash::from_password(password),
        };
        Client::with_account(&self.machine, account)
    }

    pub(super) fn sender<'a>(&'a self, to: &'a str, message: Uuid) -> Sender<'a> {
        Sender {
            to,
            machine: &self.machine,
            locale: "en-US",
            session: Uuid::nil(),
            message,
            operation: message,
            timeout: self.timeout,
            max_envelope_size: 512_000,
        }
    }

    pub(super) fn reference(&self) -> &str {
        &self.offered.as_ref().unwrap().reference
    }

    /// The record id of the bookmark that came with its subscription.
    pub(super) fn handed_back(&self) -> Option<u64> {
        let text = self.offered.as_ref()?.bookmark.as_deref()?;
        let bookmark = crate::bookmark::Bookmark::parse(text).unwrap();
        bookmark.position("System")
    }

    pub(super) fn event(&self, record: u64) -> String {
        event(&self.machine, record, self.padding)
    }
}

pub(super) fn event(machine: &str, record: u64, padding: usize) -> String {
    let padding = "x".repeat(padding);
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Played'/><EventID>7036</EventID><Level>4</Level>\
         <TimeCreated SystemTime='2027-01-15T08:00:00.0000000Z'/>\
         <EventRecordID>{record}</EventRecordID><Channel>System</Channel>\
         <Computer>{machine}</Computer></System><EventData><Data Name='param1'>{padding}</Data>\
         </EventData></Event>"
    )
}

/// SubscriptionBookmarkEvent, which a source sends first.
pub(super) fn bookmark_event(machine: &str) -> String {
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID>\
         <TimeCreated SystemTime='2027-01-15T08:00:00.0000000Z'/><Computer>{machine}</Computer>\
         </System><SubscriptionBookmarkEvent/></Event>"
    )
}

pub(super) fn bookmark(record: u64) -> String {
    format!(
        "<BookmarkList><Bookmark Channel=\"System\" RecordId=\"{record}\" IsCurrent=\"true\"/>\
         </BookmarkList>"
    )
}

/// A bookmark that points to the end of the log.
pub(super) fn backward_bookmark(record: u64) -> String {
    bookmark(record).replace("<BookmarkList>", "<BookmarkList Direction=\"backward\">")
}

impl Pair {
    /// A host that has its subscription and no events to send.
    #[track_caller]
    pub(super) fn host(&mut self, machine: &str) -> Host {
        let mut host = Host::new(machine);
        self.enumerate(&mut host);
        host
    }

    /// Requests the subscription on a new connection.
    #[track_caller]
    pub(super) fn enumerate(&mut self, host: &mut Host) {
        let conn = self.start_enumerate(host);
        let message = self.peer(conn).message;
        let reply = self.peer(conn).replies.pop().unwrap();
        let text = reply.text.unwrap();
        let mut page = source::parse_enumerate_response(&text, message).unwrap();
        assert_eq!((page.offered.len(), page.context), (1, None));
        host.offered = page.offered.pop();
        self.close(conn);
    }

    /// Requests the subscription without waiting for the answer.
    #[track_caller]
    pub(super) fn start_enumerate(&mut self, host: &Host) -> ConnId {
        let message = self.new_uuid();
        let conn = self.connect_client(host, MANAGER);
        let to = "http://collector.example.com:5985/wsman/SubscriptionManager/WEC";
        self.peer(conn).message = message;
        self.call(conn, &source::enumerate(&host.sender(to, message)));
        conn
    }

    /// The status of the last answer on a connection, if it has arrived.
    pub(super) fn status(&mut self, conn: ConnId) -> Option<u16> {
        Some(self.peer(conn).replies.pop()?.status)
    }

    /// Sends an envelope, and runs the collector until nothing changes.
    #[track_caller]
    pub(super) fn call(&mut self, conn: ConnId, envelope: &str) {
        self.start_call(conn, envelope);
        self.drive();
    }

    fn start_call(&mut self, conn: ConnId, envelope: &str) {
        let session = self.peer(conn).session.as_mut().unwrap();
        session.call(envelope);
    }

    /// The connection on which a host delivers, opened if necessary.
    pub(super) fn delivery(&mut self, host: &mut Host) -> ConnId {
        if let Some(conn) = host.conn {
            return conn;
        }
        let to = &host.offered.as_ref().unwrap().notify_to;
        let path = to.splitn(4, '/').nth(3).unwrap();
        let conn = self.connect_client(host, &format!("/{path}"));
        host.conn = Some(conn);
        conn
    }

    /// Delivers events with the bookmark of the last one.
    #[track_caller]
    pub(super) fn post(&mut self, host: &mut Host, records: RangeInclusive<u64>) {
        self.start_post(host, records);
        self.drive();
    }

    pub(super) fn start_post(&mut self, host: &mut Host, records: RangeInclusive<u64>) {
        let bookmark = bookmark(*records.end());
        let events: Vec<_> = records.map(|record| host.event(record)).collect();
        self.start_post_of(host, &events, Some(&bookmark));
    }

    #[track_caller]
    pub(super) fn post_of(&mut self, host: &mut Host, events: &[String], bookmark: Option<&str>) {
        self.start_post_of(host, events, bookmark);
        self.drive();
    }

    fn start_post_of(&mut self, host: &mut Host, events: &[String], bookmark: Option<&str>) {
        let message = self.new_uuid();
        let conn = self.delivery(host);
        let events = events.iter().map(String::as_str);
        let to = host.offered.as_ref().unwrap().notify_to.as_str();
        let sender = host.sender(to, message);
        let text = source::events(&sender, host.reference(), bookmark, events);
        self.peer(conn).message = message;
        self.start_call(conn, &text);
    }

    #[track_caller]
    pub(super) fn heartbeat(&mut self, host: &mut Host) {
        let message = self.new_uuid();
        let conn = self.delivery(host);
        let text = source::heartbeat(&host.sender("", message), host.reference());
        self.peer(conn).message = message;
        self.call(conn, &text);
    }

    /// The status of a host's answer, if it has arrived; 200 is an Ack of its last message.
    #[track_caller]
    pub(super) fn answer(&mut self, host: &Host) -> Option<u16> {
        let peer = self.peers.get_mut(&host.conn?)?;
        let Reply { status, text } = peer.replies.pop()?;
        assert!(peer.replies.is_empty(), "more than one answer");
        if status == 200 {
            source::check_ack(&text.unwrap(), peer.message).unwrap();
        }
        Some(status)
    }

    /// The status of a host's answer, which must arrive within some seconds.
    #[track_caller]
    pub(super) fn answer_within(&mut self, host: &Host, time: Duration) -> Option<u16> {
        (0..time.as_secs()).find_map(|_| {
            self.advance(seconds(1));
            self.answer(host)
        })
    }

    /// The host disconnects.
    pub(super) fn hang_up(&mut self, host: &mut Host) {
        if let Some(conn) = host.conn.take() {
            self.close(conn);
        }
    }
}
