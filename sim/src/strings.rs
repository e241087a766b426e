//! Strings as servers write them, and what people do with the parts of such values.

use crate::{
    chance::{Ratio, Stream},
    model::Record,
};
use tandem_actors::Change;
use tandem_storage::composite::{self, Home, join_elements, reads, split_elements};
use tandem_wire::{
    CellKey, Decimal, FieldId, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// How often a string is no such value, and how often it is one that its type would write otherwise.
const ODD: Ratio = Ratio(1, 12);
const OTHERWISE: Ratio = Ratio(1, 6);
/// How often a part is changed rather than the whole, and cleared rather than given a value.
const A_PART: Ratio = Ratio(1, 2);
const CLEARED: Ratio = Ratio(1, 12);
/// How often a value is added to several rather than taken away, or all of them written anew.
const ADDED: Ratio = Ratio(3, 4);

/// Whether values of a type have parts.
pub(crate) fn have_parts(base: BaseType) -> bool {
    composite::of(base).is_some()
}

/// Whether it says a whole string.
pub(crate) fn is_one(change: &Change) -> bool {
    matches!(change, Change::SetText { .. })
}

/// The parts by which a field can be found.
pub(crate) fn indexable(ty: &FieldType) -> Option<String> {
    let parts = composite::of(ty.base()?).filter(|_| !ty.many)?.parts();
    let names: Vec<&str> = parts.iter().filter(|part| part.home != Home::Referred).map(|part| part.name).collect();
    Some(names[..names.len().min(2)].join(" "))
}

/// A string that a server might write where it has a value of this type.
pub(crate) fn string(stream: &mut Stream, base: BaseType) -> String {
    if stream.happens(ODD) {
        let odd =
            ["?", ";#", "1;#", "1;#a;", " 7 ;# x", "<script>1</script>", "\u{1}\u{2028}", "12,5 €", "nobody@", ";"];
        return (*stream.pick(&odd).expect("some")).to_owned();
    }
    let (n, otherwise) = (stream.below(40), stream.happens(OTHERWISE));
    match base {
        BaseType::User if otherwise => format!("0{n};#m{n}@x.org"),
        BaseType::User if n.is_multiple_of(4) => format!("{n};#Zoë;; no. {n}"),
        BaseType::User => format!("{n};#m{n}@x.org"),
        BaseType::Lookup if otherwise => format!("+{n};#place {n}"),
        BaseType::Lookup => format!("{n};#place {n}"),
        BaseType::Url if otherwise => format!("https://x.org/{n},title"),
        BaseType::Url => format!("https://x.org/{n}, Title {n}"),
        BaseType::Currency if otherwise => format!("EUR {n}.50"),
        BaseType::Currency => format!("{n}.50 EUR"),
        BaseType::Phone => format!("+49 30 12{n}"),
        BaseType::Email => format!("m{n}@x.org"),
        BaseType::PersonName if otherwise => format!("Dr. John {n} Doe"),
        BaseType::PersonName => format!("Doe;John {n};;Dr.;"),
        BaseType::PostalAddress if otherwise => format!("Weg {n}, 89073 Ulm"),
        BaseType::PostalAddress => format!(";;Weg {n};Ulm;;89073;Germany"),
        BaseType::GeoPoint if otherwise => format!("{n}.0, 13.4"),
        BaseType::GeoPoint => format!("{n},13.4"),
        BaseType::DateRange if otherwise => format!("2026-03-01T00:00:00Z/2026-03-{:02}", 1 + n % 28),
        BaseType::DateRange => format!("2026-03-01/2026-03-{:02}", 1 + n % 28),
        BaseType::RichText => format!("<p>note <b>{n}</b></p>"),
        BaseType::Int if otherwise => format!("0{n}"),
        BaseType::Int => n.to_string(),
        _text => format!("text {n}"),
    }
}

/// What somebody does with a field whose values have parts.
pub(crate) fn change(
    stream: &mut Stream,
    present: &Record,
    (record, field): (RecordKey, FieldId),
    (base, ty): (BaseType, &FieldType),
) -> Change {
    let elements: Vec<&PartPath> = present.elements(field).collect();
    let place = if ty.many { stream.pick(&elements).map(|place| (*place).clone()) } else { Some(PartPath::default()) };
    if let Some(place) = place.filter(|_| stream.happens(A_PART)) {
        return change_of_part(stream, base, CellKey { record, field, part: place });
    }
    let whole = CellKey { record, field, part: PartPath::default() };
    let before = present.string(field, ty);
    let text = if ty.many { row(stream, base, &before) } else { string(stream, base) };
    let is_well_formed = |text: &str| match ty.many {
        true => split_elements(base, text).is_some_and(|all| all.iter().all(|one| reads(base, one))),
        false => reads(base, text),
    };
    // A person hears of what is malformed; what comes from a server is kept as it is.
    let keep_raw = match ty.many {
        true => !(is_well_formed(&text) && is_well_formed(&before)),
        false => stream.happens(Ratio(1, 2)),
    };
    Change::SetText { cell: whole, text, keep_raw }
}

fn change_of_part(stream: &mut Stream, base: BaseType, place: CellKey) -> Change {
    let parts = composite::of(base).expect("it has parts").parts();
    let part = stream.pick(parts).expect("there are some");
    let steps = place.part.steps().chain([part.name.as_bytes()]);
    let cell = CellKey { part: PartPath::new(steps).expect("short"), ..place.clone() };
    let n = stream.below(40);
    let value = match part.base {
        _ if stream.happens(CLEARED) => Value::Null,
        BaseType::Int => Value::Int(n as i64),
        BaseType::Decimal => Value::Decimal(Decimal::new(n as i128, 1).expect("few places")),
        BaseType::Date => Value::Date(20_500 + n as i32),
        _text if part.name == "email" => Value::Text(format!("m{n}@x.org")),
        _text => Value::Text(format!("{} {n}", part.name)),
    };
    Change::Set(cell, value)
}

/// Another row of values: one more, one less, or anything.
fn row(stream: &mut Stream, base: BaseType, before: &str) -> String {
    let Some(mut all) = split_elements(base, before) else { return string(stream, base) };
    if all.is_empty() || stream.happens(ADDED) {
        let at = stream.below(all.len() as u64 + 1) as usize;
        all.insert(at, string(stream, base));
    } else {
        all.remove(stream.below(all.len() as u64) as usize);
    }
    // What can be in no row is kept as it is.
    join_elements(base, &all).unwrap_or_else(|| all.join("; "))
}
