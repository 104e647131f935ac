//! Kinds of refusals of the relay.

use super::Remedy;

/// By the name of the kind.
pub const REFUSALS: [(&str, Remedy); 12] = [
    (
        "http",
        Remedy {
            meaning: "no proper HTTP, or a limit was passed",
            remedy: "something else than a Windows host speaks to this port, or a proxy between changes requests",
            on_host: &["netsh winhttp show proxy"],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        "tls",
        Remedy {
            meaning: "the TLS handshake failed",
            remedy: "the log names the certificate and why; the host's authority must be in --client-ca, ours in Root of the host",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5986",
                "certutil -store My",
            ],
            look: "Microsoft-Windows-CAPI2/Operational, and System, source Schannel",
        },
    ),
    (
        "proxy",
        Remedy {
            meaning: "a load balancer's PROXY header is missing, wrong, or from elsewhere",
            remedy: "let each balancer in --proxy-protocol send it (send-proxy-v2 on HAProxy, proxy_protocol on with nginx), and no other",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "timeout",
        Remedy {
            meaning: "a request came too slowly",
            remedy: "see the network of the host; a proxy between may hold it",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "authentication",
        Remedy {
            meaning: "the host could not prove who it is",
            remedy: "the log says what was wrong; in a domain see the name and the keytab, outside it --anonymous, --users or --client-ca",
            on_host: &["klist get HTTP/COLLECTOR", "winrm get winrm/config/client"],
            look: "event 105 (code 5) of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "domain",
        Remedy {
            meaning: "the domain could not be asked about the account",
            remedy: "see winbind on this machine: wbinfo -t",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "sealing",
        Remedy {
            meaning: "a body was not sealed, or does not open",
            remedy: "let the host seal (AllowUnencrypted=false), or allow it with --allow-unencrypted",
            on_host: &["winrm get winrm/config/client"],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        "encoding",
        Remedy {
            meaning: "compressed or encoded in a way that cannot be read",
            remedy: "something between changes bodies",
            on_host: &["netsh winhttp show proxy"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "soap",
        Remedy {
            meaning: "no message that makes sense here",
            remedy: "something else than the forwarder of Windows speaks to this port",
            on_host: &[],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        "computer",
        Remedy {
            meaning: "an event of another host than the one that authenticated",
            remedy: "if it is a collector between, exempt it with --computer-exempt; see --require-computer-match",
            on_host: &["hostname"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "unavailable",
        Remedy {
            meaning: "it cannot be taken now: an output does not deliver, or all places are taken",
            remedy: "see wecrelay check --probe; hosts keep their events and try again",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "room",
        Remedy {
            meaning: "the room for connections or requests was needed for others",
            remedy: "look for a client that opens many connections or sends slowly at the address in the log; raise LimitNOFILE of the relay if these are hosts, let balancers send PROXY headers",
            on_host: &["netstat -ano | findstr 598"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
];
