//! The subset of XPath 1.0 that the Windows event log supports ("Event Selection" and
//! "Consuming Events" in Microsoft's documentation): child elements and attributes, `and`,
//! `or`, comparisons, and three functions. A host rejects anything else, or, worse, accepts
//! it and never matches.

mod display;

/// Maximum nesting depth of parentheses and brackets. Real queries have fewer than ten
/// levels.
const MAX_DEPTH: usize = 32;
/// The functions of the event log. It has none of XPath's functions for strings and nodes.
const FUNCTIONS: [&str; 3] = ["band", "timediff", "position"];

/// Why an expression is not in the subset that Windows supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Position of the fault in characters, counted from 1.
    pub column: usize,
    /// What is wrong and what would be correct.
    pub what: String,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expression {
    /// At least one of them holds.
    Or(Vec<Self>),
    /// All of them hold.
    And(Vec<Self>),
    /// A comparison of two values; the operator as written.
    Compare(Value, &'static str, Value),
    /// An element or attribute exists, a function returns something other than zero, or,
    /// for a number, the element is at that position among its siblings of the same name.
    Is(Value),
}

/// An operand of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Elements and attributes, relative to the element whose condition this is.
    Path(Vec<Step>),
    /// A string literal, without its quotes.
    Text(String),
    /// A number as written, decimal or hexadecimal.
    Number(String),
    /// A function call: `band`, `timediff`, or `position`, with its arguments.
    Call(&'static str, Vec<Self>),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// An element name, `*`, or `@` followed by an attribute name.
    pub name: String,
    /// The conditions in brackets, all of which must hold.
    pub conditions: Vec<Expression>,
}

impl Expression {
    /// Parses a complete expression, such as `*[System[EventID=4624]]`.
    ///
    /// # Errors
    /// The first construct that is not in the subset, or nesting beyond 32 levels.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser {
            text,
            rest: text,
            depth: 0,
        };
        let expression = parser.or()?;
        parser.skip_space();
        match parser.rest.chars().next() {
            None => Ok(expression),
            Some(c) => Err(parser.unexpected(c)),
        }
    }

    /// Number of comparisons in total, which [`MAX_COMPARISONS`](super::MAX_COMPARISONS)
    /// limits.
    #[must_use]
    pub fn comparisons(&self) -> usize {
        match self {
            Self::Or(terms) | Self::And(terms) => terms.iter().map(Self::comparisons).sum(),
            Self::Compare(left, _, right) => 1 + left.comparisons() + right.comparisons(),
            Self::Is(value) => value.comparisons(),
        }
    }

    /// Calls `visit` for this expression and every expression nested in it.
    pub fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Or(terms) | Self::And(terms) => terms.iter().for_each(|term| term.visit(visit)),
            Self::Compare(left, _, right) => {
                left.visit(visit);
                right.visit(visit);
            }
            Self::Is(value) => value.visit(visit),
        }
    }

    /// Returns a copy in which `target` is replaced by an `or` of `terms`. `target` must be
    /// a reference into this expression: it is found by its address.
    #[must_use]
    pub fn with_terms(&self, target: &Self, terms: &[Self]) -> Self {
        if std::ptr::eq(self, target) {
            return match terms {
                [single] => single.clone(),
                _ => Self::Or(terms.to_vec()),
            };
        }
        let copy = |list: &[Self]| list.iter().map(|e| e.with_terms(target, terms)).collect();
        match self {
            Self::Or(list) => Self::Or(copy(list)),
            Self::And(list) => Self::And(copy(list)),
            Self::Compare(left, operator, right) => Self::Compare(
                left.with_terms(target, terms),
                operator,
                right.with_terms(target, terms),
            ),
            Self::Is(value) => Self::Is(value.with_terms(target, terms)),
        }
    }
}

