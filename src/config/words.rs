//! A command in words, as a shell would split it, without a shell.

/// Splits at blanks. Single quotes hold all, double quotes all but `\"` and `\\`; a
/// backslash outside of quotes holds the next character. `None`: a quote or backslash
/// without an end, or no word at all.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                while let c = chars.next()?
                    && c != '\''
                {
                    word.push(c);
                }
            }
            '"' => {
                word.get_or_insert_default().push_str(&quoted(&mut chars)?);
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!words.is_empty()).then_some(words)
}

/// What stands up to the closing double quote.
fn quoted(chars: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                c @ ('"' | '\\') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let split = |text| split(text).unwrap();
        assert_eq!(
            split("ntlm_auth  --helper-protocol=ntlm-server-1 "),
            ["ntlm_auth", "--helper-protocol=ntlm-server-1"]
        );
        assert_eq!(
            split(r#"a 'b "c" \' "d 'e' \" \\ \n" f\ g '' h"i"'j'"#),
            ["a", r#"b "c" \"#, r#"d 'e' " \ \n"#, "f g", "", "hij"]
        );
        assert_eq!(split("a $HOME;*|b"), ["a", "$HOME;*|b"], "no shell");
    }

    #[test]
    fn what_has_no_end_is_no_command() {
        for text in ["", "  ", "a 'b", "a \"b", "a \"b\\", "a\\"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
