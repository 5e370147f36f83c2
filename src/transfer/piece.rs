//! Making the parts of a large file: bytes for the wire, compressed or not, and
//! stretches of the old version that the server is to copy.
//!
//! Runs on a blocking thread and hands parts over one at a time, in order; it
//! takes the memory of a part from the budget before it fills it. What it reads
//! is compared with what was planned: other bytes end the work.

use super::budget::{Budget, Permit};
use super::members::GzipFill;
use super::raw::RawFill;
use super::read::read_fault;
use crate::files;
use crate::files::{Opened, Pulse};
use crate::s3::{Proof, Sums};
use crate::transfer::delta::assemble::{Assembly, Copy, Step};
use crate::types::{ContentHash, Crc64, Crc64Hasher, Fault, Hasher, RelPath, Segment};
use crate::work::Lane;
use bytes::Bytes;
use std::io::Read as _;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Bytes read at a time where they are only looked at.
const READ_BYTES: usize = 256 * 1024;

/// A part on its way.
pub(crate) struct Made {
    /// What it is.
    pub what: What,
    /// What the whole came to, with the last part.
    pub end: Option<End>,
}

/// What one part is.
pub(crate) enum What {
    /// Bytes to send.
    Send(Piece),
    /// Bytes that the server has.
    Copy(Reused),
}

/// Bytes for the wire.
pub(crate) struct Piece {
    /// The bytes.
    pub bytes: Bytes,
    /// Their checksums, which the server checks.
    pub sums: Sums,
    /// The memory they take.
    pub permit: Permit,
}

/// A stretch of the old version, and what its bytes must be.
#[derive(Debug, Clone)]
pub(crate) struct Reused {
    /// Where it is in the old version.
    pub from: Range<u64>,
    /// Its checksum.
    pub crc64: Crc64,
    /// Its MD5, where the server proves copies by nothing else.
    pub md5: Option<[u8; 16]>,
}

/// What the whole reading came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The bytes are the ones that were planned; so the object is made of these.
    AsPlanned(Vec<Segment>),
    /// The file never rests: this was in it.
    Unrested(ContentHash),
    /// The file has changed: nothing of it may become a version.
    Changed,
}

/// What to make parts of.
pub(crate) struct Work {
    pub opened: Opened,
    pub path: RelPath,
    /// What the file was when it was planned.
    pub segments: Arc<[Segment]>,
    /// It does not rest: its bytes are taken as they are.
    pub unrested: bool,
    /// It may have changed since without its times telling: what is copied is
    /// read and compared as well.
    pub racy: bool,
    pub assembly: Assembly,
    /// Compression level, `None` for none.
    pub gzip_level: Option<u32>,
    pub budget: Budget,
    /// What the server proves parts by, when that is known. Copies that only an
    /// MD5 proves are read for that; hashes that nobody asks for are not made.
    pub proof: Option<Proof>,
    /// Beats while the disk is asked, rests while something else is waited for.
    pub pulse: Pulse,
}

/// What all fillers share: the file, and whether it is still what was planned.
pub(crate) struct Base {
    pub opened: Opened,
    pub path: RelPath,
    pub segments: Arc<[Segment]>,
    pub pulse: Pulse,
    pub runtime: Handle,
    budget: Budget,
    /// See [`Work`].
    pub racy: bool,
    /// Of an unrested file: the hash of what is sent.
    pub whole: Option<Hasher>,
    /// The segment that is being read, its checksum and what of it came.
    open: (usize, Crc64Hasher, u64),
}

impl Base {
    /// The memory of one part. Always the backlog's: large files must not take
    /// what is kept for small edits.
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

    /// Compare the next bytes of the file with the plan. False when they are
    /// others.
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

    /// Read the next bytes, show them to `take` and compare them with the plan.
    /// False when they are others.
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

    /// The next bytes are those of another segment.
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
    /// These segments are copied; nothing is held. Gives the MD5 of their bytes
    /// when that is wanted and can be told, and false when the file changed.
    fn pass(
        &mut self,
        copy: &Copy,
        assembly: &Assembly,
        wants_md5: bool,
    ) -> Result<(Option<[u8; 16]>, bool), Fault>;
    /// What a taken segment has become; raw ones are as planned.
    fn stored(&self, segment: usize) -> Option<(u64, Crc64)>;
}

/// Read, compare and compress; blocking. Ends early when the receiver is gone.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn make(
    work: Work,
    to: &mpsc::Sender<Result<Made, Fault>>,
    runtime: &Handle,
) -> Result<(), Fault> {
    let base = Base {
        opened: work.opened,
        path: work.path,
        segments: Arc::clone(&work.segments),
        pulse: work.pulse,
        runtime: runtime.clone(),
        budget: work.budget,
        racy: work.racy,
        whole: work.unrested.then(Hasher::default),
        open: Default::default(),
    };
    let mut maker = Maker {
        segments: work.segments,
        assembly: work.assembly,
        proof: work.proof,
        is_first: true,
        to,
    };
    match work.gzip_level {
        None => maker.run(RawFill::new(base)),
        Some(level) => maker.run(GzipFill::new(base, level)),
    }
}

