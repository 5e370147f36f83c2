//! The holes of a sparse file: where the file that was backed up had holes, runs of zeros are
//! skipped and not written.
//!
//! Invariant: we write only to a file of our own that ends at the write position, so that what
//! is skipped reads as zeros. A file that had no holes is written in full: databases and disk
//! images reserve their space on purpose.

use std::fs::File;
use std::io;
use std::io::{Seek as _, SeekFrom, Write as _};

/// File systems give room by blocks of this size, as a rule; a shorter run of zeros
/// saves nothing.
const BLOCK_BYTES: usize = 4096;

const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// A file that is written with holes.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// Zeros that came last and are not in the file yet.
    run_bytes: u64,
}

impl Holes {
    /// Add to the file. Blocks.
    pub(super) fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        // Where what is to be written begins.
        let (mut from, mut at) = (0, 0);
        for block in bytes.chunks(BLOCK_BYTES) {
            let end = at + block.len();
            if block == &ZEROS[..block.len()] {
                file.write_all(&bytes[from..at])?;
                self.run_bytes += block.len() as u64;
                from = end;
            } else if self.run_bytes > 0 {
                self.skip(file)?;
            }
            at = end;
        }
        file.write_all(&bytes[from..])
    }

    /// Go on behind the run.
    fn skip(&mut self, file: &mut File) -> io::Result<()> {
        let run_bytes = std::mem::take(&mut self.run_bytes);
        match usize::try_from(run_bytes) {
            Ok(short) if short < BLOCK_BYTES => file.write_all(&ZEROS[..short]),
            _ => {
                let run_bytes = i64::try_from(run_bytes).map_err(io::Error::other)?;
                file.seek(SeekFrom::Current(run_bytes)).map(drop)
            }
        }
    }

    /// Make the file as long as what was given so far. Blocks.
    pub(super) fn finish(&mut self, file: &mut File) -> io::Result<()> {
        if self.run_bytes == 0 {
            return Ok(());
        }
        let end = file.stream_position()?.saturating_add(self.run_bytes);
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        self.forget();
        Ok(())
    }

    /// The file begins anew.
    pub(super) fn forget(&mut self) {
        self.run_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os;
    use proptest::prelude::*;

    /// Write these stretches, in pieces of `piece` bytes, and end.
    fn written(stretches: &[(u8, usize)], piece: usize) -> (File, Vec<u8>) {
        let all: Vec<u8> = stretches
            .iter()
            .flat_map(|(byte, count)| std::iter::repeat_n(*byte, *count))
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        let mut holes = Holes::default();
        for piece in all.chunks(piece) {
            holes.write(&mut file, piece).unwrap();
        }
        holes.finish(&mut file).unwrap();
        (file, all)
    }

    fn read(file: &mut File) -> Vec<u8> {
        use std::io::Read as _;
        let mut all = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn runs_of_zeros_take_no_room_however_they_come() {
        let stretches = [
            (0, 1_000_000),
            (7, 10),
            (0, 2_000_000),
            (9, 4096),
            (0, 500_000),
        ];
        for piece in [700, 4096, 16_389, 262_144, 10_000_000] {
            let (mut file, all) = written(&stretches, piece);
            assert_eq!(read(&mut file), all, "{piece}");
            let on_disk = os::sparse_bytes(&mut file).unwrap();
            // Not every system tells.
            assert_eq!(on_disk.is_some(), cfg!(target_os = "linux"), "{piece}");
            assert!(
                on_disk.unwrap_or(0) <= 6 * 4096,
                "{on_disk:?} in pieces of {piece}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_content_is_the_same_with_holes(
            stretches in proptest::collection::vec((0u8..3, 0usize..20_000), 0..8),
            piece in 1usize..30_000,
        ) {
            let (mut file, all) = written(&stretches, piece);
            prop_assert_eq!(read(&mut file), all);
        }
    }
}
