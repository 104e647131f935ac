//! The file `/etc/hosts`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses for a name in the text of the file, in its order.
pub(super) fn find(text: &str, name: &str) -> Vec<IpAddr> {
    let entries = text.lines().filter_map(|line| {
        let line = line.split('#').next()?;
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|word| word.eq_ignore_ascii_case(name))
            .then_some(address)
    });
    entries.collect()
}

/// The addresses of a name that must not be looked up in DNS (RFC 6761 6.3).
pub(super) fn localhost(name: &str) -> Option<Vec<IpAddr>> {
    let last = name.rsplit('.').next()?;
    last.eq_ignore_ascii_case("localhost")
        .then(|| vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_with_the_name_count() {
        let text = "# 192.0.2.9 log\n192.0.2.1\tLog.example.com log # the first\n\
                    2001:db8::1 log\nnonsense log\n192.0.2.2 logger\n";
        let found = find(text, "LOG");
        assert_eq!(
            found,
            [
                "192.0.2.1".parse::<IpAddr>().unwrap(),
                "2001:db8::1".parse().unwrap()
            ]
        );
        assert_eq!(find(text, "log.example.com"), found[..1]);
        assert!(find(text, "the").is_empty());
    }

    #[test]
    fn localhost_is_known_without_the_file() {
        assert_eq!(localhost("db.LocalHost").unwrap().len(), 2);
        assert_eq!(localhost("localhost.example.com"), None);
    }
}
