"""HTTPS: client certificates, and NTLM inside TLS."""

import functools
import signal
import subprocess
import tempfile

import mkcerts
import wefsource as wef
from harness import (BINARY, Relay, case, fails_with, load, need, no_violations, sink, users_file,
                     wait_for)

COLLECTOR = "collector.windomain.local"


@functools.cache
def certificates() -> str:
    return mkcerts.make(tempfile.mkdtemp(prefix="wecrelay-certificates-"))


class SecureRelay(Relay):
    """The relay on https, with the hosts' CA."""

    def __init__(self, folder, *arguments, anonymous=None, ca="ca.pem"):
        made = certificates()
        super().__init__(folder, "--tls-cert", f"{made}/collector.pem", "--tls-key", f"{made}/collector.key",
                         "--client-ca", f"{made}/{ca}", *arguments, anonymous=anonymous, scheme="https")

    @property
    def url(self) -> str:
        return f"https://{COLLECTOR}:{self.port}/wsman/SubscriptionManager/WEC"

    def options(self, host="win10", **over):
        made = certificates()
        if over.get("auth", "tls-cert") == "tls-cert":
            over.update(auth="tls-cert", cert=f"{made}/{host}.pem", key=f"{made}/{host}.key")
        return wef.Options(url=self.url, ca=f"{made}/ca.pem", resolve={COLLECTOR: "127.0.0.1"}, **over)


def delivers(folder, auth, host, anonymous=None, arguments=(), **over):
    events = load("security.xml", 30)
    with sink(tcp=0, framing="octet") as receiver:
        output = f"tcp://127.0.0.1:{receiver.ports['tcp']}"
        with SecureRelay(folder, "--output", output, *arguments, anonymous=anonymous) as relay:
            report = wef.Report()
            wef.run(relay.options(host=host, auth=auth, **over), events, rep=report)
            need(not report.warnings, f"warnings: {report.warnings}")
        for record in no_violations(receiver, len(events)):
            sd = next(value for key, value in record["sd"].items() if key.startswith("event@"))
            need(sd["Auth"] == [auth], f"Auth is {sd.get('Auth')}")
            if auth == "tls-cert":
                need(sd["Identity"] == [f"{host}.windomain.local"], f"Identity is {sd.get('Identity')}")


for _sldc in (False, True):
    for _rendered in (False, True):
        _name = ", SLDC" * _sldc + ", rendered" * _rendered
        case(f"tls: client certificate{_name}")(functools.partial(
            delivers, auth="tls-cert", host="win10", sldc=_sldc, rendered=_rendered))
        case(f"tls: null session inside TLS{_name}")(functools.partial(
            delivers, auth="ntlm-anonymous", host="win10", anonymous="127.0.0.0/8", sldc=_sldc,
            rendered=_rendered))


PASSWORD = "Correct-Horse-7 ü"


@case("tls: Basic inside TLS", auth="basic", arguments=["--basic"])
@case("tls: Basic inside TLS, SLDC", auth="basic", arguments=["--basic"], sldc=True)
@case("tls: account by NTLM inside TLS", auth="ntlm", arguments=[])
@case("tls: account by NTLM inside TLS beside Basic", auth="ntlm", arguments=["--basic"])
def account(folder, auth, arguments, **over):
    users = users_file(folder, alice=PASSWORD)
    delivers(folder, auth, "win10", arguments=["--users", users, *arguments], user="alice", password=PASSWORD,
             **over)


@case("tls: Basic inside TLS with a wrong password is refused", arguments=["--basic"], password="wrong")
@case("tls: Basic inside TLS is refused without its flag", arguments=[], password=PASSWORD)
def basic_refused(folder, arguments, password):
    users = users_file(folder, alice=PASSWORD)
    with SecureRelay(folder, "--users", users, *arguments) as relay:
        options = relay.options(auth="basic", user="alice", password=password)
        fails_with("auth.rejected", lambda: wef.run(options, []))


@case("tls: split writes")
def split_writes(folder):
    delivers(folder, "tls-cert", "win11", split=7)


for _quirk in sorted(wef.QUIRKS):
    case(f"tls: quirk {_quirk}")(functools.partial(delivers, auth="tls-cert", host="win10", quirks=(_quirk,),
                                                   sldc=True))


