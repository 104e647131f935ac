# Sets this host up to forward events to @COLLECTOR@ (@HOW@).
# Run as administrator:
#   powershell -ExecutionPolicy Bypass -File .\setup.ps1@USAGE@
# What it changes is noted in HKLM:\SOFTWARE\wecrelay, for the script that takes it back:
# wecrelay windows --form undo
#Requires -Version 4
#Requires -RunAsAdministrator
[CmdletBinding()]
param(@PARAMETERS@)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$server = @SERVER@
$manager = @MANAGER@
$record = 'HKLM:\SOFTWARE\wecrelay'

@POLICY@
@KEYS@
# Notes how something was before; what an earlier run has noted stays.
function Write-Before($name, $value) {
    if (-not (Test-Path -LiteralPath $record)) { New-Item -Path $record -Force | Out-Null }
    if ((Get-Item -LiteralPath $record).GetValueNames() -contains $name) { return }
    New-ItemProperty -LiteralPath $record -Name $name -Value "$value" -PropertyType String | Out-Null
}

# Rights come first: with the right given later, the whole Security log would be sent.
if (Add-Reader) { Write-Before 'Reader' 'added' }

$winrm = Get-CimInstance -ClassName Win32_Service -Filter "Name = 'WinRM'"
Write-Before 'State' $winrm.State
if ($winrm.StartMode -ne 'Auto') {
    Write-Before 'StartMode' $winrm.StartMode
    Set-Service -Name WinRM -StartupType Automatic
}
Start-Service -Name WinRM

@CERTIFICATES@@TRUSTED@if (-not (Test-Path -LiteralPath $policy)) { Write-Before 'Policy' 'created' }
Set-Manager $server $manager
Restart-Service -Name WinRM
'Done. The log Microsoft-Windows-Forwarding/Operational tells how it goes: 104 is connected, 100 is subscribed.'
