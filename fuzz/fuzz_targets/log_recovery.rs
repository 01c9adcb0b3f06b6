//! Any log beside any data file (A3).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kithara_file::fuzz::log_recovery(data));
