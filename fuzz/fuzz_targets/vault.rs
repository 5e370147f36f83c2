//! See `keepwatch_fuzz::vault`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwatch_fuzz::vault::check(data));
