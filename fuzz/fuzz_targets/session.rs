#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(tandem_fuzz::session::session(bytes)));
