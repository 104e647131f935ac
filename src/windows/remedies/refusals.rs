//! The relay's own refusals by kind.

use super::Remedy;

/// Remedies by the name of the kind.
pub const REFUSALS: [(&str, Remedy); 12] = [
    (
        "http",
        Remedy {
            meaning: "malformed HTTP, or a limit was exceeded",
            remedy: "something other than a Windows host connects to this port, or a proxy changes requests",
            on_host: &["netsh winhttp show proxy"],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        "tls",
        Remedy {
            meaning: "the TLS handshake failed",
            remedy: "the log names the certificate and the reason; the host's authority must be in --client-ca, the relay's in the host's Root store",
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
            meaning: "a load balancer's PROXY header is missing, malformed, or from another address",
            remedy: "each balancer in --proxy-protocol must send it (send-proxy-v2 in HAProxy, proxy_protocol on in nginx), and no other",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "timeout",
        Remedy {
            meaning: "a request arrived too slowly",
            remedy: "check the network of the host; a proxy may delay requests",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "authentication",
        Remedy {
            meaning: "the host could not authenticate",
            remedy: "the log has the reason; in a domain check the name and the keytab, otherwise --anonymous, --users or --client-ca",
            on_host: &["klist get HTTP/COLLECTOR", "winrm get winrm/config/client"],
            look: "event 105 (code 5) of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "domain",
        Remedy {
            meaning: "the domain could not verify the account",
            remedy: "check winbind on this machine: wbinfo -t",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "sealing",
        Remedy {
            meaning: "a body was not sealed, or cannot be decrypted",
            remedy: "configure the host to seal (AllowUnencrypted=false), or use --allow-unencrypted",
            on_host: &["winrm get winrm/config/client"],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        "encoding",
        Remedy {
            meaning: "unsupported compression or encoding",
            remedy: "a proxy changes bodies",
            on_host: &["netsh winhttp show proxy"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "soap",
        Remedy {
            meaning: "not a message of event forwarding",
            remedy: "something other than the Windows forwarder connects to this port",
            on_host: &[],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        "computer",
        Remedy {
            meaning: "an event of another host than the one that authenticated",
            remedy: "if it is an intermediate collector, exempt it with --computer-exempt; see --require-computer-match",
            on_host: &["hostname"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "unavailable",
        Remedy {
            meaning: "it cannot be accepted now: an output does not deliver, or all connections are in use",
            remedy: "run wecrelay check --probe; hosts keep their events and retry",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        "room",
        Remedy {
            meaning: "the connection or its request was dropped in favor of others",
            remedy: "look for a client at the address in the log that opens many connections or sends slowly; if these are hosts, raise LimitNOFILE of the relay, and have load balancers send PROXY headers",
            on_host: &["netstat -ano | findstr 598"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
];
