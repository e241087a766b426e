//! Tables in CSV: what separates the fields, what the columns hold, then the rows.
//!
//! A file is read three times, each time from its start and in bounded memory: for the encoding, for the types,
//! for the rows. The separator is the one of `,` `;` tab `|` that the first lines agree on, or that a first line
//! `sep=;` names. Fields follow RFC 4180: quoted ones may hold separators, line breaks and doubled quotes; lines end
//! in LF, CR LF or CR. Blank lines are skipped, an empty field gives no cell, and nothing is trimmed but the column
//! names. An apostrophe that [`super::formula`] put before a text is taken off.

use super::{
    COLUMNS_MAX, Cell, Entry, ImportError, ROW_VALUE_BYTES_MAX, ROWS_MAX, Rejected, Row,
    csv_infer::{self, Seen, TableColumn},
    csv_records::{Layout, Records},
    encoding::{Encoding, Utf8Reader},
    formula,
    number_form::Mark,
    reading::Reading,
    row_keys::RowKeys,
};
use std::{
    collections::BTreeSet,
    io::{Read, Seek},
};
use tandem_wire::{Value, limits::NAME_BYTES_MAX};

/// A table whose columns are known.
#[derive(Debug)]
pub struct CsvFile<R> {
    input: R,
    layout: Layout,
    columns: Vec<TableColumn>,
    mark: Option<Mark>,
    rows: u64,
    is_exact: bool,
}

impl<R: Read + Seek> CsvFile<R> {
    /// Reads the whole file to learn its encoding, separator, column names and types. `mark` is what stands before
    /// fractions, where that is known.
    pub fn open(mut input: R, mark: Option<Mark>) -> Result<Self, ImportError> {
        input.rewind()?;
        let encoding = Encoding::detect(&mut input)?;
        let layout = detect_layout(&mut input, encoding)?;
        let (seen, rows) = look_through(Records::start(&mut input, layout)?)?;
        let mark = mark.or_else(|| csv_infer::proved_mark(seen.iter().map(|(_, seen)| seen)));
        let columns = csv_infer::decide(seen, mark);
        Ok(Self { input, layout, columns, mark, rows, is_exact: false })
    }

    /// Its columns, in the order of the file.
    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// Reads a column otherwise from now on.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn set_reading(&mut self, column: usize, reading: Reading) {
        self.columns[column].reading = reading;
    }

    /// Calls a column otherwise from now on.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn rename(&mut self, column: usize, name: String) {
        self.columns[column].name = name;
    }

    /// Takes every text as it stands from now on: an apostrophe that spreadsheets put before formulas is one.
    pub fn read_exactly(&mut self) {
        self.is_exact = true;
    }

    /// What separates its fields.
    pub fn separator(&self) -> char {
        self.layout.separator.into()
    }

    /// What its characters are written in, by name.
    pub fn encoding(&self) -> &'static str {
        self.layout.encoding.name()
    }

    /// What stands before the fractions of its numbers, where that is known.
    pub fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// How many rows it has, those that cannot be read included.
    pub fn row_count(&self) -> u64 {
        self.rows
    }

    /// Its rows, from the first.
    pub fn rows(&mut self) -> Result<Rows<'_, R>, ImportError> {
        self.rows_with(Some(RowKeys::default()))
    }

    /// The same without [`Row::key`], for whoever has keys of another kind.
    pub fn rows_without_keys(&mut self) -> Result<Rows<'_, R>, ImportError> {
        self.rows_with(None)
    }

    fn rows_with(&mut self, keys: Option<RowKeys>) -> Result<Rows<'_, R>, ImportError> {
        let mut records = Records::start(&mut self.input, self.layout)?;
        records.next()?;
        Ok(Rows { columns: &self.columns, records, keys, is_exact: self.is_exact })
    }
}

/// The rows of a table. `Err` is the end: the file cannot be read on.
pub struct Rows<'a, R> {
    columns: &'a [TableColumn],
    records: Records<'a, R>,
    keys: Option<RowKeys>,
    is_exact: bool,
}

