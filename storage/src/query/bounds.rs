//! What a query asks of one cell, as ranges of an index.

use super::Query;
use crate::{
    engine::prefix_end,
    filter::{Limit, Place},
    fold::Design,
    index::{
        CellPath,
        entry::{WITH_VALUE, place_of},
        sort_key::{SORT_KEY_BYTES_MAX, prefix_key},
    },
};
use tandem_wire::Value;

/// Places from the first to before the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
}

/// Where all records that fit are in an index by this cell; nothing where the query does not say. Ordered and apart.
pub(super) fn ranges(query: &Query, cell: &CellPath, design: &Design) -> Option<Vec<Range>> {
    let exact = query
        .filters
        .iter()
        .filter(|(field, part, value)| (*field, part) == (cell.0, &cell.1) && *value != Value::Null);
    let mut found: Option<Vec<Range>> = None;
    let mut narrow = |ranges: Vec<Range>| {
        found = Some(match found.take() {
            None => ranges,
            Some(before) => common(&before, &ranges),
        });
    };
    exact.for_each(|(.., value)| narrow(vec![Range::of_value(value, design)]));
    for bound in query.condition.iter().flat_map(|condition| condition.filter().bounds()) {
        if matches!(&bound.place, Place::Cell(field, part) if (*field, part) == (cell.0, &cell.1))
            && let Some(ranges) = of_limit(&bound.limit, design)
        {
            narrow(ranges);
        }
    }
    found
}

/// The one place that all records that fit have in an index by this cell; nothing where they may have several.
pub(super) fn point(query: &Query, cell: &CellPath, design: &Design) -> Option<Vec<u8>> {
    let ranges = ranges(query, cell, design)?;
    let [range] = ranges.as_slice() else { return None };
    let values =
        query.filters.iter().filter(|(field, part, _)| (*field, part) == (cell.0, &cell.1)).map(|(.., value)| value);
    let bounds = query.condition.iter().flat_map(|condition| condition.filter().bounds());
    let equals = bounds.filter_map(|bound| match (&bound.place, &bound.limit) {
        (Place::Cell(field, part), Limit::Eq(value)) if (*field, part) == (cell.0, &cell.1) => Some(value),
        _other => None,
    });
    let mut places = values.chain(equals).map(|value| place_of(value, design));
    // Of a key that was cut, several values are behind it.
    places.find(|place| *place == range.from && place.len() <= SORT_KEY_BYTES_MAX)
}

fn of_limit(limit: &Limit, design: &Design) -> Option<Vec<Range>> {
    let kind_of = |value: &Value| Range::with_prefix(place_of(value, design)[..2].to_vec());
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    let (value, one): (&Value, Range) = match limit {
        Limit::Eq(value) => return Some(vec![Range::of_value(value, design)]),
        Limit::In(values) => {
            let mut ranges: Vec<Range> = values.iter().map(|value| Range::of_value(value, design)).collect();
            ranges.sort_by(|a, b| a.from.cmp(&b.from));
            ranges.dedup();
            return Some(ranges);
        }
        Limit::Prefix(text) => {
            let key = prefix_key(text)?;
            return Some(vec![Range::with_prefix([&[WITH_VALUE][..], &key].concat())]);
        }
        Limit::Lt(value) => (value, Range { to: Range::of_value(value, design).from, ..kind_of(value) }),
        Limit::Le(value) => (value, Range { to: Range::of_value(value, design).to, ..kind_of(value) }),
        Limit::Gt(value) => (value, Range { from: Range::of_value(value, design).to, ..kind_of(value) }),
        Limit::Ge(value) => (value, Range { from: Range::of_value(value, design).from, ..kind_of(value) }),
    };
    // Texts are compared by code point and sorted by the collation; and a key that was cut tells too little.
    let is_cut = place_of(value, design).len() > SORT_KEY_BYTES_MAX;
    (!is_text(value) && !is_cut).then(|| vec![one])
}

fn common(a: &[Range], b: &[Range]) -> Vec<Range> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    let both =
        pairs.map(|(a, b)| Range { from: a.from.clone().max(b.from.clone()), to: a.to.clone().min(b.to.clone()) });
    let mut ranges: Vec<Range> = both.filter(|range| range.from < range.to).collect();
    ranges.sort_by(|a, b| a.from.cmp(&b.from));
    ranges
}

impl Range {
    fn of_value(value: &Value, design: &Design) -> Self {
        Self::with_prefix(place_of(value, design))
    }

    fn with_prefix(from: Vec<u8>) -> Self {
        let to = prefix_end(&from).expect("places start with a small byte");
        Self { from, to }
    }
}
