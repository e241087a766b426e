//! What holds for every composite type, for any string.

use super::*;
use crate::{
    field_type::is_of,
    filter::Term,
    fold::Design,
    index::{entry::place_of, sort_key::COLLATOR},
};
use proptest::prelude::*;

/// Of each type, strings that it knows in every form, and some that are nearly that.
const KNOWN: &[&str] = &[
    "123;#john@company.com",
    "-1;#john@company.com",
    "7;#Berlin",
    "1;#a;#2;#b",
    ";#red;#blue;#",
    "1;#a;;b",
    "1;#a;b",
    "01;#a",
    "1;#",
    "https://example.org/a,,b, The title",
    "https://example.org,x",
    "mailto:x",
    "12.50 EUR",
    "EUR 12.50",
    "-0.5 USD",
    "12,50 EUR",
    "+49 (0)30 / 12-34",
    "john@company.com",
    "Doe;John;Quincy;Dr.;Jr.",
    "Doe\\;x;J\\n\\\\",
    ";;Weg 1;Ulm;;89073;Germany",
    "52.5,13.4",
    "52.50, 13.40",
    "geo:52.5,13.4",
    "POINT (13.4 52.5)",
    "91,0",
    "2026-03-01/2026-03-07",
    "2026-03-07/2026-03-01",
    "<p>Hello <b>you</b></p>",
];

/// Pieces that the types give a meaning to.
const PIECES: &[&str] = &[
    ";#",
    ";;",
    ";",
    "#",
    ",",
    ",,",
    ", ",
    "\\",
    "\\n",
    "\\;",
    "/",
    ":",
    "@",
    " ",
    "-",
    "+",
    ".",
    "0",
    "00",
    "1",
    "9",
    "-1",
    "EUR",
    "geo:",
    "POINT (",
    ")",
    "https://",
    "2026-03-01",
    "a",
    "ü",
    "東",
    "\u{0}",
    "\n",
    "\r\n",
    "\u{202e}",
    "\u{10ffff}",
    "e\u{301}",
    "<b>",
    "</b>",
    "&amp;",
    "&#x",
    "9223372036854775807",
    "9223372036854775808",
    "\u{2028}",
    "{",
    "\"",
    "'",
];

fn composites() -> impl Iterator<Item = &'static dyn Composite> {
    BaseType::ALL.into_iter().filter_map(of)
}

/// Strings of the kinds that hurt.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![4 => proptest::sample::select(PIECES).prop_map(str::to_owned), 1 => "\\PC{0,3}"];
    let pieces = proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    let changed = (proptest::sample::select(KNOWN), any::<proptest::sample::Index>(), pieces.clone()).prop_map(
        |(known, at, put)| {
            let places: Vec<usize> = known.char_indices().map(|(at, _)| at).chain([known.len()]).collect();
            let at = *at.get(&places);
            format!("{}{put}{}", &known[..at], &known[at..])
        },
    );
    prop_oneof![pieces, changed, proptest::sample::select(KNOWN).prop_map(str::to_owned), any::<String>()]
}

/// HTML, nearly.
fn hostile_html() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<i>",
        "</i>",
        "<a href='javascript:x'>",
        "<a href=https://x.org>",
        "</a>",
        "<script>",
        "</script>",
        "<style>",
        "</style>",
        "<svg>",
        "</svg>",
        "<math>",
        "</math>",
        "<mtext>",
        "<mglyph>",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<img src=x onerror=y>",
        "<noscript>",
        "<title>",
        "<textarea>",
        "<template>",
        "<select>",
        "<option>",
        "<form>",
        "<foreignObject>",
        "<desc>",
        "<br>",
        "<hr/>",
        "&lt;",
        "&amp;",
        "<",
        ">",
        "\"",
        "'",
        "x",
        " ",
        "<ul>",
        "<li>",
        "</ul>",
        "<h1>",
        "<pre>\n",
        "<annotation-xml>",
        "<frameset>",
    ];
    proptest::collection::vec(proptest::sample::select(PIECES), 0..16).prop_map(|pieces| pieces.concat())
}

