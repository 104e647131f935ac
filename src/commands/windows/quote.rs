//! Quoting of text for the languages in which Windows hosts are configured.

/// A string literal in PowerShell.
pub(super) fn powershell(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        // PowerShell also accepts typographic quotes as quotes. Doubling escapes each of
        // them.
        if matches!(c, '\'' | '\u{2018}'..='\u{201B}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// Text that is safe in a comment: a single line in ASCII, which older versions of
/// PowerShell read correctly in every code page.
pub(super) fn comment(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii() && !c.is_ascii_control() {
            c
        } else {
            '?'
        }
    };
    text.chars().map(plain).collect()
}

/// A string value in a registry file.
pub(super) fn reg(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A string scalar in YAML.
pub(super) fn yaml(text: &str) -> String {
    // JSON strings are valid double-quoted scalars in YAML 1.2.
    json(text)
}

/// The content of a block scalar in YAML, indented by `depth` spaces.
pub(super) fn block(text: &str, depth: usize) -> String {
    let pad = " ".repeat(depth);
    let line = |line: &str| {
        if line.is_empty() {
            "\n".to_owned()
        } else {
            format!("{pad}{line}\n")
        }
    };
    text.lines().map(line).collect()
}

/// A string in JSON (RFC 8259, section 7).
pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Escapes the value of an XML attribute.
pub(super) fn xml(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
