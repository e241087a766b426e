//! The frame around everything that is stored or sent: format, kind, length, content.

/// The format that this version writes; it reads this one and all before it.
pub const FORMAT: u8 = 1;

/// What an envelope holds. Numbers are never reused; unknown ones are of a later version: kept, never guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub u8);

impl Kind {
    /// A [`crate::Run`].
    pub const RUN: Self = Self(1);
}

/// The bytes are no envelope that this version can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// Fewer bytes than announced, or more.
    #[error("cut off or followed by something else")]
    Length,
    /// No format that any version writes.
    #[error("not written by Tandem")]
    Foreign,
    /// A format of a later version.
    #[error("written in format {0}, newer than this program's {FORMAT}: update to read it")]
    Newer(u8),
}

/// Wraps `content`, of at most 4 GiB.
pub fn seal(kind: Kind, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("far beyond every limit");
    let mut out = Vec::with_capacity(content.len() + 6);
    out.extend_from_slice(&[FORMAT, kind.0]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(content);
    out
}

/// Unwraps what [`seal`] made, and nothing else.
pub fn open(bytes: &[u8]) -> Result<(Kind, &[u8]), BadEnvelope> {
    let Some((&[format, kind, a, b, c, d], content)) = bytes.split_first_chunk::<6>() else {
        return Err(BadEnvelope::Length);
    };
    if format == 0 {
        return Err(BadEnvelope::Foreign);
    }
    if format > FORMAT {
        return Err(BadEnvelope::Newer(format));
    }
    if u32::from_le_bytes([a, b, c, d]) as usize != content.len() {
        return Err(BadEnvelope::Length);
    }
    Ok((Kind(kind), content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealed = seal(Kind::RUN, b"abc");
        assert_eq!(sealed, [1, 1, 3, 0, 0, 0, b'a', b'b', b'c']);
        assert_eq!(open(&sealed), Ok((Kind::RUN, &b"abc"[..])));
        assert_eq!(open(&seal(Kind(9), b"")), Ok((Kind(9), &b""[..])));
        assert_eq!(open(&sealed[..8]), Err(BadEnvelope::Length));
        assert_eq!(open(&[&sealed[..], b"d"].concat()), Err(BadEnvelope::Length));
        assert_eq!(open(&[2, 1, 0, 0, 0, 0]), Err(BadEnvelope::Newer(2)));
        assert_eq!(open(&[0, 1, 0, 0, 0, 0]), Err(BadEnvelope::Foreign));
        assert_eq!(open(&[]), Err(BadEnvelope::Length));
    }
}
