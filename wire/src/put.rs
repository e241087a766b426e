//! Writing the canonical forms by hand where it must be fast: the same bytes as serde and postcard give.

use crate::{ChainId, EventRef, OpRef, PartPath};

/// A number, seven bits to a byte, the least first.
pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number that may be negative: small ones of either sign are short.
pub(crate) fn zigzag(out: &mut Vec<u8>, number: i64) {
    varint(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// The number that [`zigzag`] wrote these bytes for; nothing for other bytes, and for the few numbers of ten.
pub(crate) fn take_zigzag(bytes: &[u8]) -> Option<i64> {
    let (last, others) = bytes.split_last()?;
    // No byte too many: the last one holds something, if it is not alone.
    if bytes.len() > 9 || *last >= 0x80 || (*last == 0 && !others.is_empty()) {
        return None;
    }
    let mut number = u64::from(*last);
    for byte in others.iter().rev() {
        if *byte < 0x80 {
            return None;
        }
        number = number << 7 | u64::from(byte & 0x7f);
    }
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// Bytes behind their length.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Bytes of a fixed length, which may be absent.
pub(crate) fn option(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            out.extend_from_slice(bytes);
        }
    }
}

pub(crate) fn part(out: &mut Vec<u8>, part: &PartPath) {
    let steps = part.steps();
    varint(out, steps.len() as u64);
    steps.for_each(|step| bytes(out, step));
}

pub(crate) fn chain(out: &mut Vec<u8>, chain: &ChainId) {
    out.extend_from_slice(&chain.device.0);
    varint(out, chain.number.into());
}

pub(crate) fn event_ref(out: &mut Vec<u8>, event: &EventRef) {
    chain(out, &event.chain);
    varint(out, event.seq);
    out.extend_from_slice(&event.id.0);
}

pub(crate) fn op_ref(out: &mut Vec<u8>, op: &OpRef) {
    chain(out, &op.chain);
    varint(out, op.seq);
    varint(out, op.op.into());
    out.extend_from_slice(&op.tag.0);
}
