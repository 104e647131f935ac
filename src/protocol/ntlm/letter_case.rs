//! Upper case as NTLM defines it, and as its clients implement it.
//!
//! The proof covers the upper-cased user name (MS-NLMP 3.3.2). Windows uses a table that
//! maps one code unit to one (MS-UCODEREF 3.1.5.3); libraries use whatever their language
//! offers.

/// Lower-case letters that the table of Windows does not map, although Unicode maps them to
/// the upper case of another letter: µ, ı, ſ, ẛ, and the iota subscript.
const STAY: [char; 5] = ['\u{b5}', '\u{131}', '\u{17f}', '\u{1e9b}', '\u{1fbe}'];

/// Upper-cases as Windows does, letter by letter: `ß` and `ı` are unchanged.
#[must_use]
pub fn upper(text: &str) -> String {
    let letter = |c: char| if STAY.contains(&c) { c } else { single(c) };
    text.chars().map(letter).collect()
}

/// All distinct upper-case forms that clients use; that of Windows first. A proof by any of
/// them proves the same password.
pub(super) fn all(text: &str) -> Vec<String> {
    let mut all = vec![upper(text)];
    if !text.is_ascii() {
        let by_letters = text.chars().map(single).collect();
        all.extend([by_letters, text.to_uppercase()]);
        all.dedup();
    }
    all
}

/// Upper-cases one letter to one; a letter that would become two is unchanged.
fn single(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_leaves_letters_that_have_no_upper_case_of_their_own() {
        assert_eq!(upper("größe ılgaz µ-ſ ς"), "GRÖßE ıLGAZ µ-ſ Σ");
        assert_eq!(upper("ǆ ÿ я"), "Ǆ Ÿ Я");
    }

    #[test]
    fn what_other_clients_make_of_a_name_is_tried_too() {
        assert_eq!(all("host$"), ["HOST$"]);
        assert_eq!(all("jörg"), ["JÖRG"]);
        assert_eq!(all("ılgaz"), ["ıLGAZ", "ILGAZ"]);
        assert_eq!(all("ıß"), ["ıß", "Iß", "ISS"]);
    }
}
