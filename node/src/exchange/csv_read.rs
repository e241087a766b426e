//! Tables in CSV: what separates the fields, what the columns hold, then the rows.
//!
//! A file is read three times, each time from its start and in bounded memory: for the encoding, for the types,
//! for the rows. The separator is the one of `,` `;` tab `|` that the first lines agree on. Fields follow RFC
//! 4180: quoted ones may hold separators, line breaks and doubled quotes. Blank lines are skipped, an empty
//! field gives no cell, and nothing is trimmed but the column names.

use super::{
    COLUMNS_MAX, Cell, Column, Entry, ImportError, ROW_VALUE_BYTES_MAX, ROWS_MAX, Rejected, Row,
    csv_infer::Guess,
    csv_records::Records,
    encoding::{Encoding, Utf8Reader},
    row_keys::RowKeys,
    text_form,
};
use std::{
    collections::BTreeSet,
    io::{Read, Seek},
};
use tandem_wire::limits::NAME_BYTES_MAX;

/// A table whose columns are known.
#[derive(Debug)]
pub struct CsvFile<R> {
    input: R,
    encoding: Encoding,
    separator: u8,
    columns: Vec<Column>,
}

impl<R: Read + Seek> CsvFile<R> {
    /// Reads the whole file to learn its encoding, separator, column names and types.
    pub fn open(mut input: R) -> Result<Self, ImportError> {
        input.rewind()?;
        let encoding = Encoding::detect(&mut input)?;
        let separator = detect_separator(&mut input, encoding)?;
        let columns = infer_columns(Records::start(&mut input, encoding, separator)?)?;
        Ok(Self { input, encoding, separator, columns })
    }

    /// Its columns, in the order of the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What separates its fields.
    pub fn separator(&self) -> char {
        self.separator.into()
    }

    /// Its rows, from the first.
    pub fn rows(&mut self) -> Result<Rows<'_, R>, ImportError> {
        let mut records = Records::start(&mut self.input, self.encoding, self.separator)?;
        records.next()?;
        Ok(Rows { columns: &self.columns, records, keys: RowKeys::default() })
    }
}

/// The rows of a table. `Err` is the end: the file cannot be read on.
pub struct Rows<'a, R> {
    columns: &'a [Column],
    records: Records<'a, R>,
    keys: RowKeys,
}

impl<R: Read> Iterator for Rows<'_, R> {
    type Item = Result<Entry, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.records.next() {
            Ok(true) => Some(self.entry()),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<R: Read> Rows<'_, R> {
    fn entry(&mut self) -> Result<Entry, ImportError> {
        let (line, width) = (self.records.line(), self.records.fields().len());
        let rejected = |reason: String| Ok(Err(Rejected::new(line, reason, &self.records.quote())));
        // Keys count equal rows, rejected ones included, so that mending one row leaves the others' keys alone.
        let key = self.keys.next(self.records.fields().map(str::as_bytes));
        if width != self.columns.len() {
            return rejected(format!("{width} fields instead of {}", self.columns.len()));
        }
        let bytes: usize = self.records.fields().map(str::len).sum();
        if bytes > ROW_VALUE_BYTES_MAX {
            return rejected(format!("{bytes} bytes, more than the {ROW_VALUE_BYTES_MAX} that a record can hold"));
        }
        let mut cells = Vec::new();
        for (index, (column, text)) in self.columns.iter().zip(self.records.fields()).enumerate() {
            if !text.is_empty() {
                let value = column.ty.base().and_then(|base| text_form::read(base, text));
                cells.push(Cell::plain(index, value.ok_or(ImportError::Changed { line })?));
            }
        }
        Ok(Ok(Row { key, cells }))
    }
}

/// Lines that the separator is guessed from.
const SAMPLE_LINES: usize = 20;
/// Bytes that the separator is guessed from.
const SAMPLE_BYTES: u64 = 64 * 1024;

