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
