//! Error codes of Windows where events are forwarded (`winerror.h`, `wsmerror.h`, `winhttp.h`).

use super::Remedy;

/// By number, as event 105 or 102 and faults have it.
pub const CODES: [(u32, Remedy); 28] = [
    (
        5,
        Remedy {
            meaning: "access denied: the relay refused the host, or NETWORK SERVICE may not read a log",
            remedy: "see the relay's log for the refusal; in a domain the ticket must be for HTTP/NAME, and TrustedHosts must not name the relay; for a log, add NETWORK SERVICE to Event Log Readers and restart",
            on_host: &[
                "klist get HTTP/COLLECTOR",
                "winrm get winrm/config/client",
                "net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add",
            ],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        53,
        Remedy {
            meaning: "no such host, as Kerberos sees it: no account has HTTP/NAME",
            remedy: "register the name: setspn -S HTTP/COLLECTOR ACCOUNT; and have the full name in the policy, not a short one or an address",
            on_host: &["klist get HTTP/COLLECTOR", "nslookup COLLECTOR"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        1311,
        Remedy {
            meaning: "the host cannot reach a domain controller",
            remedy: "mend that first: DNS and network of the host",
            on_host: &["nltest /dsgetdc:"],
            look: "System, source NETLOGON",
        },
    ),
    (
        1326,
        Remedy {
            meaning: "wrong name or password",
            remedy: "see the account of the host, or --users",
            on_host: &["klist get HTTP/COLLECTOR"],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        1717,
        Remedy {
            meaning: "the host was shutting down",
            remedy: "",
            on_host: &[],
            look: "event 103 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        1818,
        Remedy {
            meaning: "reading a channel was cancelled: rights on it are missing",
            remedy: "add NETWORK SERVICE to Event Log Readers, and restart the host",
            on_host: &[
                "net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add",
            ],
            look: "event 101 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        5004,
        Remedy {
            meaning: "no channel of the subscription can be read",
            remedy: "add NETWORK SERVICE to Event Log Readers, and restart the host; or its channels are missing or disabled there",
            on_host: &[
                "net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add",
                "wevtutil gl Security",
            ],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12002,
        Remedy {
            meaning: "time-out: nobody answers at that address and port",
            remedy: "see firewalls between, and the port in the policy",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5985",
                "netsh winhttp show proxy",
            ],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12005,
        Remedy {
            meaning: "the address in the subscription is no URL that the host understands",
            remedy: "set --hostname to a name that hosts know",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12007,
        Remedy {
            meaning: "the name cannot be resolved",
            remedy: "see the DNS of the host, and the name in the policy",
            on_host: &["nslookup COLLECTOR"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12029,
        Remedy {
            meaning: "no connection: nothing listens there, or a firewall refuses",
            remedy: "start the relay; see port and firewalls",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5985",
                "netsh winhttp show proxy",
            ],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12030,
        Remedy {
            meaning: "the connection was cut",
            remedy: "see the relay's log at that time; a proxy or balancer between may end it",
            on_host: &["netsh winhttp show proxy"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12175,
        Remedy {
            meaning: "TLS failed, or the policy says https where the relay's port is for http",
            remedy: "the authority of --tls-cert must be in Root of the host, and the name in the policy in the certificate; https belongs to an https listener: 5986, not 5985",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5986",
                "certutil -store Root",
            ],
            look: "Microsoft-Windows-CAPI2/Operational, and System, source Schannel",
        },
    ),
    (
        15001,
        Remedy {
            meaning: "the query of the subscription is invalid",
            remedy: "run wecrelay check: it lints the queries",
            on_host: &[],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        15007,
        Remedy {
            meaning: "the host has no such channel",
            remedy: "leave it out for such hosts, or install what writes it",
            on_host: &["wevtutil el"],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        15008,
        Remedy {
            meaning: "the XML of the query is not well-formed",
            remedy: "run wecrelay check: it names file and line; & and < in a query must be &amp; and &lt;",
            on_host: &[],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        15026,
        Remedy {
            meaning: "the query is malformed, or has too many conditions",
            remedy: "run wecrelay check: it splits what is too long",
            on_host: &[],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8008,
        Remedy {
            meaning: "the subscription is closed already, as after a restart",
            remedy: "nothing: the host subscribes again within Refresh",
            on_host: &["Restart-Service WinRM"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8012,
        Remedy {
            meaning: "the relay cannot be reached",
            remedy: "start the relay; see name, port and firewalls",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5985",
                "netsh winhttp show proxy",
            ],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8095,
        Remedy {
            meaning: "the address in the subscription cannot be reached or refuses the host",
            remedy: "set --hostname to a name that hosts can reach; behind a balancer, the balancer's",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_809C,
        Remedy {
            meaning: "a delivery failed on the way",
            remedy: "see the network between; the host keeps the events and tries again",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_809D,
        Remedy {
            meaning: "a security error that is not told: the name belongs to no account or to two, or a certificate",
            remedy: "setspn -X finds names that two accounts have; see the certificates",
            on_host: &["klist get HTTP/COLLECTOR", "setspn -X"],
            look: "System, source Security-Kerberos; Microsoft-Windows-CAPI2/Operational, and System, source Schannel",
        },
    ),
    (
        0x8033_80E4,
        Remedy {
            meaning: "the host does not trust the relay: no Kerberos, no HTTPS",
            remedy: "outside a domain, use HTTPS or add the relay to TrustedHosts",
            on_host: &["winrm set winrm/config/client '@{TrustedHosts=\"COLLECTOR\"}'"],
            look: "Microsoft-Windows-WinRM/Operational",
        },
    ),
    (
        0x8033_8112,
        Remedy {
            meaning: "the relay answers 503: it holds hosts back because an output does not deliver",
            remedy: "see wecrelay check --probe; the host keeps its events and tries again",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8113,
        Remedy {
            meaning: "there is no such address: 404",
            remedy: "what answers is another server, or the path was cut by a proxy",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8126,
        Remedy {
            meaning: "the relay cannot be reached: name, network or firewall",
            remedy: "start the relay; see name, port and firewalls",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5985",
                "netsh winhttp show proxy",
            ],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_81B9,
        Remedy {
            meaning: "the name cannot be resolved",
            remedy: "see the DNS of the host, and the name in the policy",
            on_host: &["nslookup COLLECTOR"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_81BA,
        Remedy {
            meaning: "TLS was broken off: versions, ciphers, or a client certificate that is refused",
            remedy: "see the relay's log; TLS 1.2 must be on, and IssuerCA the thumbprint of the authority that issued the host's certificate",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5986",
                "certutil -store My",
            ],
            look: "Microsoft-Windows-CAPI2/Operational, and System, source Schannel",
        },
    ),
];
