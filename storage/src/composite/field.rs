//! A whole field as one string, the way a server writes it, with all its elements and parts; and the cells that say one.

use super::{
    Composite, Decomposed, Home, Parts, VERBATIM, decompose, is_atom, join_elements, of, recompose, split_elements,
};
use crate::lens::{Choices, convert, to_text};
use std::collections::BTreeMap;
use tandem_wire::{
    ElementId, PartPath, Value,
    design::{BaseType, FieldType},
    limits::PART_STEP_BYTES_MAX,
};

/// What cells of a field show, by their paths.
pub type FieldCells = BTreeMap<PartPath, Value>;

/// Cells below an element, or below a field of one value, by what is left of their paths.
type Below = BTreeMap<Vec<u8>, Value>;

/// The string of a field; empty where it shows nothing.
pub fn string_of(ty: &FieldType, choices: &Choices, cells: &FieldCells) -> String {
    let Some(base) = ty.base() else { return String::new() };
    if !ty.many {
        return element_string(base, choices, &below(cells, 0, &[]));
    }
    let elements: Vec<String> = keys(base, cells).iter().map(|key| of_element(base, choices, cells, key)).collect();
    match cells.get(&path(&[VERBATIM.as_bytes()])) {
        // As it was written, where it still says the same; what nobody could take apart, where there is nothing else.
        Some(Value::Text(verbatim)) if filled(base, verbatim).unwrap_or_default() == elements => verbatim.clone(),
        _none => join_elements(base, &elements).unwrap_or_else(|| elements.join("; ")),
    }
}

/// What changes in the cells of a field that is to say this string. Elements that stay keep their cells; `fresh` makes the
/// keys of new ones unique. What no string says, such as what a telephone number is for, stays.
pub fn cells_of(
    ty: &FieldType,
    choices: &Choices,
    present: &FieldCells,
    string: &str,
    mut fresh: impl FnMut() -> [u8; 6],
) -> FieldCells {
    let Some(base) = ty.base() else { return FieldCells::new() };
    if !ty.many {
        return element_cells(base, choices, &below(present, 0, &[]), Some(string), &[]);
    }
    if string_of(ty, choices, present) == string {
        return FieldCells::new();
    }
    let whole = path(&[VERBATIM.as_bytes()]);
    let wanted = filled(base, string);
    let with_string = |key: Vec<u8>| {
        let string = of_element(base, choices, present, &key);
        (key, string)
    };
    let elements: Vec<(Vec<u8>, String)> = keys(base, present).into_iter().map(with_string).collect();
    let mut cells = FieldCells::new();
    let placed = place(&elements, wanted.as_deref().unwrap_or_default(), &mut fresh);
    for (key, _) in elements.iter().filter(|(key, _)| placed.iter().all(|(placed, ..)| placed != key)) {
        cells.extend(element_cells(base, choices, &below(present, 1, key), None, key));
    }
    for (key, string, _) in placed.iter().filter(|(_, _, is_new)| *is_new) {
        cells.extend(element_cells(base, choices, &Below::new(), Some(string), key));
    }
    let strings: Vec<String> = wanted.unwrap_or_default();
    let is_its_own = join_elements(base, &strings).is_some_and(|own| own == string);
    let verbatim = if is_its_own { Value::Null } else { Value::Text(string.to_owned()) };
    if *present.get(&whole).unwrap_or(&Value::Null) != verbatim {
        cells.insert(whole, verbatim);
    }
    cells
}

/// The same for one element, by its key: what changes in its cells for it to say this string.
pub fn cells_of_element(
    base: BaseType,
    choices: &Choices,
    present: &FieldCells,
    key: &[u8],
    string: &str,
) -> FieldCells {
    element_cells(base, choices, &below(present, 1, key), Some(string), key)
}

/// The elements of a string that say something.
fn filled(base: BaseType, string: &str) -> Option<Vec<String>> {
    Some(split_elements(base, string)?.into_iter().filter(|element| !element.is_empty()).collect())
}

