//! Parts of a compressed file: gzip members, each made of one stretch of the file,
//! several at a time. Together they are one gzip file (RFC 1952, 2.2), and a member stays
//! the same when the file around it changes.

use super::sizes::AT_ONCE_MAX;

use super::budget::Permit;
use super::fill::{Base, Fill};
use super::sizes::MEMBER_BYTES;
use crate::transfer::delta::assemble::{Assembly, Copy};
use crate::types::{Class, Crc64, Crc64Hasher, Fault, chain};
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use tokio::task::JoinHandle;

/// A member on its way.
struct Member {
    segment: usize,
    /// It is the segment's last.
    is_last: bool,
    made: JoinHandle<io::Result<Buffers>>,
}

/// A member's bytes, raw and compressed. The buffers are used again: new ones on other
/// threads each time would stay in the heap of every thread.
#[derive(Default)]
struct Buffers {
    raw: Vec<u8>,
    packed: Vec<u8>,
}

/// See [`Fill`].
pub(crate) struct GzipFill {
    base: Base,
    level: Compression,
    at_once: usize,
    held: Vec<u8>,
    permit: Option<Permit>,
    /// Being compressed, in order.
    making: VecDeque<Member>,
    /// At most as many as members are made at once.
    spare: Vec<Buffers>,
    /// The next bytes to read: the segment, and how many of its bytes are done.
    next: (usize, u64),
    stored: HashMap<usize, (u64, Crc64)>,
}

impl GzipFill {
    pub fn new(base: Base, level: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let level = Compression::new(level.min(9));
        // An empty body is no gzip file: gunzip would call it truncated.
        let held = match base.segments.is_empty() {
            true => compress(&[], Vec::new(), level).unwrap_or_default(),
            false => Vec::new(),
        };
        Self {
            base,
            level,
            at_once: cores.min(AT_ONCE_MAX),
            held,
            permit: None,
            making: VecDeque::new(),
            spare: Vec::new(),
            next: (0, 0),
            stored: HashMap::new(),
        }
    }

    /// Read the next member's bytes and start to compress them. False when they are not
    /// what was planned.
    fn begin_member(&mut self) -> Result<bool, Fault> {
        let (segment, done) = self.next;
        let left = self.base.segments[segment].raw_bytes - done;
        let bytes = left.min(MEMBER_BYTES);
        let Buffers { mut raw, packed } = self.spare.pop().unwrap_or_default();
        raw.clear();
        raw.reserve_exact(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.base
            .pulse
            .of((&self.base.opened.file).take(bytes))
            .read_to_end(&mut raw)
            .map_err(|e| self.base.fault(&e))?;
        if raw.len() as u64 != bytes || !self.base.check(&raw) {
            return Ok(false);
        }
        let is_last = bytes == left;
        self.next = if is_last {
            (segment + 1, 0)
        } else {
            (segment, done + bytes)
        };
        let level = self.level;
        // At most AT_ONCE_MAX of them; each ends by itself.
        let made = self.base.runtime.spawn_blocking(move || {
            let packed = compress(&raw, packed, level)?;
            Ok(Buffers { raw, packed })
        });
        self.making.push_back(Member {
            segment,
            is_last,
            made,
        });
        Ok(true)
    }

    /// The oldest member that is being made.
    fn finish_member(&mut self) -> Result<Option<(Member, Buffers)>, Fault> {
        let Some(mut member) = self.making.pop_front() else {
            return Ok(None);
        };
        self.base.pulse.rest();
        let made = self.base.runtime.block_on(&mut member.made);
        let made = made.map_err(io::Error::other).and_then(|made| made);
        let buffers = made.map_err(|error| {
            Fault::new(
                Class::Local,
                "compress",
                self.base.path.to_string(),
                chain(&error),
            )
        })?;
        Ok(Some((member, buffers)))
    }
}

impl GzipFill {
    /// The MD5 of stored members, by compressing their content again; `None` when that
    /// gives other bytes, since another compressor may have made them.
    fn make_again(
        &mut self,
        copy: &Copy,
        assembly: &Assembly,
    ) -> Result<(Option<[u8; 16]>, bool), Fault> {
        let mut md5 = Md5::new();
        let mut is_same = true;
        for segment in copy.segments.clone() {
            let made = self.make(segment, copy.segments.end, |bytes| md5.update(bytes))?;
            if made.is_none() {
                return Ok((None, false));
            }
            is_same &= made == assembly.stored(segment, None);
        }
        Ok((is_same.then(|| md5.finalize().into()), true))
    }

