//! The header lines of a request, in one piece: each message has about eight.

/// Names and values in order, values without surrounding spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Each name, and its value right behind it.
    text: String,
    /// Where names and values end in it.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// None, with room for some lines of so many bytes in all.
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

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and values in order.
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
