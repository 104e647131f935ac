"""Runs the acceptance cases; see `.ci/acceptance`."""

import sys

import harness
import cases_auth                               # noqa: F401
import cases_kerberos                           # noqa: F401
import cases_tls                                # noqa: F401
import cases_wire                               # noqa: F401
import cases_paging                             # noqa: F401
import cases_events                             # noqa: F401
import cases_broken                             # noqa: F401
import cases_outputs                            # noqa: F401
import cases_otlp                               # noqa: F401
import cases_kafka                              # noqa: F401
import cases_receivers                          # noqa: F401
import cases_layouts                            # noqa: F401

if __name__ == "__main__":
    if "--list" in sys.argv:
        print("\n".join(name for name, _, _ in harness.CASES))
        sys.exit(0)
    sys.exit(harness.run(sys.argv[1:]))
