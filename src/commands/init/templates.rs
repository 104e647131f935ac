//! The files of `wecrelay init`, and the steps that it prints.

use std::fmt::Write;
use std::path::Path;

use super::Answers;
use crate::cli::HostKind;

/// `wecrelay.toml`, with a comment on each key.
pub(super) fn configuration(answers: &Answers) -> String {
    let channels = answers.channels.join(", ");
    format!(
        "# Written by wecrelay init. All keys: wecrelay.toml(5).\n\
         # Check after each change: wecrelay check --probe --config FILE\n\n\
         {access}\n\
         # The name of this relay in the addresses that hosts push to.\n\
         hostname = \"{hostname}\"\n\n\
         # What hosts send: {channels}.\n\
         subscription = [\"subscriptions\"]\n\n\
         # A batch is acknowledged to its host after each of these has delivered it.\n\
         output = [\"{output}\"]\n\n\
         # The status page, metrics and health: http://127.0.0.1:9598/\n\
         metrics = \"127.0.0.1:9598\"\n\n\
         # Bookmarks and hosts; under systemd, the folder is set by the unit.\n\
         #state = \"/var/lib/wecrelay\"\n",
        access = access(answers),
        hostname = answers.hostname,
        output = answers.output,
    )
}

fn access(answers: &Answers) -> String {
    let name = &answers.hostname;
    match answers.kind {
        HostKind::Domain => {
            "# Kerberos: the key of HTTP/NAME of this relay. Readable by the relay only.\n\
             keytab = \"collector.keytab\"\n"
                .to_owned()
        }
        HostKind::Certificate => format!(
            "# TLS: the certificate of this relay, and the authority of the hosts' certificates.\n\
             listen = [\"https://0.0.0.0:5986\"]\n\
             tls-cert = [\"tls/{name}.pem\"]\n\
             tls-key = [\"tls/{name}.key\"]\n\
             client-ca = \"tls/ca.pem\"\n\
             # Revoked certificates. Renew the list once a year: wecrelay ca crl.\n\
             crl = \"tls/crl.pem\"\n"
        ),
        HostKind::Workgroup => format!(
            "# Hosts of this network need no credentials, which proves nothing: for trials.\n\
             anonymous = [\"{}\"]\n",
            answers.network
        ),
    }
}

/// The files that the configuration names and that have to be brought.
pub(super) fn needed(answers: &Answers) -> Vec<String> {
    let name = &answers.hostname;
    match answers.kind {
        HostKind::Domain => vec!["collector.keytab".to_owned()],
        HostKind::Certificate => vec![
            format!("tls/{name}.pem"),
            format!("tls/{name}.key"),
            "tls/ca.pem".to_owned(),
            "tls/crl.pem".to_owned(),
        ],
        HostKind::Workgroup => Vec::new(),
    }
}

/// A subscription to all events of the channels.
pub(super) fn subscription(answers: &Answers) -> String {
    let mut queries = String::new();
    for (id, channel) in answers.channels.iter().enumerate() {
        let line = format!(
            "  <Query Id=\"{id}\" Path=\"{channel}\">\n    <Select Path=\"{channel}\">*</Select>\n  </Query>\n"
        );
        queries.push_str(&line);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!-- Written by wecrelay init: all events of these channels. Selections for common purposes\n\
         \x20    are in contrib/subscriptions. -->\n\
         <Subscription xmlns=\"http://schemas.microsoft.com/2006/03/windows/events/subscription\">\n\
         \x20 <SubscriptionId>logs</SubscriptionId>\n\
         \x20 <SubscriptionType>SourceInitiated</SubscriptionType>\n\
         \x20 <Enabled>true</Enabled>\n\
         \x20 <Uri>http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog</Uri>\n\
         \x20 <ConfigurationMode>Custom</ConfigurationMode>\n\
         \x20 <Delivery Mode=\"Push\">\n\
         \x20   <Batching>\n\
         \x20     <MaxItems>200</MaxItems>\n\
         \x20     <MaxLatencyTime>30000</MaxLatencyTime>\n\
         \x20   </Batching>\n\
         \x20   <PushSettings>\n\
         \x20     <Heartbeat Interval=\"900000\"/>\n\
         \x20   </PushSettings>\n\
         \x20 </Delivery>\n\
         \x20 <Query><![CDATA[\n<QueryList>\n{queries}</QueryList>\n\x20 ]]></Query>\n\
         \x20 <!-- false: a new host sends from now on; true: its whole log first. -->\n\
         \x20 <ReadExistingEvents>false</ReadExistingEvents>\n\
         \x20 <TransportName>http</TransportName>\n\
         \x20 <ContentFormat>RenderedText</ContentFormat>\n\
         \x20 <Locale Language=\"en-US\"/>\n\
         \x20 <!-- Members of Domain Computers and of Domain Controllers. -->\n\
         \x20 <AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;DD)</AllowedSourceDomainComputers>\n\
         </Subscription>\n"
    )
}

/// What to do before the relay can start.
pub(super) fn preparation(answers: &Answers, folder: &Path) -> String {
    let (name, folder) = (&answers.hostname, folder.display());
    match answers.kind {
        HostKind::Domain => format!(
            "\n== on a domain controller: account, names and keytab of this relay\n\
             New-ADUser svc-wecrelay -AccountPassword (Read-Host -AsSecureString) -Enabled $true `\n\
             \x20   -PasswordNeverExpires $true -KerberosEncryptionType AES128,AES256\n\
             setspn -S HTTP/{name} svc-wecrelay\n\
             setspn -S HOST/{name} svc-wecrelay\n\
             ktpass -princ HTTP/{name}@REALM -mapuser svc-wecrelay -crypto All `\n\
             \x20   -ptype KRB5_NT_PRINCIPAL -pass * -out collector.keytab\n\
             Copy collector.keytab to {folder}, readable by the relay only.\n"
        ),
        HostKind::Certificate => format!(
            "\n== certificates of this relay and of the hosts\n\
             mkdir -p {folder}/tls\n\
             wecrelay ca init\n\
             wecrelay ca server {name}\n\
             wecrelay ca crl --install {folder}/tls\n\
             wecrelay ca host HOST...        # then run hosts/HOST.ps1 on each\n"
        ),
        HostKind::Workgroup => String::new(),
    }
}

/// What to do after that.
pub(super) fn later(file: &Path) -> String {
    let file = file.display();
    let mut text = "\n== then\n".to_owned();
    for line in [
        format!("wecrelay check --probe --config {file}"),
        format!("wecrelay windows --config {file}    # what to do on the hosts"),
        format!("wecrelay --config {file}"),
    ] {
        writeln!(text, "{line}").unwrap_or_default();
    }
    text
}

/// How to start a configuration that is complete.
pub(super) fn start(answers: &Answers, file: &Path) -> String {
    let (file, name) = (file.display(), &answers.hostname);
    let test = match answers.kind {
        // "wecrelay send" has no ticket to show.
        HostKind::Domain => String::new(),
        HostKind::Certificate => format!(
            "wecrelay send https://{name}:5986/wsman/SubscriptionManager/WEC \\\n\
             \x20   --pfx wecrelay-ca/hosts/HOST.pfx --ca wecrelay-ca/ca.pem    # test events\n"
        ),
        HostKind::Workgroup => format!(
            "wecrelay send http://{name}:5985/wsman/SubscriptionManager/WEC    # test events\n"
        ),
    };
    format!(
        "\n== start\n\
         wecrelay check --probe --config {file}    # does the syslog server answer?\n\
         wecrelay --config {file}    # as a service: systemctl enable --now wecrelay\n\
         {test}"
    )
}