/// No maker ever waits for memory while it holds a whole part (a full one is
/// handed over first), so many large files at once cannot block each other.
struct Maker<'a> {
    segments: Arc<[Segment]>,
    assembly: Assembly,
    proof: Option<Proof>,
    /// Nothing has been handed over.
    is_first: bool,
    to: &'a mpsc::Sender<Result<Made, Fault>>,
}

/// Whether to go on.
enum Go {
    On,
    /// The last part is handed over, or nobody takes any more.
    Over,
}

impl Maker<'_> {
    fn run(&mut self, mut fill: impl Fill) -> Result<(), Fault> {
        loop {
            let go = match self.assembly.next(fill.held_bytes()) {
                Step::Take(segment) => self.take(&mut fill, segment)?,
                Step::Copy(copy) => self.copy(&mut fill, &copy)?,
                Step::End => return self.finish(&mut fill).map(drop),
            };
            if matches!(go, Go::Over) {
                return Ok(());
            }
        }
    }

    fn take(&mut self, fill: &mut impl Fill, segment: usize) -> Result<Go, Fault> {
        if !fill.take(segment, &self.assembly)? {
            return Ok(self.changed(fill));
        }
        while let Some(bytes) = self.assembly.full_part(fill.held_bytes()) {
            if let Go::Over = self.send(fill, bytes, false)? {
                return Ok(Go::Over);
            }
        }
        Ok(Go::On)
    }

    fn copy(&mut self, fill: &mut impl Fill, copy: &Copy) -> Result<Go, Fault> {
        let held_bytes = fill.held_bytes();
        if held_bytes > 0
            && let Go::Over = self.send(fill, held_bytes, false)?
        {
            return Ok(Go::Over);
        }
        let wants_md5 = self.proof == Some(Proof::EachPart);
        let (md5, as_planned) = fill.pass(copy, &self.assembly, wants_md5)?;
        if !as_planned {
            return Ok(self.changed(fill));
        }
        let end = match self.assembly.is_over() {
            true => Some(self.end(fill)?),
            false => None,
        };
        let what = What::Copy(Reused {
            from: copy.from.clone(),
            crc64: self.assembly.crc64_of(copy),
            md5,
        });
        Ok(self.hand_over(fill, what, end))
    }

    /// All segments have come: hand over what is held. An empty file is one
    /// empty part.
    fn finish(&mut self, fill: &mut impl Fill) -> Result<Go, Fault> {
        loop {
            let held_bytes = fill.held_bytes();
            let bytes = self.assembly.part_bytes().min(held_bytes);
            if let Go::Over = self.send(fill, bytes, bytes == held_bytes)? {
                return Ok(Go::Over);
            }
        }
    }

    fn send(&mut self, fill: &mut impl Fill, bytes: u64, is_last: bool) -> Result<Go, Fault> {
        let Some((bytes, permit)) = fill.cut(bytes)? else {
            return Ok(self.changed(fill));
        };
        let end = match is_last {
            true => Some(self.end(fill)?),
            false => None,
        };
        // The only part is sent with one PUT, which is always checked by it.
        let is_only = self.is_first && is_last;
        let wants_sha256 = is_only || self.proof != Some(Proof::Whole);
        let piece = Piece {
            sums: Sums {
                sha256: wants_sha256.then(|| ContentHash::of(&bytes)),
                crc64: Crc64::of(&bytes),
            },
            bytes: Bytes::from(bytes),
            permit,
        };
        Ok(self.hand_over(fill, What::Send(piece), end))
    }

    fn end(&self, fill: &mut impl Fill) -> Result<End, Fault> {
        let base = fill.base();
        if let Some(whole) = base.whole.take() {
            return Ok(End::Unrested(whole.finish()));
        }
        base.pulse.beat();
        let now = files::fingerprint_of(&base.opened.file).map_err(|e| base.fault(&e))?;
        if now != base.opened.fingerprint {
            return Ok(End::Changed);
        }
        let made = (0..self.segments.len()).map(|at| {
            let (stored_bytes, crc64) = self.assembly.stored(at, fill.stored(at))?;
            Some(Segment {
                stored_bytes,
                crc64,
                ..self.segments[at]
            })
        });
        // Nothing is missing after the last part.
        Ok(made
            .collect::<Option<_>>()
            .map_or(End::Changed, End::AsPlanned))
    }

    fn changed(&mut self, fill: &mut impl Fill) -> Go {
        let nothing = Piece {
            bytes: Bytes::new(),
            sums: Sums {
                sha256: None,
                crc64: Crc64::default(),
            },
            permit: Permit::none(),
        };
        self.hand_over(fill, What::Send(nothing), Some(End::Changed));
        Go::Over
    }

    fn hand_over(&mut self, fill: &mut impl Fill, what: What, end: Option<End>) -> Go {
        self.is_first = false;
        let is_end = end.is_some();
        let base = fill.base();
        // Also after the last part: from here on nothing of the disk is waited for.
        base.pulse.rest();
        let sent = base.runtime.block_on(self.to.send(Ok(Made { what, end })));
        match sent {
            Ok(()) if !is_end => Go::On,
            _ => Go::Over,
        }
    }
}

#[cfg(test)]
mod tests;
