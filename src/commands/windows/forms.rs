//! Forms for machines: registry file, Intune, Ansible.

use std::fmt::Write;

use super::quote::{block, comment, json, reg as quoted, xml, yaml};
use super::scripts::{certificates, store};
use super::target::Target;
use super::KEYS;

/// Below `HKLM`.
const POLICY_KEY: &str =
    r"SOFTWARE\Policies\Microsoft\Windows\EventLog\EventForwarding\SubscriptionManager";
const CLIENT_KEY: &str = r"SOFTWARE\Policies\Microsoft\Windows\WinRM\Client";
const SERVICE_KEY: &str = r"SYSTEM\CurrentControlSet\Services\WinRM";

/// A registry file, version 5.
pub(super) fn reg(target: &Target) -> String {
    let mut text = format!(
        "Windows Registry Editor Version 5.00\n\n\
         ; Forwards events to {}: {}.\n\
         ; It cannot give the right to the Security log; do that first, and then restart:\n\
         ;   net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add\n",
        comment(&target.name),
        target.how()
    );
    if let Some(issuer) = &target.issuer {
        let subject = comment(&issuer.subject);
        let _ = writeln!(
            text,
            "; nor bring certificates: the host needs its own, from {subject}, and that authority."
        );
    }
    let _ = write!(
        text,
        "; A value of the same number is replaced; \"{0}\"=- takes this one back.\n\
         [HKEY_LOCAL_MACHINE\\{POLICY_KEY}]\n\"{0}\"={1}\n\n\
         ; WinRM starts by itself (2; 3 is on demand)\n\
         [HKEY_LOCAL_MACHINE\\{SERVICE_KEY}]\n\"Start\"=dword:00000002\n",
        target.number,
        quoted(&target.manager())
    );
    if target.trusted {
        let _ = write!(
            text,
            "\n; Trusted without Kerberos; replaces the list that is there\n\
             [HKEY_LOCAL_MACHINE\\{CLIENT_KEY}]\n\"TrustedHosts\"=dword:00000001\n\
             \"TrustedHostsList\"={}\n",
            quoted(&target.name)
        );
    }
    text
}

/// A custom configuration as `POST deviceManagement/deviceConfigurations` of Microsoft Graph
/// takes it.
pub(super) fn intune(target: &Target) -> String {
    let mut settings = vec![
        setting(
            "NETWORK SERVICE reads the logs",
            "LocalUsersAndGroups/Configure",
            "<GroupConfiguration><accessgroup desc=\"S-1-5-32-573\"><group action=\"U\"/>\
             <add member=\"S-1-5-20\"/></accessgroup></GroupConfiguration>",
        ),
        setting(
            "Configure target Subscription Manager",
            "ADMX_EventForwarding/SubscriptionManager",
            // Number and value of the list, parted by U+F000.
            &format!(
                "<enabled/><data id=\"SubscriptionManager_Listbox\" value=\"{}&#xF000;{}\"/>",
                target.number,
                xml(&target.manager())
            ),
        ),
    ];
    if target.trusted {
        settings.push(setting(
            "Trusted without Kerberos",
            "RemoteManagement/TrustedHosts",
            &format!(
                "<enabled/><data id=\"TrustedHostsList\" value=\"{}\"/>",
                xml(&target.name)
            ),
        ));
    }
    if let Some(issuer) = target.issuer.as_ref() {
        let base64: String = issuer
            .pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let uri = format!(
            "./Device/Vendor/MSFT/RootCATrustedCertificates/{}/{}/EncodedCertificate",
            store(issuer.is_root),
            issuer.thumbprint
        );
        settings.push(setting_at("The hosts' authority", &uri, &base64));
    }
    let description = "WinRM has to start by itself too, and after the right to the logs hosts have \
                       to restart: use a script (wecrelay windows --form powershell) for these.";
    format!(
        "{{\n  \"@odata.type\": \"#microsoft.graph.windows10CustomConfiguration\",\n  \
         \"displayName\": {},\n  \"description\": {},\n  \"omaSettings\": [\n{}\n  ]\n}}\n",
        json(&format!("Forward events to {}", target.name)),
        json(description),
        settings.join(",\n")
    )
}

