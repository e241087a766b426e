//! What the cells of a kept row show: neither its events nor the marks of its cells are made for it.

use super::{Check, Cursor, Named, PACKED, Words, has, kept_as_it_is};
use crate::record_row::{self, CELLS, CellRow, WHOLE};
use tandem_wire::FieldId;

/// Whether the record of a row exists, and its cells, as far as they show something; none where
/// [`unpack`](super::unpack) gives none.
pub(in crate::engine::fjall) fn shown<'k>(kept: &'k [u8], words: &Words) -> Option<(bool, Vec<CellRow<'k>>)> {
    let Some((first, rest)) = kept.split_first().filter(|(first, _)| PACKED.contains(first)) else {
        let row = kept_as_it_is(kept)?;
        return Some((record_row::exists(row), record_row::all_cells(row)));
    };
    let mut from = Cursor(rest);
    let check = from.array()?;
    let mut named = Named { words, check: Check::default() };
    pass_over_head(&mut from, &mut named)?;
    let mut cells = Vec::with_capacity(CELLS);
    while !from.0.is_empty() {
        cells.push(cell(&mut from, &mut named)?);
    }
    (named.check.bytes() == *check).then_some((*first == PACKED[1], cells))
}

fn pass_over_head(from: &mut Cursor<'_>, named: &mut Named<'_>) -> Option<()> {
    for _ in 0..from.number()? {
        for _half in 0..2 {
            match from.number()? {
                0 => drop(from.array::<16>()?),
                number => drop(named.word(number - 1)?),
            }
        }
        from.raw_number()?;
        from.raw_number()?;
        from.array::<32>()?;
        from.raw_number()?;
    }
    from.bytes()?;
    Some(())
}

fn cell<'k>(from: &mut Cursor<'k>, named: &mut Named<'_>) -> Option<CellRow<'k>> {
    let flags = from.byte()?;
    let field = match flags & has::FIELD {
        0 => *named.word(from.number()?)?,
        _ => *from.array()?,
    };
    let mut part = WHOLE;
    if flags & has::PART != 0 {
        let start = from.0;
        for _ in 0..from.number()? {
            from.bytes()?;
        }
        part = &start[..start.len() - from.0.len()];
    }
    let mut value = None;
    if flags & has::OTHER == 0 {
        value = Some(from.bytes()?);
    } else {
        from.byte()?;
    }
    if flags & has::MARK != 0 {
        from.bytes()?;
    } else {
        from.raw_number()?;
    }
    Some(CellRow::shown(FieldId(field), part, value))
}
