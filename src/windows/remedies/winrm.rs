//! Error codes of `WinRM` beyond those in [`CODES`](super::CODES), including codes of HTTP,
//! TLS, and Kerberos that it passes on (`wsmerror.h`, `winhttp.h`, `winerror.h`).

use super::Remedy;

const FORWARDING: &str = "event 105 or 102 of Microsoft-Windows-Forwarding/Operational";
const CAPI2: &str = "Microsoft-Windows-CAPI2/Operational, and System, source Schannel";
const KERBEROS: &str = "System, source Security-Kerberos";

/// Remedies by error code, as events 102 and 105 and SOAP faults contain it.
pub const WINRM_CODES: [(u32, Remedy); 25] = [
    (
        1396,
        Remedy {
            meaning: "the ticket is for an account other than that of the relay's keytab",
            remedy: "HTTP/NAME must belong to that account only, and the keytab must be newer than its password: setspn -Q HTTP/COLLECTOR, then a new keytab",
            on_host: &[
                "klist purge",
                "klist get HTTP/COLLECTOR",
                "setspn -Q HTTP/COLLECTOR",
            ],
            look: KERBEROS,
        },
    ),
    (
        1398,
        Remedy {
            meaning: "the clocks of host and relay, or of a domain controller, differ by more than five minutes",
            remedy: "synchronize them: NTP on the relay, the domain's time on the host",
            on_host: &["w32tm /query /status", "w32tm /resync"],
            look: KERBEROS,
        },
    ),
    (
        12037,
        Remedy {
            meaning: "TLS: the certificate of the relay has expired or is not yet valid, by the host's clock",
            remedy: "renew --tls-cert; check the clock of the host",
            on_host: &["w32tm /query /status"],
            look: CAPI2,
        },
    ),
    (
        12038,
        Remedy {
            meaning: "TLS: the certificate of the relay is for another name than the one in the policy",
            remedy: "the name in the policy must be a DNS name of --tls-cert: renew the certificate, or change the policy",
            on_host: &[
                "reg query HKLM\\Software\\Policies\\Microsoft\\Windows\\EventLog\\EventForwarding\\SubscriptionManager",
            ],
            look: CAPI2,
        },
    ),
    (
        12044,
        Remedy {
            meaning: "TLS: the relay requests a client certificate, and the host sent none",
            remedy: "the host needs a certificate from an authority in --client-ca, for client authentication, in the computer's store, and IssuerCA in the policy must be that authority's thumbprint",
            on_host: &["certutil -store My"],
            look: CAPI2,
        },
    ),
    (
        12057,
        Remedy {
            meaning: "TLS: the host cannot check whether the relay's certificate is revoked",
            remedy: "the host must be able to fetch the revocation list that the certificate names (CRL distribution point), or the certificate must not name one, like those of wecrelay ca",
            on_host: &["certutil -verify -urlfetch RELAY.cer"],
            look: CAPI2,
        },
    ),
    (
        12185,
        Remedy {
            meaning: "TLS: the host's client certificate has no private key",
            remedy: "import it with its key, as a .pfx file, into the computer's store",
            on_host: &["certutil -store My"],
            look: CAPI2,
        },
    ),
    (
        12186,
        Remedy {
            meaning: "TLS: the private key of the host's client certificate cannot be read",
            remedy: "grant NETWORK SERVICE read access to the key (certlm.msc, the certificate, All Tasks, Manage Private Keys), and restart WinRM",
            on_host: &["certutil -store My", "Restart-Service WinRM"],
            look: CAPI2,
        },
    ),
    (
        15009,
        Remedy {
            meaning: "the query selects an analytic or debug channel, which cannot be forwarded",
            remedy: "remove that channel from the subscription",
            on_host: &["wevtutil gl CHANNEL"],
            look: "event 102 of Microsoft-Windows-Forwarding/Operational",
        },
    ),
    (
        0x8009_0322,
        Remedy {
            meaning: "the target name is wrong: the ticket is for an account other than that of the relay's keytab (SEC_E_WRONG_PRINCIPAL)",
            remedy: "HTTP/NAME must belong to the account of the keytab only: setspn -Q HTTP/COLLECTOR, setspn -X; then a new keytab",
            on_host: &["klist purge", "klist get HTTP/COLLECTOR", "setspn -X"],
            look: KERBEROS,
        },
    ),
    (
        0x8009_2013,
        Remedy {
            meaning: "the revocation list of a certificate cannot be fetched (CRYPT_E_REVOCATION_OFFLINE)",
            remedy: "the host must be able to fetch the revocation list that the certificate names (CRL distribution point), or the certificate must not name one, like those of wecrelay ca",
            on_host: &["certutil -verify -urlfetch RELAY.cer"],
            look: CAPI2,
        },
    ),
    (
        0x8033_801B,
        Remedy {
            meaning: "before the host had fetched all subscriptions, they changed, or more than a minute passed",
            remedy: "none needed: the host retries within Refresh",
            on_host: &[],
            look: FORWARDING,
        },
    ),
    (
        0x8033_8035,
        Remedy {
            meaning: "the host's limit for answers is smaller than a single subscription, or a batch has too many events",
            remedy: "raise MaxEnvelopeSizekb on the host, or split the query: wecrelay check names a subscription that is too large",
            on_host: &[
                "winrm get winrm/config",
                "winrm set winrm/config '@{MaxEnvelopeSizekb=\"500\"}'",
            ],
            look: FORWARDING,
        },
    ),
    (
        0x8033_8082,
        Remedy {
            meaning: "no client certificate is found on the host, or NETWORK SERVICE cannot read its key",
            remedy: "IssuerCA in the policy must be the thumbprint of the authority that issued the host's certificate; the certificate must be in the computer's store, and NETWORK SERVICE needs read access to its key",
            on_host: &["certutil -store My", "certutil -store Root"],
            look: CAPI2,
        },
    ),
    (
        0x8033_80E5,
        Remedy {
            meaning: "with this authentication method, the host would need a user name and password: it has neither Kerberos nor a certificate for the relay",
            remedy: "in a domain, use the relay's full name in the policy, and register HTTP/NAME; outside, use HTTPS with client certificates",
            on_host: &["klist get HTTP/COLLECTOR", "winrm get winrm/config/client"],
            look: FORWARDING,
        },
    ),
    (
        0x8033_80F7,
        Remedy {
            meaning: "the answer has no content type that WinRM supports: another server answered",
            remedy: "check which server listens at that address and port, and whether a proxy or load balancer changes answers",
            on_host: &[
                "Test-NetConnection COLLECTOR -Port 5985",
                "netsh winhttp show proxy",
            ],
            look: FORWARDING,
        },
    ),
    (
        0x8033_810B,
        Remedy {
            meaning: "Kerberos cannot be used with an address: the policy has an IP address instead of a name",
            remedy: "use the relay's full name in the policy and in --hostname",
            on_host: &[
                "reg query HKLM\\Software\\Policies\\Microsoft\\Windows\\EventLog\\EventForwarding\\SubscriptionManager",
            ],
            look: FORWARDING,
        },
    ),
    (
        0x8033_810C,
        Remedy {
            meaning: "Kerberos cannot be used: the host is in no domain",
            remedy: "use HTTPS with client certificates, or accounts",
            on_host: &["systeminfo | findstr /B Domain"],
            look: FORWARDING,
        },
    ),
    (
        0x8033_8111,
        Remedy {
            meaning: "the answer was 413: the batch is larger than the server accepts",
            remedy: "check the relay's log; the limit may be that of a proxy or load balancer, which must accept bodies of 8 MiB",
            on_host: &["netsh winhttp show proxy"],
            look: FORWARDING,
        },
    ),
    (
        0x8033_815D,
        Remedy {
            meaning: "the host does not support the delivery policy of the subscription",
            remedy: "remove the connectivity check and other policies from it; run wecrelay check",
            on_host: &[],
            look: FORWARDING,
        },
    ),
    (
        0x8033_815E,
        Remedy {
            meaning: "none of the policies that the subscription offers fits the host: it has no certificate from that issuer",
            remedy: "the thumbprint must be that of the authority that issued the host's certificate, not of the certificate itself: IssuerCA in the policy, AllowedIssuerCAList in the subscription",
            on_host: &["certutil -store My", "certutil -store Root"],
            look: FORWARDING,
        },
    ),
    (
        0x8033_8170,
        Remedy {
            meaning: "the answer was 500: the server failed",
            remedy: "check the relay's log of that time; if it has nothing, a proxy or load balancer answered",
            on_host: &["netsh winhttp show proxy"],
            look: FORWARDING,
        },
    ),
    (
        0x8033_8171,
        Remedy {
            meaning: "the answer was 400: the server does not understand the request",
            remedy: "the relay's log has the reason; http and https may be confused: 5985 is for http, 5986 for https",
            on_host: &["Test-NetConnection COLLECTOR -Port 5985"],
            look: FORWARDING,
        },
    ),
    (
        12045,
        Remedy {
            meaning: "TLS: the host does not trust the authority of the relay's certificate",
            remedy: "the authority of --tls-cert must be in the Root store of the host's computer account",
            on_host: &["certutil -store Root"],
            look: CAPI2,
        },
    ),
    (
        12170,
        Remedy {
            meaning: "TLS: the relay's certificate is revoked",
            remedy: "create a new one for --tls-cert",
            on_host: &["certutil -verify -urlfetch RELAY.cer"],
            look: CAPI2,
        },
    ),
];
