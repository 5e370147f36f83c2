//! How the bytes of a part are made.

use super::budget::{Budget, Permit};
use super::read::read_fault;
use crate::files::{Opened, Pulse};
use crate::transfer::delta::assemble::{Assembly, Copy};
use crate::types::{Crc64, Crc64Hasher, Fault, Hasher, RelPath, Segment};
use crate::work::Lane;
use std::io::Read as _;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Bytes read at a time where they are only looked at.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// What all fillers share: the file, and whether it is still what was planned.
pub(crate) struct Base {
    pub opened: Opened,
    pub path: RelPath,
    pub segments: Arc<[Segment]>,
    pub pulse: Pulse,
    pub runtime: Handle,
    pub(crate) budget: Budget,
    /// See [`Work`].
    pub racy: bool,
    /// Of a torn reading: the hash of what is sent.
    pub whole: Option<Hasher>,
    /// The segment that is being read, its checksum and what of it came.
    pub(crate) open: (usize, Crc64Hasher, u64),
}

impl Base {
    /// The memory of one part. Always the backlog's: large files must not take what is
    /// reserved for small edits.
    pub fn memory(&self, bytes: u64) -> Permit {
        self.pulse.rest();
        let taken = self
            .runtime
            .block_on(self.budget.take(Lane::Backlog, bytes));
        self.pulse.beat();
        taken
    }

    pub fn fault(&self, error: &std::io::Error) -> Fault {
        read_fault(&self.path, error)
    }

    /// Compare the next bytes of the file with the plan. False when they differ.
    pub fn check(&mut self, mut bytes: &[u8]) -> bool {
        if let Some(whole) = &mut self.whole {
            whole.update(bytes);
            return true;
        }
        while !bytes.is_empty() {
            let (at, crc64, done) = &mut self.open;
            let Some(segment) = self.segments.get(*at) else {
                return false;
            };
            let left = usize::try_from(segment.raw_bytes - *done).unwrap_or(usize::MAX);
            let (here, rest) = bytes.split_at(left.min(bytes.len()));
            crc64.update(here);
            *done += here.len() as u64;
            if *done == segment.raw_bytes {
                if std::mem::take(crc64).finish() != segment.crc64 {
                    return false;
                }
                (*at, *done) = (*at + 1, 0);
            }
            bytes = rest;
        }
        true
    }

    /// Read the next bytes, pass them to `take` and compare them with the plan. False
    /// when they differ.
    pub fn read_over(&mut self, bytes: u64, mut take: impl FnMut(&[u8])) -> Result<bool, Fault> {
        let (mut left, mut buffer) = (bytes, vec![0; READ_BYTES]);
        while left > 0 {
            let want = READ_BYTES.min(usize::try_from(left).unwrap_or(READ_BYTES));
            self.pulse.beat();
            let got = (&self.opened.file)
                .read(&mut buffer[..want])
                .map_err(|e| self.fault(&e))?;
            if got == 0 || !self.check(&buffer[..got]) {
                return Ok(false);
            }
            take(&buffer[..got]);
            left -= got as u64;
        }
        Ok(true)
    }

    /// The next bytes belong to another segment.
    pub fn go_to(&mut self, segment: usize) {
        self.open = (segment, Crc64Hasher::default(), 0);
    }
}

/// Gathers the bytes of taken segments until they are a part.
pub(crate) trait Fill {
    fn base(&mut self) -> &mut Base;
    /// Bytes gathered.
    fn held_bytes(&self) -> u64;
    /// Gather one more segment. False when it is not what was planned.
    fn take(&mut self, segment: usize, assembly: &Assembly) -> Result<bool, Fault>;
    /// The first `bytes` of what was gathered. `None` when the file changed.
    fn cut(&mut self, bytes: u64) -> Result<Option<(Vec<u8>, Permit)>, Fault>;
    /// Compare segments that the server copies; nothing is held. Returns the MD5 of their
    /// bytes, where it is wanted and known, and false when the file changed.
    fn pass(
        &mut self,
        copy: &Copy,
        assembly: &Assembly,
        wants_md5: bool,
    ) -> Result<(Option<[u8; 16]>, bool), Fault>;
    /// What a segment has become; uncompressed ones are as planned.
    fn stored(&self, segment: usize) -> Option<(u64, Crc64)>;
}
