//! Files for management tools: registry file, Intune profile, Ansible playbook.

use std::fmt::Write;

use super::quote::{block, comment, json, reg as quoted, xml, yaml};
use super::scripts::{store, task};
use super::target::Target;

/// Registry keys below `HKLM`.
const POLICY_KEY: &str =
    r"SOFTWARE\Policies\Microsoft\Windows\EventLog\EventForwarding\SubscriptionManager";
const CLIENT_KEY: &str = r"SOFTWARE\Policies\Microsoft\Windows\WinRM\Client";
const SERVICE_KEY: &str = r"SYSTEM\CurrentControlSet\Services\WinRM";

/// A registry file, version 5.00.
pub(super) fn reg(target: &Target) -> String {
    let mut text = format!(
        "Windows Registry Editor Version 5.00\n\n\
         ; Forwards events to {}: {}.\n\
         ; It cannot grant access to the Security log; do that first, and then restart:\n\
         ;   net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add\n",
        comment(&target.name),
        target.how()
    );
    if let Some(issuer) = &target.issuer {
        let subject = comment(&issuer.subject);
        let _ = writeln!(
            text,
            "; It does not install certificates: the host needs its own, from {subject}, and that \
             authority."
        );
    }
    let _ = write!(
        text,
        "; A value of the same number is replaced; \"{0}\"=- removes this one.\n\
         [HKEY_LOCAL_MACHINE\\{POLICY_KEY}]\n\"{0}\"={1}\n\n\
         ; WinRM starts automatically (2; 3 is on demand)\n\
         [HKEY_LOCAL_MACHINE\\{SERVICE_KEY}]\n\"Start\"=dword:00000002\n",
        target.number,
        quoted(&target.manager())
    );
    if target.trusted {
        let _ = write!(
            text,
            "\n; Trusted without Kerberos; replaces the existing list\n\
             [HKEY_LOCAL_MACHINE\\{CLIENT_KEY}]\n\"TrustedHosts\"=dword:00000001\n\
             \"TrustedHostsList\"={}\n",
            quoted(&target.name)
        );
    }
    text
}

/// A custom configuration for `POST deviceManagement/deviceConfigurations` of Microsoft
/// Graph.
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
            // Name and value of the list entry, separated by U+F000.
            &format!(
                "<enabled/><data id=\"SubscriptionManager_Listbox\" value=\"{}&#xF000;{}\"/>",
                target.number,
                xml(&target.manager())
            ),
        ),
    ];
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
        settings.push(certificate("The hosts' authority", &uri, &base64));
    }
    let own = match (&target.issuer, target.trusted) {
        (Some(_), _) => {
            "each host needs its own certificate, with its key readable by NETWORK SERVICE, "
        }
        (None, true) => "WinRM must trust the collector (TrustedHosts), ",
        (None, false) => "",
    };
    let description = format!(
        "Not included: {own}WinRM must start automatically, and hosts must restart after access to \
         the logs is granted. The script of wecrelay windows --form powershell does these."
    );
    format!(
        "{{\n  \"@odata.type\": \"#microsoft.graph.windows10CustomConfiguration\",\n  \
         \"displayName\": {},\n  \"description\": {},\n  \"omaSettings\": [\n{}\n  ]\n}}\n",
        json(&format!("Forward events to {}", target.name)),
        json(&description),
        settings.join(",\n")
    )
}

/// A setting of the Policy configuration service provider.
fn setting(name: &str, area: &str, value: &str) -> String {
    format!(
        "    {{\n      \"@odata.type\": \"#microsoft.graph.omaSettingString\",\n      \
         \"displayName\": {},\n      \"omaUri\": {},\n      \"value\": {}\n    }}",
        json(name),
        json(&format!("./Device/Vendor/MSFT/Policy/Config/{area}")),
        json(value)
    )
}

fn certificate(name: &str, uri: &str, base64: &str) -> String {
    format!(
        "    {{\n      \"@odata.type\": \"#microsoft.graph.omaSettingBase64\",\n      \
         \"displayName\": {},\n      \"omaUri\": {},\n      \"fileName\": \"authority.cer\",\n      \
         \"value\": {}\n    }}",
        json(name),
        json(uri),
        json(base64)
    )
}

/// A playbook that needs the collection `ansible.windows`.
pub(super) fn ansible(target: &Target) -> String {
    let mut text = format!(
        "# Forwards events to {}: {}.\n\
         # Needs the collection: ansible-galaxy collection install ansible.windows\n\
         ---\n- name: Forward events\n  hosts: windows\n  vars:\n    \
         # Its name in the language of the hosts.\n    readers_group: Event Log Readers\n    \
         # Rights count after a restart. A host that sees a subscription before may send its\n    \
         # whole Security log later; with false the subscription waits for the next run.\n    \
         restart_hosts: true\n  tasks:\n    \
         - name: NETWORK SERVICE reads the logs\n      \
         ansible.windows.win_group_membership:\n        name: \"{{{{ readers_group }}}}\"\n        \
         members: [S-1-5-20]\n        state: present\n      register: readers\n",
        comment(&target.name),
        target.how()
    );
    if target.issuer.is_some() {
        let _ = write!(
            text,
            "    # The certificate itself, with its key, must be installed already, or you install it.\n    \
             - name: The hosts' authority is trusted, and WinRM may use the host's key\n      \
             ansible.windows.win_powershell:\n        script: |\n{}",
            block(task(target).trim_end(), 10)
        );
    }
    if target.trusted {
        let title = "The collector is trusted without Kerberos";
        registry(&mut text, title, CLIENT_KEY, "TrustedHosts", "1");
        let title = "It is the only one: this replaces the existing list";
        let name = yaml(&target.name);
        registry(&mut text, title, CLIENT_KEY, "TrustedHostsList", &name);
    }
    text.push_str(
        "    - name: WinRM starts automatically\n      \
         ansible.windows.win_service:\n        name: WinRM\n        start_mode: auto\n        \
         state: started\n    - name: Restart, so that access to the logs takes effect\n      \
         ansible.windows.win_reboot:\n      when: readers.changed and restart_hosts\n",
    );
    let (number, manager) = (target.number.to_string(), yaml(&target.manager()));
    let title = "Events go to the collector";
    registry(&mut text, title, POLICY_KEY, &number, &manager);
    text.push_str(
        "      when: not readers.changed or restart_hosts\n      \
         notify: Apply the policy\n  \
         handlers:\n    - name: Apply the policy\n      \
         ansible.windows.win_command: gpupdate /target:computer /force\n",
    );
    text
}

/// Appends a task that sets a registry value. `data` is in YAML: quoted strings become
/// REG_SZ, numbers REG_DWORD.
fn registry(text: &mut String, title: &str, key: &str, name: &str, data: &str) {
    let kind = if data.starts_with('"') {
        "string"
    } else {
        "dword"
    };
    let _ = write!(
        text,
        "    - name: {}\n      ansible.windows.win_regedit:\n        \
         path: {}\n        name: {}\n        data: {data}\n        type: {kind}\n",
        yaml(title),
        yaml(&format!(r"HKLM:\{key}")),
        yaml(name),
    );
}