/// The string of the element with this key, which names the choice where that is only marked as present.
fn of_element(base: BaseType, choices: &Choices, cells: &FieldCells, key: &[u8]) -> String {
    let below = below(cells, 1, key);
    match (base, below.get(&b""[..]), key.try_into()) {
        (BaseType::Choice, Some(Value::Bool(true)), Ok(choice)) => {
            choices.name(ElementId(choice)).unwrap_or_default().to_owned()
        }
        _value => element_string(base, choices, &below),
    }
}

/// The string of one element.
fn element_string(base: BaseType, choices: &Choices, cells: &Below) -> String {
    let own = cells.get(&b""[..]);
    let verbatim = match cells.get(VERBATIM.as_bytes()) {
        Some(Value::Text(text)) => Some(text.clone()),
        _none => None,
    };
    match of(base).filter(|_| !is_atom(base)) {
        Some(composite) => match own {
            // From before the field had parts.
            Some(Value::Text(text)) if cells.len() == 1 => text.clone(),
            _parts => recompose(composite, &Decomposed { parts: string_parts(composite, cells), verbatim }),
        },
        None => {
            // Of what was cleared it matters no more how it was written.
            let Some(value) = own.filter(|value| **value != Value::Null) else { return String::new() };
            match verbatim.filter(|verbatim| reads_as(base, choices, verbatim).as_ref() == Some(value)) {
                Some(verbatim) => verbatim,
                None => text_of(choices, value),
            }
        }
    }
}

/// The parts that a string says.
fn string_parts(composite: &dyn Composite, cells: &Below) -> Parts {
    let own = composite.parts().iter().filter(|part| part.home == Home::Cell);
    let said = own.filter_map(|part| Some((part.name, cells.get(part.name.as_bytes())?.clone())));
    said.filter(|(_, value)| *value != Value::Null).collect()
}

fn reads_as(base: BaseType, choices: &Choices, string: &str) -> Option<Value> {
    convert(&Value::Text(string.to_owned()), base, choices).filter(|value| *value != Value::Null)
}

fn text_of(choices: &Choices, value: &Value) -> String {
    match value {
        Value::Choice(choice) => choices.name(*choice).unwrap_or_default().to_owned(),
        other => to_text(other).unwrap_or_default(),
    }
}

/// What changes in the cells of one element that is to say this string, or nothing any more.
fn element_cells(base: BaseType, choices: &Choices, present: &Below, string: Option<&str>, key: &[u8]) -> FieldCells {
    let mut says = Below::new();
    let said = string.filter(|string| !string.is_empty());
    // Parts that say it already are left as they are, and an empty text that says nothing. A plain value may be there as a
    // text that its type reads.
    let is_left = |said: &str| of(base).is_some() || reads_as(base, choices, said).as_ref() == present.get(&b""[..]);
    if said.is_none_or(is_left) && string.is_some_and(|string| element_string(base, choices, present) == string) {
        return FieldCells::new();
    }
    match (of(base).filter(|_| !is_atom(base)), said) {
        (_, None) => {}
        (Some(composite), Some(string)) => {
            let taken = decompose(composite, string);
            says.extend(taken.parts.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)));
            says.extend(taken.verbatim.map(|text| (VERBATIM.as_bytes().to_vec(), Value::Text(text))));
        }
        (None, Some(string)) => {
            let value = reads_as(base, choices, string).unwrap_or_else(|| Value::Text(string.to_owned()));
            if text_of(choices, &value) != *string {
                says.insert(VERBATIM.as_bytes().to_vec(), Value::Text(string.to_owned()));
            }
            says.insert(Vec::new(), value);
        }
    }
    // Of an element that goes all goes; one that stays keeps what no string says.
    let is_said = |name: &[u8]| {
        string.is_none()
            || name.is_empty()
            || name == VERBATIM.as_bytes()
            || of(base)
                .is_some_and(|it| it.parts().iter().any(|part| part.name.as_bytes() == name && part.home == Home::Cell))
    };
    let gone =
        present.iter().filter(|(name, value)| !says.contains_key(*name) && is_said(name) && **value != Value::Null);
    let gone: Vec<Vec<u8>> = gone.map(|(name, _)| name.clone()).collect();
    let changed = says.into_iter().filter(|(name, value)| present.get(name) != Some(value));
    let all = changed.chain(gone.into_iter().map(|name| (name, Value::Null)));
    all.filter_map(|(name, value)| {
        let steps = [key, name.as_slice()].into_iter().filter(|step| !step.is_empty());
        Some((PartPath::new(steps)?, value))
    })
    .collect()
}

