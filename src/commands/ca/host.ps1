# Sets @HOST@ up to forward events with its client certificate.
# Run as administrator, with @HOST@.pfx beside it:
#   powershell -ExecutionPolicy Bypass -File .\@HOST@.ps1
# With -Undo it removes the certificates and the subscription manager again.
#Requires -Version 4
#Requires -RunAsAdministrator
[CmdletBinding()]
param(
    [string] $Pfx,
    [System.Security.SecureString] $Password,
    [switch] $Undo
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$thumbprint = '@THUMBPRINT@'
$authority = '@AUTHORITY@'
$manager = '@MANAGER@'
$policy = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\EventLog\EventForwarding\SubscriptionManager'
$authorityPem = '@AUTHORITY_PEM@'

# The values of the policy that are ours: those with our authority.
function Get-OurManager {
    if (-not (Test-Path -LiteralPath $policy)) { return }
    $key = Get-Item -LiteralPath $policy
    $key.GetValueNames() | Where-Object { [string] $key.GetValue($_) -like "*IssuerCA=$authority*" }
}

# The file that holds a certificate's private key, of either kind (CNG or CAPI).
function Get-KeyFile($certificate) {
    $name = $null
    foreach ($kind in 'RSA', 'ECDsa') {
        # Since .NET 4.6; Server 2012 R2 may have 4.5.
        $class = "System.Security.Cryptography.X509Certificates.${kind}CertificateExtensions" -as [type]
        if (-not $class -or $name) { continue }
        $key = if ($kind -eq 'RSA') { $class::GetRSAPrivateKey($certificate) } else { $class::GetECDsaPrivateKey($certificate) }
        if ($null -eq $key) { continue }
        if ($key.PSObject.Properties['CspKeyContainerInfo']) {
            $name = $key.CspKeyContainerInfo.UniqueKeyContainerName
        } elseif ($key.PSObject.Properties['Key']) {
            $name = $key.Key.UniqueName
        }
    }
    if (-not $name) {
        # In every language certutil prints the file's name in this form.
        $text = (& certutil.exe -store My $certificate.Thumbprint) -join "`n"
        if ($text -match '[0-9a-fA-F]{32}_[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}') { $name = $Matches[0] }
    }
    if (-not $name) { throw 'The private key of the certificate was not found.' }
    foreach ($folder in 'Crypto\Keys', 'Crypto\RSA\MachineKeys', 'Crypto\SystemKeys') {
        $file = Join-Path (Join-Path $env:ProgramData "Microsoft\$folder") $name
        if (Test-Path -LiteralPath $file) { return $file }
    }
    throw "The private key $name is in none of the machine's key folders."
}

if ($Undo) {
    foreach ($value in @(Get-OurManager)) { Remove-ItemProperty -LiteralPath $policy -Name $value }
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
$file = Get-KeyFile $certificate
& icacls.exe $file /grant '*S-1-5-20:R' | Out-Null
if ($LASTEXITCODE -ne 0) { throw "icacls could not give NETWORK SERVICE the right to read $file." }

# 4. It must read the Security log: Event Log Readers (S-1-5-32-573), by their local names.
$names = foreach ($sid in 'S-1-5-32-573', 'S-1-5-20') {
    (New-Object System.Security.Principal.SecurityIdentifier $sid).Translate([System.Security.Principal.NTAccount]).Value
}
$group = $names[0].Split('\')[-1]
try {
    ([ADSI] "WinNT://$env:COMPUTERNAME/$group,group").Add('WinNT://S-1-5-20')
    Write-Warning "$($names[1]) is now in ${group}: restart the computer, or the Security log stays unread."
} catch {
    # 0x80070562: it is a member already.
    if ($_.Exception.GetBaseException().HResult -ne -2147023518) { throw }
}

# 5. Point the host at the collector.
if (-not (Test-Path -LiteralPath $policy)) { New-Item -Path $policy -Force | Out-Null }
$value = @(Get-OurManager) | Select-Object -First 1
if (-not $value) {
    $taken = (Get-Item -LiteralPath $policy).GetValueNames()
    $number = 1
    while ($taken -contains "$number") { $number++ }
    $value = "$number"
}
New-ItemProperty -LiteralPath $policy -Name $value -Value $manager -PropertyType String -Force | Out-Null

# 6. Run the forwarder.
Set-Service -Name WinRM -StartupType Automatic
Restart-Service -Name WinRM
'Done. The log Microsoft-Windows-Forwarding/Operational tells how it goes: 104 is connected, 100 is subscribed.'
