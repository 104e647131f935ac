//! Instructions for Windows hosts as text.

use std::fmt::Write;

use super::error::word;
use super::target::Target;
use crate::cli::HostKind;

/// Everything that a host of this kind needs, in the order in which to do it.
pub(super) fn describe(target: &Target) -> String {
    let mut text = format!("{}\n\n", target.how());
    for (number, step) in (1..).zip(steps(target)) {
        let _ = writeln!(text, "{number}. {}", step.replace('\n', "\n   "));
    }
    for note in target.notes() {
        let _ = writeln!(text, "\nNote: {note}.");
    }
    let kind = word(target.kind);
    let _ = writeln!(
        text,
        "\nReady to use: --for {kind} with --form powershell, undo, reg, intune, ansible or policy."
    );
    text
}

fn steps(target: &Target) -> Vec<String> {
    let mut steps = vec![
        "Access to the Security log comes first: a host that gets it after its subscription sends the\n\
         whole log.\n\
         net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add\n\
         then restart the host. By policy: Group Policy Preferences, which add a member (Restricted\n\
         Groups replace all members). On domain controllers: the domain's group Event Log Readers."
            .to_owned(),
    ];
    if let Some(issuer) = &target.issuer {
        steps.push(format!(
            "Certificates (certlm.msc): {}\n\
             in Trusted Root Certification Authorities, the host's own, issued by it, in Personal,\n\
             and there, under Manage Private Keys, Read access for NETWORK SERVICE.",
            issuer.subject
        ));
    }
    steps.push(
        "The forwarding service, WinRM (it needs no listener and no open port):\n\
         Set-Service WinRM -StartupType Automatic; Start-Service WinRM"
            .to_owned(),
    );
    if target.trusted {
        steps.push(format!(
            "Trust, since there is no Kerberos. This replaces the existing list:\n\
             winrm set winrm/config/client '@{{TrustedHosts=\"{}\"}}'\n\
             AllowUnencrypted is not needed: what hosts send is sealed.",
            target.name
        ));
    }
    steps.push(format!(
        "Policy Computer Configuration > Administrative Templates > Windows Components >\n\
         Event Forwarding > Configure target Subscription Manager:\n{}\n\
         In the registry this is value {} (REG_SZ) of\n\
         HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\EventLog\\EventForwarding\\SubscriptionManager",
        target.manager(),
        target.number
    ));
    let ticket = match (target.kind, target.trusted) {
        (HostKind::Domain, false) => format!("\nklist get HTTP/{}", target.name),
        _ => String::new(),
    };
    steps.push(format!(
        "Verify: gpupdate /force, and then{ticket}\n\
         wevtutil qe Microsoft-Windows-Forwarding/Operational /c:20 /rd:true /f:text\n\
         104 means connected, 100 subscribed; 101, 102 and 105 describe problems."
    ));
    steps
}
