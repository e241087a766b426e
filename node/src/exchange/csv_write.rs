//! Tables as CSV, for spreadsheets: UTF-8, commas, a header of column names, CR LF at the line ends.
//!
//! Each column is one column there. What has parts is written the way people do: the elements of a multi-value
//! behind each other, with `; ` between; of a phone or an e-mail address the thing itself and its kind in brackets,
//! `+49 170 1 (work); +49 30 2`; a name in the order `prefix given additional family, suffix`; an address with `, `
//! between its parts. Read back, such a column is text. All other composites, links among them, are written as servers
//! write them, `123;#john@x.org`, and come back as they were. For exchange without loss there are vCard and JSON. A text that a spreadsheet would run is defused ([`super::formula`]).

use super::{Cell, Column, field_text::field_text, formula::defuse};
use std::io::{self, Write};
use tandem_storage::{
    composite::{is_atom, string_of},
    lens::Choices,
};
use tandem_wire::design::{BaseType, FieldType};

/// Writes records as lines of a table.
pub struct CsvWriter<W: Write> {
    out: csv::Writer<W>,
    columns: Vec<FieldType>,
}

/// Writes a line of texts as they stand, for servers.
pub fn exact_writer<W: Write>(out: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out)
}

impl<W: Write> CsvWriter<W> {
    /// Writes the header.
    pub fn new(out: W, columns: &[Column]) -> io::Result<Self> {
        let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        out.write_record(columns.iter().map(|column| defuse(&column.name).into_owned()))?;
        Ok(Self { out, columns: columns.iter().map(|column| column.ty.clone()).collect() })
    }

    /// Writes a record's cells, given in any order; cells of unknown columns are left out.
    pub fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        let mut by_column = vec![Vec::new(); self.columns.len()];
        for cell in cells {
            if let Some(of_column) = by_column.get_mut(cell.column) {
                of_column.push(cell);
            }
        }
        for (ty, mut cells) in self.columns.iter().zip(by_column) {
            cells.sort_by(|a, b| a.part.cmp(&b.part));
            self.out.write_field(&*defuse(&text(ty, &cells)))?;
        }
        self.out.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Writes what is still held back, and gives the output back.
    pub fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(|error| error.into_error())
    }
}

fn text(ty: &FieldType, cells: &[&Cell]) -> String {
    match ty.base() {
        Some(base) if is_atom(base) || base == BaseType::Url => {
            let cells = cells.iter().map(|cell| (cell.part.clone(), cell.value.clone()));
            string_of(ty, &Choices::default(), &cells.collect())
        }
        _people_write => field_text(ty, cells, &|_| None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{csv_read::CsvFile, csv_write, reading::Reading, text_form};
    use super::*;
    use proptest::prelude::*;
    use tandem_wire::{PartPath, Value, design::BaseType};

    fn text_column(name: &str) -> Column {
        Column { name: name.to_owned(), ty: FieldType::one(BaseType::Text) }
    }

    fn write(columns: &[Column], rows: &[Vec<Cell>]) -> Vec<u8> {
        let mut writer = csv_write::CsvWriter::new(Vec::new(), columns).unwrap();
        rows.iter().for_each(|cells| writer.write(cells).unwrap());
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Vec<Vec<(usize, String)>> {
        let mut file = CsvFile::open(io::Cursor::new(bytes), None).unwrap();
        (0..file.columns().len()).for_each(|column| file.set_reading(column, Reading::Text));
        let rows = file.rows().unwrap().map(|entry| entry.unwrap().unwrap());
        rows.map(|row| row.cells.iter().map(|cell| (cell.column, text_form::show(&cell.value))).collect()).collect()
    }

    #[test]
    fn values_with_parts_read_as_people_write_them() {
        let check = |ty: FieldType, parts: &[(&[&str], &str)], expect: &str| {
            let columns = [Column { name: "x".into(), ty }];
            let cell = |(path, text): &(&[&str], &str)| {
                let part = PartPath::new(path.iter()).unwrap();
                Cell { column: 0, part, value: Value::Text((*text).into()) }
            };
            let bytes = write(&columns, &[parts.iter().map(cell).collect()]);
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(text, format!("x\r\n{expect}\r\n"));
        };
        let phones = FieldType::many(BaseType::Phone);
        let two: &[(&[&str], &str)] =
            &[(&["2", "number"], "+1 5"), (&["1", "kind"], "work, fax"), (&["1", "number"], "+49 3")];
        check(phones.clone(), two, "\"'+49 3 (work, fax); +1 5\"");
        check(phones, &[(&["1", "kind"], "home")], "(home)");
        let name: &[(&[&str], &str)] =
            &[(&["family"], "Doe"), (&["given"], "Jo"), (&["prefix"], "Dr."), (&["suffix"], "Jr.")];
        check(FieldType::one(BaseType::PersonName), name, "\"Dr. Jo Doe, Jr.\"");
        let address: &[(&[&str], &str)] =
            &[(&["1", "city"], "Ulm"), (&["1", "street"], "Weg 1"), (&["1", "code"], "89073")];
        check(FieldType::many(BaseType::PostalAddress), address, "\"Weg 1, Ulm 89073\"");
        check(FieldType::many(BaseType::Text), &[(&["1"], "a"), (&["2"], "b")], "a; b");
        // Chunks of one long text stand for one text.
        check(FieldType::many(BaseType::Text), &[(&["1", "0"], "a"), (&["1", "1"], "b")], "ab");
    }

    /// Texts with everything that a CSV reader may stumble over. Zero bytes are in no text file.
    fn nasty_text() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            Just("\"".to_owned()),
            Just("\r\n".to_owned()),
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just(",".to_owned()),
            Just(";".to_owned()),
            Just("\t".to_owned()),
            Just("|".to_owned()),
            Just(" ".to_owned()),
            Just("=1+1".to_owned()),
            Just("007".to_owned()),
            Just("-1.50".to_owned()),
            Just("44.0".to_owned()),
            Just("true".to_owned()),
            Just("2024-02-29".to_owned()),
            Just("Größe".to_owned()),
            Just("مرحبا".to_owned()),
            Just("東京".to_owned()),
            "[^\0]{0,6}",
        ];
        proptest::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            rows in (1usize..5).prop_flat_map(|width| {
                proptest::collection::vec(proptest::collection::vec(nasty_text(), width), 1..8)
            })
        ) {
            let columns: Vec<Column> = (0..rows[0].len()).map(|i| text_column(&format!("field {i}"))).collect();
            let filled = |row: &Vec<String>| -> Vec<(usize, String)> {
                row.iter().cloned().enumerate().filter(|(_, text)| !text.is_empty()).collect()
            };
            let cells = |row: &Vec<String>| -> Vec<Cell> {
                filled(row).into_iter().map(|(i, text)| Cell::plain(i, Value::Text(text))).collect()
            };
            let bytes = write(&columns, &rows.iter().map(cells).collect::<Vec<_>>());
            prop_assert_eq!(read(&bytes), rows.iter().map(filled).collect::<Vec<_>>());
        }
    }
}
