//! The flag `--output` and the filters for events.

use clap::Args;

/// Which events are sent at all.
#[derive(Args, Clone, Debug, Default)]
pub struct FilterOptions {
    /// Send only these events to the outputs: channel:NAME;provider:NAME;id:NUMBERS;level:NAME
    ///
    /// Repeatable: an event is sent if it matches any of the rules. A rule matches if all of its
    /// conditions, separated by ";", match; a condition matches if one of its values, separated by
    /// ",", does. Case is ignored in names; ids can be ranges; levels are critical, error, warning,
    /// information (includes audit events), verbose, or numbers. Filtered events are acknowledged to
    /// their host, and counted by rule in the metrics; malformed events are always sent.
    /// only= and drop= are the same for a single output. It is cheaper not to select such events in
    /// the subscription. Default: all events.
    ///
    /// Example: --only 'channel:Security' --only 'channel:System;level:critical,error'
    #[arg(long, value_name = "RULE", help_heading = "Events")]
    pub only: Vec<String>,

    /// Do not send these events to any output; rules as for --only
    ///
    /// Repeatable. Default: none.
    ///
    /// Example: --drop 'channel:Security;id:5156-5158'
    #[arg(long, value_name = "RULE", help_heading = "Events")]
    pub drop: Vec<String>,
}

/// A paragraph for each kind and setting.
pub(super) const HELP: &str = "\
Where to send events: udp, tcp, tls, relp, kafka, otlp, unix, file or stdout

Repeatable: a batch must be delivered to every output before it is acknowledged. \
Default: stdout:

udp://HOST[:514] one datagram per event (RFC 5426)

tcp://HOST[:601] octet counting (RFC 6587)

tls://HOST[:6514] the same with TLS (RFC 5425)

relp://HOST[:2514] and relp+tls://HOST[:2514] RELP, which confirms each event; rsyslog's \
imrelp

kafka://BROKER[:9092][,BROKER...]/TOPIC and kafka+tls://BROKER[:9092][,BROKER...]/TOPIC a topic of \
a Kafka cluster, whose replicas confirm each event; the key is the host, the value one JSON object

otlp+http://HOST[:4318][/v1/logs] and otlp+https://HOST[:4318][/v1/logs] log records of \
OpenTelemetry over OTLP/HTTP, whose receiver confirms each request

unix:PATH datagram socket, such as /dev/log

file:PATH appended, one line per event

stdout: one line per event

Settings follow after \"?\", separated by \"&\":

max=BYTES truncates longer messages; K and M can follow the number; at least 480, default \
65507 with udp, 128K with relp and unix datagrams, 1000000 with kafka, else no limit.

required=no makes the output best effort: it never delays hosts, and what it \
cannot accept is dropped and counted. Default: yes.

message=text, xml, json, ecs, nxlog, snare, cef or leef: content of MSG; the default is that of \
--message, or json with kafka.

header=rfc5424, rfc3164 or none: what precedes MSG. rfc3164 is the older header, with its \
time in UTC; none sends MSG alone, such as one JSON object per line. Default: rfc3164 \
with snare, cef and leef, none with kafka, else rfc5424.

framing=octet or framing=lf (tcp, unix streams): byte count before each message, or line end \
after it. Default: octet with tcp, lf with unix.

ca=FILE (tls, relp+tls, kafka+tls, otlp+https): the authorities (PEM) that can have issued \
the receiver's certificate, instead of those that the system trusts.

name=NAME (tls, relp+tls, kafka+tls, otlp+https): the host name or address that the \
receiver's certificate must be for. Default: HOST, with kafka that of each broker.

login=FILE (kafka, kafka+tls): the user on its first line, the password on its second. \
Only its owner and group may be able to read it. SIGHUP reads it again.

sasl=plain, scram-sha-256 or scram-sha-512 (kafka, kafka+tls): how that user logs in. plain needs \
TLS, or cleartext=yes (kafka). Default: scram-sha-512.

compress=none, gzip, lz4 or zstd (kafka, kafka+tls): how batches are compressed. Default: none. \
compress=gzip or none (otlp): how requests are. Default: gzip.

cert=FILE and key=FILE (tls, relp+tls, kafka+tls, otlp+https): the relay's own certificate \
with its chain, and its private key if that is in another file (PEM). SIGHUP reads the files \
again, for the next connection.

replay=BYTES (tcp, tls): how much sent data is kept, and sent again after a connection \
ends uncleanly, which causes repeats instead of loss. It must exceed the socket buffer of the \
receiver. Default: 8M; 0 for none.

only=RULE and drop=RULE, repeatable: which events this output gets, in addition to --only and \
--drop, which describe rules.

sd=bounded keeps structured data within the limits of rsyslog and syslog-ng: values under \
32,000 bytes, 65,000 bytes in total, at most 240 parameters. What does not fit is named \
in Truncated, and complete in MSG. sd=whole is for receivers without these limits. sd=none \
omits structured data. Default: none with ecs, nxlog, snare, cef and leef, else bounded.

data=no omits the event's values (data@) from structured data, for receivers that read \
them from MSG: xml and json contain them, text only within the rendered text. Default: yes.

escape=reversible doubles backslashes in text where control characters must be \
escaped (framing=lf, files, stdout), so that it can be reversed; elsewhere line ends are \
unchanged. escape=0.1 is the form of version 0.1. Default: reversible.

refused=retry, drop or file:PATH (relp, relp+tls, kafka, kafka+tls, otlp): what happens to an \
event that the receiver rejects for good: its host keeps it and retries later, it is dropped and \
counted, or it is appended to a file. Other hosts are not delayed. Default: retry.

headers=FILE (otlp): headers of requests, such as Authorization: Bearer TOKEN, one per line. \
Only its owner and group may be able to read it. SIGHUP reads it again.

type=stream (unix): a stream socket. Default: datagram.

sync=yes (file): events count as delivered only when the disk has them. Default: no.

Example: --output 'tcp://syslog.example.com:601?max=64K'";
