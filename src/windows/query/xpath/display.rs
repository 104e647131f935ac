//! Writes expressions as text, for proposed replacements.

use std::fmt;

use super::{Expression, Value};

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(terms) => write_list(f, terms, " or ", |_| false),
            Self::And(terms) => write_list(f, terms, " and ", |term| matches!(term, Self::Or(_))),
            Self::Compare(left, operator, right) => write!(f, "{left}{operator}{right}"),
            Self::Is(value) => write!(f, "{value}"),
        }
    }
}

fn write_list(
    f: &mut fmt::Formatter<'_>,
    terms: &[Expression],
    between: &str,
    needs_parentheses: impl Fn(&Expression) -> bool,
) -> fmt::Result {
    for (index, term) in terms.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        if needs_parentheses(term) {
            write!(f, "({term})")?;
        } else {
            write!(f, "{term}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(steps) => {
                for (index, step) in steps.iter().enumerate() {
                    let slash = if index > 0 { "/" } else { "" };
                    write!(f, "{slash}{}", step.name)?;
                    for condition in &step.conditions {
                        write!(f, "[{condition}]")?;
                    }
                }
                Ok(())
            }
            Self::Text(text) if text.contains('\'') => write!(f, "\"{text}\""),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => f.write_str(number),
            Self::Call(name, arguments) => {
                write!(f, "{name}(")?;
                for (index, argument) in arguments.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{argument}")?;
                }
                f.write_str(")")
            }
        }
    }
}
