"""Kerberos: the simulator's sources with tickets of a real MIT KDC."""

import os
import re
import subprocess

import wefsource as wef
from harness import (SHARED, Folder, Relay, case, fails_with, load, need, no_violations, sink, wait_for)

KDC = SHARED / "source-sim" / "kdc.sh"
REALM = "WINDOMAIN.LOCAL"
COLLECTOR = "collector.windomain.local"
ENCTYPES = ("aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96", "aes256-cts-hmac-sha384-192",
            "aes128-cts-hmac-sha256-128", "rc4-hmac")


class Realm:
    """A KDC; this process has its environment until the end of the block."""

    def __init__(self, folder, enctype=None):
        self.folder = folder / "kdc"
        self.enctype = enctype

    def __enter__(self):
        started = self.run("start")
        self.before = dict(os.environ)
        for name, value in re.findall(r"export (\w+)='([^']*)'", started):
            os.environ[name] = value
        os.environ["KRB5_KDC_PROFILE"] = str(self.folder / "kdc.conf")
        config = self.folder / "krb5.conf"
        every = " ".join(ENCTYPES)
        config.write_text(config.read_text().replace(
            "[libdefaults]", f"[libdefaults]\n    allow_rc4 = true\n    permitted_enctypes = {every}"))
        self.keytab = self.folder / "collector.keytab"
        if self.enctype:
            # Only keys of this enctype, with the next version number.
            self.keytab = self.folder / "only.keytab"
            name = f"HTTP/{COLLECTOR}"
            self.admin(f"cpw -randkey -e {self.enctype}:normal {name}")
            self.admin(f"ktadd -norandkey -k {self.keytab} {name}")
        # The KDC reads its configuration only at startup.
        self.run("stop")
        self.run("start")
        return self

    def __exit__(self, *exc):
        self.run("stop")
        os.environ.clear()
        os.environ.update(self.before)

    def run(self, verb: str) -> str:
        done = subprocess.run(["sh", KDC, verb, self.folder], text=True, capture_output=True,
                              timeout=60, check=False)
        need(done.returncode == 0, f"kdc.sh {verb}: {done.stderr}")
        return done.stdout

    def admin(self, query: str) -> None:
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        done = subprocess.run(["kadmin.local", "-r", REALM, "-q", query], text=True, timeout=60,
                              capture_output=True, check=False, env={**os.environ, "PATH": path})
        need(done.returncode == 0 and not re.search(r"^(cpw|ktadd|change_password|kadmin)\S*: ", done.stderr, re.M),
             f"{query}: {done.stderr}")


def options(relay, **over) -> wef.Options:
    relay_url = relay.url.replace("127.0.0.1", COLLECTOR)
    return wef.Options(url=relay_url, auth="kerberos", resolve={COLLECTOR: "127.0.0.1"}, **over)


def delivers(folder, enctype=None, wrapped=False, sldc=False, rendered=False, count=30, batch=None):
    """A complete Windows sequence, after which every event is in the sink."""
    events = load("security.xml")
    events = (events * (count // len(events) + 1))[:count]
    with Realm(folder, enctype) as realm, sink(tcp=0, framing="octet") as receiver:
        arguments = ["--keytab", realm.keytab, "--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}"]
        if enctype == "rc4-hmac":
            arguments.append("--kerberos-rc4")
        with Relay(folder, *arguments, anonymous=None) as relay:
            more = {"batch": batch} if batch else {}
            report = wef.Report()
            source = wef.run(options(relay, spnego_wrapped=wrapped, sldc=sldc, rendered=rendered, **more),
                             events, rep=report)
            need(source.sent.events == len(events), f"sent {source.sent.events}")
            need(not report.warnings, f"warnings: {report.warnings}")
        for record in no_violations(receiver, len(events)):
            sd = next(value for key, value in record["sd"].items() if key.startswith("event@"))
            need(sd["Auth"] == ["kerberos"], f"Auth is {sd.get('Auth')}")
            need(sd["Identity"] == [f"WIN10$@{REALM}"], f"Identity is {sd.get('Identity')}")


for _enctype in ENCTYPES:
    for _wrapped in (False, True):
        _form = "SPNEGO" if _wrapped else "raw"
        case(f"kerberos: {_enctype}, {_form}", enctype=_enctype, wrapped=_wrapped)(delivers)
for _wrapped in (False, True):
    _form = "SPNEGO" if _wrapped else "raw"
    case(f"kerberos: SLDC, {_form}", wrapped=_wrapped, sldc=True)(delivers)
    case(f"kerberos: rendered, {_form}", wrapped=_wrapped, sldc=True, rendered=True)(delivers)
    case(f"kerberos: large batches, {_form}", wrapped=_wrapped, count=600, batch=300)(delivers)


@case("kerberos: without a ticket nobody gets in")
def no_ticket(folder):
    with Realm(folder) as realm, Relay(folder, "--keytab", realm.keytab, anonymous=None) as relay:
        fails_with("auth.rejected", lambda: wef.run(relay.options(auth="none"), []))


@case("kerberos: a service that is not in the keytab is refused by name")
def other_service(folder):
    with Realm(folder) as realm, Folder() as other:
        only = other / "only.keytab"
        realm.admin(f"ktadd -norandkey -k {only} HTTP/localhost")
        with Relay(folder, "--keytab", only, anonymous=None) as relay:
            # The client gets the reason, too, in the relay's KRB-ERROR.
            fails_with("auth.token", lambda: wef.run(options(relay), []))
            wait_for("a line with the service", lambda: f"HTTP/{COLLECTOR}@{REALM}" in relay.log())
