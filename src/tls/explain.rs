//! What OpenSSL's errors mean for whoever runs the relay, and what to do.

/// Says in plain words why TLS with the receiver `name` failed. `text` is how OpenSSL
/// puts it: `error:CODE:library:function:reason:file:line: (certificate's fault)`.
pub(super) fn explain(text: &str, name: &str) -> String {
    if text.contains("certificate verify failed") {
        return certificate(text, name);
    }
    if let Some((_, alert)) = text.split_once(" alert ") {
        return alerted(alert.split(':').next().unwrap_or(alert));
    }
    let is = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is(&["unexpected eof", "unexpected EOF"]) {
        return "the receiver closed the connection without a word of TLS".to_owned();
    }
    if is(&[
        "wrong version number",
        "packet length too long",
        "http request",
        "record layer failure",
    ]) {
        return "what answers there does not speak TLS; is the port right?".to_owned();
    }
    if is(&["unsupported protocol", "no protocols available"]) {
        return "the receiver speaks no TLS version from 1.2 on".to_owned();
    }
    text.to_owned()
}

/// We do not accept the receiver's certificate.
fn certificate(text: &str, name: &str) -> String {
    let fault = text.rsplit_once(" (").map_or("", |(_, fault)| fault);
    let fault = fault.trim_end_matches(')');
    let is = |words: &[&str]| words.iter().any(|word| fault.contains(word));
    if is(&["mismatch"]) {
        format!(
            "the receiver's certificate is not for \"{name}\" ({fault}); give a name that it holds with ?name="
        )
    } else if is(&["expired", "not yet valid"]) {
        format!("the receiver's certificate is out of date ({fault}); renew it, or set the clock")
    } else if is(&["issuer", "self-signed", "self signed", "unable to verify"]) {
        format!(
            "no trusted authority has signed the receiver's certificate ({fault}); give that authority's certificate with ?ca=FILE"
        )
    } else {
        format!("the receiver's certificate is not accepted ({fault})")
    }
}

/// The receiver does not go on with us.
fn alerted(alert: &str) -> String {
    if ["certificate", "unknown ca", "access denied"]
        .iter()
        .any(|word| alert.contains(word))
    {
        format!(
            "the receiver does not accept our certificate ({alert}); see ?cert= and ?key=, and which authorities it trusts"
        )
    } else if alert.contains("handshake failure") {
        format!(
            "the receiver refuses the TLS handshake ({alert}); it may require a certificate (?cert=, ?key=), or other ciphers"
        )
    } else if alert.contains("protocol version") {
        format!("the receiver speaks no TLS version from 1.2 on ({alert})")
    } else {
        format!("the receiver ended TLS ({alert})")
    }
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn each_fault_of_a_certificate_has_its_remedy() {
        let failed = |fault: &str| {
            let error = "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:../ssl/statem/statem_clnt.c:1889:";
            explain(&format!("{error} ({fault})"), "log.example")
        };
        assert_eq!(
            failed("hostname mismatch"),
            "the receiver's certificate is not for \"log.example\" (hostname mismatch); give a name that it holds with ?name="
        );
        assert!(failed("IP address mismatch").contains("?name="));
        assert!(failed("certificate has expired").contains("set the clock"));
        assert!(failed("unable to get local issuer certificate").ends_with("?ca=FILE"));
        assert!(failed("self-signed certificate in certificate chain").contains("?ca=FILE"));
        assert!(failed("CA signature digest algorithm too weak").contains("too weak"));
    }

    #[test]
    fn each_alert_has_its_remedy() {
        let alert = |alert: &str| {
            let error = "error:0A00045C:SSL routines:ssl3_read_bytes";
            let end = "../ssl/record/rec_layer_s3.c:1600:SSL alert number 116";
            explain(&format!("{error}:{alert}:{end}"), "h")
        };
        assert_eq!(
            alert("tlsv13 alert certificate required"),
            "the receiver does not accept our certificate (certificate required); see ?cert= and ?key=, and which authorities it trusts"
        );
        assert!(alert("tlsv1 alert unknown ca").contains("?cert="));
        assert!(alert("sslv3 alert handshake failure").contains("?cert="));
        assert!(alert("tlsv1 alert protocol version").contains("from 1.2 on"));
        assert!(alert("tlsv1 alert internal error").contains("(internal error)"));
    }

    #[test]
    fn other_errors_are_told_as_they_are() {
        assert!(explain("a:b:c:wrong version number:d:1:", "h").contains("does not speak TLS"));
        assert!(explain("a:b:c:unexpected eof while reading:d:1:", "h").contains("closed"));
        assert_eq!(explain("who knows", "h"), "who knows");
    }
}
