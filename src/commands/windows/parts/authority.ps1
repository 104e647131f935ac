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