impl<R: Read> Iterator for Rows<'_, R> {
    type Item = Result<Entry, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.records.next() {
            Ok(true) => Some(Ok(self.entry())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<R: Read> Rows<'_, R> {
    fn entry(&mut self) -> Entry {
        let (line, width) = (self.records.line(), self.records.fields().len());
        let rejected = |reason: String| Err(Rejected::new(line, reason, &self.records.quote()));
        // Keys count equal rows, rejected ones included, so that mending one row leaves the others' keys alone.
        let is_exact = self.is_exact;
        let arm = |text| if is_exact { text } else { formula::arm(text) };
        let texts = self.records.fields().map(|text| arm(text).as_bytes());
        let key = self.keys.as_mut().map(|keys| keys.next(texts)).unwrap_or_default();
        if width != self.columns.len() {
            return rejected(format!("{width} fields instead of {}", self.columns.len()));
        }
        let bytes: usize = self.records.fields().map(str::len).sum();
        if bytes > ROW_VALUE_BYTES_MAX {
            return rejected(format!("{bytes} bytes, more than the {ROW_VALUE_BYTES_MAX} that a record can hold"));
        }
        let texts = self.records.fields().map(arm).enumerate().filter(|(_, text)| !text.is_empty());
        let cells = texts.map(|(index, text)| {
            let value = self.columns[index].reading.read(text);
            Cell::plain(index, value.unwrap_or_else(|| Value::Text(text.to_owned())))
        });
        Ok(Row { line, key, cells: cells.collect() })
    }
}

/// Lines that the separator is guessed from.
const SAMPLE_LINES: usize = 20;
/// Bytes that the separator is guessed from.
const SAMPLE_BYTES: u64 = 64 * 1024;

/// The separator that the file names, or that most of the first lines agree on with the header; among those the one
/// that gives most fields.
fn detect_layout(input: &mut (impl Read + Seek), encoding: Encoding) -> Result<Layout, ImportError> {
    input.rewind()?;
    let mut sample = Vec::new();
    Utf8Reader::new(input, encoding).take(SAMPLE_BYTES).read_to_end(&mut sample)?;
    if is_vcard(&sample) {
        return Err(ImportError::IsVCard);
    }
    if let Some(separator) = named_separator(&sample) {
        return Ok(Layout { encoding, separator, names_separator: true });
    }
    let best = SEPARATORS.iter().rev().max_by_key(|separator| score(&sample, **separator));
    Ok(Layout { encoding, separator: *best.unwrap_or(&b','), names_separator: false })
}

const SEPARATORS: &[u8] = b",;\t|";

/// The separator of a first line `sep=;`, which some spreadsheets write and read.
fn named_separator(sample: &[u8]) -> Option<u8> {
    let line = sample.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (name, separator) = line.split_at_checked(4)?;
    match separator {
        [separator] if name.eq_ignore_ascii_case(b"sep=") && SEPARATORS.contains(separator) => Some(*separator),
        _other => None,
    }
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

/// The columns with what all rows say about them, and how many rows there are.
fn look_through<R: Read + Seek>(mut records: Records<'_, R>) -> Result<(Vec<(String, Seen)>, u64), ImportError> {
    if !records.next()? {
        return Err(ImportError::Empty);
    }
    let names = usable_names(records.fields().map(formula::arm));
    if names.len() > COLUMNS_MAX {
        return Err(ImportError::TooManyColumns { count: names.len() });
    }
    let mut columns: Vec<(String, Seen)> = names.into_iter().map(|name| (name, Seen::default())).collect();
    let mut rows = 0;
    while records.next()? {
        rows += 1;
        if rows > ROWS_MAX {
            return Err(ImportError::TooManyRows);
        }
        if records.fields().len() == columns.len() {
            let texts = records.fields().map(formula::arm);
            columns.iter_mut().zip(texts).for_each(|((_, seen), text)| seen.see(text));
        }
    }
    if rows == 0 {
        return Err(ImportError::HeaderOnly);
    }
    Ok((columns, rows))
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
    use super::super::{RECORD_BYTES_MAX, text_form};
    use super::*;
    use std::io::Cursor;
    use tandem_wire::design::BaseType;

    type Imported = (Vec<(String, BaseType)>, Vec<Result<Vec<String>, (u64, String)>>);

    fn import(bytes: impl AsRef<[u8]>) -> Result<Imported, ImportError> {
        let mut file = CsvFile::open(Cursor::new(bytes.as_ref()), None)?;
        let columns = file.columns().iter().map(|column| (column.name.clone(), column.reading.base())).collect();
        let show = |cell: &Cell| format!("{}={}", cell.column, text_form::show(&cell.value));
        let entries = file.rows()?.map(|entry| {
            let shown = entry?.map(|row| row.cells.iter().map(show).collect());
            Ok(shown.map_err(|rejected| (rejected.line, rejected.reason)))
        });
        Ok((columns, entries.collect::<Result<_, ImportError>>()?))
    }

    fn keys(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut file = CsvFile::open(Cursor::new(bytes), None).unwrap();
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
            assert_eq!(CsvFile::open(Cursor::new(text), None).unwrap().separator(), expect, "{text}");
        };
        check("a,b\n1,2\n", ',');
        check("a;b\n1,5;2,5\n", ';');
        check("a\tb\n1,5\t2;5\n", '\t');
        check("a|b|c\n1|2|3\n", '|');
        check("only\n1\n2\n", ',');
        check("name;note\nx;\"a,b,c\"\n", ';');
        check("a,b\n\"x;y;z\",1\n", ',');
        check("sep=;\na;b,c\n1;2,5\n", ';');
        check("\"sep=\t\"\r\na,b\tc\r\n1,2\t3\r\n", '\t');
        check("SEP=|\ra|b\r1|2\r", '|');
    }

    #[test]
    fn a_named_separator_is_no_row() {
        let (columns, rows) = import("sep=;\r\na;b\r\n1;x\r\n").unwrap();
        assert_eq!(columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(rows, [Ok(["0=1", "1=x"].map(str::to_owned).to_vec())]);
        let (_, rows) = import("sep=;\na;b\n1\n").unwrap();
        assert_eq!(rows, [Err((3, "1 fields instead of 2".to_owned()))]);
        let (columns, _) = import("sep=x\n1\n").unwrap();
        assert_eq!(columns[0].0, "sep=x");
    }

    #[test]
    fn a_column_is_read_as_it_is_told() {
        let mut file = CsvFile::open(Cursor::new("n;d\n1.234,5;x\n2;1\n"), None).unwrap();
        assert_eq!(file.mark(), Some(Mark::Comma));
        let reading = file.columns()[1].seen.reading_as(BaseType::Int, file.mark()).unwrap();
        file.set_reading(1, reading);
        let values: Vec<Value> =
            file.rows().unwrap().flat_map(|entry| entry.unwrap().unwrap().cells).map(|cell| cell.value).collect();
        let decimal = |mantissa, places| Value::Decimal(tandem_wire::Decimal::new(mantissa, places).unwrap());
        assert_eq!(values, [decimal(12_345, 1), Value::Text("x".into()), decimal(2, 0), Value::Int(1)]);
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

    /// A file of one row and a line of 3 GB, which is nowhere as a whole.
    struct Endless {
        at: u64,
    }

    impl Endless {
        const START: &[u8] = b"a,b\n1,2\n";
        const BYTES: u64 = 3_000_000_000;
    }

    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let rest = usize::try_from(Self::BYTES - self.at).unwrap_or(usize::MAX).min(out.len());
            let out = &mut out[..rest];
            out.fill(b'x');
            let start = Self::START.get(self.at as usize..).unwrap_or_default();
            let count = start.len().min(out.len());
            out[..count].copy_from_slice(&start[..count]);
            self.at += rest as u64;
            Ok(rest)
        }
    }

    impl Seek for Endless {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            assert_eq!(to, std::io::SeekFrom::Start(0), "a file is read from its start");
            self.at = 0;
            Ok(0)
        }
    }

    #[test]
    fn a_line_of_three_gigabytes_is_an_error_with_its_number() {
        let opened = CsvFile::open(Endless { at: 0 }, None);
        assert!(matches!(opened, Err(ImportError::RecordTooLong { line: 3 })), "{:?}", opened.err());
    }

    #[test]
    fn encodings_give_the_same_rows() {
        let text = "name;n\r\nZoë;1\r\n";
        let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
        let expect = import(text).unwrap();
        assert_eq!(import(utf16).unwrap(), expect);
        assert_eq!(import(text.replace("\r\n", "\r")).unwrap(), expect);
        assert_eq!(import(latin1).unwrap(), expect);
    }
}
