# Trusts the authority of the hosts' certificates.
$authorityPem = @AUTHORITY_PEM@
$bytes = [System.Text.Encoding]::ASCII.GetBytes($authorityPem)
$authority = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (, $bytes)
if ($authority.Thumbprint -ne @AUTHORITY@) { throw 'The authority in this script is damaged.' }
if (-not (Test-Path -LiteralPath "Cert:\LocalMachine\@STORE@\$($authority.Thumbprint)")) {
    $store = New-Object System.Security.Cryptography.X509Certificates.X509Store '@STORE@', 'LocalMachine'
    $store.Open('ReadWrite')
    try { $store.Add($authority) } finally { $store.Close() }
    Write-Before "Authority:$($authority.Thumbprint)" '@STORE@'
}

# The host's certificate: imported here, or there already.
if ($Pfx) {
    if (-not $Password) { $Password = Read-Host -AsSecureString -Prompt "Password of $Pfx" }
    $before = @(Get-ChildItem -Path Cert:\LocalMachine\My | ForEach-Object { $_.Thumbprint })
    foreach ($new in @(Import-PfxCertificate -FilePath $Pfx -CertStoreLocation Cert:\LocalMachine\My -Password $Password)) {
        if ($before -notcontains $new.Thumbprint) { Write-Before "Certificate:$($new.Thumbprint)" 'imported' }
    }
}
$certificates = @(Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object {
    $_.HasPrivateKey -and $_.Issuer -eq $authority.Subject -and $_.NotAfter -gt (Get-Date)
})
if ($certificates.Count -eq 0) {
    throw "This host has no certificate from $($authority.Subject): run this again with -Pfx FILE."
}
if ($certificates.Count -gt 1) {
    Write-Warning 'There are several certificates from this authority, and WinRM takes the first: remove the others.'
}
foreach ($certificate in $certificates) {
    $file = Grant-Key $certificate
    if ($file) { Write-Before "Key:$file" 'granted' }
}

