$notes = 'HKLM:\SOFTWARE\wecrelay'
$policy = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\EventLog\EventForwarding\SubscriptionManager'

# The values of the policy that have this text in them.
function Get-Manager($text) {
    if (-not (Test-Path -LiteralPath $policy)) { return }
    $key = Get-Item -LiteralPath $policy
    $key.GetValueNames() | Where-Object {
        ([string] $key.GetValue($_)).IndexOf($text, [System.StringComparison]::OrdinalIgnoreCase) -ge 0
    }
}

# Puts a subscription manager into the policy: over the one with this text, else under a free number.
function Set-Manager($text, $manager) {
    if (-not (Test-Path -LiteralPath $policy)) { New-Item -Path $policy -Force | Out-Null }
    $value = @(Get-Manager $text) | Select-Object -First 1
    if (-not $value) {
        $taken = (Get-Item -LiteralPath $policy).GetValueNames()
        $number = 1
        while ($taken -contains "$number") { $number++ }
        $value = "$number"
    }
    New-ItemProperty -LiteralPath $policy -Name $value -Value $manager -PropertyType String -Force | Out-Null
}

# The local name of an account, and of a group without its domain.
function Get-LocalName($sid) {
    (New-Object System.Security.Principal.SecurityIdentifier $sid).Translate([System.Security.Principal.NTAccount]).Value
}
function Get-ReaderGroup {
    $group = (Get-LocalName 'S-1-5-32-573').Split('\')[-1]
    [ADSI] "WinNT://$env:COMPUTERNAME/$group,group"
}

# Makes NETWORK SERVICE (S-1-5-20), as which the forwarder runs, a member of Event Log Readers
# (S-1-5-32-573), so that it may read the Security log. Answers whether it was not one before.
function Add-Reader {
    try {
        [void] (Get-ReaderGroup).Add('WinNT://S-1-5-20')
    } catch {
        # 0x80070562: it is a member already.
        if ($_.Exception.GetBaseException().HResult -ne -2147023518) { throw }
        return $false
    }
    if (-not (Test-Path -LiteralPath $notes)) { New-Item -Path $notes -Force | Out-Null }
    $now = (Get-Date).ToUniversalTime().ToString('o')
    New-ItemProperty -LiteralPath $notes -Name 'ReaderSince' -Value $now -PropertyType String -Force | Out-Null
    $true
}

# Whether that right takes effect only with the restart that is still due: services get their
# groups when the computer starts.
function Test-RestartDue {
    if (-not (Test-Path -LiteralPath $notes)) { return $false }
    $since = (Get-Item -LiteralPath $notes).GetValue('ReaderSince')
    if (-not $since) { return $false }
    $since = [DateTime]::Parse($since, [Globalization.CultureInfo]::InvariantCulture, 'RoundtripKind')
    (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime() -lt $since
}

# Ends stage 1 of 2. A host that sees a subscription before it may read the Security log sends
# the whole log later; so the subscription comes after the restart.
function Stop-BeforeRestart {
    if ($Restart) {
        'Stage 1 of 2 is done. The computer restarts now; run this script again after that.'
        Restart-Computer -Force
    } else {
        'Stage 1 of 2 is done. Restart the computer, then run this script again: it does stage 2, the subscription.'
    }
    # What installers say for "restart required".
    exit 3010
}