/// The elements' keys, in order.
fn keys(base: BaseType, cells: &FieldCells) -> Vec<Vec<u8>> {
    let ty = FieldType::many(base);
    let shown = cells.iter().filter(|(path, value)| **value != Value::Null && shows(&ty, path, value));
    let mut keys: Vec<Vec<u8>> = shown.filter_map(|(path, _)| path.steps().next().map(<[u8]>::to_vec)).collect();
    keys.dedup();
    keys.retain(|key| key != VERBATIM.as_bytes());
    keys
}

/// Whether a cell shows something by itself, and not only how others are written.
pub fn shows(ty: &FieldType, path: &PartPath, value: &Value) -> bool {
    if path.steps().last() != Some(VERBATIM.as_bytes()) {
        return true;
    }
    let base = ty.base().unwrap_or(BaseType::Text);
    match value {
        // What nobody could take apart into elements is all that there is of them.
        Value::Text(text) if ty.many && path.steps().len() == 1 => split_elements(base, text).is_none(),
        // Likewise of parts, and what has none.
        Value::Text(text) => {
            of(base).filter(|_| !is_atom(base)).is_some_and(|it| it.read(text).is_none_or(|parts| parts.is_empty()))
        }
        _no_string => false,
    }
}

fn below(cells: &FieldCells, depth: usize, key: &[u8]) -> Below {
    let own = cells.iter().filter(|(path, _)| depth == 0 || path.steps().next() == Some(key));
    own.filter(|(path, _)| path.steps().len() <= depth + 1)
        .map(|(path, value)| (path.steps().nth(depth).unwrap_or_default().to_vec(), value.clone()))
        .collect()
}

fn path(steps: &[&[u8]]) -> PartPath {
    PartPath::new(steps).expect("shorter than any limit")
}

/// A key for each string, whether it is new: elements stay where their order is that of the strings.
fn place(
    elements: &[(Vec<u8>, String)],
    wanted: &[String],
    fresh: &mut impl FnMut() -> [u8; 6],
) -> Vec<(Vec<u8>, String, bool)> {
    // The first elements that are as wanted, and the last.
    let first = elements.iter().zip(wanted).take_while(|((_, string), wanted)| string == *wanted).count();
    let most = elements.len().min(wanted.len()) - first;
    let last = elements.iter().rev().zip(wanted.iter().rev()).take(most);
    let last = last.take_while(|((_, string), wanted)| string == *wanted).count();
    let between = first..elements.len() - last;
    let mut placed: Vec<(Vec<u8>, String, bool)> = Vec::new();
    let mut from = between.start;
    let mut keeps = true;
    for (index, string) in wanted.iter().enumerate() {
        let there = if index < first {
            Some(index)
        } else if index >= wanted.len() - last {
            Some(elements.len() - (wanted.len() - index))
        } else {
            (from..between.end).find(|at| elements[*at].1 == *string)
        };
        let before = placed.last().map(|(key, ..)| key.clone());
        if let Some(at) = there.filter(|_| keeps) {
            from = if (first..between.end).contains(&at) { at + 1 } else { from };
            placed.push((elements[at].0.clone(), string.clone(), false));
            continue;
        }
        let after =
            (keeps && index >= first).then(|| next_kept(elements, &wanted[index..], from, &between, last)).flatten();
        let key = match (before, after) {
            (None, None) => Some([&[0, 0][..], &fresh()].concat()),
            (Some(before), None) => Some(behind(&before, fresh())),
            (Some(before), Some(after)) => {
                let key = [&before[..], &fresh()].concat();
                (key.len() <= PART_STEP_BYTES_MAX && key < after).then_some(key)
            }
            (None, Some(_)) => None,
        };
        // Where there is no room, all that follows is new.
        let key = key.unwrap_or_else(|| {
            keeps = false;
            let end = elements.last().map(|(key, _)| key.clone()).unwrap_or_default();
            let end = placed.last().map_or(end.clone(), |(key, ..)| key.clone().max(end));
            behind(&end, fresh())
        });
        placed.push((key, string.clone(), true));
    }
    placed
}

