//! The files that `wecrelay init` writes, and the steps that it prints.

use std::path::Path;

use super::Answers;
use crate::cli::HostKind;

/// The content of `wecrelay.toml`, with a comment on each key.
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
            "# Hosts of these networks need no credentials, which proves nothing: for trials. 127.0.0.1 is\n\
             # for test events by wecrelay send; remove it if a proxy on this machine connects to the relay.\n\
             anonymous = [{}]\n",
            networks(&answers.network)
        ),
    }
}

/// The network, and this machine's loopback address, from which test events come.
fn networks(network: &str) -> String {
    if network.starts_with("127.") {
        format!("\"{network}\"")
    } else {
        format!("\"{network}\", \"127.0.0.1\"")
    }
}

/// Files that the configuration names and that the administrator has to provide.
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

/// The content of a subscription to all events of the channels.
pub(super) fn subscription(answers: &Answers) -> String {
    let mut queries = String::new();
    for (id, channel) in answers.channels.iter().enumerate() {
        let line = format!(
            "  <Query Id=\"{id}\" Path=\"{channel}\">\n    <Select Path=\"{channel}\">*</Select>\n  </Query>\n"
        );
        queries.push_str(&line);
    }
    // Access lists apply to domain accounts only.
    let access = match answers.kind {
        HostKind::Domain => {
            "\x20 <!-- Members of Domain Computers and of Domain Controllers. -->\n\
             \x20 <AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;DD)</AllowedSourceDomainComputers>\n"
        }
        HostKind::Certificate | HostKind::Workgroup => "",
    };
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
         {access}</Subscription>\n"
    )
}

/// The steps before the relay can start.
pub(super) fn preparation(answers: &Answers, folder: &Path) -> String {
    let (name, is_service) = (&answers.hostname, is_service(folder));
    let folder = folder.display();
    match answers.kind {
        HostKind::Domain => {
            let keytab = format!("{folder}/collector.keytab");
            let rights = if is_service {
                format!("chown root:wecrelay {keytab}; chmod 640 {keytab}")
            } else {
                format!("chmod 600 {keytab}")
            };
            format!(
                "\n== on a domain controller: account, names and keytab of this relay\n\
                 New-ADUser svc-wecrelay -AccountPassword (Read-Host -AsSecureString) -Enabled $true `\n\
                 \x20   -PasswordNeverExpires $true -KerberosEncryptionType AES128,AES256\n\
                 setspn -S HTTP/{name} svc-wecrelay\n\
                 setspn -S HOST/{name} svc-wecrelay\n\
                 ktpass -princ HTTP/{name}@{realm} -mapuser svc-wecrelay -crypto All `\n\
                 \x20   -ptype KRB5_NT_PRINCIPAL -pass * -out collector.keytab\n\
                 {realm} is the name of the domain in capitals. Copy collector.keytab to {folder} over SSH,\n\
                 delete it on the domain controller, and then:\n\
                 {rights}\n",
                realm = realm(name),
            )
        }
        HostKind::Certificate => {
            let folder_for_keys = if is_service {
                format!("install -d -o wecrelay -g wecrelay -m 700 {folder}/tls")
            } else {
                format!("mkdir -p {folder}/tls")
            };
            format!(
                "\n== certificates of this relay and of the hosts, in the folder wecrelay-ca\n\
                 {folder_for_keys}\n\
                 wecrelay ca init\n\
                 wecrelay ca server {name}\n\
                 wecrelay ca crl --install {folder}/tls\n\
                 wecrelay ca host HOST...        # then run hosts/HOST.ps1 on each\n"
            )
        }
        HostKind::Workgroup => String::new(),
    }
}

/// Whether this is the folder of the packages' systemd unit, which runs as the user
/// wecrelay.
fn is_service(folder: &Path) -> bool {
    folder == Path::new("/etc/wecrelay")
}

/// The Kerberos realm for a host name by convention: its domain in upper case. The
/// placeholder `REALM` if it has no domain.
fn realm(hostname: &str) -> String {
    match hostname.split_once('.') {
        Some((_, domain)) => domain.to_uppercase(),
        None => "REALM".to_owned(),
    }
}

