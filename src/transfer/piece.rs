//! Making the parts of a large file: bytes for the wire, compressed or not, and
//! stretches of the old version that the server is to copy.
//!
//! Runs on a blocking thread and hands parts over one at a time, in order. It takes the
//! memory of a part from the budget before it fills it. It compares what it reads with
//! the plan, and ends at the first difference.

use super::fill::{Base, Fill};

use super::budget::{Budget, Permit};
use super::members::GzipFill;
use super::raw::RawFill;
use crate::files;
use crate::files::{Opened, Pulse};
use crate::s3::{Proof, Sums};
use crate::transfer::delta::assemble::{Assembly, Copy, Step};
use crate::types::{ContentHash, Crc64, Fault, Hasher, RelPath, Segment};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

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
    /// The bytes are the planned ones: the object is made of these.
    AsPlanned(Vec<Segment>),
    /// The file never rests: this is what was read.
    Unrested(ContentHash),
    /// The file has changed: nothing of it may become a version.
    Changed,
}

impl End {
    /// The hash of what was sent, `planned` if nothing changed; `None` when the file has
    /// changed.
    pub(crate) fn hash(&self, planned: ContentHash) -> Option<ContentHash> {
        match self {
            Self::AsPlanned(_) => Some(planned),
            Self::Unrested(hash) => Some(*hash),
            Self::Changed => None,
        }
    }
}

/// What to make parts of.
pub(crate) struct Work {
    pub opened: Opened,
    pub path: RelPath,
    /// What the file was when it was planned.
    pub segments: Arc<[Segment]>,
    /// It does not rest: its bytes are taken as they are.
    pub is_torn: bool,
    /// It may have changed since without a change of its times: what is copied is read
    /// and compared as well.
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
        whole: work.is_torn.then(Hasher::default),
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

/// A full part is handed over before memory for the next one is waited for, so many large
/// files at once cannot block each other.
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
        // Also after the last part: from here on nobody waits for the disk.
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
