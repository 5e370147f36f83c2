//! What must hold for any input whatever, once: the fuzz targets look for
//! inputs that break it, and `cargo test` (tests/suite/fuzz.rs) asks it again
//! of every input in `corpus/`, on stable and without a fuzzer.
//!
//! Each `check` takes any bytes and panics when something does not hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a property says that it does not hold"
)]

pub mod config;
pub mod keys;
pub mod meta;
pub mod records;
pub mod vault;

/// Takes an input apart into numbers; zeros when it has ended.
pub(crate) struct Bits<'a>(pub &'a [u8]);

impl Bits<'_> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// So many bytes as a leading byte says, fewer at the end.
    pub fn bytes(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte()).min(self.0.len());
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        head.to_vec()
    }

    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}