fn setting(name: &str, area: &str, value: &str) -> String {
    let uri = format!("./Device/Vendor/MSFT/Policy/Config/{area}");
    setting_at(name, &uri, value)
}

fn setting_at(name: &str, uri: &str, value: &str) -> String {
    format!(
        "    {{\n      \"@odata.type\": \"#microsoft.graph.omaSettingString\",\n      \
         \"displayName\": {},\n      \"omaUri\": {},\n      \"value\": {}\n    }}",
        json(name),
        json(uri),
        json(value)
    )
}

/// A playbook for the collection `ansible.windows`.
pub(super) fn ansible(target: &Target) -> String {
    let mut text = format!(
        "# Forwards events to {}: {}.\n\
         # Needs the collection: ansible-galaxy collection install ansible.windows\n\
         ---\n- name: Forward events\n  hosts: windows\n  vars:\n    \
         # Its name in the language of the hosts.\n    readers_group: Event Log Readers\n",
        comment(&target.name),
        target.how()
    );
    if target.issuer.is_some() {
        text.push_str(
            "    # The host's certificate with its key is there already, or is brought by you.\n",
        );
    }
    text.push_str(
        "  tasks:\n    - name: NETWORK SERVICE reads the logs\n      \
         ansible.windows.win_group_membership:\n        name: \"{{ readers_group }}\"\n        \
         members: [S-1-5-20]\n        state: present\n      register: readers\n",
    );
    if target.issuer.is_some() {
        text.push_str(&key_task(target));
    }
    if target.trusted {
        registry(&mut text, CLIENT_KEY, "TrustedHosts", "1", "dword");
        registry(&mut text, CLIENT_KEY, "TrustedHostsList", &target.name, "string");
    }
    let number = target.number.to_string();
    registry(&mut text, POLICY_KEY, &number, &target.manager(), "string");
    text.push_str(
        "      register: manager\n    - name: WinRM starts by itself\n      \
         ansible.windows.win_service:\n        name: WinRM\n        start_mode: auto\n        \
         state: started\n    - name: Restart, for the right to the logs\n      \
         ansible.windows.win_reboot:\n      when: readers.changed or manager.changed\n",
    );
    text
}

fn registry(text: &mut String, key: &str, name: &str, data: &str, kind: &str) {
    let data = match kind {
        "dword" => data.to_owned(),
        _ => yaml(data),
    };
    let _ = write!(
        text,
        "    - name: {name} in {place}\n      ansible.windows.win_regedit:\n        \
         path: {path}\n        name: {name_quoted}\n        data: {data}\n        type: {kind}\n",
        place = key.rsplit('\\').next().unwrap_or(key),
        path = yaml(&format!(r"HKLM:\{key}")),
        name_quoted = yaml(name),
    );
}

/// Authority and key rights, by the same PowerShell as the script.
fn key_task(target: &Target) -> String {
    let part = certificates(target);
    // There is nobody who could be asked for a password.
    let (head, rest) = part
        .split_once("# The host's certificate: imported here")
        .unwrap_or((&part, ""));
    let rest = rest.split_once("$certificates = ").map_or("", |(_, rest)| rest);
    let script = format!(
        "Set-StrictMode -Version 2\n$ErrorActionPreference = 'Stop'\n$Ansible.Changed = $false\n\
         function Write-Before($name, $value) {{ $Ansible.Changed = $true }}\n{KEYS}\n\
         {head}$certificates = {rest}"
    );
    let script = script.replace(": run this again with -Pfx FILE.", ".");
    format!(
        "    - name: The hosts' authority is trusted, and WinRM may use the host's key\n      \
         ansible.windows.win_powershell:\n        script: |\n{}",
        block(script.trim_end(), 10)
    )
}

