//! The subset of XPath 1.0 that the Windows event log takes ("Event Selection" and
//! "Consuming Events" of its documentation): children and attributes, `and`, `or`,
//! comparisons, and three functions of its own. Anything else a host refuses, or,
//! worse, takes and never matches.

mod display;

/// Deepest nesting of parentheses and brackets; real queries stay below ten.
const MAX_DEPTH: usize = 32;
/// What the event log offers; the functions of strings and nodes are not there.
const FUNCTIONS: [&str; 3] = ["band", "timediff", "position"];

/// Why an expression is none that Windows takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Character that it stands at, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expression {
    /// One of them holds.
    Or(Vec<Self>),
    /// All of them hold.
    And(Vec<Self>),
    /// Two values compared; the operator as written.
    Compare(Value, &'static str, Value),
    /// Something is there, a function's result is not zero, or (a number) it is the element at
    /// that position.
    Is(Value),
}

/// What can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Elements and attributes below the place where it stands.
    Path(Vec<Step>),
    /// Text in quotes; without them.
    Text(String),
    /// A number as written, decimal or hexadecimal.
    Number(String),
    /// One of `FUNCTIONS`.
    Call(&'static str, Vec<Self>),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// Name, `*`, or an attribute's name after `@`.
    pub name: String,
    /// What must hold for it.
    pub conditions: Vec<Expression>,
}

impl Expression {
    /// Reads a whole expression, such as `*[System[EventID=4624]]`.
    ///
    /// # Errors
    /// The first thing that Windows' subset does not have.
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

    /// How many comparisons it holds: what the event log limits.
    #[must_use]
    pub fn comparisons(&self) -> usize {
        match self {
            Self::Or(terms) | Self::And(terms) => terms.iter().map(Self::comparisons).sum(),
            Self::Compare(left, _, right) => 1 + left.comparisons() + right.comparisons(),
            Self::Is(value) => value.comparisons(),
        }
    }

    /// Calls `visit` with this and every condition within.
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

    /// A copy in which `target`, found by its place, is an `or` of `terms` alone.
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

    /// Names what stands here, with the slip that it usually comes from.
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

    /// A word operator: not the beginning of a longer name.
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
        // The longer ones first.
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

    /// `[1]`: the first of the elements of that name. Of the event itself there is one.
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
