//! Nodes in networks of their own, made for a test and gone with it. Needs root; `.ci/run` shows how it is run.

mod cuts;
mod lan;
mod namespace;
mod quiet;
mod servers;
