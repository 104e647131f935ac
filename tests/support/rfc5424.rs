//! A strict parser of RFC 5424 messages, written from the grammar in section 6 and
//! independent of the code under test.

/// SD-ID and parameters.
pub(crate) type Element = (String, Vec<(String, String)>);

/// One message, parsed and unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) priority: u8,
    pub(crate) timestamp: String,
    pub(crate) hostname: String,
    pub(crate) app_name: String,
    pub(crate) process_id: String,
    pub(crate) message_id: String,
    /// SD-ID and its parameters, in order.
    pub(crate) elements: Vec<Element>,
    pub(crate) message: String,
}

impl Line {
    /// The values of a parameter in the element whose SD-ID starts with `id`.
    pub(crate) fn values<'a>(&'a self, id: &'a str, name: &'a str) -> Vec<&'a str> {
        let parameters = self
            .elements
            .iter()
            .filter(move |(sd_id, _)| sd_id.split('@').next() == Some(id))
            .flat_map(|(_, parameters)| parameters);
        parameters
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The only value of a parameter; "" if there is none.
    #[track_caller]
    pub(crate) fn value(&self, id: &str, name: &str) -> String {
        let values = self.values(id, name);
        assert!(values.len() <= 1, "{name} more than once: {values:?}");
        values.first().copied().unwrap_or_default().to_owned()
    }

    /// The number of a numbered event.
    #[track_caller]
    pub(crate) fn sequence(&self) -> usize {
        self.value("data", "Sequence").parse().unwrap()
    }
}

/// Parses one SYSLOG-MSG; panics with the violation of the grammar.
#[track_caller]
pub(crate) fn read_line(bytes: &[u8]) -> Line {
    parse_line(bytes)
        .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(bytes)))
}

struct Rest<'a>(&'a [u8]);

/// Parses one SYSLOG-MSG, or returns the violation of the grammar.
pub(crate) fn parse_line(bytes: &[u8]) -> Result<Line, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut rest = Rest(bytes);
    let priority = rest.priority()?;
    rest.expect(b"1 ")?;
    let timestamp = rest.word("TIMESTAMP", 32)?;
    check_timestamp(&timestamp)?;
    let line = Line {
        priority,
        timestamp,
        hostname: rest.word("HOSTNAME", 255)?,
        app_name: rest.word("APP-NAME", 48)?,
        process_id: rest.word("PROCID", 128)?,
        message_id: rest.word("MSGID", 32)?,
        elements: rest.structured_data()?,
        message: rest.message()?,
    };
    Ok(line)
}

impl Rest<'_> {
    fn expect(&mut self, text: &[u8]) -> Result<(), String> {
        self.0 = self
            .0
            .strip_prefix(text)
            .ok_or_else(|| format!("no {:?}", String::from_utf8_lossy(text)))?;
        Ok(())
    }

    fn take_until(&mut self, stop: impl Fn(u8) -> bool) -> String {
        let end = self.0.iter().position(|&byte| stop(byte));
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        String::from_utf8_lossy(taken).into_owned()
    }

    fn priority(&mut self) -> Result<u8, String> {
        self.expect(b"<")?;
        let digits = self.take_until(|byte| byte == b'>');
        self.expect(b">")?;
        let value: u8 = digits.parse().map_err(|_| format!("PRI {digits:?}"))?;
        if value > 191 || value.to_string() != digits {
            return Err(format!("PRI {digits:?}"));
        }
        Ok(value)
    }

    fn word(&mut self, what: &str, limit: usize) -> Result<String, String> {
        let word = self.take_until(|byte| byte == b' ');
        self.expect(b" ")?;
        let printable = word.bytes().all(|byte| (33..=126).contains(&byte));
        if word.is_empty() || word.len() > limit || !printable {
            return Err(format!("{what} {word:?}"));
        }
        Ok(word)
    }

    fn structured_data(&mut self) -> Result<Vec<Element>, String> {
        let mut elements = Vec::<Element>::new();
        if self.expect(b"-").is_ok() {
            return Ok(elements);
        }
        while self.expect(b"[").is_ok() {
            let id = self.name(b" ]")?;
            check_id(&id)?;
            if elements.iter().any(|(known, _)| *known == id) {
                return Err(format!("SD-ID {id} twice"));
            }
            let mut parameters = Vec::new();
            while self.expect(b" ").is_ok() {
                let name = self.name(b"=")?;
                self.expect(b"=\"")?;
                parameters.push((name, self.parameter_value()?));
            }
            self.expect(b"]")?;
            elements.push((id, parameters));
        }
        if elements.is_empty() {
            return Err("no STRUCTURED-DATA".to_owned());
        }
        Ok(elements)
    }

    fn name(&mut self, stop: &[u8]) -> Result<String, String> {
        let name = self.take_until(|byte| stop.contains(&byte));
        let fits = name
            .bytes()
            .all(|byte| (33..=126).contains(&byte) && !b"=]\"".contains(&byte));
        if name.is_empty() || name.len() > 32 || !fits {
            return Err(format!("SD-NAME {name:?}"));
        }
        Ok(name)
    }

    fn parameter_value(&mut self) -> Result<String, String> {
        let mut value = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first().ok_or("PARAM-VALUE without end")?;
            self.0 = rest;
            match byte {
                b'"' => return Ok(String::from_utf8(value).unwrap()),
                b']' => return Err("] in a PARAM-VALUE".to_owned()),
                b'\\' => {
                    let (&escaped, rest) = self.0.split_first().ok_or("nothing after \\")?;
                    if !b"\"\\]".contains(&escaped) {
                        return Err(format!("\\ before {:?}", char::from(escaped)));
                    }
                    self.0 = rest;
                    value.push(escaped);
                }
                _ => value.push(byte),
            }
        }
    }

    fn message(&mut self) -> Result<String, String> {
        if self.0.is_empty() {
            return Ok(String::new());
        }
        self.expect(b" ")?;
        let text = self.0.strip_prefix("\u{feff}".as_bytes()).unwrap_or(self.0);
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }
}

fn check_id(id: &str) -> Result<(), String> {
    let registered = ["timeQuality", "origin", "meta"].contains(&id);
    let private = id.split_once('@').is_some_and(|(name, number)| {
        !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    if registered || private {
        return Ok(());
    }
    Err(format!("SD-ID {id:?}"))
}

fn check_timestamp(text: &str) -> Result<(), String> {
    let shape = text.bytes().map(|byte| match byte {
        b'0'..=b'9' => '9',
        other => char::from(other),
    });
    let shape: String = shape.collect();
    let fraction = shape
        .strip_prefix("9999-99-99T99:99:99")
        .and_then(|rest| rest.strip_suffix('Z'));
    let fits = fraction.is_some_and(|fraction| {
        fraction.is_empty()
            || (fraction.starts_with('.')
                && (2..=7).contains(&fraction.len())
                && fraction[1..].bytes().all(|byte| byte == b'9'))
    });
    if fits || text == "-" {
        return Ok(());
    }
    Err(format!("TIMESTAMP {text:?}"))
}
