//! Lines of CSV, RFC 4180, for spreadsheets as well as for programs.
//!
//! Strangers choose names, and a spreadsheet runs a cell that begins like a formula: such a cell gets an apostrophe in front,
//! and every cell is quoted, so that no other separator can begin a new one (OWASP, "CSV Injection").

/// Adds the line of `cells`, its end included.
pub fn line<'a>(text: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (at, cell) in cells.into_iter().enumerate() {
        text.push_str(if at == 0 { "\"" } else { ",\"" });
        if is_formula(cell) {
            text.push('\'');
        }
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    }
    text.push_str("\r\n");
}

/// Whether some spreadsheet might take the cell for a formula; the full-width forms count in East Asian ones.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The cells of one line as RFC 4180 reads them.
    fn cells(line: &str) -> Vec<String> {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        let mut characters = line.strip_suffix("\r\n").unwrap().chars().peekable();
        while let Some(c) = characters.next() {
            match (c, quoted) {
                ('"', true) if characters.peek() == Some(&'"') => cells.last_mut().unwrap().extend(characters.next()),
                ('"', _) => quoted = !quoted,
                (',', false) => cells.push(String::new()),
                (c, quoted) => {
                    assert!(quoted, "{c:?} stands outside of quotes");
                    cells.last_mut().unwrap().push(c);
                }
            }
        }
        cells
    }

    #[test]
    fn h2_a_cell_that_begins_like_a_formula_is_none() {
        for cell in
            ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1＋1", "－1", "＠a", "-"]
        {
            let mut text = String::new();
            line(&mut text, [cell, "x"]);
            assert_eq!(text, format!("\"'{}\",\"x\"\r\n", cell.replace('"', "\"\"")), "{cell:?}");
        }
        for cell in ["", "room=1", " =1", "'=1", "2026-01-01", "a\"=1\",=2"] {
            let mut text = String::new();
            line(&mut text, [cell]);
            assert_eq!(text, format!("\"{}\"\r\n", cell.replace('"', "\"\"")), "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn h2_no_name_ends_its_cell_or_its_line(name in "[=+@,;\"\r\n\ta-c房-]{0,12}") {
            let mut text = String::new();
            line(&mut text, ["before", &name, "after"]);
            let mark = if is_formula(&name) { "'" } else { "" };
            prop_assert_eq!(cells(&text), ["before".to_owned(), format!("{mark}{name}"), "after".to_owned()]);
        }
    }
}