/// The key of the element that stays behind this place.
fn next_kept(
    elements: &[(Vec<u8>, String)],
    wanted: &[String],
    from: usize,
    between: &std::ops::Range<usize>,
    last: usize,
) -> Option<Vec<u8>> {
    let inside = wanted[..wanted.len() - last.min(wanted.len())].iter();
    let mut found = inside.filter_map(|string| (from..between.end).find(|at| elements[*at].1 == *string));
    let at = found.next().or_else(|| (last > 0).then_some(between.end))?;
    elements.get(at).map(|(key, _)| key.clone())
}

/// A key behind another one: its first two bytes count up.
fn behind(key: &[u8], fresh: [u8; 6]) -> Vec<u8> {
    let place = key.first_chunk::<2>().map_or(0, |place| u16::from_be_bytes(*place));
    match place.checked_add(1) {
        Some(next) => [&next.to_be_bytes()[..], &fresh].concat(),
        None => [key, &fresh].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composite::{ELEMENTS_MAX, tests::hostile};
    use proptest::prelude::*;

    fn after(present: &FieldCells, changes: FieldCells) -> FieldCells {
        let mut cells = present.clone();
        cells.extend(changes);
        cells.retain(|_, value| *value != Value::Null);
        cells
    }

    fn say(ty: &FieldType, present: &FieldCells, string: &str) -> FieldCells {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let fresh = || {
            let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            *count.to_be_bytes().last_chunk().unwrap()
        };
        after(present, cells_of(ty, &Choices::default(), present, string, fresh))
    }

    fn said(ty: &FieldType, cells: &FieldCells) -> String {
        string_of(ty, &Choices::default(), cells)
    }

    fn types() -> impl Strategy<Value = FieldType> {
        let bases: Vec<BaseType> = BaseType::ALL
            .into_iter()
            .filter(|base| !matches!(base, BaseType::Choice | BaseType::Reference | BaseType::Rank | BaseType::Blob))
            .collect();
        (proptest::sample::select(bases), any::<bool>())
            .prop_map(|(base, many)| if many { FieldType::many(base) } else { FieldType::one(base) })
    }

    fn rows() -> impl Strategy<Value = String> {
        let element = proptest::sample::select(vec!["1;#a", "2;#b", "3;#c", "4;#d@x", "x", "y", "z"]);
        (proptest::collection::vec(element, 0..7), any::<bool>()).prop_map(|(elements, is_row)| {
            let base = if is_row { BaseType::User } else { BaseType::Text };
            let elements: Vec<String> = elements.into_iter().map(str::to_owned).collect();
            join_elements(base, &elements).unwrap_or_default()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

        #[test]
        fn a_field_says_what_it_was_given_whatever_it_said_before(
            ty in types(),
            strings in proptest::collection::vec(prop_oneof![hostile(), rows()], 1..5),
        ) {
            let mut cells = FieldCells::new();
            for string in strings {
                cells = say(&ty, &cells, &string);
                prop_assert_eq!(said(&ty, &cells), string, "{:?} {:?}", ty, cells);
            }
        }

        #[test]
        fn what_is_said_twice_changes_nothing(ty in types(), string in prop_oneof![hostile(), rows()]) {
            let cells = say(&ty, &FieldCells::new(), &string);
            let fresh = || unreachable!("no new element");
            prop_assert_eq!(cells_of(&ty, &Choices::default(), &cells, &string, fresh), FieldCells::new());
        }
    }

    #[test]
    fn elements_that_stay_keep_their_cells() {
        let users = FieldType::many(BaseType::User);
        let first = say(&users, &FieldCells::new(), "1;#a;#2;#b;#3;#c");
        let check = |string: &str, stay: usize| {
            let then = say(&users, &first, string);
            assert_eq!(said(&users, &then), string);
            assert_eq!(first.keys().filter(|path| then.contains_key(*path)).count(), stay, "{string}");
        };
        check("1;#a;#2;#b;#3;#c;#4;#d", 3);
        check("1;#a;#3;#c", 2);
        check("1;#a;#9;#x;#2;#b;#3;#c", 3);
        check("2;#b", 1);
        check("9;#x;#1;#a;#2;#b;#3;#c", 0);
        check("", 0);
    }

    #[test]
    fn an_element_that_says_nothing_in_any_part_stays() {
        let names = FieldType::many(BaseType::PersonName);
        for row in [";#Doe;;John;;;;;;;#;;;#", ";#;;;#"] {
            assert_eq!(said(&names, &say(&names, &FieldCells::new(), row)), row);
        }
    }

    #[test]
    fn what_says_a_string_already_is_left_as_it_is() {
        let nothing = Value::Text(String::new());
        let one = FieldCells::from([(PartPath::default(), nothing.clone())]);
        let several = FieldCells::from([(path(&[b"first"]), nothing)]);
        let part = FieldCells::from([(path(&[b"url"]), Value::Text("without a scheme".into()))]);
        let (text, url) = (BaseType::Text, FieldType::one(BaseType::Url));
        let otherwise = (path(&[VERBATIM.as_bytes()]), Value::Text("04".into()));
        let int = FieldCells::from([(PartPath::default(), Value::Int(3)), otherwise]);
        for (ty, cells) in [
            (FieldType::one(text), one),
            (FieldType::many(text), several),
            (url, part),
            (FieldType::one(BaseType::Int), int),
        ] {
            assert_eq!(say(&ty, &cells, &said(&ty, &cells)), cells);
        }
    }

    #[test]
    fn what_no_string_says_stays() {
        let phone = FieldType::one(BaseType::Phone);
        let kind = PartPath::new(["kind"]).unwrap();
        let mut cells = say(&phone, &FieldCells::new(), "+49 30 1");
        cells.insert(kind.clone(), Value::Text("work".into()));
        let cells = say(&phone, &cells, "+49 30 2");
        assert_eq!(cells[&kind], Value::Text("work".into()));
        assert_eq!(said(&phone, &cells), "+49 30 2");
    }

    #[test]
    fn plain_values_keep_the_form_that_they_were_written_in() {
        let decimal = FieldType::one(BaseType::Decimal);
        let cells = say(&decimal, &FieldCells::new(), "1.50");
        assert_eq!(said(&decimal, &cells), "1.50");
        let whole = PartPath::default();
        let changed = after(&cells, [(whole, Value::Int(2))].into());
        assert_eq!(said(&decimal, &changed), "2");
    }

    #[test]
    fn what_was_cleared_says_nothing_however_it_was_written() {
        for ty in [FieldType::one(BaseType::Decimal), FieldType::many(BaseType::Decimal)] {
            let string = if ty.many { ";#1.50;#" } else { "1.50" };
            let mut cells = say(&ty, &FieldCells::new(), string);
            assert_eq!(cells.len(), 2, "{cells:?}");
            cells.retain(|path, _| path.steps().last() == Some(VERBATIM.as_bytes()));
            assert_eq!(said(&ty, &cells), "");
        }
    }

    #[test]
    fn a_row_of_too_many_values_is_kept_whole() {
        let many = FieldType::many(BaseType::Text);
        let row = |count: usize| join_elements(BaseType::Text, &vec!["x".to_owned(); count]);
        assert_eq!(row(ELEMENTS_MAX + 1), None);
        for count in [ELEMENTS_MAX, ELEMENTS_MAX + 1] {
            let string = format!(";#{}", "x;#".repeat(count));
            let cells = say(&many, &FieldCells::new(), &string);
            assert_eq!(said(&many, &cells), string);
            let fits = cells.iter().all(|(part, value)| crate::field_type::fits(&many, part, value));
            assert_eq!(fits, count <= ELEMENTS_MAX, "who cannot take it apart says so");
        }
    }
}
