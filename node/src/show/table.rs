//! Lists of records for people: one line a record, cut to the width of the screen.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Row, TableStyle};

use super::{Screen, escape};

/// A column: its header, and on which side its cells stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    header: String,
    alignment: CellAlignment,
}

impl Column {
    /// Cells stand on the left.
    pub fn text(header: impl Into<String>) -> Self {
        Self { header: header.into(), alignment: CellAlignment::Left }
    }

    /// Cells stand on the right, so that digits of one weight stand below each other.
    pub fn number(header: impl Into<String>) -> Self {
        Self { header: header.into(), alignment: CellAlignment::Right }
    }
}

/// A table under construction: columns first, then rows, then [`Table::render`].
///
/// Headers and cells may be any text; they are escaped here, nowhere else.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// Splits nothing: a cell is one piece of text, cut where the column ends and not at the last space before it.
/// [`escape`] lets this character never through.
const NO_DELIMITER: char = '\0';

impl Table {
    /// An empty table.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row, one cell a column.
    ///
    /// # Panics
    ///
    /// When the number of cells is not that of the columns.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let row: Row = cells.into_iter().map(|cell| Cell::new(escape(cell.as_ref()))).into();
        assert_eq!(row.cell_count(), self.columns.len(), "one cell a column");
        self.rows.push(with_one_line(row));
    }

    /// The lines of the table for `screen`, each ended by a line feed: the header, a rule, and the rows.
    pub fn render(self, screen: &Screen) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
        table.set_delimiter(NO_DELIMITER);
        table.set_header(with_one_line(self.columns.iter().map(|column| Cell::new(escape(&column.header))).into()));
        table.add_rows(self.rows);
        for (settings, column) in table.column_iter_mut().zip(&self.columns) {
            settings.set_padding((0, PADDING));
            settings.set_cell_alignment(column.alignment);
        }
        if let Some(width) = screen.width {
            // The last column's padding is trimmed below, so it may stand beyond the edge.
            table.set_width(width.saturating_add(PADDING));
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        let mut out = String::new();
        for (number, line) in table.lines().enumerate() {
            let line = line.trim_end();
            match number {
                0 if screen.color => out.extend([BOLD, line, PLAIN]),
                1 => out.push_str(line.strip_suffix('─').unwrap_or(line)),
                _ => out.push_str(line),
            }
            out.push('\n');
        }
        out
    }
}

/// Spaces right of a cell; one more stands between two columns.
const PADDING: u16 = 1;

const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

fn with_one_line(mut row: Row) -> Row {
    row.max_height(1);
    row
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn people() -> Table {
        let mut table = Table::new([Column::text("name"), Column::number("age"), Column::text("city")]);
        table.row(["Jürgen Groß", "47", "Köln"]);
        table.row(["王小明", "8", "台北"]);
        table.row(["eve\x1b[31m", "101", "two\nlines"]);
        table
    }

    #[test]
    fn a_pipe_gets_everything() {
        let expect = "\
name           age  city
──────────────────────────────
Jürgen Groß     47  Köln
王小明           8  台北
eve\\u{1b}[31m  101  two\\nlines
";
        assert_eq!(people().render(&Screen::PIPE), expect);
    }

    #[test]
    fn a_narrow_screen_cuts_cells() {
        let rendered = people().render(&Screen { width: Some(24), color: false });
        assert!(rendered.contains('…'), "{rendered}");
        assert_eq!(rendered.lines().count(), 5, "{rendered}");
        for line in rendered.lines() {
            assert!(line.width() <= 24, "{rendered}");
        }
    }

    #[test]
    fn a_cell_is_cut_where_the_column_ends() {
        let mut table = Table::new([Column::text("name")]);
        table.row(["Anna Maria Schmidt-Rottluff of Chemnitz"]);
        let rendered = table.render(&Screen { width: Some(22), color: false });
        assert_eq!(rendered.lines().last(), Some("Anna Maria Schmidt-Ro…"), "{rendered}");
    }

    #[test]
    fn only_the_header_is_emphasised_and_only_in_colour() {
        let rendered = people().render(&Screen { width: Some(60), color: true });
        assert!(rendered.starts_with("\x1b[1mname"), "{rendered:?}");
        assert_eq!(rendered.matches('\x1b').count(), 2, "{rendered:?}");
    }

    #[test]
    fn an_empty_table_is_its_header() {
        let rendered = Table::new([Column::text("name")]).render(&Screen::PIPE);
        assert_eq!(rendered, "name\n────\n");
    }

    #[test]
    #[should_panic(expected = "one cell a column")]
    fn a_ragged_row_is_a_mistake_of_the_caller() {
        Table::new([Column::text("name")]).row(["a", "b"]);
    }

    proptest! {
        #[test]
        fn one_line_a_record_within_the_width(
            rows in prop::collection::vec(prop::collection::vec(".{0,30}", 4), 0..6),
            width in 40_u16..120,
        ) {
            let mut table = Table::new(["one", "two", "three", "four"].map(Column::text));
            let count = rows.len();
            rows.into_iter().for_each(|row| table.row(row));
            let rendered = table.render(&Screen { width: Some(width), color: false });
            prop_assert_eq!(rendered.lines().count(), count + 2);
            for line in rendered.lines() {
                prop_assert!(line.width() <= usize::from(width), "{line}");
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}
