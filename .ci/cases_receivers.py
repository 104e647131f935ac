"""Runs every recipe of `contrib` in the real daemon with the events of the reference folder:
the daemon writes each field of each event."""

import datetime
import functools
import http.server
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import wefsource as wef
from lxml import etree
from harness import (EVENTS, SHARED, Relay, case, is_named, local, need, wait_for)
from cases_events import deliver, is_bookmark_event

HERE = Path(__file__).resolve().parent.parent
HARD = SHARED / "cases" / "events"
PEERS = HERE / "target" / "peers"
RSYSLOG = "/usr/sbin/rsyslogd"
SYSLOG_NG = PEERS / "syslog-ng" / "run"

# Recipe: the relay's output, and the form that the recipe writes.
RECIPES = {"rsyslog/wecrelay-json.conf": ("relp", "json"), "syslog-ng/wecrelay-json.conf": ("tcp", "json"),
           "rsyslog/wecrelay-relp.conf": ("relp", "log"), "syslog-ng/wecrelay-files.conf": ("tcp", "log"),
           "rsyslog/wecrelay-tls.conf": ("tls", "log"), "syslog-ng/wecrelay-tls.conf": ("tls", "log"),
           "rsyslog/wecrelay-elastic.conf": ("relp", "elastic"), "syslog-ng/wecrelay-elastic.conf": ("tcp", "elastic"),
           "syslog-ng/wecrelay-splunk.conf": ("tcp", "splunk"), "syslog-ng/wecrelay-loki.conf": ("tcp", "loki")}
# Recipes for the layouts of other products, which cases_layouts uses.
LAYOUTS = {"rsyslog/wecrelay-cef.conf": ("tcp", "json"), "rsyslog/wecrelay-snare.conf": ("tcp", "json")}
# The URL that the recipe posts to.
URLS = {"elastic": "http://127.0.0.1:9200/logs-windows-default/_bulk",
        "splunk": "https://127.0.0.1:8088/services/collector/event",
        "loki": "http://127.0.0.1:3100/loki/api/v1/push"}


@functools.cache
def certificates() -> Path:
    """A CA, the receiver's certificate, and the relay's."""
    folder = Path(tempfile.mkdtemp(prefix="wecrelay-receivers-"))

    def make(name, *more):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", *more],
                       cwd=folder, check=True, stderr=subprocess.DEVNULL)
    make("ca")
    for name, alternative in (("server", "IP:127.0.0.1"), ("relay.example.com", "DNS:relay.example.com")):
        make(name, "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
             "-addext", f"subjectAltName={alternative}")
    return folder


class Sink:
    """An HTTP server that accepts every request."""

    def __init__(self):
        self.bodies, self.lock = [], threading.Lock()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with sink.lock:
                    sink.bodies.append((self.path, body.decode("utf-8")))
                self.answer()

            def do_GET(self):
                self.answer()

            do_HEAD = do_GET

            def answer(self):
                text = b'{"errors":false,"items":[],"text":"Success","code":0}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def documents(self, form: str) -> list:
        with self.lock:
            bodies = list(self.bodies)
        if form == "elastic":
            lines = [parsed(line) for _, body in bodies for line in body.split("\n") if line]
            pairs = list(zip(lines[::2], lines[1::2]))
            for action, document in pairs:
                need(action["create"]["_id"] == document["winlog"]["event@32473"]["Uid"], f"{action}")
            return [of_elastic(document) for _, document in pairs]
        if form == "splunk":
            return [of_splunk(parsed(line)) for _, body in bodies for line in body.split("\n") if line]
        return [of_loki(stream) for _, body in bodies for stream in parsed(body)["streams"]]

    def clear(self):
        with self.lock:
            self.bodies.clear()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def of_elastic(document: dict) -> dict:
    """A document in the form of the recipes for files; syslog-ng nests names with a dot."""
    def member(name):
        first, _, second = name.partition(".")
        return document.get(name, document.get(first, {}).get(second))
    return {"@timestamp": document["@timestamp"], "provider": member("event.provider"),
            "process_id": member("process.pid"), "message": document["message"], "sd": document["winlog"]}


