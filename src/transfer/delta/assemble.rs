//! What the next version of a large object is built from: stretches of the old one, which
//! the server copies, and bytes that are sent.
//!
//! Walks over the new segments once and says of each whether it is taken (its bytes go
//! into the part that is being filled) or copied. The size of a taken segment may be known
//! only after it was compressed.
//!
//! Invariants: every segment comes exactly once, in order; every part but the last has
//! S3's minimum; there are no more parts than S3 takes; for each change, a few minimum
//! parts at most are sent without need.

use crate::types::{ContentHash, Crc64, Parts, Segment};
use std::collections::HashMap;
use std::ops::Range;

const MIB: u64 = 1024 * 1024;

/// The smallest part, but for the last one (Amazon S3 User Guide, "Multipart
/// upload limits").
pub const PART_BYTES_MIN: u64 = 5 * MIB;

/// S3's limit on parts of one upload (same place).
pub const PARTS_MAX: u64 = 10_000;

/// Fewer old bytes in a row than this are sent: a copied part must have as many anyway,
/// and at the end of a file a request would save little.
pub const COPY_FROM_BYTES: u64 = PART_BYTES_MIN;

/// Bytes of one copied part. S3 takes 5 GiB; 1 GiB keeps each request short and
/// lets several go at once.
pub const COPY_PART_BYTES: u64 = 1024 * MIB;

/// The longest segment that is copied: with what stands before it in the same
/// part it stays within S3's 5 GiB. Only files of terabytes have longer ones.
const COPY_SEGMENT_BYTES_MAX: u64 = 4 * COPY_PART_BYTES;

/// Ordinary size of a part that is sent: large enough that requests do not
/// dominate, small enough that a lost part costs seconds on an office line.
pub const PART_BYTES: u64 = 8 * MIB;

/// Size of the parts of a file: [`PART_BYTES`], more only where 10,000 of them
/// would not do. One in a hundred is kept free for gzip's worst case.
pub fn part_bytes(file_bytes: u64) -> u64 {
    let needed = file_bytes.div_ceil(PARTS_MAX * 99 / 100);
    PART_BYTES.max(needed.div_ceil(MIB) * MIB)
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Add this segment's bytes to the part that is being filled.
    Take(usize),
    /// End the part that is being filled, if it has any bytes, and copy.
    Copy(Copy),
    /// All segments have come: what is still held are the last parts.
    End,
}

/// Segments that the old object has in one stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The new segments that it is.
    pub segments: Range<usize>,
    /// Bytes of the old object.
    pub from: Range<u64>,
}

/// Where the old object has a segment, and what it is there.
#[derive(Debug, Clone, Copy)]
struct Old {
    offset: u64,
    stored_bytes: u64,
    crc64: Crc64,
}

/// The walk over one file's segments.
#[derive(Debug, Clone)]
pub struct Assembly {
    old: Vec<Option<Old>>,
    /// Bytes that the old object has in one stretch from this segment on.
    run_bytes: Vec<u64>,
    at: usize,
    part_bytes: u64,
}

impl Assembly {
    /// Of a file that is sent whole.
    pub fn fresh(segments: &[Segment], part_bytes: u64) -> Self {
        Self {
            old: vec![None; segments.len()],
            run_bytes: vec![0; segments.len()],
            at: 0,
            part_bytes,
        }
    }

    /// Of a file whose old version is made of `parts`. `None` when too little
    /// of that is in it, or in too many places, for a copy to pay.
    pub fn with_old(segments: &[Segment], parts: &Parts, part_bytes: u64) -> Option<Self> {
        let mut assembly = Self::fresh(segments, part_bytes);
        assembly.old = find(segments, parts);
        for at in (0..segments.len()).rev() {
            let Some(here) = assembly.old[at] else {
                continue;
            };
            let next = assembly.old.get(at + 1).copied().flatten();
            let goes_on = next.is_some_and(|next| next.offset == here.offset + here.stored_bytes);
            let more = if goes_on {
                assembly.run_bytes[at + 1]
            } else {
                0
            };
            assembly.run_bytes[at] = here.stored_bytes + more;
        }
        let (copies, sent_bytes) = assembly.dry_run(segments);
        let parts_needed = 2 * copies + 1 + sent_bytes.div_ceil(part_bytes);
        (copies > 0 && parts_needed <= PARTS_MAX).then_some(assembly)
    }

    /// Copies, and bytes of the file that are taken, if nothing gets smaller by
    /// compressing.
    fn dry_run(&self, segments: &[Segment]) -> (u64, u64) {
        let mut walk = self.clone();
        let (mut held, mut copies, mut taken) = (0, 0, 0);
        loop {
            match walk.next(held) {
                Step::Take(at) => {
                    held += segments[at].raw_bytes;
                    taken += segments[at].raw_bytes;
                }
                Step::Copy(_) => (held, copies) = (0, copies + 1),
                Step::End => return (copies, taken),
            }
        }
    }

