//! Draws a board: columns of cards side by side, in several rows of columns when the page is too narrow.
//!
//! ```text
//! open (2)              done (0)
//! ────────────────────  ────────────────────
//! • Paint the fence
//!   due 2025-07-04
//! • Buy brushes
//! ```

use super::fit;

/// A column of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What the heading says, before the count of cards.
    pub title: String,
    /// The cards, from the top.
    pub cards: Vec<Card>,
}

/// A card in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What stands behind the bullet.
    pub title: String,
    /// What stands below it, one line each.
    pub lines: Vec<String>,
}

const NARROWEST_COLUMN: usize = 18;
const GAP: usize = 2;
const INDENT: usize = 2;
const LINES_PER_TITLE: usize = 3;

/// The board of `columns` as lines of at most `width` cells.
pub fn draw(columns: &[Column], width: usize) -> String {
    if columns.is_empty() {
        return fit::page(["(no columns)"]);
    }
    let width = fit::page_width(width);
    let beside = columns_per_row(columns.len(), width);
    let cells = (width - GAP * (beside - 1)) / beside;
    let rows: Vec<String> = columns.chunks(beside).map(|row| draw_row(row, cells)).collect();
    rows.join("\n")
}

/// As many columns as fit beside each other, spread so that no row is much emptier than the others.
fn columns_per_row(columns: usize, width: usize) -> usize {
    let fitting = ((width + GAP) / (NARROWEST_COLUMN + GAP)).max(1);
    let rows = columns.div_ceil(fitting);
    columns.div_ceil(rows)
}

fn draw_row(columns: &[Column], cells: usize) -> String {
    let stacks: Vec<Vec<String>> = columns.iter().map(|column| stack(column, cells)).collect();
    let height = stacks.iter().map(Vec::len).max().unwrap_or(0);
    fit::page((0..height).map(|line| {
        let parts: Vec<String> =
            stacks.iter().map(|stack| fit::pad(stack.get(line).map_or("", String::as_str), cells)).collect();
        parts.join(&" ".repeat(GAP))
    }))
}

fn stack(column: &Column, cells: usize) -> Vec<String> {
    let mut lines = vec![heading(column, cells), "─".repeat(cells)];
    lines.extend(column.cards.iter().flat_map(|card| card_lines(card, cells - INDENT)));
    lines
}

fn heading(column: &Column, cells: usize) -> String {
    let count = format!(" ({})", column.cards.len());
    let title = fit::shorten(&fit::label(&column.title), cells.saturating_sub(count.len()));
    fit::shorten(&format!("{title}{count}"), cells)
}

fn card_lines(card: &Card, cells: usize) -> Vec<String> {
    let title = fit::wrap(&fit::label(&card.title), cells, LINES_PER_TITLE);
    let below = card.lines.iter().map(|line| fit::shorten(fit::clean(line).trim(), cells));
    let text = title.into_iter().chain(below).enumerate();
    text.map(|(line, text)| format!("{} {text}", if line == 0 { "•" } else { " " })).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fit::tests::{assert_page, title};
    use super::*;

    fn card(title: &str, lines: &[&str]) -> Card {
        Card { title: title.into(), lines: lines.iter().map(|line| (*line).into()).collect() }
    }

    fn columns() -> Vec<Column> {
        let open =
            vec![card("Paint the fence behind the house", &["due 2025-07-04", "for Ada"]), card("Buy brushes", &[])];
        let doing = vec![card("日本語の題名はとても長いです", &["a very long line below the title"])];
        vec![
            Column { title: "open".into(), cards: open },
            Column { title: "doing".into(), cards: doing },
            Column { title: "done".into(), cards: vec![] },
        ]
    }

    #[test]
    fn columns_stand_side_by_side() {
        let expected = "\
open (2)            doing (1)           done (0)
──────────────────  ──────────────────  ──────────────────
• Paint the fence   • 日本語の題名はと
  behind the house    ても長いです
  due 2025-07-04      a very long lin…
  for Ada
• Buy brushes
";
        assert_eq!(draw(&columns(), 58), expected);
    }

    #[test]
    fn a_narrow_page_has_several_rows_of_columns() {
        let expected = "\
open (2)             doing (1)
───────────────────  ───────────────────
• Paint the fence    • 日本語の題名はと
  behind the house     ても長いです
  due 2025-07-04       a very long line…
  for Ada
• Buy brushes

done (0)
───────────────────
";
        assert_eq!(draw(&columns(), 40), expected);
    }

    #[test]
    fn a_long_heading_keeps_its_count() {
        let long = Column { title: "waiting for somebody else".into(), cards: vec![] };
        assert!(draw(&[long], 0).starts_with("waiting for som… (0)\n"));
        assert_eq!(draw(&[], 80), "(no columns)\n");
    }

    #[test]
    fn a_hundred_thousand_cards_are_drawn() {
        let many = Column { title: "open".into(), cards: vec![card("Paint", &["soon"]); 100_000] };
        assert_eq!(draw(&[many], 80).lines().count(), 200_002);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_page(
            columns in prop::collection::vec((title(), prop::collection::vec((title(), prop::collection::vec(title(), 0..3)), 0..4)), 0..8),
            width in 0usize..=500,
        ) {
            let card = |(title, lines)| Card { title, lines };
            let column = |(title, cards): (_, Vec<_>)| Column { title, cards: cards.into_iter().map(card).collect() };
            let columns: Vec<Column> = columns.into_iter().map(column).collect();
            assert_page(&draw(&columns, width), width);
        }
    }
}
