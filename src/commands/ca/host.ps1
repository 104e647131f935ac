# Sets @HOST@ up to forward events with its client certificate.
# Run as administrator, with @HOST@.pfx beside it, twice: once for certificate and rights, before
# the computer restarts (-Restart restarts it), and once after that for the subscription. The
# script knows which of the two is due.
#   powershell -ExecutionPolicy Bypass -File .\@HOST@.ps1
# With -Undo it removes the certificates and the subscription manager again.
#Requires -Version 4
#Requires -RunAsAdministrator
[CmdletBinding()]
param(
    [string] $Pfx,
    [System.Security.SecureString] $Password,
    [switch] $Restart,
    [switch] $Undo
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$thumbprint = '@THUMBPRINT@'
$authority = '@AUTHORITY@'
$manager = '@MANAGER@'
$authorityPem = '@AUTHORITY_PEM@'

@POLICY@
@KEYS@
if ($Undo) {
    foreach ($value in @(Get-Manager "IssuerCA=$authority")) { Remove-ItemProperty -LiteralPath $policy -Name $value }
    if (Test-Path -LiteralPath "Cert:\LocalMachine\My\$thumbprint") {
        Remove-Item -LiteralPath "Cert:\LocalMachine\My\$thumbprint" -DeleteKey
    }
    if (Test-Path -LiteralPath "Cert:\LocalMachine\Root\$authority") {
        Remove-Item -LiteralPath "Cert:\LocalMachine\Root\$authority"
    }
    Restart-Service -Name WinRM
    'Removed. WinRM still starts by itself, and NETWORK SERVICE still is in Event Log Readers.'
    return
}

# 1. Trust the authority, so that the collector's certificate is trusted.
$bytes = [System.Text.Encoding]::ASCII.GetBytes($authorityPem)
$root = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (, $bytes)
if ($root.Thumbprint -ne $authority) { throw 'The authority in this script is damaged.' }
$store = New-Object System.Security.Cryptography.X509Certificates.X509Store 'Root', 'LocalMachine'
$store.Open('ReadWrite')
try { $store.Add($root) } finally { $store.Close() }

# 2. Import the host's certificate with its key.
if (-not (Test-Path -LiteralPath "Cert:\LocalMachine\My\$thumbprint")) {
    if (-not $Pfx) { $Pfx = Join-Path $PSScriptRoot '@HOST@.pfx' }
    if (-not $Password) { $Password = Read-Host -AsSecureString -Prompt "Password of $Pfx" }
    Import-PfxCertificate -FilePath $Pfx -CertStoreLocation Cert:\LocalMachine\My -Password $Password | Out-Null
}
$certificate = Get-Item -LiteralPath "Cert:\LocalMachine\My\$thumbprint"

# 3. WinRM runs as NETWORK SERVICE (S-1-5-20), which must read the key.
Grant-Key $certificate | Out-Null

# 4. It must read the Security log.
Add-Reader | Out-Null
Set-Service -Name WinRM -StartupType Automatic
if (Test-RestartDue) { Stop-BeforeRestart }

# 5. Stage 2: point the host at the collector.
Set-Manager "IssuerCA=$authority" $manager
Restart-Service -Name WinRM
'Stage 2 of 2 is done. The log Microsoft-Windows-Forwarding/Operational tells how it goes: 104 is connected, 100 is subscribed.'
