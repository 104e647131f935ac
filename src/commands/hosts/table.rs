//! Columns under each other.

use std::io::{self, Write};

/// Rows of cells; numbers stand at the right.
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

    pub(super) fn print(&self, out: &mut impl Write, numbers: &[usize]) -> io::Result<()> {
        for row in &self.rows {
            let mut line = String::new();
            for (index, (cell, &width)) in row.iter().zip(&self.widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) = match numbers.contains(&index) {
                    true => (padding.as_str(), ""),
                    false => ("", padding.as_str()),
                };
                line.extend([before, cell, after, "  "]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
