"""Many subscriptions in several answers, and connections that are closed early."""

import functools
import subprocess

import mksubs
import wefsource as wef
from cases_kerberos import REALM, Realm, options as kerberos_options
from cases_tls import SecureRelay
from harness import BINARY, Folder, Relay, case, load, need, no_violations, sink, users_file, wait_for

PASSWORD = "Correct-Horse-7 ü"


def subscriptions(folder, count, oversize=0):
    """Creates subscription files in the format of `wecutil`; returns them and their names."""
    made = folder / f"subscriptions-{count}-{oversize}"
    mksubs.make(made, count, oversize=oversize, everyone=True)
    return made, wef.subscription_names(made)


class Ntlm:
    """A null session, or an account."""

    def __init__(self, user=None):
        self.user = user

    def relay(self, folder, *arguments):
        if self.user is None:
            return Relay(folder, *arguments)
        users = users_file(folder, **{self.user: PASSWORD})
        return Relay(folder, "--users", users, *arguments, anonymous=None)

    def options(self, relay, **over):
        if self.user is None:
            return relay.options(**over)
        return relay.options(auth="ntlm", user=self.user, password=PASSWORD, **over)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


class Kerberos:
    def __init__(self, wrapped=False):
        self.wrapped = wrapped

    def relay(self, folder, *arguments):
        return Relay(folder, "--keytab", self.realm.keytab, *arguments, anonymous=None)

    def options(self, relay, **over):
        return kerberos_options(relay, spnego_wrapped=self.wrapped, **over)

    def __enter__(self):
        self.folder = Folder()
        self.realm = Realm(self.folder.__enter__())
        self.realm.__enter__()
        return self

    def __exit__(self, *exc):
        self.realm.__exit__(*exc)
        self.folder.__exit__(*exc)


class Tls:
    def relay(self, folder, *arguments):
        return SecureRelay(folder, *arguments)

    def options(self, relay, **over):
        return relay.options(**over)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


METHODS = {
    "null session": Ntlm,
    "NTLM": functools.partial(Ntlm, "alice"),
    "Kerberos": Kerberos,
    "Kerberos in SPNEGO": functools.partial(Kerberos, True),
    "client certificate": Tls,
}
NO_REPORTS = "--no-self-reports"


def all_come(folder, method, count, pages):
    """The source gets each subscription once; it delivers to a few of them and resumes there."""
    made, names = subscriptions(folder, count)
    events = load("security.xml", 5)
    with METHODS[method]() as way, sink(tcp=0, framing="octet") as receiver:
        output = f"tcp://127.0.0.1:{receiver.ports['tcp']}"
        with way.relay(folder, "--subscription", made, NO_REPORTS, "--output", output) as relay:
            report = wef.Report()
            options = way.options(relay, expect_names=names, timeout=60)
            source = wef.run(options, events, rep=report, expect_pages=pages, deliver_to=3)
            need(not report.warnings, f"warnings: {report.warnings}")
            sizes = [page.octets for page in source.pages]
            need(len(sizes) <= pages + 1, f"{len(sizes)} answers: {sizes}")
            need(all(size > 400_000 for size in sizes[:-1]), f"not filled: {sizes}")
        no_violations(receiver, 3 * len(events))


for _method in METHODS:
    for _count, _pages in ((51, 2), (200, 7), (1000, 32)):
        case(f"paging: {_count} subscriptions, {_method}", method=_method, count=_count,
             pages=_pages)(all_come)


def paging_checks(folder, method, expire=None):
    """Enumerations that are aborted, released, mixed up, and with other limits."""
    made, names = subscriptions(folder, 120)
    with METHODS[method]() as way, way.relay(folder, "--subscription", made, NO_REPORTS) as relay:
        report = wef.Report()
        source = wef.Source(way.options(relay, expect_names=names, timeout=60), report)
        source.check_paging(expire)
        need(not report.warnings, f"warnings: {report.warnings}")
        for name in ("paging.context-used-twice", "paging.context-on-another-connection"):
            need(report.notes[name] == "page", f"{name}: {report.notes[name]}")


for _method in METHODS:
    case(f"paging: all checks, {_method}", method=_method)(paging_checks)
case("paging: a context expires", method="NTLM", expire=61.5)(paging_checks)


