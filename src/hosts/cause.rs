//! What rejections have in common that differ only in names.

/// A reason without its names, numbers, and quotations; the rest identifies the cause.
///
/// ```
/// use wecrelay::hosts::cause;
/// let [one, other] = ["client certificate a.example: CRL has expired: put", "client certificate b: CRL has expired: put"];
/// assert_eq!(cause(one), cause(other));
/// assert_ne!(cause("wrong password of X\\a"), cause("unknown account X\\a"));
/// ```
#[must_use]
pub fn cause(reason: &str) -> String {
    // The only kind of name that may be any text, blanks included.
    let rest = match reason.strip_prefix("client certificate ") {
        Some(certificate) => certificate.split_once(": ").map_or(reason, |(_, why)| why),
        None => reason,
    };
    let mut cause = String::with_capacity(rest.len());
    // Every second part is quoted.
    for unquoted in rest.split('"').step_by(2) {
        for word in unquoted.split_whitespace().filter(|word| !is_name(word)) {
            cause.push_str(word);
            cause.push(' ');
        }
    }
    cause
}

/// Whether a word may name a host, an account, an address, or a time.
fn is_name(word: &str) -> bool {
    let inner = word.trim_end_matches(['.', ',', ';', ':', ')']);
    inner.contains(['\\', '@', '$', '.', '=']) || inner.contains(|c: char| c.is_ascii_digit())
}
