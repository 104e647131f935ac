//! The PowerShell scripts that set up a host and revert the changes.

use super::quote::{comment, powershell};
use super::target::Target;
use super::{KEYS, POLICY};

const SETUP: &str = include_str!("parts/setup.ps1");
const UNDO: &str = include_str!("parts/undo.ps1");
/// Installs the authority of the hosts' certificates as trusted.
const AUTHORITY: &str = include_str!("parts/authority.ps1");
/// Imports the host's certificate.
const IMPORT: &str = include_str!("parts/import.ps1");
/// Finds the host's certificate, and allows WinRM to use its key.
const OWN: &str = include_str!("parts/own.ps1");
const TRUSTED: &str = include_str!("parts/trusted.ps1");

/// The script that sets up a host.
pub(super) fn setup(target: &Target) -> String {
    let with_certificate = target.issuer.is_some();
    let (parameters, usage) = if with_certificate {
        (
            "[string] $Pfx, [System.Security.SecureString] $Password, [switch] $Restart",
            " -Pfx FILE\n# where FILE has the host's certificate with its key; without -Pfx if it is already installed.",
        )
    } else {
        ("[switch] $Restart", "")
    };
    // Inserts the parts first and the values last, because inserted values are not searched
    // for placeholders.
    let text = SETUP
        .replace("@PARAMETERS@", parameters)
        .replace("@USAGE@", usage)
        .replace("@POLICY@", POLICY)
        .replace("@KEYS@\n", if with_certificate { KEYS } else { "" })
        .replace("@CERTIFICATES@", &certificates(target, IMPORT))
        .replace("@TRUSTED@", if target.trusted { TRUSTED } else { "" });
    fill(target, &text)
}

/// The script that reverts the changes of [`setup`].
pub(super) fn undo(target: &Target) -> String {
    fill(target, &UNDO.replace("@POLICY@", POLICY))
}

/// The part about the host's certificate. `import` is the script that installs the
/// certificate; empty if it is already installed.
fn certificates(target: &Target, import: &str) -> String {
    let Some(issuer) = &target.issuer else {
        return String::new();
    };
    format!("{AUTHORITY}{import}{OWN}")
        .replace("@STORE@", store(issuer.is_root))
        .replace("@AUTHORITY@", &powershell(&issuer.thumbprint))
        .replace("@AUTHORITY_PEM@", &powershell(issuer.pem.trim_end()))
}

/// The same part for Ansible, which cannot prompt for a password.
pub(super) fn task(target: &Target) -> String {
    let part = certificates(target, "");
    format!(
        "Set-StrictMode -Version 2\n$ErrorActionPreference = 'Stop'\n$Ansible.Changed = $false\n\
         function Write-Before($name, $value) {{ $Ansible.Changed = $true }}\n{KEYS}\n{part}"
    )
}

/// The Windows certificate store for an authority: `Root` for self-signed ones, `CA` for
/// intermediate ones.
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
