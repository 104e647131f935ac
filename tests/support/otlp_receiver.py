"""A receiver of OTLP/HTTP logs that parses requests with opentelemetry-proto and writes the
records as lines of JSON, in the same form as the tests' syslog servers.

    otlp_receiver.py CONFIG

CONFIG is JSON: "port", "records" (the file), "mode" (a file that says how to answer, read
for each request), and for TLS "certificate", "key", "authority".
"""

import gzip
import json
import os
import re
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

SEVERITIES = {18: 2, 17: 3, 13: 4, 10: 5, 9: 6, 5: 7}
PROTOBUF = "application/x-protobuf"


def plain(value):
    """An AnyValue as a JSON value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes(pairs):
    found = {}
    for pair in pairs:
        assert pair.key not in found, f"{pair.key} stands twice"
        found[pair.key] = plain(pair.value)
    return found


def word(text, others=""):
    """A name as in a syslog message."""
    return re.sub(rf"[^!-~]|[{others or ' '}]", "_", str(text))


def record(host, log):
    """One record, in the form of the syslog servers' records."""
    found = attributes(log.attributes)
    values = {}
    for prefix in ("winlog.event_data.", "winlog.user_data."):
        for name, value in found.items():
            if name.startswith(prefix):
                values[word(name[len(prefix):], r'=\]".')] = value
    facility = 10 if found.get("winlog.channel") == "Security" else 1
    return {
        "hostname": host,
        "app_name": word(found.get("winlog.provider_name", ""))[:48],
        "process_id": str(found.get("winlog.process.pid", "")),
        "message_id": str(found.get("winlog.event_id", "")),
        "priority": str(8 * facility + SEVERITIES[log.severity_number]),
        "message": plain(log.body),
        "elements": {
            "origin": {"ip": found.get("source.address", "")},
            "event@32473": {
                "Channel": found.get("winlog.channel", ""),
                "EventRecordID": str(found.get("winlog.record_id", "")),
                "Auth": found.get("wecrelay.auth", ""),
                "Uid": found.get("log.record.uid", ""),
                "Time": str(log.time_unix_nano),
                "Severity": log.severity_text,
            },
            "data@32473": values,
        },
        "attributes": found,
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Send each answer in one piece.
    wbufsize = -1

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        mode = self.server.mode()
        if mode.get("delay"):
            time.sleep(mode["delay"])
        if self.path != "/v1/logs" or self.headers["Content-Type"] != PROTOBUF:
            self.answer(404, "text/plain", b"no such path or type")
            return
        if mode.get("key") and self.headers["X-Api-Key"] != mode["key"]:
            self.answer(401, "text/plain", b"who are you?")
            return
        if mode.get("status"):
            self.answer(mode["status"], "text/plain", b"so it is told")
            return
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        if len(body) > mode.get("max", 1 << 30):
            self.answer(413, "text/plain", b"too large")
            return
        self.take(ExportLogsServiceRequest.FromString(body), mode)

    def take(self, request, mode):
        poison = mode.get("poison")
        lines, rejected = [], 0
        for resource in request.resource_logs:
            owner = attributes(resource.resource.attributes)
            assert owner["service.name"] == "wecrelay", owner
            for scope in resource.scope_logs:
                for log in scope.log_records:
                    line = record(owner["host.name"], log)
                    if poison and poison in json.dumps(line):
                        rejected += 1
                    else:
                        lines.append(line)
        if rejected and not mode.get("partial"):
            self.answer(400, "text/plain", b"not this one")
            return
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        os.write(self.server.records, text.encode())
        response = ExportLogsServiceResponse()
        if rejected:
            response.partial_success.rejected_log_records = rejected
            response.partial_success.error_message = "not this one"
        self.answer(200, PROTOBUF, response.SerializeToString())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.server.mode().get("retry_after"):
            self.send_header("Retry-After", str(self.server.mode()["retry_after"]))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, config):
        self.config = config
        self.records = os.open(config["records"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        super().__init__(("127.0.0.1", config["port"]), Handler)
        if "certificate" in config:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(config["certificate"], config["key"])
            if "authority" in config:
                context.load_verify_locations(config["authority"])
                context.verify_mode = ssl.CERT_REQUIRED
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def mode(self):
        try:
            with open(self.config["mode"], encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as config:
        Server(json.load(config)).serve_forever()
