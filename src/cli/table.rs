//! Tables for people. Strangers choose the names in them, so nothing that a terminal would obey is written.

use unicode_width::UnicodeWidthStr as _;

use crate::live::printable;

/// Longest text of a cell in bytes, as long as a label may be; the rest is cut off and marked.
const CELL_BYTES: usize = 128;

/// Rows of as many cells as there are columns.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Longest text of a cell in bytes.
    most: usize,
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = &'static str>) -> Self {
        Self { rows: vec![columns.into_iter().map(str::to_owned).collect()], most: CELL_BYTES }
    }

    /// A table of sentences, of which none is cut.
    pub(super) fn of_sentences(columns: impl IntoIterator<Item = &'static str>) -> Self {
        Self { most: usize::MAX, ..Self::new(columns) }
    }

    /// Adds a row; an empty cell is a dash.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| shown_within(cell.as_ref(), self.most)).collect());
    }

    /// The table with its columns aligned, wide characters counted as two.
    pub(super) fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| Some(row.get(column)?.width())).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (cell, width) in row.iter().zip(&widths) {
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

/// A text that writes nothing but itself, cut where it is too long.
pub(super) fn shown(text: &str) -> String {
    shown_within(text, CELL_BYTES)
}

fn shown_within(text: &str, most: usize) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let whole = printable(text, usize::MAX);
    if whole.len() <= most { whole } else { format!("{}…", printable(text, most)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_is_in_them() {
        let mut table = Table::new(["STREAM", "REASON"]);
        table.row(["房间一", "network_error"]);
        table.row(["a\u{1b}[2J\n\u{202e}", ""]);
        table.row(["", "x"]);
        assert_eq!(
            table.text(),
            "STREAM                REASON\n\
             房间一                network_error\n\
             a\\u{1b}[2J\\n\\u{202e}  -\n\
             -                     x\n"
        );
    }

    #[test]
    fn a_long_name_is_cut_and_marked() {
        assert_eq!(shown(&"x".repeat(CELL_BYTES)), "x".repeat(CELL_BYTES));
        assert_eq!(shown(&"x".repeat(70_000)), format!("{}…", "x".repeat(CELL_BYTES)));
    }
}
