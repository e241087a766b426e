//! `docs/format.md` against the code.
