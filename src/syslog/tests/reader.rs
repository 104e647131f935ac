//! A strict parser of RFC 5424, written from the grammar, independently of the writer.

/// A parsed message; `None` is NILVALUE.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) priority: u8,
    pub(super) timestamp: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) app_name: Option<String>,
    pub(super) procid: Option<String>,
    pub(super) msgid: Option<String>,
    pub(super) elements: Vec<Element>,
    pub(super) msg: Option<String>,
}

#[derive(Debug)]
pub(super) struct Element {
    pub(super) id: String,
    pub(super) params: Vec<(String, String)>,
}

impl Parsed {
    /// The values of a parameter, unescaped.
    pub(super) fn values(&self, id: &str, name: &str) -> Vec<&str> {
        let elements = self.elements.iter().filter(|element| element.id == id);
        let params = elements.flat_map(|element| &element.params);
        params
            .filter(|(known, _)| known == name)
            .map(|(_, value)| &**value)
            .collect()
    }

    /// The only value of a parameter of `event@32473`.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        let values = self.values("event@32473", name);
        assert!(values.len() < 2, "{name} repeats");
        values.first().copied()
    }
}

/// Parses a message; an error names the problem and its position.
pub(super) fn read(message: &[u8]) -> Result<Parsed, String> {
    let mut reader = Reader {
        bytes: message,
        at: 0,
    };
    let priority = reader.priority()?;
    reader.expect(b"1 ")?;
    let timestamp = reader.word("TIMESTAMP", 32)?;
    if let Some(timestamp) = &timestamp {
        check_timestamp(timestamp)?;
    }
    let hostname = reader.word("HOSTNAME", 255)?;
    let app_name = reader.word("APP-NAME", 48)?;
    let procid = reader.word("PROCID", 128)?;
    let msgid = reader.word("MSGID", 32)?;
    let elements = reader.elements()?;
    let msg = reader.msg()?;
    Ok(Parsed {
        priority,
        timestamp,
        hostname,
        app_name,
        procid,
        msgid,
        elements,
        msg,
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or("ends early")?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, text: &[u8]) -> Result<(), String> {
        if !self.bytes[self.at..].starts_with(text) {
            return Err(format!("no {text:?} at {}", self.at));
        }
        self.at += text.len();
        Ok(())
    }

    fn until(&mut self, stop: impl Fn(u8) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(|byte| !stop(byte)) {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned()
    }

    fn priority(&mut self) -> Result<u8, String> {
        self.expect(b"<")?;
        let digits = self.until(|byte| byte == b'>');
        self.expect(b">")?;
        let number: u8 = digits.parse().map_err(|_| format!("PRI {digits}"))?;
        if number > 191 || number.to_string() != digits {
            return Err(format!("PRI {digits}"));
        }
        Ok(number)
    }

    fn word(&mut self, name: &str, limit: usize) -> Result<Option<String>, String> {
        let word = self.until(|byte| byte == b' ');
        self.expect(b" ")?;
        if word.is_empty() || word.len() > limit || !word.bytes().all(|b| (33..=126).contains(&b)) {
            return Err(format!("{name} {word:?}"));
        }
        Ok((word != "-").then_some(word))
    }

    fn elements(&mut self) -> Result<Vec<Element>, String> {
        let mut elements: Vec<Element> = Vec::new();
        if self.peek() == Some(b'-') {
            self.at += 1;
            return Ok(elements);
        }
        while self.peek() == Some(b'[') {
            self.at += 1;
            let id = self.sd_name(|byte| byte == b' ' || byte == b']')?;
            if elements.iter().any(|element| element.id == id) {
                return Err(format!("{id} twice"));
            }
            let mut params = Vec::new();
            while self.peek() == Some(b' ') {
                self.at += 1;
                let name = self.sd_name(|byte| byte == b'=')?;
                self.expect(b"=\"")?;
                params.push((name, self.value()?));
            }
            self.expect(b"]")?;
            elements.push(Element { id, params });
        }
        if elements.is_empty() {
            Err("no STRUCTURED-DATA".into())
        } else {
            Ok(elements)
        }
    }

    fn sd_name(&mut self, stop: impl Fn(u8) -> bool) -> Result<String, String> {
        let name = self.until(stop);
        let good = |b: u8| (33..=126).contains(&b) && !matches!(b, b'=' | b']' | b'"');
        if name.is_empty() || name.len() > 32 || !name.bytes().all(good) {
            return Err(format!("SD-NAME {name:?} at {}", self.at));
        }
        Ok(name)
    }

    fn value(&mut self) -> Result<String, String> {
        let mut value = Vec::new();
        loop {
            match self.next()? {
                b'"' => break,
                b']' => return Err(format!("raw ] at {}", self.at)),
                b'\\' => match self.next()? {
                    byte @ (b'"' | b'\\' | b']') => value.push(byte),
                    _ => return Err(format!("lone backslash at {}", self.at)),
                },
                byte => value.push(byte),
            }
        }
        String::from_utf8(value).map_err(|error| error.to_string())
    }

    fn msg(&mut self) -> Result<Option<String>, String> {
        if self.peek().is_none() {
            return Ok(None);
        }
        self.expect(b" ")?;
        let text = std::str::from_utf8(&self.bytes[self.at..]);
        text.map(|text| Some(text.to_owned()))
            .map_err(|error| error.to_string())
    }
}

/// `YYYY-MM-DDThh:mm:ss[.d{1,6}]Z`; whether the day exists is tested elsewhere.
fn check_timestamp(text: &str) -> Result<(), String> {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let fraction = shape
        .strip_prefix("0000-00-00T00:00:00")
        .and_then(|s| s.strip_suffix('Z'));
    match fraction {
        Some("") => Ok(()),
        Some(f) if f.starts_with('.') && (2..=7).contains(&f.len()) && !f[1..].contains('.') => {
            Ok(())
        }
        _ => Err(format!("TIMESTAMP {text}")),
    }
}
