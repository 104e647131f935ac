//! Text in the quotes of the languages that Windows hosts are set up with.

/// A literal of PowerShell.
pub(super) fn powershell(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        // It takes typographic quotes for quotes too; each is itself when doubled.
        if matches!(c, '\'' | '\u{2018}'..='\u{201B}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// What may stand in a comment: one line, in ASCII, which older PowerShell reads everywhere.
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

/// A value of a registry file.
pub(super) fn reg(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A scalar of YAML.
pub(super) fn yaml(text: &str) -> String {
    // Double quotes of YAML 1.2 read all that JSON writes.
    json(text)
}

/// Text between YAML's marks of a literal, at this depth.
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

/// A string of JSON (RFC 8259 7).
pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The value of an attribute of XML.
pub(super) fn xml(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
