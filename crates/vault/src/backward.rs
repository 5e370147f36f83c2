//! Reads a log from its end, newest version first.
//!
//! Holds one block in memory, or one line where that is longer. It passes over damage; the
//! log decides what that means.

use super::disk;
use super::record::{self, Found, LINE_BYTES_MAX};
use std::fs::File;
use std::io;

/// How much is read at once. Most logs fit in one read.
const BLOCK_BYTES: usize = 16 * 1024;

/// Reads a log from its end. Holds one block, or one line where that is longer.
#[derive(Debug)]
pub(super) struct Backward<'a> {
    file: &'a File,
    /// Bytes of the file from `block_start`; what was handed out is cut off.
    block: Vec<u8>,
    block_start: u64,
}

impl<'a> Backward<'a> {
    /// Read `file` backwards from `end`.
    pub(super) fn new(file: &'a File, end: u64) -> Self {
        Self {
            file,
            block: Vec::new(),
            block_start: end,
        }
    }

    /// The next complete line, going back, with its offset. A tail without a
    /// newline is passed over.
    pub(super) fn line(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            let Some(end) = self.block.iter().rposition(|&b| b == b'\n') else {
                if self.block_start == 0 {
                    return Ok(None);
                }
                self.read_block_before()?;
                continue;
            };
            let before = self.block[..end].iter().rposition(|&b| b == b'\n');
            if before.is_none() && self.block_start > 0 {
                self.read_block_before()?;
                continue;
            }
            let start = before.map_or(0, |at| at + 1);
            // What stays ends with this line; the newline before it ends the next one.
            self.block.truncate(end);
            return Ok(Some((
                self.block_start + start as u64,
                &self.block[start..],
            )));
        }
    }

    fn read_block_before(&mut self) -> io::Result<()> {
        if self.block.len() > LINE_BYTES_MAX {
            // No line is that long: damage. Drop it and look on before it.
            self.block.clear();
        }
        let len = self.block_start.min(BLOCK_BYTES as u64);
        let start = self.block_start - len;
        let mut bytes = disk::read_at(self.file, start, usize::try_from(len).unwrap_or(0))?;
        bytes.append(&mut self.block);
        self.block = bytes;
        self.block_start = start;
        Ok(())
    }
}

impl Iterator for Backward<'_> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.line() {
                Ok(Some((offset, line))) => {
                    if let Some(found) = record::found(offset, line) {
                        return Some(Ok(found));
                    }
                }
                Ok(None) => return None,
                Err(e) => return Some(Err(e)),
            }
        }
    }
}
