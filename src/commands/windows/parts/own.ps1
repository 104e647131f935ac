# WinRM may use the host's key.
$certificates = @(Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object {
    $_.HasPrivateKey -and $_.Issuer -eq $authority.Subject -and $_.NotAfter -gt (Get-Date)
})
if ($certificates.Count -eq 0) {
    throw "This host has no certificate from $($authority.Subject): it has to be imported with its key."
}
if ($certificates.Count -gt 1) {
    Write-Warning 'There are several certificates from this authority, and WinRM takes the first: remove the others.'
}
foreach ($certificate in $certificates) {
    $file = Grant-Key $certificate
    if ($file) { Write-Before "Key:$file" 'granted' }
}