/// The configuration for a syslog server. The manual has configurations for other
/// receivers.
pub(super) fn receiver(answers: &Answers) -> String {
    let manual = "docs/receivers.md, in packages /usr/share/doc/wecrelay/docs/receivers.md";
    let Some(address) = answers.output.strip_prefix("tcp://") else {
        return format!("\n== on the receiver\nConfigurations for each: {manual}\n");
    };
    let address = address.split(['?', '/']).next().unwrap_or_default();
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port),
        _ => (address, "601"),
    };
    // A receiver on another machine listens on all its addresses.
    let (rsyslog, syslog_ng) = match host {
        "localhost" | "127.0.0.1" => ("address=\"127.0.0.1\" ", "ip(127.0.0.1) "),
        _ => ("", ""),
    };
    format!(
        "\n== on the syslog server; other receivers: {manual}\n\
         rsyslog, /etc/rsyslog.d/00-wecrelay.conf:\n\
         \x20   global(maxMessageSize=\"256k\")\n\
         \x20   module(load=\"imtcp\" maxFrameSize=\"262144\")\n\
         \x20   ruleset(name=\"windows\") {{\n\
         \x20       action(type=\"omfile\" file=\"/var/log/windows.log\" template=\"RSYSLOG_SyslogProtocol23Format\")\n\
         \x20   }}\n\
         \x20   input(type=\"imtcp\" {rsyslog}port=\"{port}\" ruleset=\"windows\")\n\
         or syslog-ng, /etc/syslog-ng/conf.d/wecrelay.conf:\n\
         \x20   source s_windows {{\n\
         \x20       syslog(transport(\"tcp\") {syslog_ng}port({port}) keep-hostname(yes) log-msg-size(262144));\n\
         \x20   }};\n\
         \x20   destination d_windows {{ file(\"/var/log/windows.log\" flags(syslog-protocol) frac-digits(6)); }};\n\
         \x20   log {{ source(s_windows); destination(d_windows); flags(flow-control, final); }};\n\
         Restart it afterwards.\n"
    )
}

/// The steps after the preparation.
pub(super) fn then(answers: &Answers, file: &Path) -> String {
    format!(
        "\n== then\n\
         wecrelay windows --config {}    # what to do on the hosts\n\
         {}",
        file.display(),
        steps(answers, file)
    )
}

/// The steps to start a complete configuration.
pub(super) fn start(answers: &Answers, file: &Path) -> String {
    format!("\n== start\n{}", steps(answers, file))
}

fn steps(answers: &Answers, file: &Path) -> String {
    let service = if file.parent().is_some_and(is_service) {
        "    # as a service: systemctl enable --now wecrelay"
    } else {
        ""
    };
    let (file, name) = (file.display(), &answers.hostname);
    let run = format!("wecrelay --config {file}{service}\n");
    // The subscription refers all hosts, including simulated ones, to this name.
    let resolves = format!(
        "Test events; {name} needs an address here, by DNS or /etc/hosts (127.0.0.1 {name}):\n"
    );
    let local = "wecrelay send http://127.0.0.1:5985/wsman/SubscriptionManager/WEC";
    let run_and_test = match answers.kind {
        // `wecrelay send` does not support Kerberos.
        HostKind::Domain => format!(
            "{run}\
             Test events without a domain, while the service does not run, in two terminals:\n\
             wecrelay --config {file} --hostname 127.0.0.1 --anonymous 127.0.0.1\n\
             {local}\n"
        ),
        HostKind::Certificate => format!(
            "{run}\
             {resolves}\
             wecrelay send https://{name}:5986/wsman/SubscriptionManager/WEC --ca wecrelay-ca/ca.pem \\\n\
             \x20   --pfx wecrelay-ca/hosts/HOST.pfx --password-file wecrelay-ca/hosts/HOST.password\n"
        ),
        HostKind::Workgroup => format!("{run}{resolves}{local}\n"),
    };
    format!(
        "wecrelay check --probe --config {file}    # does the syslog server answer?\n\
         {run_and_test}"
    )
}
