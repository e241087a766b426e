//! The format seen from outside: its laws, its golden bytes, its limits, its sizes, and that `docs/format.md` is true.

mod arbitrary;
mod document;
mod fuzz;
mod golden;
mod laws;
mod limits;
mod runs;
mod samples;
mod second;
mod sizes;
