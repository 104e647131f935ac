use super::quote::{block, comment, json, powershell, reg, xml};
use super::{lines, manager, server};

const NASTY: &str = "a'b\"c\\d<e>&f\u{2019}g\nh";

#[test]
fn the_policy_is_as_hosts_read_it() {
    assert_eq!(
        manager(&server(false, "c.example.com", 5985), 60, None),
        "Server=http://c.example.com:5985/wsman/SubscriptionManager/WEC,Refresh=60"
    );
    assert_eq!(
        manager(&server(true, "[2001:db8::1]", 5986), 3600, Some("AB12")),
        "Server=https://[2001:db8::1]:5986/wsman/SubscriptionManager/WEC,Refresh=3600,IssuerCA=AB12"
    );
}

#[test]
fn text_stays_within_its_quotes() {
    // PowerShell also ends a string literal at typographic quotes.
    assert_eq!(powershell(NASTY), "'a''b\"c\\d<e>&f\u{2019}\u{2019}g\nh'");
    assert_eq!(json(NASTY), "\"a'b\\\"c\\\\d<e>&f\u{2019}g\\nh\"");
    assert_eq!(reg(r#"a"b\c"#), r#""a\"b\\c""#);
    assert_eq!(xml(r#"<a b="&">"#), "&lt;a b=&quot;&amp;&quot;&gt;");
    assert_eq!(comment(NASTY), "a'b\"c\\d<e>&f?g?h");
}

#[test]
fn blocks_and_lines_keep_their_text() {
    assert_eq!(block("a\n\n  b", 4), "    a\n\n      b\n");
    assert_eq!(lines("a\nb\n"), "a\r\nb\r\n");
}
