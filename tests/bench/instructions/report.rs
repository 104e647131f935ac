//! The figures, and whether one binary is worse than another.

use std::fmt;

use crate::profile::{Costs, Owner};
use crate::stages::Stage;

pub(crate) struct Report {
    limit: Option<f64>,
    rows: Vec<Row>,
}

struct Row {
    load: &'static str,
    binary: String,
    costs: Costs,
}

impl Report {
    pub(crate) fn new(limit: Option<f64>) -> Self {
        Self {
            limit,
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, load: &'static str, binary: &str, costs: Costs) {
        let binary = binary.to_owned();
        self.rows.push(Row {
            load,
            binary,
            costs,
        });
    }

    /// Whether a binary exceeds the limit, in wecrelay's own code or in total: unnecessary
    /// copies show up in the C library.
    pub(crate) fn is_worse(&self) -> bool {
        let Some(limit) = self.limit else {
            return false;
        };
        self.rows.iter().any(|row| {
            let (own, all) = row.percent(self.base(row));
            own > limit || all > limit
        })
    }

    /// The first binary with the same load.
    fn base<'a>(&'a self, row: &'a Row) -> &'a Row {
        self.rows
            .iter()
            .find(|base| base.load == row.load)
            .unwrap_or(row)
    }
}

impl Row {
    /// Own code and total, in per cent of another row.
    fn percent(&self, base: &Self) -> (f64, f64) {
        let own = |row: &Self| row.costs.of_owner(Owner::Relay);
        // Divide first: the quotient of a row and itself is exactly 1.
        (
            100.0 * (own(self) / own(base)),
            100.0 * (self.costs.total() / base.costs.total()),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{}: {}", row.load, row.binary)?;
            writeln!(
                f,
                "  {:<14}{:>12}{:>12}{:>12}",
                "instr/event", "our own", "libc", "OpenSSL"
            )?;
            let mut line = |name: &str, cost: &dyn Fn(Owner) -> f64| {
                write!(f, "  {name:<14}")?;
                Owner::ALL
                    .iter()
                    .try_for_each(|owner| write!(f, "{:>12.0}", cost(*owner)))?;
                writeln!(f)
            };
            for stage in Stage::ALL {
                line(stage.name(), &|owner| row.costs.of(stage, owner))?;
            }
            line("sum", &|owner| row.costs.of_owner(owner))?;
            let base = self.base(row);
            if !std::ptr::eq(base, row) {
                let (own, all) = row.percent(base);
                writeln!(f, "  our own {own:.2} %, all {all:.2} % of {}", base.binary)?;
            }
        }
        match self.limit {
            Some(limit) if self.is_worse() => writeln!(f, "WORSE: more than {limit} %"),
            Some(limit) => writeln!(f, "within {limit} %"),
            None => Ok(()),
        }
    }
}
