# Without Kerberos, WinRM talks only to collectors that it is told to trust.
$trusted = @NAME@
$item = 'WSMan:\localhost\Client\TrustedHosts'
$hosts = @((Get-Item -Path $item).Value -split ',' | ForEach-Object { $_.Trim() } | Where-Object { $_ })
if ($hosts -notcontains '*' -and $hosts -notcontains $trusted) {
    Set-Item -Path $item -Value (($hosts + $trusted) -join ',') -Force
    Write-Before "TrustedHost:$trusted" 'added'
}

