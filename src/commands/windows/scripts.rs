//! The PowerShell scripts that set a host up and take that back.

use super::quote::{comment, powershell};
use super::target::Target;
use super::{KEYS, POLICY};

const SETUP: &str = include_str!("parts/setup.ps1");
const UNDO: &str = include_str!("parts/undo.ps1");
const CERTIFICATES: &str = include_str!("parts/certificates.ps1");
const TRUSTED: &str = include_str!("parts/trusted.ps1");

/// Sets a host up.
pub(super) fn setup(target: &Target) -> String {
    let with_certificate = target.issuer.is_some();
    let parameters = match with_certificate {
        true => "[string] $Pfx, [System.Security.SecureString] $Password",
        false => "",
    };
    // Parts first: what is filled in is not looked at again.
    let text = SETUP
        .replace("@PARAMETERS@", parameters)
        .replace("@POLICY@", POLICY)
        .replace("@KEYS@\n", if with_certificate { KEYS } else { "" })
        .replace("@CERTIFICATES@", &certificates(target))
        .replace("@TRUSTED@", if target.trusted { TRUSTED } else { "" });
    fill(target, &text)
}

/// Takes it back.
pub(super) fn undo(target: &Target) -> String {
    fill(target, &UNDO.replace("@POLICY@", POLICY))
}

/// The part about the host's certificate.
pub(super) fn certificates(target: &Target) -> String {
    let Some(issuer) = &target.issuer else {
        return String::new();
    };
    CERTIFICATES
        .replace("@STORE@", store(issuer.is_root))
        .replace("@AUTHORITY@", &powershell(&issuer.thumbprint))
        .replace("@AUTHORITY_PEM@", &powershell(issuer.pem.trim_end()))
}

/// Roots are trusted for themselves; others belong to the intermediate ones.
pub(super) fn store(is_root: bool) -> &'static str {
    if is_root { "Root" } else { "CA" }
}

fn fill(target: &Target, text: &str) -> String {
    text.replace("@COLLECTOR@", &comment(&target.name))
        .replace("@HOW@", target.how())
        .replace("@SERVER@", &powershell(&target.server()))
        .replace("@MANAGER@", &powershell(&target.manager()))
        .replace("@NAME@", &powershell(&target.name))
}
