//! The Windows side: the policy string, and the script that sets up a host.

use crate::commands::windows;

/// The port of WinRM over HTTPS.
pub(super) const PORT: u16 = 5986;

const SCRIPT: &str = include_str!("host.ps1");

/// The value for the policy "Configure target Subscription Manager". `refresh` is in
/// seconds.
pub(super) fn manager(collector: &(String, u16), refresh: u32, issuer: &str) -> String {
    let (name, port) = collector;
    let server = windows::server(true, name, *port);
    windows::manager(&server, refresh, Some(issuer))
}

/// The values for the placeholders in the script.
pub(super) struct Facts<'a> {
    pub(super) host: &'a str,
    pub(super) thumbprint: &'a str,
    pub(super) authority: &'a str,
    pub(super) authority_pem: &'a str,
    pub(super) manager: &'a str,
}

/// Fills in the script for a host. No value can contain a quote: names have been validated,
/// and the other values are generated.
pub(super) fn script(facts: &Facts<'_>) -> String {
    let pem = facts.authority_pem.trim_end();
    let text = SCRIPT
        .replace("@POLICY@", windows::POLICY)
        .replace("@KEYS@", windows::KEYS)
        .replace("@HOST@", facts.host)
        .replace("@THUMBPRINT@", facts.thumbprint)
        .replace("@AUTHORITY@", facts.authority)
        .replace("@AUTHORITY_PEM@", pem)
        .replace("@MANAGER@", facts.manager);
    windows::lines(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_has_all_facts_and_no_place_is_left() {
        let facts = Facts {
            host: "ws1.example.com",
            thumbprint: "AA11",
            authority: "BB22",
            authority_pem: "-----BEGIN\nxyz\n-----END\n",
            manager: "Server=https://c:5986/x",
        };
        let script = script(&facts);
        for fact in [
            "'ws1.example.com.pfx'",
            "'AA11'",
            "'BB22'",
            "\r\nxyz\r\n",
            "'Server=https://c:5986/x'",
        ] {
            assert!(script.contains(fact), "{fact}");
        }
        let at = |what: &str| script.rfind(what).unwrap();
        let restart = at("{ Stop-BeforeRestart }");
        assert!(restart < at("\nSet-Manager \"IssuerCA"), "{script}");
        assert!(
            !script.contains('@') || !script.contains("@AUTHORITY"),
            "{script}"
        );
        assert!(
            script.is_ascii(),
            "Windows PowerShell reads other text as ANSI"
        );
    }
}