@case("paging: the next answer comes from another relay")
def another_relay(folder):
    made, names = subscriptions(folder, 200)
    with Folder() as other:
        arguments = ("--subscription", made, NO_REPORTS)
        with Relay(folder, *arguments) as first, Relay(other, *arguments) as second:
            # Behind a load balancer, both have the same name.
            url, got, context = first.url, [], None
            for turn in range(100):
                relay = (first, second)[turn % 2]
                source = wef.Source(relay.options())
                session = wef.Session(source.opt, relay.url, source.rep)
                source.opt.url = url
                page = source.page(session, context)
                session.close()
                got += [subscription.name for subscription in page.subscriptions]
                context = page.context
                if context is None:
                    break
            need(got == sorted(got, key=names.index) and sorted(got) == sorted(names),
                 wef.difference(names, got))


@case("paging: what is too large for a host is told, and the rest comes")
def oversize(folder):
    made, names = subscriptions(folder, 60, oversize=2)
    large = [name for name in names if name.startswith("Oversize")]
    rest = [name for name in names if name not in large]
    checked = subprocess.run([BINARY, "check", "--subscription", made, "--anonymous", "127.0.0.0/8", "--listen",
                              "http://127.0.0.1:0", "--state", folder / "none"], text=True, capture_output=True,
                             timeout=60, check=False)
    need(checked.returncode == 1, f"check gave {checked.returncode}: {checked.stderr}")
    need(checked.stdout.count("finding: it takes ") == 2, checked.stdout)
    need(" answers (Pull)" in checked.stdout, checked.stdout)
    with Relay(folder, "--subscription", made, NO_REPORTS) as relay:
        source = wef.Source(relay.options(expect_names=rest))
        source.enumerate()
        wait_for("the log to name them", lambda: all(f'subscription "{name}" takes' in relay.log() for name in large))
        # A host with a higher limit of its own gets all of them.
        source = wef.Source(relay.options(expect_names=names, max_envelope=2_000_000))
        source.enumerate()


@case("paging: wecrelay send pulls")
def send_pulls(folder):
    made, names = subscriptions(folder, 200)
    with sink(tcp=0, framing="octet") as receiver:
        output = f"tcp://127.0.0.1:{receiver.ports['tcp']}"
        with Relay(folder, "--subscription", made, NO_REPORTS, "--output", output) as relay:
            sent = subprocess.run([BINARY, "send", relay.url, "--count", "10", "--subscription", names[-1]],
                                  text=True, capture_output=True, timeout=60, check=False)
            need(sent.returncode == 0, sent.stderr)
            need("200 subscriptions offered" in sent.stderr, sent.stderr)
        for record in no_violations(receiver, 10):
            event = next(value for key, value in record["sd"].items() if key.startswith("event@"))
            need(event["Subscription"] == [names[-1]], f"Subscription is {event['Subscription']}")


# --------------------------------------------------------------------------
# connections that are closed early

def reconnects(folder, method, sldc=False, **over):
    """Every message is sent on a new connection; a token of the old context does not count as a failed logon."""
    events = load("security.xml", 30)
    with METHODS[method]() as way, sink(tcp=0, framing="octet") as receiver:
        output = f"tcp://127.0.0.1:{receiver.ports['tcp']}"
        with way.relay(folder, NO_REPORTS, "--output", output, "--metrics", "127.0.0.1:0") as relay:
            report = wef.Report()
            options = way.options(relay, sldc=sldc, batch=1, **over)
            source = wef.run(options, events, rep=report)
            need(not report.warnings, f"warnings: {report.warnings}")
            need(report.stats["reconnects"] >= len(events), f"{report.stats['reconnects']} reconnections")
            if over["reconnect"] == "idle-close" and method != "client certificate":
                need(report.stats["stale_401"] >= len(events), f"stats: {report.stats}")
            # Every offered TLS session is resumed.
            need(report.stats["tls_resumed"] == report.stats["tls_offered"], f"stats: {report.stats}")
            # Ten failures per minute would have locked out the account or address.
            need(source.sent.events == len(events), f"sent {source.sent.events}")
            need("refused with" not in relay.log(), "the log tells of a refusal")
        no_violations(receiver, len(events))


for _method in METHODS:
    for _over in ({"reconnect": "fresh"}, {"reconnect": "idle-close"}, {"reconnect": "idle-close", "idle_reuse": True}):
        _name = _over["reconnect"] + ", same connection" * ("idle_reuse" in _over)
        for _sldc in (False, True):
            case(f"reconnect: {_name}, {_method}{', SLDC' * _sldc}", method=_method, sldc=_sldc, **_over)(reconnects)
for _tls in (None, "1.2"):
    case(f"reconnect: TLS sessions are taken up, {_tls or '1.3'}", method="client certificate", reconnect="fresh",
         tls_resume=True, tls_max=_tls)(reconnects)
