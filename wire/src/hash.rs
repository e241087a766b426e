//! BLAKE3 under a domain, so that bytes hashed for one purpose never stand for another.

/// Hash of `parts` under `domain`. Parts are not delimited: callers give fixed sizes, or one variable part last.
pub(crate) fn derive(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[domain.len() as u8]);
    hasher.update(domain.as_bytes());
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