/// The separator that most of the first lines agree on with the header, and among those the one that gives most
/// fields.
fn detect_separator(input: &mut (impl Read + Seek), encoding: Encoding) -> Result<u8, ImportError> {
    input.rewind()?;
    let mut sample = Vec::new();
    Utf8Reader::new(input, encoding).take(SAMPLE_BYTES).read_to_end(&mut sample)?;
    if is_vcard(&sample) {
        return Err(ImportError::IsVCard);
    }
    let best = b",;\t|".iter().rev().max_by_key(|separator| score(&sample, **separator));
    Ok(*best.unwrap_or(&b','))
}

fn is_vcard(sample: &[u8]) -> bool {
    sample.trim_ascii_start().get(..11).is_some_and(|start| start.eq_ignore_ascii_case(b"BEGIN:VCARD"))
}

fn score(sample: &[u8], separator: u8) -> (usize, usize) {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(sample);
    let widths: Vec<usize> = reader.byte_records().take(SAMPLE_LINES).flatten().map(|record| record.len()).collect();
    match widths.first() {
        None | Some(1) => (0, 0),
        Some(width) => (widths.iter().filter(|other| *other == width).count(), *width),
    }
}

fn infer_columns<R: Read + Seek>(mut records: Records<'_, R>) -> Result<Vec<Column>, ImportError> {
    if !records.next()? {
        return Err(ImportError::Empty);
    }
    let names = usable_names(records.fields());
    if names.len() > COLUMNS_MAX {
        return Err(ImportError::TooManyColumns { count: names.len() });
    }
    let mut guesses = vec![Guess::default(); names.len()];
    let mut rows = 0;
    while records.next()? {
        rows += 1;
        if rows > ROWS_MAX {
            return Err(ImportError::TooManyRows);
        }
        if records.fields().len() == names.len() {
            guesses.iter_mut().zip(records.fields()).for_each(|(guess, text)| guess.see(text));
        }
    }
    if rows == 0 {
        return Err(ImportError::HeaderOnly);
    }
    Ok(names.into_iter().zip(guesses).map(|(name, guess)| Column { name, ty: guess.ty() }).collect())
}

