//! Encodes the DER elements (X.690 8.1) that GSS-API and SPNEGO put around tokens.

/// One element with definite length in its shortest form.
#[must_use]
pub fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = u32::try_from(contents.len()).unwrap_or(u32::MAX);
    match length.to_be_bytes() {
        [0, 0, 0, short @ 0..=0x7f] => out.push(short),
        [0, 0, 0, a] => out.extend([0x81, a]),
        [0, 0, a, b] => out.extend([0x82, a, b]),
        [0, a, b, c] => out.extend([0x83, a, b, c]),
        [a, b, c, d] => out.extend([0x84, a, b, c, d]),
    }
    out.extend(contents);
    out
}
