//! One property of a card: its line, and the parts that it has in our columns.
//!
//! [`read`] gives parts only where [`write`] makes a line of them that means the same, so that nothing is lost on
//! the way in and out. What a line means is calcard's judgement.

use super::{
    content_lines::is_quoted_printable,
    element::Element,
    text_form,
    vcard::{EXTRA, Field},
};
use calcard::{
    Entry, Parser,
    common::IanaString,
    vcard::{VCardEntry, VCardParameter, VCardParameterName, VCardParameterValue, VCardProperty, VCardValue},
};
use std::borrow::Cow;
use tandem_wire::{Value, design::BaseType};

/// What decides how some values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Says the character set of each value, and has dates with hyphens.
    V2_1,
    /// Has dates with hyphens.
    V3_0,
    /// RFC 6350.
    V4_0,
}

impl Version {
    /// What a card's VERSION line says; nothing for other lines.
    pub(super) fn of(line: &str) -> Option<Self> {
        let (name, value) = line.split_once(':')?;
        let name = name.split(';').next().unwrap_or_default();
        name.eq_ignore_ascii_case("VERSION").then(|| match value.trim().as_bytes() {
            [b'2', ..] => Self::V2_1,
            [b'1' | b'3', ..] => Self::V3_0,
            _later => Self::V4_0,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::V2_1 => "2.1",
            Self::V3_0 => "3.0",
            Self::V4_0 => "4.0",
        }
    }
}

/// A property in our columns: one element, but of categories as many as it names.
pub(super) fn read(line: &str, version: Version) -> Option<(Field, Vec<Element>)> {
    let entry = parse(line, version)?;
    let (field, elements) = elements(&entry, line)?;
    if elements.iter().any(|element| element.parts().is_empty()) {
        return None;
    }
    let again = write(field, &elements, version);
    let is_same = if field == Field::Birthday {
        birthday(&again) == birthday(line)
    } else {
        meaning(parse(&again, version)?) == meaning(entry)
    };
    is_same.then_some((field, elements))
}

/// The value of an FN line, whatever its parameters.
pub(super) fn formatted_name(line: &str, version: Version) -> Option<String> {
    let entry = parse(line, version).filter(|entry| entry.name == VCardProperty::Fn)?;
    texts(&entry)?.first().filter(|text| !text.trim().is_empty()).map(|text| with_plain_breaks(text))
}

/// The name that an N line makes: `prefix given additional family suffix`.
pub(super) fn composed_name(line: &str, version: Version) -> Option<String> {
    let entry = parse(line, version).filter(|entry| entry.name == VCardProperty::N)?;
    let component = |index: usize| match entry.values.get(index) {
        Some(VCardValue::Text(text)) => text.clone(),
        Some(VCardValue::Component(texts)) => texts.join(" "),
        _none => String::new(),
    };
    let words = [3, 1, 2, 0, 4].map(component);
    let words: Vec<&str> = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| with_plain_breaks(&words.join(" ")))
}

/// The line of a property with these elements: one, but of categories all.
pub(super) fn write(field: Field, elements: &[Element], version: Version) -> String {
    let none = Element::default();
    let element = elements.first().unwrap_or(&none);
    let part = |name: &str| escape(&element.text(name));
    let structured = |names: &[&str]| names.iter().map(|name| part(name)).collect::<Vec<_>>().join(";");
    match field {
        Field::Name => head("FN", element, version) + &part(Element::PLAIN),
        Field::PersonName => head("N", element, version) + &structured(&NAME_PARTS),
        Field::Phones => head("TEL", element, version) + &part("number"),
        Field::Emails => head("EMAIL", element, version) + &part("address"),
        Field::Addresses => head("ADR", element, version) + &structured(&ADDRESS_PARTS),
        Field::Organization => {
            let text = element.text(Element::PLAIN);
            head("ORG", element, version) + &text.split(UNIT_SEPARATOR).map(escape).collect::<Vec<_>>().join(";")
        }
        Field::Title => head("TITLE", element, version) + &part(Element::PLAIN),
        Field::Role => head("ROLE", element, version) + &part(Element::PLAIN),
        Field::Birthday => head("BDAY", element, version) + &birthday_text(element, version),
        Field::Urls => head("URL", element, version) + &escape_uri(&element.text("url")),
        Field::Note => head("NOTE", element, version) + &part(Element::PLAIN),
        Field::Categories => {
            let texts: Vec<String> = elements.iter().map(|element| escape(&element.text(Element::PLAIN))).collect();
            head("CATEGORIES", element, version) + &texts.join(",")
        }
        Field::Uid => head("UID", element, version) + &escape_uri(&element.text(Element::PLAIN)),
        Field::Other => one_line(&element.text(Element::PLAIN)),
    }
}