/// The header's names: trimmed, cut to what a name may have, `column 3` where one is empty, `name 2` where one was
/// there before.
fn usable_names<'a>(header: impl Iterator<Item = &'a str>) -> Vec<String> {
    const SUFFIX_BYTES: usize = 8;
    let mut names = Vec::<String>::new();
    let mut taken = BTreeSet::new();
    for (index, text) in header.enumerate() {
        let text = text.trim();
        let text = &text[..text.floor_char_boundary(NAME_BYTES_MAX - SUFFIX_BYTES)];
        let base = if text.is_empty() { format!("column {}", index + 1) } else { text.to_owned() };
        let others = (2..).map(|number| format!("{base} {number}"));
        let free = std::iter::once(base.clone()).chain(others).find(|name| !taken.contains(name));
        let name = free.expect("numbers do not run out");
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::RECORD_BYTES_MAX;
    use super::*;
    use std::io::Cursor;
    use tandem_wire::design::BaseType;

    type Imported = (Vec<(String, BaseType)>, Vec<Result<Vec<String>, (u64, String)>>);

    fn import(bytes: impl AsRef<[u8]>) -> Result<Imported, ImportError> {
        let mut file = CsvFile::open(Cursor::new(bytes.as_ref()))?;
        let columns = file.columns().iter().map(|column| (column.name.clone(), column.ty.base().unwrap())).collect();
        let show = |cell: &Cell| format!("{}={}", cell.column, text_form::show(&cell.value));
        let entries = file.rows()?.map(|entry| {
            let shown = entry?.map(|row| row.cells.iter().map(show).collect());
            Ok(shown.map_err(|rejected| (rejected.line, rejected.reason)))
        });
        Ok((columns, entries.collect::<Result<_, ImportError>>()?))
    }

    fn keys(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut file = CsvFile::open(Cursor::new(bytes)).unwrap();
        file.rows().unwrap().map(|entry| entry.unwrap().unwrap().key).collect()
    }

    #[test]
    fn types_and_cells() {
        let (columns, rows) =
            import("code,n,price,day,ok,note\n007,1,2.5,2024-02-29,true,\"a, \"\"b\"\"\nc\"\n8,,3,,,\n").unwrap();
        let names: Vec<_> = columns.iter().map(|(name, base)| format!("{name} {}", base.name())).collect();
        assert_eq!(names, ["code text", "n int", "price decimal", "day date", "ok bool", "note text"]);
        let first = ["0=007", "1=1", "2=2.5", "3=2024-02-29", "4=true", "5=a, \"b\"\nc"].map(str::to_owned).to_vec();
        let second = ["0=8", "2=3"].map(str::to_owned).to_vec();
        assert_eq!(rows, [Ok(first), Ok(second)]);
    }

    #[test]
    fn separators() {
        let check = |text: &str, expect| {
            assert_eq!(CsvFile::open(Cursor::new(text)).unwrap().separator(), expect, "{text}");
        };
        check("a,b\n1,2\n", ',');
        check("a;b\n1,5;2,5\n", ';');
        check("a\tb\n1,5\t2;5\n", '\t');
        check("a|b|c\n1|2|3\n", '|');
        check("only\n1\n2\n", ',');
        check("name;note\nx;\"a,b,c\"\n", ';');
        check("a,b\n\"x;y;z\",1\n", ',');
    }

    #[test]
    fn names_are_made_usable() {
        let names = |header: &str| -> Vec<String> {
            let (columns, _) = import(format!("{header}\n1,2,3,4\n")).unwrap();
            columns.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(" name ,,name,name 2"), ["name", "column 2", "name 2", "name 2 2"]);
        assert_eq!(names("\u{feff}a,b,c,d"), ["a", "b", "c", "d"]);
        assert!(names(&format!("{0},{0},c,d", "ä".repeat(300))).iter().all(|name| name.len() <= NAME_BYTES_MAX));
    }

    #[test]
    fn ragged_and_oversized_rows_are_rejected_and_the_rest_goes_on() {
        let big = "x".repeat(ROW_VALUE_BYTES_MAX);
        let (_, rows) = import(format!("a,b\n1,2\n3\n\n4,5,6\n{big},7\n8,9\n")).unwrap();
        let reasons: Vec<_> = rows.iter().filter_map(|row| row.clone().err()).collect();
        assert_eq!(reasons[0], (3, "1 fields instead of 2".to_owned()));
        assert_eq!(reasons[1], (5, "3 fields instead of 2".to_owned()));
        assert_eq!(reasons[2].0, 6);
        assert_eq!((rows.len(), reasons.len()), (5, 3));
    }

    #[test]
    fn equal_rows_stay_apart_and_a_second_reading_gives_the_same_keys() {
        let text = b"a,b\n1,2\n1,2\n12,\n";
        let first = keys(text);
        assert_eq!(first, keys(text));
        assert_eq!(first, keys("\u{feff}a;b\r\n\"1\";2\r\n1;2\r\n12;\r\n".as_bytes()));
        assert!(first[0] != first[1] && first[1] != first[2]);
    }

    #[test]
    fn a_file_that_is_no_table_is_an_error() {
        assert!(matches!(import(""), Err(ImportError::Empty)));
        assert!(matches!(import("\n\r\n"), Err(ImportError::Empty)));
        assert!(matches!(import("a,b\n"), Err(ImportError::HeaderOnly)));
        assert!(matches!(import(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Err(ImportError::Binary)));
        assert!(matches!(import("\r\nbegin:vcard\r\nFN:x\r\nEND:VCARD\r\n"), Err(ImportError::IsVCard)));
        let wide = format!("{}\n1\n", "a,".repeat(COLUMNS_MAX));
        assert!(matches!(import(wide), Err(ImportError::TooManyColumns { count: 1001 })));
        let open_quote = format!("a,b\n1,2\n3,\"{}", "x\n".repeat(RECORD_BYTES_MAX));
        assert!(matches!(import(open_quote), Err(ImportError::RecordTooLong { line: 3 })));
    }

    #[test]
    fn encodings_give_the_same_rows() {
        let text = "name;n\r\nZoë;1\r\n";
        let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
        let expect = import(text).unwrap();
        assert_eq!(import(utf16).unwrap(), expect);
        assert_eq!(import(latin1).unwrap(), expect);
    }
}
