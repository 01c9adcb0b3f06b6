//! The head of any answer to any request (N6-N8).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kithara_file::fuzz::content_range(data));
