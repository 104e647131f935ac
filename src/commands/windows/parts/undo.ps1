# Takes back what the script of "wecrelay windows --form powershell" has changed for
# @COLLECTOR@. Run as administrator:
#   powershell -ExecutionPolicy Bypass -File .\undo.ps1
# Without the notes of that script in HKLM:\SOFTWARE\wecrelay, only the subscription manager
# is removed. What a group policy has set comes back with it: remove it there.
#Requires -Version 4
#Requires -RunAsAdministrator
[CmdletBinding()]
param()
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$server = @SERVER@
$record = 'HKLM:\SOFTWARE\wecrelay'

@POLICY@
$before = @{}
if (Test-Path -LiteralPath $record) {
    $key = Get-Item -LiteralPath $record
    foreach ($name in $key.GetValueNames()) { $before[$name] = $key.GetValue($name) }
}

foreach ($value in @(Get-Manager $server)) { Remove-ItemProperty -LiteralPath $policy -Name $value }
if (@(Get-Manager 'Server=').Count -gt 0) {
    Restart-Service -Name WinRM
    'Removed. Rights, certificates and service stay: there are other collectors.'
    return
}

Start-Service -Name WinRM
foreach ($name in @($before.Keys)) {
    $kind, $what = $name -split ':', 2
    switch ($kind) {
        'TrustedHost' {
            $item = 'WSMan:\localhost\Client\TrustedHosts'
            $hosts = @((Get-Item -Path $item).Value -split ',' | ForEach-Object { $_.Trim() })
            Set-Item -Path $item -Value (@($hosts | Where-Object { $_ -and $_ -ne $what }) -join ',') -Force
        }
        'Key' {
            if (Test-Path -LiteralPath $what) { & icacls.exe $what /remove:g '*S-1-5-20' | Out-Null }
        }
        'Reader' { [void] (Get-ReaderGroup).Remove('WinNT://S-1-5-20') }
    }
}
# Certificates after the rights to their keys, which go with them.
foreach ($name in @($before.Keys)) {
    $kind, $what = $name -split ':', 2
    if ($kind -eq 'Certificate' -and (Test-Path -LiteralPath "Cert:\LocalMachine\My\$what")) {
        Remove-Item -LiteralPath "Cert:\LocalMachine\My\$what" -DeleteKey
    }
    if ($kind -eq 'Authority' -and (Test-Path -LiteralPath "Cert:\LocalMachine\$($before[$name])\$what")) {
        Remove-Item -LiteralPath "Cert:\LocalMachine\$($before[$name])\$what"
    }
}
if ($before.ContainsKey('Policy') -and (Test-Path -LiteralPath $policy)) { Remove-Item -LiteralPath $policy }
if ($before.ContainsKey('StartMode')) { Set-Service -Name WinRM -StartupType $before['StartMode'] }
if ($before['State'] -eq 'Stopped') { Stop-Service -Name WinRM } else { Restart-Service -Name WinRM }
if (Test-Path -LiteralPath $record) { Remove-Item -LiteralPath $record }
'Removed. NETWORK SERVICE keeps the right to the logs until the computer is restarted.'
