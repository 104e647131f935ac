//! The password file in the format of libpq: `host:port:database:user:password`, one entry per
//! line.

use super::url::{Place, Settings};

/// The password for a server; `None` if no line matches.
#[must_use]
pub fn find(text: &str, place: &Place, settings: &Settings) -> Option<String> {
    let (host, port) = match place {
        Place::Tcp(host, port) => (host.clone(), port),
        Place::Unix(folder, port) => (folder.to_string_lossy().into_owned(), port),
    };
    let is_local = matches!(place, Place::Unix(..));
    let port = port.to_string();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|mut fields| {
        let password = (fields.len() == 5).then(|| fields.pop())??;
        let fits = |at: usize, value: &str| {
            let found = fields.get(at).map(String::as_str);
            found == Some("*") || found == Some(value)
        };
        let is_host = fits(0, &host) || (is_local && fits(0, "localhost"));
        let is_it = is_host && fits(1, &port) && fits(2, &settings.database);
        (is_it && fits(3, &settings.user)).then_some(password)
    })
}

/// Splits a line at colons; a backslash quotes the next character.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut rest = line.trim_end_matches('\r').chars();
    while let Some(c) = rest.next() {
        if c == ':' && fields.len() < 5 {
            fields.push(String::new());
            continue;
        }
        let taken = if c == '\\' { rest.next() } else { Some(c) };
        if let (Some(field), Some(taken)) = (fields.last_mut(), taken) {
            field.push(taken);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        let settings = Settings::parse("postgresql://relay@db.example:6432/wec").unwrap();
        find(text, &settings.places[0], &settings)
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# ours\nother:*:*:*:a\ndb.example:5432:wec:relay:b\n\
                    db.example:6432:wec:relay:c\\:d\\\\e\n*:*:*:*:f\n";
        assert_eq!(found(text).as_deref(), Some("c:d\\e"));
        assert_eq!(found("*:*:*:relay:p:q").as_deref(), Some("p:q"));
        assert_eq!(found("*:*:*:another:p"), None);
        assert_eq!(found("p"), None);
    }

    #[test]
    fn a_socket_is_localhost_too() {
        let settings = Settings::parse("postgresql://r@/d?host=/run/pg").unwrap();
        let place = &settings.places[0];
        assert_eq!(
            find("localhost:*:*:*:p", place, &settings).as_deref(),
            Some("p")
        );
        assert_eq!(
            find("/run/pg:*:*:*:p", place, &settings).as_deref(),
            Some("p")
        );
    }
}