impl Value {
    fn comparisons(&self) -> usize {
        match self {
            Self::Path(steps) => steps
                .iter()
                .flat_map(|step| &step.conditions)
                .map(Expression::comparisons)
                .sum(),
            Self::Text(_) | Self::Number(_) | Self::Call(..) => 0,
        }
    }

    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        if let Self::Path(steps) = self {
            let conditions = steps.iter().flat_map(|step| &step.conditions);
            conditions.for_each(|condition| condition.visit(visit));
        }
    }

    fn with_terms(&self, target: &Expression, terms: &[Expression]) -> Self {
        let Self::Path(steps) = self else {
            return self.clone();
        };
        let step = |step: &Step| Step {
            name: step.name.clone(),
            conditions: step
                .conditions
                .iter()
                .map(|condition| condition.with_terms(target, terms))
                .collect(),
        };
        Self::Path(steps.iter().map(step).collect())
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, what: impl Into<String>) -> Error {
        let before = self.text.len().saturating_sub(self.rest.len());
        let before = self.text.get(..before).unwrap_or_default();
        Error {
            column: before.chars().count() + 1,
            what: what.into(),
        }
    }

    /// The error for an unexpected character, with a hint at the usual mistake.
    fn unexpected(&self, c: char) -> Error {
        let first_word = self.rest.split(|c: char| !c.is_alphanumeric()).next();
        let hint = match (c, first_word.unwrap_or_default()) {
            ('&', _) if self.rest.starts_with("&lt;") || self.rest.starts_with("&gt;") => {
                "escaped twice: in CDATA write &lt; and &gt; once"
            }
            ('&', _) => "write: and",
            ('|', _) => "write: or",
            ('=', _) => "= occurs once",
            (_, word) if word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or") => {
                "and, or must be lowercase"
            }
            ('.' | '/', _) => "only children by name and @attributes can be named",
            _ => "expected and, or, a comparison, or the end",
        };
        self.error(format!("{c:?} is not allowed here ({hint})"))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Consumes a word operator, unless it is only the beginning of a longer name.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(word) {
            Some(rest) if !rest.starts_with(is_name) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), Error> {
        if self.take(token) {
            return Ok(());
        }
        match self.rest.chars().next() {
            Some(c) => {
                let mut error = self.unexpected(c);
                error.what = format!("{token:?} is missing: {}", error.what);
                Err(error)
            }
            None => Err(self.error(format!("{token:?} is missing at the end"))),
        }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH}")));
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn or(&mut self) -> Result<Expression, Error> {
        let mut terms = vec![self.and()?];
        while self.take_word("or") {
            terms.push(self.and()?);
        }
        Ok(joined(terms, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, Error> {
        let mut terms = vec![self.term()?];
        while self.take_word("and") {
            terms.push(self.term()?);
        }
        Ok(joined(terms, Expression::And))
    }

    fn term(&mut self) -> Result<Expression, Error> {
        if self.take("(") {
            let expression = self.nested(Self::or)?;
            self.expect(")")?;
            return Ok(expression);
        }
        let left = self.value()?;
        let Some(operator) = self.operator() else {
            return match left {
                Value::Text(_) | Value::Number(_) => {
                    Err(self.error("a value without a comparison"))
                }
                Value::Path(_) | Value::Call(..) => Ok(Expression::Is(left)),
            };
        };
        Ok(Expression::Compare(left, operator, self.value()?))
    }

    fn operator(&mut self) -> Option<&'static str> {
        // Longer operators first, because `<` is a prefix of `<=`.
        let operators = ["!=", "<=", ">=", "=", "<", ">"];
        operators.into_iter().find(|operator| self.take(operator))
    }

    fn value(&mut self) -> Result<Value, Error> {
        self.skip_space();
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            Some(c) if c.is_ascii_digit() || c == '-' => Ok(Value::Number(self.number())),
            Some(c) if is_name_start(c) || c == '*' || c == '@' => self.path_or_call(),
            Some(c) => Err(self.unexpected(c)),
            None => Err(self.error("something is missing at the end")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Value, Error> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let Some((text, rest)) = inside.split_once(quote) else {
            return Err(self.error(format!("the quote {quote} is not closed")));
        };
        self.rest = rest;
        Ok(Value::Text(text.to_owned()))
    }

    fn number(&mut self) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        self.while_true(is_part).to_owned()
    }

    fn while_true(&mut self, is_part: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (part, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        part
    }

    fn path_or_call(&mut self) -> Result<Value, Error> {
        let before = self.rest;
        let step = self.step()?;
        if step.conditions.is_empty() && self.take("(") {
            let known = FUNCTIONS.into_iter().find(|name| *name == step.name);
            let Some(name) = known else {
                self.rest = before;
                let all = FUNCTIONS.join(", ");
                let what = format!("Windows has no function {}(); it has {all}", step.name);
                return Err(self.error(what));
            };
            return Ok(Value::Call(name, self.nested(Self::arguments)?));
        }
        let mut steps = vec![step];
        while self.take("/") {
            steps.push(self.step()?);
        }
        Ok(Value::Path(steps))
    }

    fn arguments(&mut self) -> Result<Vec<Value>, Error> {
        let mut arguments = Vec::new();
        while !self.take(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            arguments.push(self.value()?);
        }
        Ok(arguments)
    }

    /// Parses a position such as `1]` in `Data[1]`, which counts elements of the same name
    /// from 1. `None` for anything else, for zero, and for the event itself, which occurs
    /// only once.
    fn position(&mut self, name: &str) -> Option<Expression> {
        let (inside, rest) = self.rest.split_once(']')?;
        let digits = inside.trim();
        let is_position = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !is_position || digits.bytes().all(|b| b == b'0') || matches!(name, "*" | "Event") {
            return None;
        }
        let position = Expression::Is(Value::Number(digits.to_owned()));
        self.rest = rest;
        Some(position)
    }

    fn step(&mut self) -> Result<Step, Error> {
        self.skip_space();
        let name = if self.take("*") {
            "*".to_owned()
        } else {
            let at = if self.take("@") { "@" } else { "" };
            let name = self.while_true(is_name).to_owned();
            if !name.starts_with(is_name_start) {
                return Err(self.error("a name is missing"));
            }
            format!("{at}{name}")
        };
        let mut conditions = Vec::new();
        while self.take("[") {
            if let Some(position) = self.position(&name) {
                conditions.push(position);
                continue;
            }
            conditions.push(self.nested(Self::or)?);
            self.expect("]")?;
        }
        Ok(Step { name, conditions })
    }
}

fn joined(mut terms: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (terms.pop(), terms.is_empty()) {
        (Some(single), true) => single,
        (last, _) => {
            terms.extend(last);
            join(terms)
        }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')
}