def of_splunk(document: dict) -> dict:
    event = document["event"]
    return {"@timestamp": iso(document["time"].partition(".")), "provider": event["provider"],
            "process_id": event["process_id"], "message": event["message"], "sd": event}


def of_loki(stream: dict) -> dict:
    (stamp, line), = stream["values"]
    return {"@timestamp": iso((stamp[:-9], ".", stamp[-9:-3])), **parsed(line)}


def iso(parts: tuple) -> str:
    seconds, _, micros = parts
    return f"{datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc):%Y-%m-%dT%H:%M:%S}.{micros}Z"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """A recipe as shipped, except for ports, files, and folders."""

    def __init__(self, folder: Path, recipe: str):
        self.port, self.out = free_port(), folder / "windows"
        self.kind, self.form = {**RECIPES, **LAYOUTS}[recipe]
        self.sink = Sink() if self.form in URLS else None
        text = (HERE / "contrib" / recipe).read_text(encoding="utf-8")
        for before, after in self.places(folder):
            text = text.replace(before, after)
        config = folder / "daemon.conf"
        if recipe.startswith("rsyslog"):
            command = [RSYSLOG, "-n", "-f", config, "-i", folder / "pid"]
        else:
            text = "@version: 3.35\n" + text
            command = [SYSLOG_NG, "--foreground", "--stderr", "--no-caps", "-f", config, "-R", folder / "persist",
                       "-p", folder / "pid", "-c", folder / "control"]
        need(os.path.exists(command[0]), f"no {command[0]}: run scripts/peers")
        config.write_text(text, encoding="utf-8")
        self.log = open(folder / "daemon.log", "wb")
        self.process = subprocess.Popen([str(word) for word in command], stdout=self.log, stderr=self.log)

    def places(self, folder: Path):
        yield from ((f'port="{port}"', f'port="{self.port}"') for port in (601, 2514, 6514))
        yield from ((f"port({port})", f"port({self.port})") for port in (601, 6514))
        yield "/var/log/windows", str(self.out)
        if self.kind == "tls":
            for daemon in ("rsyslog.d", "syslog-ng"):
                yield f"/etc/{daemon}/tls", str(certificates())
        if self.sink:
            path = "/" + URLS[self.form].split("/", 3)[3]
            yield URLS[self.form], f"http://127.0.0.1:{self.sink.port}{path}"
            yield 'serverport="9200"', f'serverport="{self.sink.port}"'
            yield from ((spool, str(folder)) for spool in ("/var/spool/rsyslog", "/var/lib/syslog-ng"))
            # The queue file is allocated at its full size.
            yield "disk-buf-size(4294967296)", "disk-buf-size(10485760)"

    def output(self) -> str:
        address = f"127.0.0.1:{self.port}"
        if self.kind == "tls":
            own = certificates() / "relay.example.com"
            return f"tls://{address}?ca={certificates()}/ca.pem&cert={own}.pem&key={own}.key&max=256K"
        return f"tcp://{address}?max=512K" if self.kind == "tcp" else f"relp://{address}?max=256K"

    def __enter__(self):
        def answers():
            need(self.process.poll() is None, "the daemon ended")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False
        wait_for("the daemon", answers)
        return self

    def __exit__(self, *exc):
        alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        self.log.close()
        if self.sink:
            self.sink.close()
        if exc[0] is None:
            need(alive, f"the daemon died with {self.process.returncode}")

    def text(self) -> str:
        files = sorted(self.out.glob("*")) if self.out.exists() else []
        return "".join(path.read_text(encoding="utf-8", errors="strict") for path in files)

    def documents(self) -> list:
        if self.sink:
            return self.sink.documents(self.form)
        text = self.text()
        # The last line may be incomplete.
        return [parsed(line) for line in text[:text.rfind("\n") + 1].split("\n") if line]

    def take(self, messages: list) -> list:
        """Sends these messages; returns the documents that the daemon writes."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            for message in messages:
                connection.sendall(b"%d %s" % (len(message), message))

        def all_there():
            documents = self.documents()
            return documents if len(documents) >= len(messages) else None
        documents = wait_for(f"{len(messages)} documents", all_there)
        need(len(documents) == len(messages), f"{len(documents)} documents of {len(messages)} messages")
        return documents

    def clear(self):
        if self.sink:
            self.sink.clear()
        for out in self.out.glob("*"):
            with open(out, "r+b") as file:      # the daemons append
                file.truncate(0)


def events_of(path: Path) -> list:
    events = wef.load_events(path) if path.parent == EVENTS else \
        [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [event for event in events if not is_bookmark_event(event)]


def forbidden_replaced(xml: str) -> str:
    def reference(match):
        body = match.group(1)
        code = int(body[1:], 16) if body[0] == "x" else int(body)
        allowed = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
        return match.group(0) if allowed else "\ufffd"
    xml = re.sub(r"&#(x[0-9a-fA-F]+|[0-9]+);", reference, xml)
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", xml)


def fields_of(xml: str):
    """The facts, and the values in order with the parameter that each must have, `None` where it
    has no name of its own; `None` if it is not XML."""
    try:
        root = etree.fromstring(forbidden_replaced(xml).encode("utf-8"), etree.XMLParser(huge_tree=True))
    except etree.XMLSyntaxError:
        return None
    facts, values = {}, []
    for part in (kid for kid in root if isinstance(kid.tag, str)):
        name = local(part)
        if name == "System":
            facts.update(system_of(part))
        elif name == "RenderingInfo":
            facts.update(rendering_of(part))
        else:
            if name == "UserData":
                kinds = [kid for kid in part if isinstance(kid.tag, str)]
                facts["UserDataName"] = local(kinds[0]) if kinds else ""
            for node in part.iter():
                if isinstance(node.tag, str):
                    values += [(None, value) for key, value in node.attrib.items()
                               if etree.QName(key).localname != "Name"]
                    values.append((name_of(node, name), "".join(node.xpath("text()"))))
    return facts, [(key, value) for key, value in values if value.strip()]


def name_of(node, part: str):
    """The name of a value: that of `Data`, or of an element of `UserData` without others inside."""
    if part == "EventData":
        return node.get("Name")
    return local(node) if part == "UserData" and not len(node) else None


def identity(event: str) -> tuple:
    expected = fields_of(event)
    facts = expected[0] if expected else {}
    time = re.search(r"SystemTime='([^']*)'", event)
    if not facts.get("EventRecordID"):
        return (event,)
    return facts.get("Channel"), facts["EventRecordID"], time and time.group(1)


def system_of(system) -> dict:
    facts = {}
    for node in (kid for kid in system if isinstance(kid.tag, str)):
        name, text = local(node), (node.text or "").strip()
        if name in ("Channel", "EventRecordID", "Level", "Version", "Task", "Opcode", "Keywords"):
            facts[name] = text
        for key, fact in ((("Provider", "Name"), "Provider"), (("Provider", "Guid"), "ProviderGuid"),
                          (("Execution", "ProcessID"), "ProcessID"), (("Execution", "ThreadID"), "ThreadID"),
                          (("Security", "UserID"), "UserID"), (("Correlation", "ActivityID"), "ActivityID"),
                          (("EventID", "Qualifiers"), "Qualifiers"), (("TimeCreated", "SystemTime"), "@time")):
            if key[0] == name and node.get(key[1]):
                facts[fact] = node.get(key[1]).strip()
    return facts


def rendering_of(rendering) -> dict:
    facts = {"Culture": (rendering.get("Culture") or "").strip()}
    for node in (kid for kid in rendering if isinstance(kid.tag, str)):
        fact = {"Level": "LevelName", "Task": "TaskName", "Opcode": "OpcodeName", "Channel": "ChannelName",
                "Provider": "ProviderName"}.get(local(node))
        if fact:
            facts[fact] = (node.text or "").strip()
    return facts


def check_json(document: dict, facts: dict, values: list, where: str) -> None:
    event = document["sd"]["event@32473"]
    for name, value in facts.items():
        if value and name != "@time":
            got = event.get(name)
            need(got == value or document["message"].find(value) >= 0, f"{where}: {name} is {got!r}, not {value!r}")
    need(document["provider"] == facts.get("Provider", ""), f"{where}: {document['provider']}")
    need(document["process_id"] == facts.get("ProcessID", ""), f"{where}: {document['process_id']}")
    fraction = re.search(r"\.(\d{1,6})", facts.get("@time", ""))
    need(not fraction or f".{fraction.group(1)}" in document["@timestamp"] or "TimestampFrom" in event,
         f"{where}: {document['@timestamp']}, not {facts.get('@time')}")
    held = [(key, value.replace("\r\n", "\n")) for key, value in document["sd"].get("data@32473", {}).items()]
    message = document["message"].replace("\r\n", "\n")
    for name, value in values:
        same = value.replace("\r\n", "\n")
        under = [value for key, value in held if name is None or is_named(key, name)]
        need(same in under or ("Truncated" in event and same in message), f"{where}: no {name}={value[:200]!r}")


def feed(folder: Path, recipe: str, message: str, paths: list) -> None:
    with Daemon(folder, recipe) as daemon:
        with Relay(folder, "--output", daemon.output(), "--message", message) as relay:
            for path in paths:
                events = events_of(path)
                deliver(relay, events)
                check_file(daemon, path, events)
                daemon.clear()


def check_file(daemon: Daemon, path: Path, events: list) -> None:
    if daemon.form != "log":
        def all_there():
            documents = daemon.documents()
            return documents if len(documents) >= len(events) else None
        documents = wait_for(f"{len(events)} documents", all_there)
        need(len(documents) == len(events), f"{path.name}: {len(documents)} documents, {len(events)} events")
        uids = [document["sd"]["event@32473"]["Uid"] for document in documents]
        for number, event in enumerate(events):
            expected = fields_of(event)
            if expected is None:
                need(any("Malformed" in d["sd"]["event@32473"] for d in documents), f"{path.name}: no Malformed")
                continue
            one_of(documents, expected, f"{path.name}, event {number}")
        # Events with the same record ID and time are the same event.
        known = {identity(event) for event in events}
        need(len(set(uids)) == len(known), f"{path.name}: {len(set(uids))} ids for {len(known)} events")
    else:
        wait_for("all events", lambda: daemon.text().count(" Uid=\"") >= len(events))
        text = daemon.text()
        for number, event in enumerate(events):
            expected = fields_of(event)
            for _, value in (expected[1] if expected else []):
                word = max(re.findall(r"[^\x00-\x1f\x7f-\x9f\\\"\]]+", value) or [""], key=len)
                need(word in text, f"{path.name}, event {number}: no {word[:200]!r}")


def parsed(line: str) -> dict:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise AssertionError(f"{error}: {line}") from error


def one_of(documents: list, expected, where: str) -> None:
    """One of the documents must have everything; otherwise raises the failure of the closest one."""
    facts, values = expected
    failures = []
    for document in documents:
        event = document["sd"]["event@32473"]
        if facts.get("EventRecordID") and event.get("EventRecordID") != facts["EventRecordID"]:
            continue
        try:
            return check_json(document, facts, values, where)
        except AssertionError as failure:
            failures.append(failure)
    raise failures[0] if failures else AssertionError(f"{where}: no such record")


for _recipe in RECIPES:
    for _message in ("text", "xml", "json"):
        case(f"receivers: {_recipe}, hard events, {_message}", recipe=_recipe, message=_message,
             paths=sorted(HARD.glob("*.xml")))(feed)
    case(f"receivers: {_recipe}, all files", recipe=_recipe, message="text",
         paths=sorted(EVENTS.glob("*.xml")))(feed)
