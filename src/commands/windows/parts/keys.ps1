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

# Lets NETWORK SERVICE, as which WinRM runs, read the key of a certificate.
# Answers the file if it could not before.
function Grant-Key($certificate) {
    $file = Get-KeyFile $certificate
    $rules = (Get-Acl -LiteralPath $file).GetAccessRules($true, $true, [System.Security.Principal.SecurityIdentifier])
    if (@($rules | Where-Object { $_.IdentityReference.Value -eq 'S-1-5-20' }).Count -gt 0) { return }
    & icacls.exe $file /grant '*S-1-5-20:R' | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls could not give NETWORK SERVICE the right to read $file." }
    $file
}
