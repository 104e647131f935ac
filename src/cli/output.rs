//! What `--output` takes, as `--help` and the manual say it.

use clap::Args;

/// Which events go out at all.
#[derive(Args, Clone, Debug, Default)]
pub struct FilterOptions {
    /// Send only these events to the outputs: channel:NAME;provider:NAME;id:NUMBERS;level:NAME
    ///
    /// Repeatable: events go out that one of the rules is about. The conditions of a rule, joined
    /// by ";", must all hold, and of the values of a condition, joined by ",", one. Names are
    /// compared without case; ids may be ranges; levels are critical, error, warning,
    /// information (audit events too), verbose, or numbers. What does not go out is acknowledged to
    /// its host and counted by rule in the metrics; an event that cannot be read always goes out.
    /// only= and drop= of an output do the same for it alone. A subscription that does not ask for
    /// such events costs less. Default: all events.
    ///
    /// Example: --only 'channel:Security' --only 'channel:System;level:critical,error'
    #[arg(long, value_name = "RULE", help_heading = "Events")]
    pub only: Vec<String>,

    /// Send these events to no output; a rule is as for --only
    ///
    /// Repeatable. Default: none.
    ///
    /// Example: --drop 'channel:Security;id:5156-5158'
    #[arg(long, value_name = "RULE", help_heading = "Events")]
    pub drop: Vec<String>,
}

/// A paragraph each kind and setting.
pub(super) const HELP: &str = "\
Where to send events: udp, tcp, tls, relp, kafka, otlp, unix, file or stdout

Repeatable: a batch must be delivered to every output before it is acknowledged. \
Default: stdout:

udp://HOST[:514] one datagram an event (RFC 5426)

tcp://HOST[:601] octet counting (RFC 6587)

tls://HOST[:6514] the same with TLS (RFC 5425)

relp://HOST[:2514] and relp+tls://HOST[:2514] RELP, which confirms each event; rsyslog's \
imrelp

kafka://BROKER[:9092][,BROKER...]/TOPIC and kafka+tls://BROKER[:9092][,BROKER...]/TOPIC a topic of \
a Kafka cluster, whose replicas confirm each event; the key is the host, the value one JSON object

otlp+http://HOST[:4318][/v1/logs] and otlp+https://HOST[:4318][/v1/logs] log records of \
OpenTelemetry over OTLP/HTTP, whose receiver confirms each request

unix:PATH datagram socket, such as /dev/log

file:PATH appended, one line an event

stdout: one line an event

Settings follow after \"?\", joined by \"&\":

max=BYTES cuts longer messages; K and M may follow the number; at least 480, default \
65507 with udp, 128K with relp and unix datagrams, 1000000 with kafka, else no limit.

required=no makes the output a best effort: it never holds hosts back, and what it \
cannot accept is dropped and counted. Default: yes.

message=text, xml, json, ecs, nxlog, snare, cef or leef: what MSG holds; see --message, whose \
value is the default; with kafka it is json.

header=rfc5424, rfc3164 or none: what stands before MSG. rfc3164 is the older header, its time \
in UTC; without a header a message is its MSG, such as one JSON object a line. Default: rfc3164 \
with snare, cef and leef, none with kafka, else rfc5424.

framing=octet or framing=lf (tcp, unix streams): count before each message, or line end \
after it. Default: octet with tcp, lf with unix.

ca=FILE (tls, relp+tls, kafka+tls, otlp+https): the authorities, in PEM, that the receiver's certificate may be \
from; only these count then. Default: those that the system trusts.

name=NAME (tls, relp+tls, kafka+tls, otlp+https): the host name or address that the receiver's certificate must \
be for. Default: HOST, with kafka that of each broker.

login=FILE (kafka, kafka+tls): the user on its first line, the password on its second.

sasl=plain, scram-sha-256 or scram-sha-512 (kafka, kafka+tls): how that user logs in. plain needs \
TLS, or cleartext=yes (kafka). Default: scram-sha-512.

compress=none, gzip, lz4 or zstd (kafka, kafka+tls): how batches are compressed. Default: none. \
compress=gzip or none (otlp): how requests are. Default: gzip.

cert=FILE and key=FILE (tls, relp+tls, kafka+tls, otlp+https): our own certificate with its chain, and its \
private key if that stands in another file, both in PEM. SIGHUP reads the files again, \
for the next connection.

replay=BYTES (tcp, tls): how much of what was sent is kept and sent again after a \
connection ended uncleanly; repeats instead of loss. It must be more than the receiver's \
socket holds unread. Default 8M, 0 for none.

only=RULE and drop=RULE, each repeatable: which events this output gets, beside --only and \
--drop, where rules are described.

sd=bounded keeps structured data within what rsyslog and syslog-ng bear: values under \
32,000 bytes, all of it under 65,000, at most 240 parameters. What does not fit is named \
in Truncated, and whole in MSG. sd=whole is for receivers that bear more. sd=none leaves \
all structured data out. Default: none with ecs, nxlog, snare, cef and leef, else bounded.

data=no leaves the event's values (data@) out of structured data, for receivers that take \
them from MSG: with xml and json they stand there as well, with text in the rendered text \
only. Default: yes.

escape=reversible doubles backslashes in text where control characters have to be \
escaped (framing=lf, files, stdout), so that it can be undone; elsewhere line ends stay \
as they are. escape=0.1 is the form of version 0.1. Default: reversible.

refused=retry, drop or file:PATH (relp, relp+tls, kafka, kafka+tls, otlp): what becomes of an event that the \
receiver refuses for good: its host keeps it and retries later, it is dropped and \
counted, or it is appended to a file. Other hosts are not held up by it. Default: retry.

headers=FILE (otlp): headers of requests, such as Authorization: Bearer TOKEN, a line each. \
Others than its owner and group must not be able to read it. SIGHUP reads it anew.

type=stream (unix): a stream socket. Default: datagram.

sync=yes (file): events count as delivered only when the disk has them. Default: no.

Example: --output 'tcp://syslog.example.com:601?max=64K'";