def resumes(folder, version, flags, auth="tls-cert", host="win10", **over):
    """Sends each batch on a new connection: all but the first resume a session, or none does."""
    events = load("security.xml", 6)
    with sink(tcp=0, framing="octet") as receiver:
        with SecureRelay(folder, "--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}", *flags) as relay:
            report = wef.Report()
            options = relay.options(host=host, auth=auth, reconnect="fresh", batch=2, tls_resume=True,
                                    tls_max=version, **over)
            wef.run(options, events, rep=report)
            need(not report.warnings, f"warnings: {report.warnings}")
            stats = report.stats
            offered = 0 if "--no-tls-resume" in flags else stats["tls_handshakes"] - 1
            need(stats["tls_handshakes"] > 3 and stats["tls_resumed"] == offered, f"{dict(stats)}")
        for record in no_violations(receiver, len(events)):
            sd = next(value for key, value in record["sd"].items() if key.startswith("event@"))
            need(sd["Auth"] == [auth], f"Auth is {sd.get('Auth')}")
            if auth == "tls-cert":
                need(sd["Identity"] == [f"{host}.windomain.local"], f"Identity is {sd.get('Identity')}")


for _version in ("1.2", "1.3"):
    case(f"tls: sessions are taken up again, TLS {_version}")(functools.partial(
        resumes, version=_version, flags=()))
    case(f"tls: no session is taken up, TLS {_version}")(functools.partial(
        resumes, version=_version, flags=("--no-tls-resume",)))


@case("tls: account by NTLM in a session taken up again, TLS 1.2", version="1.2")
@case("tls: account by NTLM in a session taken up again, TLS 1.3", version="1.3")
def account_resumes(folder, version):
    # With channel bindings, which the relay requires.
    users = users_file(folder, alice=PASSWORD)
    resumes(folder, version, ("--users", users), auth="ntlm", user="alice", password=PASSWORD)


@case("tls: a stranger's certificate is refused and explained")
def stranger(folder):
    with SecureRelay(folder) as relay:
        try:
            wef.run(relay.options(host="stranger"), [])
            raise AssertionError("accepted")
        except wef.CheckFailed as failure:
            need(failure.name in ("http.connection", "tls.handshake"), str(failure))
        wanted = ["client certificate CN=", "--client-ca"]
        wait_for("a line with the remedy", lambda: all(text in relay.log() for text in wanted))
        wef.run(relay.options(), load("security.xml", 3))


@case("tls: without a certificate and without another method nobody gets in")
def without_certificate(folder):
    with SecureRelay(folder) as relay:
        fails_with("http.status", lambda: wef.run(relay.options(auth="ntlm-anonymous"), []))


@case("tls: from nothing with certificates of wecrelay ca")
def own_authority(folder):
    def ca(*arguments):
        made = subprocess.run([BINARY, "ca", "--dir", str(folder / "ca"), *arguments], text=True,
                              capture_output=True, timeout=60)
        need(made.returncode == 0, made.stderr)

    host = "ws1.windomain.local"
    ca("init")
    ca("server", COLLECTOR)
    ca("host", host)
    made = folder / "ca"
    pem = folder / "host.pem"
    subprocess.run(["openssl", "pkcs12", "-nodes", "-in", made / "hosts" / f"{host}.pfx", "-out", pem,
                    "-password", f"file:{made}/hosts/{host}.password"], check=True, capture_output=True)
    with sink(tcp=0, framing="octet") as receiver:
        with Relay(folder, "--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}",
                   "--tls-cert", made / "servers" / f"{COLLECTOR}.pem",
                   "--tls-key", made / "servers" / f"{COLLECTOR}.key",
                   "--client-ca", made / "ca.pem", "--crl", made / "crl.pem",
                   anonymous=None, scheme="https") as relay:
            options = wef.Options(url=f"https://{COLLECTOR}:{relay.port}/wsman/SubscriptionManager/WEC",
                                  ca=str(made / "ca.pem"), resolve={COLLECTOR: "127.0.0.1"}, auth="tls-cert",
                                  cert=str(pem), key=str(pem))
            events = load("security.xml", 30)
            wef.run(options, events)
            for record in no_violations(receiver, len(events)):
                sd = next(value for key, value in record["sd"].items() if key.startswith("event@"))
                need(sd["Identity"] == [host], f"Identity is {sd.get('Identity')}")
            ca("revoke", host)
            relay.process.send_signal(signal.SIGHUP)
            wait_for("the reload", lambda: "info: reloaded" in relay.log(), 10)
            try:
                wef.run(options, [])
                raise AssertionError("a revoked certificate was accepted")
            except wef.CheckFailed as failure:
                need(failure.name in ("http.connection", "tls.handshake"), str(failure))
            wanted = [f"CN={host}", "revoked"]
            wait_for("a line with the reason", lambda: all(text in relay.log() for text in wanted))
