//! Any order of events, with the invariants checked after each (E6, P1-P8).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kithara_file::fuzz::scheduler(data));
