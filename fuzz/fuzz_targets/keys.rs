//! See `keepwatch_fuzz::keys`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwatch_fuzz::keys::check(data));
