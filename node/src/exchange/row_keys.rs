use std::collections::BTreeMap;

/// Gives each record of a file a key of its own that is the same whenever the file is read.
///
/// A key is a hash of the record's content and, of equal records, which one it is: two equal rows stay two
/// records. It takes some 20 bytes of memory for each row.
#[derive(Debug, Default)]
pub(super) struct RowKeys {
    /// Records so far, by the beginning of their hash. Should two records share that, then the second merely gets
    /// another number than it would have.
    seen: BTreeMap<u64, u32>,
}

impl RowKeys {
    /// The key of the next record, of which `content` is hashed in full.
    pub(super) fn next<'a>(&mut self, content: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new_derive_key("tandem 1 exchange row");
        for part in content {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        let (start, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        let number = self.seen.entry(u64::from_le_bytes(*start)).or_default();
        let key = [hash.as_bytes().as_slice(), &number.to_be_bytes()].concat();
        *number += 1;
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_have_keys_of_their_own_and_two_readings_the_same() {
        let rows: [&[&[u8]]; 4] = [&[b"a", b"b"], &[b"ab", b""], &[b"a", b"b"], &[b"a", b"b"]];
        let read = || {
            let mut keys = RowKeys::default();
            rows.map(|row| keys.next(row.iter().copied()))
        };
        let keys = read();
        assert_eq!(keys, read());
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(keys[2][..32], keys[0][..32]);
    }
}
