//! Windows error codes that occur in event forwarding (`winerror.h`, `wsmerror.h`,
//! `winhttp.h`).

use super::Remedy;

/// Remedies by error code, as events 102 and 105 and SOAP faults contain it.
pub const CODES: [(u32, Remedy); 28] = [
    (
        5,
        Remedy {
            meaning: "access denied: the relay rejected the host, or NETWORK SERVICE cannot read a log",
            remedy: "the relay's log has the reason; in a domain the ticket must be for HTTP/NAME, and TrustedHosts must not name the relay; for a log, add NETWORK SERVICE to Event Log Readers and restart the host",
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
            meaning: "Kerberos does not find the relay: no account has HTTP/NAME",
            remedy: "register the name: setspn -S HTTP/COLLECTOR ACCOUNT; the policy must have the full name, not a short one or an address",
            on_host: &["klist get HTTP/COLLECTOR", "nslookup COLLECTOR"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        1311,
        Remedy {
            meaning: "the host cannot reach a domain controller",
            remedy: "check DNS and network of the host first",
            on_host: &["nltest /dsgetdc:"],
            look: "System, source NETLOGON",
        },
    ),
    (
        1326,
        Remedy {
            meaning: "wrong name or password",
            remedy: "check the account of the host, or --users",
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
            meaning: "reading a channel was canceled: access to it is missing",
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
            remedy: "add NETWORK SERVICE to Event Log Readers, and restart the host; or check whether the channels exist and are enabled there",
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
            meaning: "timeout: nothing answers at that address and port",
            remedy: "check firewalls, and the port in the policy",
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
            meaning: "the address in the subscription is not a valid URL",
            remedy: "set --hostname to a name that hosts can resolve",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12007,
        Remedy {
            meaning: "the name cannot be resolved",
            remedy: "check DNS on the host, and the name in the policy",
            on_host: &["nslookup COLLECTOR"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12029,
        Remedy {
            meaning: "no connection: nothing listens there, or a firewall rejects it",
            remedy: "start the relay; check the port and firewalls",
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
            meaning: "the connection was closed",
            remedy: "check the relay's log of that time; a proxy or load balancer may have closed it",
            on_host: &["netsh winhttp show proxy"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        12175,
        Remedy {
            meaning: "TLS failed, or the policy has https with the relay's http port",
            remedy: "the authority of --tls-cert must be in the host's Root store, and the name in the policy must be in the certificate; https requires the port of an https listener: 5986, not 5985",
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
            remedy: "run wecrelay check, which checks the queries",
            on_host: &[],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        15007,
        Remedy {
            meaning: "the host has no such channel",
            remedy: "omit it for such hosts, or install the program that writes it",
            on_host: &["wevtutil el"],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        15008,
        Remedy {
            meaning: "the XML of the query is not well-formed",
            remedy: "run wecrelay check, which names file and line; & and < in a query must be written &amp; and &lt;",
            on_host: &[],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        15026,
        Remedy {
            meaning: "the query is malformed, or has too many conditions",
            remedy: "run wecrelay check, which splits expressions that are too long",
            on_host: &[],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8008,
        Remedy {
            meaning: "the subscription is already closed, as after a restart",
            remedy: "none needed: the host subscribes again within Refresh",
            on_host: &["Restart-Service WinRM"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8012,
        Remedy {
            meaning: "the relay cannot be reached",
            remedy: "start the relay; check name, port and firewalls",
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
            meaning: "the address in the subscription cannot be reached, or rejects the host",
            remedy: "set --hostname to a name that hosts can reach; behind a load balancer, that of the balancer",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_809C,
        Remedy {
            meaning: "a delivery failed in transit",
            remedy: "check the network; the host keeps the events and retries",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_809D,
        Remedy {
            meaning: "an unspecified security error: no account or two accounts have the name, or a certificate is invalid",
            remedy: "setspn -X finds names that two accounts have; check the certificates",
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
            meaning: "the relay answers 503, because an output does not deliver",
            remedy: "run wecrelay check --probe; the host keeps its events and retries",
            on_host: &[],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8113,
        Remedy {
            meaning: "not found (404)",
            remedy: "another server answers, or a proxy changes the path",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_8126,
        Remedy {
            meaning: "the relay cannot be reached: name, network or firewall",
            remedy: "start the relay; check name, port and firewalls",
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
            remedy: "check DNS on the host, and the name in the policy",
            on_host: &["nslookup COLLECTOR"],
            look: "event 105 or 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8033_81BA,
        Remedy {
            meaning: "the TLS handshake failed: versions, ciphers, or a client certificate that is rejected",
            remedy: "check the relay's log; TLS 1.2 must be enabled, and IssuerCA must be the thumbprint of the authority that issued the host's certificate",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5986",
                "certutil -store My",
            ],
            look: "Microsoft-Windows-CAPI2/Operational, and System, source Schannel",
        },
    ),
];