    /// Go on, while the part that is being filled has `held_bytes`.
    pub fn next(&mut self, held_bytes: u64) -> Step {
        let at = self.at;
        if at == self.old.len() {
            return Step::End;
        }
        let is_too_small = (1..PART_BYTES_MIN).contains(&held_bytes);
        if !self.may_copy(at) || is_too_small {
            self.at += 1;
            return Step::Take(at);
        }
        Step::Copy(self.copy())
    }

    /// A stretch that is long enough begins here.
    fn may_copy(&self, at: usize) -> bool {
        self.run_bytes[at] >= COPY_FROM_BYTES
    }

    fn copy(&mut self) -> Copy {
        let begin = self.at;
        let all = self.run_bytes[begin];
        // What is left over is not to be too short for a part of its own.
        let most = if all < 2 * COPY_PART_BYTES {
            all.div_ceil(2)
        } else {
            COPY_PART_BYTES
        };
        let limit = if all <= COPY_PART_BYTES { all } else { most };
        let mut bytes = 0;
        while let Some(old) = self
            .old
            .get(self.at)
            .copied()
            .flatten()
            .filter(|_| bytes < limit)
        {
            bytes += old.stored_bytes;
            self.at += 1;
        }
        let offset = self.old[begin].map_or(0, |old| old.offset);
        Copy {
            segments: begin..self.at,
            from: offset..offset + bytes,
        }
    }

    /// What a segment is in the new object, size and checksum: what it became
    /// when it was taken, else what it is in the old one.
    pub fn stored(&self, segment: usize, taken: Option<(u64, Crc64)>) -> Option<(u64, Crc64)> {
        let old = self.old.get(segment).copied().flatten();
        taken.or(old.map(|old| (old.stored_bytes, old.crc64)))
    }

    /// The checksum of what is copied.
    pub fn crc64_of(&self, copy: &Copy) -> Crc64 {
        let old = self.old[copy.segments.clone()].iter().flatten();
        old.fold(Crc64::default(), |crc64, old| {
            crc64.then(old.crc64, old.stored_bytes)
        })
    }

    /// Every segment has come.
    pub fn is_over(&self) -> bool {
        self.at == self.old.len()
    }

    /// Size of the parts that are sent.
    pub fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    /// Whether anything may be copied.
    pub fn reuses(&self) -> bool {
        self.run_bytes.iter().any(|bytes| *bytes >= COPY_FROM_BYTES)
    }

    /// Segments that will be taken next whatever they come to: those that may be
    /// compressed beforehand.
    pub fn sure(&self) -> Range<usize> {
        let end = (self.at..self.old.len())
            .find(|at| self.may_copy(*at))
            .unwrap_or(self.old.len());
        self.at..end
    }

    /// How many of the bytes that are held are a part now. More is kept back
    /// than none while a copy may follow, or the rest could become too small.
    pub fn full_part(&self, held_bytes: u64) -> Option<u64> {
        let may_be_cut_short = self.sure().end < self.old.len();
        let kept = if may_be_cut_short { PART_BYTES_MIN } else { 1 };
        (held_bytes >= self.part_bytes + kept).then_some(self.part_bytes)
    }

    /// Bytes that may be held before [`Assembly::full_part`] says so, but for
    /// the last segment.
    pub fn held_bytes_max(&self) -> u64 {
        let kept = if self.reuses() { PART_BYTES_MIN } else { 0 };
        self.part_bytes + kept
    }
}

/// Where the old object has each segment. Of several places the one that goes on
/// from the segment before, so that repeated content makes long stretches.
fn find(segments: &[Segment], parts: &Parts) -> Vec<Option<Old>> {
    let mut places: HashMap<ContentHash, Vec<(usize, u64)>> = HashMap::new();
    let mut offset = 0;
    for (number, old) in parts.segments.iter().enumerate() {
        places.entry(old.sha256).or_default().push((number, offset));
        offset += old.stored_bytes;
    }
    let mut wanted = 0;
    segments
        .iter()
        .map(|new| {
            let at = places.get(&new.sha256)?;
            // They stand in ascending order.
            let exact = at.binary_search_by_key(&wanted, |(number, _)| *number);
            let (number, offset) = at[exact.unwrap_or(0)];
            let old = &parts.segments[number];
            wanted = number + 1;
            let fits = old.stored_bytes <= COPY_SEGMENT_BYTES_MAX;
            (fits && old.raw_bytes == new.raw_bytes).then_some(Old {
                offset,
                stored_bytes: old.stored_bytes,
                crc64: old.crc64,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
