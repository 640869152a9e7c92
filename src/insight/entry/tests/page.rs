//! The page of forms tells the truth.

use super::{Formats, told};

/// The page.
const PAGE: &str = include_str!("../../../../docs/log-formats.md");

/// The cells of a row; a bar in a cell is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace("\\|", "\u{1}");
    let cells = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|"));
    cells.collect()
}

#[test]
fn every_example_of_the_page_is_read_as_the_page_says() {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| form ")).skip(2);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() > 45, "only {} rows", rows.len());
    for row in rows {
        let [form, line, level, time, message, fields] = &row[..] else { panic!("{row:?} has not six cells") };
        let dash = |cell: &str| if cell.is_empty() { "-".to_owned() } else { cell.to_owned() };
        let head = format!("{form} {} {} | {}", dash(level), dash(time), message.trim_end_matches('…'));
        let said = told(&Formats::builtin().parse(line));
        let said = said.replace("; ", ", ");
        assert!(said.starts_with(&head) && said.ends_with(&format!(" | {fields}")), "{line}\n{said}\n{head}");
    }
}
