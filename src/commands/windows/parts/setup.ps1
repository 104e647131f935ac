# Sets this host up to forward events to @COLLECTOR@ (@HOW@).
# Run as administrator, twice: once for rights, before the computer restarts (-Restart restarts it),
# and once after that for the subscription. The script knows which of the two is due.
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

# Stage 1: rights, service and certificates.
if (Add-Reader) { Write-Before 'Reader' 'added' }

$winrm = Get-CimInstance -ClassName Win32_Service -Filter "Name = 'WinRM'"
Write-Before 'State' $winrm.State
if ($winrm.StartMode -ne 'Auto') {
    Write-Before 'StartMode' $winrm.StartMode
    Set-Service -Name WinRM -StartupType Automatic
}
Start-Service -Name WinRM

@CERTIFICATES@@TRUSTED@if (Test-RestartDue) { Stop-BeforeRestart }

# Stage 2: the subscription.
if (-not (Test-Path -LiteralPath $policy)) { Write-Before 'Policy' 'created' }
Set-Manager $server $manager
Restart-Service -Name WinRM
'Stage 2 of 2 is done. The log Microsoft-Windows-Forwarding/Operational tells how it goes: 104 is connected, 100 is subscribed.'