fn check_laws(composite: &dyn Composite, string: &str) -> Result<(), TestCaseError> {
    let base = composite.base();
    let taken = decompose(composite, string);
    prop_assert_eq!(&recompose(composite, &taken), string, "{:?}", base);
    for (name, value) in &taken.parts {
        let part = part(base, name.as_bytes()).expect("it is one of its parts");
        prop_assert!(matches!(part.home, Home::Cell | Home::Atom), "{name}");
        prop_assert!(is_of(part.base, value), "{name} {value:?}");
        prop_assert_ne!(value, &Value::Text(String::new()));
    }
    // What the type writes it reads, in each form that it has.
    if let Some(written) = composite.write(&taken.parts, string) {
        prop_assert_eq!(composite.read(&written).unwrap_or_default(), taken.parts.clone(), "{:?} {}", base, written);
    }
    let derived = composite.parts().iter().filter_map(|part| match part.home {
        Home::Of(_) => Some((part, composite.derive(part.name, string)?)),
        Home::Atom => Some((part, composite.derive(part.name, string)?)),
        Home::Cell | Home::Aside | Home::Referred => None,
    });
    for (part, value) in derived {
        prop_assert!(is_of(part.base, &value), "{part:?} {value:?}");
    }
    Ok(())
}

proptest! {
    // `PROPTEST_CASES=1000000` makes it a million strings.
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_string_comes_back_and_has_typed_parts(string in hostile()) {
        composites().try_for_each(|composite| check_laws(composite, &string))?;
    }

    #[test]
    fn html_is_harmless_and_cleaning_it_again_changes_nothing(string in hostile(), html in hostile_html()) {
        let rich = of(BaseType::RichText).unwrap();
        for string in [string, html] {
            if let Some(Value::Text(clean)) = rich.derive("html", &string) {
                let mut tags = clean.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
                prop_assert!(tags.all(|tag| !tag.starts_with("script") && !tag.contains(" on")), "{clean}");
                prop_assert_eq!(rich.derive("html", &clean), Some(Value::Text(clean)));
            }
        }
    }

    #[test]
    fn an_edit_of_a_part_says_that_and_leaves_the_form(string in hostile(), value in hostile()) {
        for composite in composites() {
            for part in composite.parts().iter().filter(|part| part.home == Home::Atom) {
                let Some(value) = crate::lens::convert(&Value::Text(value.clone()), part.base, &Default::default()) else {
                    continue;
                };
                if let Ok(written) = with_part(composite, &string, part.name, value.clone()) {
                    let got = composite.read(&written).unwrap_or_default().remove(part.name);
                    let same = |a: &Value, b: &Value| Term::decode(&a.encode()).equals(&Term::decode(&b.encode()));
                    prop_assert!(got.is_some_and(|got| same(&got, &value)) || value == Value::Null, "{written}");
                }
            }
        }
    }

    #[test]
    fn parts_stand_in_an_index_as_they_compare(one in hostile(), other in hostile()) {
        let design = Design::default();
        for composite in composites() {
            let (one, other) = (decompose(composite, &one).parts, decompose(composite, &other).parts);
            for (name, value) in &one {
                let Some(with) = other.get(name) else { continue };
                let order = match (value, with) {
                    (Value::Text(one), Value::Text(other)) => COLLATOR.compare(one, other),
                    (one, other) => crate::sort_order::compare(one, other),
                };
                let places = place_of(value, &design).cmp(&place_of(with, &design));
                // Of long texts the beginnings are compared.
                let is_cut = |value: &Value| value.encode().len() > 64;
                prop_assert!(order == places || is_cut(value) || is_cut(with), "{value:?} {with:?}");
            }
        }
    }

    #[test]
    fn rows_of_values_come_back(strings in proptest::collection::vec(hostile(), 0..5), string in hostile()) {
        for base in [BaseType::User, BaseType::Lookup, BaseType::Url, BaseType::Text] {
            if let Some(joined) = join_elements(base, &strings) {
                prop_assert_eq!(split_elements(base, &joined), Some(strings.clone()));
            }
            if let Some(split) = split_elements(base, &string) {
                prop_assert_eq!(join_elements(base, &split), Some(string.clone()));
            }
        }
    }
}

