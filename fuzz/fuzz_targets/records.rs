//! See `keepwatch_fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwatch_fuzz::records::check(data));