/// In the order of RFC 6350 §6.2.2.
const NAME_PARTS: [&str; 5] = ["family", "given", "additional", "prefix", "suffix"];
/// In the order of RFC 6350 §6.3.1.
const ADDRESS_PARTS: [&str; 7] = ["box", "extended", "street", "city", "region", "code", "country"];
/// Between an organization and its units.
const UNIT_SEPARATOR: &str = "; ";

/// Parses one line as a card of this version would have it.
fn parse(line: &str, version: Version) -> Option<VCardEntry> {
    let line = with_named_encoding(line);
    let card = format!("BEGIN:VCARD\r\nVERSION:{}\r\n{line}\r\nEND:VCARD\r\n", version.name());
    match Parser::new(&card).entry() {
        Entry::VCard(card) => card.entries.into_iter().nth(1).filter(|entry| entry.name != VCardProperty::End),
        _other => None,
    }
}

/// In vCard 2.1 a parameter may lack its name; calcard knows that of all encodings but quoted-printable.
fn with_named_encoding(line: &str) -> Cow<'_, str> {
    const BARE: &str = ";QUOTED-PRINTABLE";
    let head = line.split(':').next().unwrap_or_default().to_ascii_uppercase();
    match head.find(BARE) {
        Some(at) if is_quoted_printable(line) && !head.contains("ENCODING=") => {
            Cow::Owned(format!("{};ENCODING=QUOTED-PRINTABLE{}", &line[..at], &line[at + BARE.len()..]))
        }
        Some(_) | None => Cow::Borrowed(line),
    }
}

/// What our columns can hold of a property; [`read`] checks whether it is all.
fn elements(entry: &VCardEntry, line: &str) -> Option<(Field, Vec<Element>)> {
    let texts = texts(entry)?;
    let one = || match &texts[..] {
        [text] => Some(text.clone()),
        _more => None,
    };
    let plain = |text: String| vec![Element::default().with(Element::PLAIN, text)];
    let structured = |names: &[&str]| {
        let parts = names.iter().zip(&texts);
        parts.fold(Element::default(), |element, (name, text)| element.with(name, text.as_str()))
    };
    let is_bare = entry.group.is_none() && entry.params.is_empty();
    match &entry.name {
        VCardProperty::N => Some((Field::PersonName, vec![with_extra(structured(&NAME_PARTS), entry, false)])),
        VCardProperty::Tel => {
            Some((Field::Phones, vec![with_extra(Element::default().with("number", one()?), entry, true)]))
        }
        VCardProperty::Email => {
            Some((Field::Emails, vec![with_extra(Element::default().with("address", one()?), entry, true)]))
        }
        VCardProperty::Adr => Some((Field::Addresses, vec![with_extra(structured(&ADDRESS_PARTS), entry, true)])),
        VCardProperty::Url => {
            Some((Field::Urls, vec![with_extra(Element::default().with("url", one()?), entry, false)]))
        }
        VCardProperty::Bday => birthday(line).map(|value| (Field::Birthday, vec![Element::plain(value)])),
        VCardProperty::Fn if is_bare => Some((Field::Name, plain(one()?))),
        VCardProperty::Org if is_bare => {
            Some((Field::Organization, plain(texts.join(UNIT_SEPARATOR).trim_end_matches(UNIT_SEPARATOR).to_owned())))
        }
        VCardProperty::Title if is_bare => Some((Field::Title, plain(one()?))),
        VCardProperty::Role if is_bare => Some((Field::Role, plain(one()?))),
        VCardProperty::Note if is_bare => Some((Field::Note, plain(one()?))),
        VCardProperty::Uid if is_bare => Some((Field::Uid, plain(one()?))),
        VCardProperty::Categories if is_bare => Some((Field::Categories, texts.into_iter().flat_map(plain).collect())),
        _without_a_column => None,
    }
}

/// The values of a property, where all of them are text; of a birthday none, as its line is looked at instead.
fn texts(entry: &VCardEntry) -> Option<Vec<String>> {
    if entry.name == VCardProperty::Bday {
        return Some(Vec::new());
    }
    let text = |value: &VCardValue| match value {
        VCardValue::Text(text) => Some(text.clone()),
        _other => None,
    };
    entry.values.iter().map(text).collect()
}