#[track_caller]
fn check(base: BaseType, string: &str, expect: &[(&'static str, Value)]) {
    let composite = of(base).unwrap();
    let taken = decompose(composite, string);
    assert_eq!(taken.parts, expect.iter().cloned().collect(), "{string}");
    assert_eq!(recompose(composite, &taken), string);
}

fn txt(text: &str) -> Value {
    Value::Text(text.into())
}

fn dec(mantissa: i128, scale: u8) -> Value {
    Value::Decimal(Decimal::new(mantissa, scale).unwrap())
}

#[test]
fn each_type_takes_its_strings_apart() {
    use BaseType::*;
    check(User, "123;#john@company.com", &[("index", Value::Int(123)), ("email", txt("john@company.com"))]);
    check(User, "123;#Doe;; John", &[("index", Value::Int(123)), ("label", txt("Doe; John"))]);
    check(User, "-1;#john@company.com", &[("index", Value::Int(-1)), ("email", txt("john@company.com"))]);
    check(Lookup, "7;#Berlin", &[("index", Value::Int(7)), ("label", txt("Berlin"))]);
    check(Lookup, "7;#", &[("index", Value::Int(7))]);
    check(Url, "https://x.org/a,,b, A, b", &[("url", txt("https://x.org/a,b")), ("title", txt("A, b"))]);
    check(Currency, "EUR 12.50", &[("amount", dec(125, 1)), ("currency", txt("EUR"))]);
    check(GeoPoint, "POINT (13.40 52.5)", &[("lat", dec(525, 1)), ("lon", dec(134, 1))]);
    check(DateRange, "1970-01-02/1970-01-03", &[("from", Value::Date(1)), ("to", Value::Date(2))]);
    check(PersonName, "Doe;Jo", &[("family", txt("Doe")), ("given", txt("Jo"))]);
    check(Phone, "030 1", &[("number", txt("030 1"))]);
}

#[test]
fn what_is_no_such_value_has_no_parts_and_is_kept() {
    use BaseType::*;
    let none = [
        (User, "john@company.com"),
        (User, "007;#x"),
        (User, "1;#a;b"),
        (User, "1;#a;#2;#b"),
        (User, "123;#John,#i:0#.w|x;#,#john@company.com"),
        (Lookup, "-1;#x"),
        (Url, "no link"),
        (Currency, "12,50 EUR"),
        (Currency, "12.50 eur"),
        (GeoPoint, "90.1,0"),
        (GeoPoint, "NaN,0"),
        (DateRange, "2026-03-07/2026-03-01"),
        (PersonName, "John Doe"),
        (PostalAddress, "a;b;c;d;e;f;g;h"),
    ];
    none.into_iter().for_each(|(base, string)| check(base, string, &[]));
}

#[test]
fn edits_keep_what_goes_together_and_the_form() {
    let check = |base, string: &str, part: &'static str, value: Value, expect: Option<&str>| {
        assert_eq!(with_part(of(base).unwrap(), string, part, value).ok().as_deref(), expect, "{string} {part}");
    };
    check(BaseType::User, "123;#john@x.org", "email", txt("jane@x.org"), Some("-1;#jane@x.org"));
    check(BaseType::User, "123;#john@x.org", "index", Value::Int(7), Some("7;#"));
    check(BaseType::User, "", "email", txt("no address"), None);
    check(BaseType::Lookup, "7;#Berlin", "index", Value::Int(8), Some("8;#"));
    check(BaseType::Currency, "EUR 12.50", "amount", Value::Int(13), Some("EUR 13"));
    check(BaseType::Currency, "12.50 EUR", "currency", txt("USD"), Some("12.5 USD"));
    check(BaseType::Currency, "", "amount", Value::Int(1), None);
    check(BaseType::GeoPoint, "POINT (13.4 52.5)", "lat", dec(-3325, 2), Some("POINT (13.4 -33.25)"));
    check(BaseType::GeoPoint, "1,2", "lat", Value::Int(91), None);
    check(BaseType::DateRange, "", "from", Value::Date(0), Some("1970-01-01/1970-01-01"));
    check(BaseType::DateRange, "1970-01-02/1970-01-03", "from", Value::Date(2), Some("1970-01-03/1970-01-03"));
    check(BaseType::DateRange, "1970-01-02/1970-01-03", "from", Value::Date(3), None);
}

#[test]
fn a_changed_part_is_written_anew_and_all_others_go_back_as_they_were() {
    let url = of(BaseType::Url).unwrap();
    let mut taken = decompose(url, "https://x.org,Title");
    assert_eq!(taken.verbatim.as_deref(), Some("https://x.org,Title"));
    assert_eq!(recompose(url, &taken), "https://x.org,Title");
    taken.parts.insert("title", txt("Another"));
    assert_eq!(recompose(url, &taken), "https://x.org, Another");
}

#[test]
fn strings_of_a_mebibyte_are_read_in_one_go() {
    for piece in [";#", ";", ",", "\\n", "<b>", "1", "é", "POINT (", "(0)", "@"] {
        let string = piece.repeat((1 << 20) / piece.len());
        for composite in composites() {
            assert_eq!(recompose(composite, &decompose(composite, &string)), string);
            let _ = split_elements(composite.base(), &string);
        }
    }
}
