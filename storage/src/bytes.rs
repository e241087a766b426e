//! Rows that are written and read too often for a general codec: numbers, byte strings, ids, by hand.

/// Writes a number, seven bits to a byte, the least first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes bytes behind their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what the functions above wrote. Rows are our own: anything else is a bug, and panics.
#[derive(Clone, Copy)]
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().expect("rows are our own");
        self.0 = rest;
        *byte
    }

    pub(crate) fn varint(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = self.varint() as usize;
        self.slice(length)
    }

    pub(crate) fn slice(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (array, rest) = self.0.split_first_chunk().expect("rows are our own");
        self.0 = rest;
        *array
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
