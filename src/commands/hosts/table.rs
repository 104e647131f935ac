//! Tables in plain text.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::commands::terminal::{Color, Paint};

/// Index of the column with the state, the same in each table.
const STATE: usize = 1;

/// Rows of cells, the first one with the headings. Columns of numbers are right-aligned.
#[derive(Debug, Default)]
pub(super) struct Table {
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn push(&mut self, cells: Vec<String>) {
        self.widths.resize(self.widths.len().max(cells.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
    }

    pub(super) fn print(
        &self,
        out: &mut impl Write,
        paint: Paint,
        numbers: &[usize],
    ) -> io::Result<()> {
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (index, (cell, &width)) in row.iter().zip(&self.widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) = if numbers.contains(&index) {
                    (padding.as_str(), "")
                } else {
                    ("", padding.as_str())
                };
                let cell = painted(paint, (number, index), cell);
                line.extend([before, &cell, after, "  "]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Adds colors after padding, because escape sequences must not count in widths.
fn painted(paint: Paint, (row, column): (usize, usize), cell: &str) -> Cow<'_, str> {
    match (row, column) {
        (0, _) => paint.paint(Color::Bold, cell),
        (_, STATE) => match state_color(cell) {
            Some(color) => paint.paint(color, cell),
            None => Cow::Borrowed(cell),
        },
        _ => Cow::Borrowed(cell),
    }
}

/// The color for a state of a host or a relay; `None` for others.
pub(super) fn state_color(state: &str) -> Option<Color> {
    match state {
        "active" | "alive" | "running" => Some(Color::Green),
        "late" | "silent" | "stopped" => Some(Color::Yellow),
        "lost" | "refused" | "gone" => Some(Color::Red),
        _ => None,
    }
}
