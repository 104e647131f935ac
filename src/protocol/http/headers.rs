//! The header lines of a request in two allocations, because a relay with thousands of
//! hosts parses a head of about eight lines for each message.

/// Names and values in order; values without surrounding white space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// All names and values concatenated: each name directly followed by its value.
    text: String,
    /// End offsets of each name and value in `text`.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// An empty list with room for `lines` headers of `bytes` bytes in total.
    pub(super) fn with_capacity(lines: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(lines),
        }
    }

    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name = self.text.len();
        self.text.push_str(value);
        self.ends.push((name, self.text.len()));
    }

    /// Number of header lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no header lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and values in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let part = |start, end| self.text.get(start..end).unwrap_or_default();
        let mut start = 0;
        self.ends.iter().map(move |(name, value)| {
            let line = (part(start, *name), part(*name, *value));
            start = *value;
            line
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were_given() {
        let mut headers = Headers::default();
        assert!(headers.is_empty());
        let lines = [("Host", "a"), ("X", ""), ("Host", "é b")];
        lines
            .iter()
            .for_each(|(name, value)| headers.push(name, value));
        assert_eq!(headers.iter().collect::<Vec<_>>(), lines);
        assert_eq!(headers.len(), 3);
    }
}
