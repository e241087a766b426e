//! The frame around everything that is stored or sent: format, kind, length, content.

/// The format that this version writes; it reads this one and all before it.
pub const FORMAT: u8 = 1;

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A [`crate::Run`].
    Run,
    /// Something of a later version: kept, never guessed at.
    Unknown(u8),
}

/// The bytes are no envelope that this version can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// Fewer bytes than announced, or more.
    #[error("cut off or followed by something else")]
    Length,
    /// A format of a later version.
    #[error("written in format {0}, newer than this program's {FORMAT}: update to read it")]
    Newer(u8),
}

/// Wraps `content`.
pub fn seal(kind: Kind, content: &[u8]) -> Vec<u8> {
    let kind = match kind {
        Kind::Run => 1,
        Kind::Unknown(number) => number,
    };
    let mut out = Vec::with_capacity(content.len() + 6);
    out.extend_from_slice(&[FORMAT, kind]);
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out.extend_from_slice(content);
    out
}

/// Unwraps what [`seal`] made, and nothing else.
pub fn open(bytes: &[u8]) -> Result<(Kind, &[u8]), BadEnvelope> {
    let Some((&[format, kind, a, b, c, d], content)) = bytes.split_first_chunk::<6>() else {
        return Err(BadEnvelope::Length);
    };
    if format != FORMAT {
        return Err(BadEnvelope::Newer(format));
    }
    if u32::from_le_bytes([a, b, c, d]) as usize != content.len() {
        return Err(BadEnvelope::Length);
    }
    let kind = match kind {
        1 => Kind::Run,
        number => Kind::Unknown(number),
    };
    Ok((kind, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealed = seal(Kind::Run, b"abc");
        assert_eq!(sealed, [1, 1, 3, 0, 0, 0, b'a', b'b', b'c']);
        assert_eq!(open(&sealed), Ok((Kind::Run, &b"abc"[..])));
        assert_eq!(open(&seal(Kind::Unknown(9), b"")), Ok((Kind::Unknown(9), &b""[..])));
        assert_eq!(open(&sealed[..8]), Err(BadEnvelope::Length));
        assert_eq!(open(&[&sealed[..], b"d"].concat()), Err(BadEnvelope::Length));
        assert_eq!(open(&[2, 1, 0, 0, 0, 0]), Err(BadEnvelope::Newer(2)));
        assert_eq!(open(&[]), Err(BadEnvelope::Length));
    }
}
