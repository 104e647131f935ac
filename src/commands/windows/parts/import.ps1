# The host's certificate: imported here, or there already.
if ($Pfx) {
    if (-not $Password) { $Password = Read-Host -AsSecureString -Prompt "Password of $Pfx" }
    $before = @(Get-ChildItem -Path Cert:\LocalMachine\My | ForEach-Object { $_.Thumbprint })
    foreach ($new in @(Import-PfxCertificate -FilePath $Pfx -CertStoreLocation Cert:\LocalMachine\My -Password $Password)) {
        if ($before -notcontains $new.Thumbprint) { Write-Before "Certificate:$($new.Thumbprint)" 'imported' }
    }
}
