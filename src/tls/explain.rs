//! What a TLS error with a receiver means, and what to do about it.

use super::fault::{Fault, Kind};

/// Explains why TLS with the receiver `name` failed.
pub(super) fn explain(fault: &Fault, name: &str) -> String {
    let words = &fault.words;
    match fault.kind {
        Kind::Certificate(code) => certificate(code, words, name),
        Kind::Alert(_) if fault.refuses_our_certificate() => format!(
            "the receiver does not accept this relay's certificate ({words}); check ?cert= and \
             ?key=, and which authorities the receiver trusts"
        ),
        Kind::Alert(40) => format!(
            "the receiver rejects the TLS handshake ({words}); it may require a certificate \
             (?cert=, ?key=), or other ciphers"
        ),
        Kind::Alert(70) | Kind::Version => {
            format!("the receiver does not support TLS 1.2 or newer ({words})")
        }
        Kind::Alert(_) => format!("the receiver closed the TLS connection ({words})"),
        Kind::Http | Kind::NotTls => {
            "the receiver does not speak TLS; is the port correct?".to_owned()
        }
        Kind::Closed => "the receiver closed the connection during the TLS handshake".to_owned(),
        Kind::Ciphers | Kind::Slow | Kind::Other => words.clone(),
    }
}

/// The receiver's certificate was not accepted, for a reason of `X509_V_ERR_`.
fn certificate(code: i32, words: &str, name: &str) -> String {
    match code {
        62 | 64 => format!(
            "the receiver's certificate is not for \"{name}\" ({words}); use ?name= with a name in \
             it"
        ),
        9 | 10 => format!(
            "the receiver's certificate is out of date ({words}); renew it, or set the clock"
        ),
        2 | 18..=21 => format!(
            "no trusted authority signed the receiver's certificate ({words}); name the \
             authority's certificate with ?ca=FILE"
        ),
        _ => format!("the receiver's certificate is not accepted ({words})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: Kind, words: &str) -> String {
        let words = words.to_owned();
        explain(&Fault { kind, words }, "log.example")
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_remedy() {
        assert_eq!(
            told(Kind::Certificate(62), "hostname mismatch"),
            "the receiver's certificate is not for \"log.example\" (hostname mismatch); use ?name= \
             with a name in it"
        );
        let told = |code| told(Kind::Certificate(code), "words");
        assert!(told(64).contains("?name="));
        assert!(told(10).contains("set the clock"));
        assert!(told(20).ends_with("?ca=FILE"));
        assert!(told(19).contains("?ca=FILE"));
        assert!(told(68).ends_with("is not accepted (words)"));
    }

    #[test]
    fn each_alert_has_its_remedy() {
        assert_eq!(
            told(Kind::Alert(116), "certificate required"),
            "the receiver does not accept this relay's certificate (certificate required); check \
             ?cert= and ?key=, and which authorities the receiver trusts"
        );
        let told = |alert| told(Kind::Alert(alert), "words");
        assert!(told(48).contains("?cert="));
        assert!(told(40).contains("?cert="));
        assert!(told(70).contains("TLS 1.2 or newer"));
        assert!(told(80).contains("(words)"));
    }
}
