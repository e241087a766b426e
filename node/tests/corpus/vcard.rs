//! Contact cards.
//!
//! calcard's own reading of a file is the reference: whatever property it finds must be in our rows, and come out
//! again.

use calcard::{
    Entry, Parser,
    vcard::{VCardEntry, VCardParameterName, VCardParameterValue, VCardProperty, VCardValue},
};
use std::{collections::BTreeMap, fs};
use tandem::exchange::{Rejected, Row, vcard::Field, vcard_read::Cards, vcard_write::CardWriter};

/// Files in which calcard finds no card, with what we say of them.
const NOT_READ: &[(&str, &str)] = &[(
    "130.vcf", // Its BEGIN is damaged: `--BEGIN:VCARD`.
    "the file holds no contact card (no line BEGIN:VCARD); if it is a table, import it as CSV (name it .csv)",
)];

#[test]
fn nothing_of_a_card_is_lost() {
    let mut not_read = Vec::new();
    let mut counts = BTreeMap::new();
    for path in super::files("vcard", "vcf", 200) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let reference = calcard_cards(&text_of(&bytes));
        if reference.is_empty() {
            not_read.push((name, import(&bytes).unwrap_err()));
            continue;
        }
        let (rows, rejected) = import(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = export(&rows);
        let (again, left_out) = import(&written).unwrap_or_else(|error| panic!("{name}, written: {error}"));
        assert_eq!(left_out, [], "{name}: rejected of what was written");
        super::assert_same_rows(&name, &rows, &again);

        let ours = calcard_cards(&text_of(&written));
        assert_eq!(rows.len(), reference.len(), "{name}: cards; rejected: {rejected:?}");
        for (index, (card, ours)) in reference.iter().zip(&ours).enumerate() {
            assert_same_properties(&format!("{name}, card {index}"), card, ours);
        }
        *counts.entry("files").or_insert(0) += 1;
        *counts.entry("cards").or_insert(0) += rows.len();
        *counts.entry("properties").or_insert(0) += reference.iter().map(Vec::len).sum::<usize>();
        *counts.entry("of these in other").or_insert(0) += rows.iter().map(others).sum::<usize>();
        *counts.entry("rejected pieces").or_insert(0) += rejected.len();
    }
    println!("{counts:?}");
    println!("not read: {not_read:#?}");
    let expected: Vec<_> = NOT_READ.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect();
    assert_eq!(not_read, expected);
}

/// Damaged cards are read without panic, and what is read of them survives being written.
#[test]
fn damaged_cards_survive_as_rows() {
    let tokens = [";", ":", "\\", "=", "\"", ",", "\n", "\r\n ", "BEGIN:VCARD\n", "TYPE=", "é", ".", "=\n", "\u{feff}"];
    for (context, damaged) in super::damaged(&super::files("vcard", "vcf", 200), &tokens) {
        if let Ok((rows, _)) = import(&damaged) {
            let again = import(&export(&rows)).unwrap_or_default();
            super::assert_same_rows(&context, &rows, &again.0);
        }
    }
}

/// Every property of `card` is in `ours`, with the same meaning.
fn assert_same_properties(context: &str, card: &[VCardEntry], ours: &[VCardEntry]) {
    let (mut rest, added): (Vec<_>, Vec<_>) = (ours.iter().map(meaning).collect(), is_added(card));
    for entry in card.iter().map(meaning) {
        let found = rest.iter().position(|other| *other == entry);
        let found = found.unwrap_or_else(|| panic!("{context}: lost {entry:#?}, has {:#?}", same_name(&rest, &entry)));
        rest.remove(found);
    }
    rest.retain(|entry| !added.contains(&entry.name));
    assert!(rest.is_empty(), "{context}: invented {rest:#?}");
}

fn same_name<'a>(rest: &'a [VCardEntry], entry: &VCardEntry) -> Vec<&'a VCardEntry> {
    rest.iter().filter(|other| other.name == entry.name).collect()
}

/// What a card must have and this one has not.
fn is_added(card: &[VCardEntry]) -> Vec<VCardProperty> {
    let required = [VCardProperty::Version, VCardProperty::Fn];
    required.into_iter().filter(|name| card.iter().all(|entry| entry.name != *name || is_empty(entry))).collect()
}

fn is_empty(entry: &VCardEntry) -> bool {
    entry.values.iter().all(|value| matches!(value, VCardValue::Text(text) if text.is_empty()))
}

/// Without what means nothing: the order of unlike parameters, the case of types, empty components at the end.
fn meaning(entry: &VCardEntry) -> VCardEntry {
    let mut entry = entry.clone();
    for param in &mut entry.params {
        if let (VCardParameterName::Type, VCardParameterValue::Text(text)) = (&param.name, &mut param.value) {
            text.make_ascii_lowercase();
        }
    }
    entry.params.sort_by(|a, b| a.name.cmp(&b.name));
    // In quoted-printable, calcard gives line breaks the form that the file has.
    for value in &mut entry.values {
        if let VCardValue::Text(text) = value {
            *text = text.replace("\r\n", "\n");
        }
    }
    // We know a birthday with hyphens in 4.0, which calcard takes for a month; and need no VALUE to say what it is.
    if let (VCardProperty::Bday, [VCardValue::PartialDateTime(date)]) = (&entry.name, &mut entry.values[..]) {
        entry.params.retain(|param| param.name != VCardParameterName::Value);
        date.day = None;
    }
    if matches!(entry.name, VCardProperty::N | VCardProperty::Adr | VCardProperty::Org) {
        while matches!(entry.values.last(), Some(VCardValue::Text(text)) if text.is_empty()) {
            entry.values.pop();
        }
    }
    entry
}

fn calcard_cards(text: &str) -> Vec<Vec<VCardEntry>> {
    let mut parser = Parser::new(text);
    let mut cards = Vec::new();
    loop {
        match parser.entry() {
            Entry::VCard(card) => cards.push(card.entries),
            Entry::Eof => return cards,
            _other => {}
        }
    }
}

/// With `ENCODING=` before each quoted-printable, without which calcard takes a value's first line for the whole.
fn text_of(bytes: &[u8]) -> String {
    super::text_of(bytes).replace(";QUOTED-PRINTABLE", ";ENCODING=QUOTED-PRINTABLE")
}

fn import(bytes: &[u8]) -> Result<(Vec<Row>, Vec<Rejected>), String> {
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    for entry in Cards::open(bytes).map_err(|error| error.to_string())? {
        match entry.map_err(|error| error.to_string())? {
            Ok(row) => rows.push(row),
            Err(piece) => rejected.push(piece),
        }
    }
    Ok((rows, rejected))
}

fn export(rows: &[Row]) -> Vec<u8> {
    let mut writer = CardWriter::new(Vec::new());
    rows.iter().for_each(|row| writer.write(&row.cells).unwrap());
    writer.finish().unwrap()
}

fn others(row: &Row) -> usize {
    let cells = row.cells.iter().filter(|cell| cell.column == Field::Other.index());
    let keys = cells.map(|cell| cell.part.steps().next().unwrap().to_vec());
    keys.collect::<std::collections::BTreeSet<_>>().len()
}