/// Adds the kind, where the field has one, and what is left of group and parameters.
fn with_extra(element: Element, entry: &VCardEntry, has_kind: bool) -> Element {
    let is_kind = |param: &&VCardParameter| has_kind && param.name == VCardParameterName::Type;
    let kinds: Vec<String> = entry.params.iter().filter(is_kind).filter_map(kind).collect();
    let rest: Vec<VCardParameter> = entry.params.iter().filter(|param| !is_kind(param)).cloned().collect();
    let extra = format!("{}{}", entry.group.as_deref().unwrap_or_default(), parameters_text(rest));
    element.with("kind", kinds.join(", ")).with(EXTRA, extra)
}

fn kind(param: &VCardParameter) -> Option<String> {
    match &param.value {
        VCardParameterValue::Type(kind) => Some(kind.as_str().to_ascii_lowercase()),
        VCardParameterValue::Text(text) => Some(text.to_ascii_lowercase()),
        _other => None,
    }
}

/// Parameters as they stand in a line, each behind a semicolon.
fn parameters_text(params: Vec<VCardParameter>) -> String {
    let name = VCardProperty::Other("X".to_owned());
    let mut text = String::new();
    let entry = VCardEntry { group: None, name, params, values: Vec::new() };
    entry.write_to(&mut text, true).expect("a string takes all text");
    let text = text.replace("\r\n ", "");
    text.trim_start_matches('X').trim_end().trim_end_matches(':').to_owned()
}

/// Name, kinds and other parameters, up to the colon.
fn head(name: &str, element: &Element, version: Version) -> String {
    let extra = one_line(&element.text(EXTRA));
    let (group, params) = extra.split_at(extra.find(';').unwrap_or(extra.len()));
    let kinds = element.text("kind");
    let kinds = kinds.split(',').map(str::trim).filter(|kind| !kind.is_empty());
    let kinds: String = kinds.map(|kind| format!(";TYPE={}", quoted(kind))).collect();
    let is_ascii = element.parts().iter().all(|(_, value)| text_form::show(value).is_ascii());
    let charset = if version == Version::V2_1 && !is_ascii { ";CHARSET=UTF-8" } else { "" };
    let dot = if group.is_empty() { "" } else { "." };
    format!("{group}{dot}{name}{kinds}{charset}{params}:")
}

fn quoted(text: &str) -> String {
    let is_token = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_token { text.to_owned() } else { format!("\"{}\"", one_line(text).replace('"', "'")) }
}

/// RFC 6350 §3.4.
fn escape(text: &str) -> String {
    escape_uri(text).replace(',', "\\,").replace(';', "\\;")
}

fn escape_uri(text: &str) -> String {
    with_plain_breaks(&text.replace('\\', "\\\\")).replace('\n', "\\n")
}

/// vCard has one kind of line break.
fn with_plain_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Line breaks would begin another property.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// The birthday in a line without group and with no parameter but `VALUE=date`: a date where it is a full one, else
/// its text as it stands.
fn birthday(line: &str) -> Option<Value> {
    let (head, text) = line.split_once(':')?;
    let is_bare = head.eq_ignore_ascii_case("BDAY");
    let is_date = head.eq_ignore_ascii_case("BDAY;VALUE=date");
    let hyphenated = match text.as_bytes() {
        digits if digits.len() == 8 && digits.is_ascii() => format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]),
        _other => text.to_owned(),
    };
    match text_form::read(BaseType::Date, &hyphenated) {
        Some(date) if is_bare || is_date => Some(date),
        None if is_bare && !text.is_empty() => Some(Value::Text(text.to_owned())),
        Some(_) | None => None,
    }
}

fn birthday_text(element: &Element, version: Version) -> String {
    let text = one_line(&element.text(Element::PLAIN));
    match element.value(Element::PLAIN) {
        Some(Value::Date(_)) if version == Version::V4_0 => text.replace('-', ""),
        _as_it_stands => text,
    }
}

/// A property without the differences that mean nothing: the order of unlike parameters, the case of types, empty
/// components at the end.
fn meaning(mut entry: VCardEntry) -> VCardEntry {
    for param in &mut entry.params {
        if let (VCardParameterName::Type, VCardParameterValue::Text(text)) = (&param.name, &mut param.value) {
            text.make_ascii_lowercase();
        }
    }
    entry.params.sort_by(|a, b| a.name.cmp(&b.name));
    if matches!(entry.name, VCardProperty::N | VCardProperty::Adr | VCardProperty::Org) {
        while matches!(entry.values.last(), Some(VCardValue::Text(text)) if text.is_empty()) {
            entry.values.pop();
        }
    }
    entry
}