    /// Compress one segment, and those before `sure` beside it: its size and
    /// checksum. `None` when the file is not what was planned.
    fn make(
        &mut self,
        segment: usize,
        sure: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Option<(u64, Crc64)>, Fault> {
        let (mut stored_bytes, mut crc64) = (0, Crc64Hasher::default());
        loop {
            while self.making.len() < self.at_once && self.next.0 < sure {
                if !self.begin_member()? {
                    return Ok(None);
                }
            }
            let Some((member, buffers)) = self.finish_member()? else {
                return Ok(None);
            };
            stored_bytes += buffers.packed.len() as u64;
            crc64.update(&buffers.packed);
            take(&buffers.packed);
            self.spare.push(buffers);
            if member.is_last && member.segment == segment {
                return Ok(Some((stored_bytes, crc64.finish())));
            }
        }
    }
}

/// One gzip member. The same bytes give the same member: no time is in it.
fn compress(raw: &[u8], mut into: Vec<u8>, level: Compression) -> io::Result<Vec<u8>> {
    into.clear();
    let mut encoder = GzEncoder::new(into, level);
    encoder.write_all(raw)?;
    encoder.finish()
}

impl Fill for GzipFill {
    fn base(&mut self) -> &mut Base {
        &mut self.base
    }

    fn held_bytes(&self) -> u64 {
        self.held.len() as u64
    }

    fn take(&mut self, segment: usize, assembly: &Assembly) -> Result<bool, Fault> {
        if self.permit.is_none() {
            self.permit = Some(self.base.memory(assembly.held_bytes_max()));
            // All at once: growing by doubling would leave holes of many MiB.
            let most = assembly.held_bytes_max() + MEMBER_BYTES;
            let more = usize::try_from(most).unwrap_or(usize::MAX);
            self.held
                .reserve_exact(more.saturating_sub(self.held.len()));
        }
        // Those after it will be taken, too, whatever this one comes to.
        let sure = assembly.sure().end.max(segment + 1);
        let mut held = std::mem::take(&mut self.held);
        let made = self.make(segment, sure, |bytes| held.extend_from_slice(bytes));
        self.held = held;
        let Some(stored) = made? else {
            return Ok(false);
        };
        self.stored.insert(segment, stored);
        Ok(true)
    }

    fn cut(&mut self, bytes: u64) -> Result<Option<(Vec<u8>, Permit)>, Fault> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let rest = self.held.split_off(bytes.min(self.held.len()));
        let full = std::mem::replace(&mut self.held, rest);
        let permit = self.permit.take().unwrap_or_else(Permit::none);
        Ok(Some((full, permit)))
    }

    fn pass(
        &mut self,
        copy: &Copy,
        assembly: &Assembly,
        wants_md5: bool,
    ) -> Result<(Option<[u8; 16]>, bool), Fault> {
        let end = copy.segments.end;
        if wants_md5 {
            return self.make_again(copy, assembly);
        }
        if self.base.racy {
            let copied = &self.base.segments[copy.segments.clone()];
            let bytes = copied.iter().map(|segment| segment.raw_bytes).sum();
            self.next = (end, 0);
            return Ok((None, self.base.read_over(bytes, |_| ())?));
        }
        let before = &self.base.segments[..end];
        let begin = before.iter().map(|segment| segment.raw_bytes).sum();
        self.base.pulse.beat();
        (&self.base.opened.file)
            .seek(SeekFrom::Start(begin))
            .map_err(|e| self.base.fault(&e))?;
        self.base.go_to(end);
        self.next = (end, 0);
        Ok((None, true))
    }

    fn stored(&self, segment: usize) -> Option<(u64, Crc64)> {
        self.stored.get(&segment).copied()
    }
}
