//! Parts of a file as it is: nothing is read before the part is known.

use super::budget::Permit;
use super::fill::{Base, Fill};
use crate::transfer::delta::assemble::{Assembly, Copy};
use crate::types::{Crc64, Fault};
use md5::{Digest as _, Md5};
use std::io::{Read as _, Seek as _, SeekFrom};

/// See [`Fill`].
pub(crate) struct RawFill {
    base: Base,
    held_bytes: u64,
    /// Where the file stands.
    at: u64,
    /// Where each segment begins.
    begins: Vec<u64>,
}

impl RawFill {
    pub fn new(base: Base) -> Self {
        let begins = base.segments.iter().scan(0, |at, segment| {
            let begin = *at;
            *at += segment.raw_bytes;
            Some(begin)
        });
        Self {
            begins: begins.collect(),
            held_bytes: 0,
            at: 0,
            base,
        }
    }

    fn md5(&mut self, copy: &Copy) -> Result<Option<[u8; 16]>, Fault> {
        let bytes = copy.from.end - copy.from.start;
        let mut md5 = Md5::new();
        if !self.base.read_over(bytes, |bytes| md5.update(bytes))? {
            return Ok(None);
        }
        self.at += bytes;
        Ok(Some(md5.finalize().into()))
    }
}

impl Fill for RawFill {
    fn base(&mut self) -> &mut Base {
        &mut self.base
    }

    fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    fn take(&mut self, segment: usize, _: &Assembly) -> Result<bool, Fault> {
        self.held_bytes += self.base.segments[segment].raw_bytes;
        Ok(true)
    }

    fn cut(&mut self, bytes: u64) -> Result<Option<(Vec<u8>, Permit)>, Fault> {
        let permit = self.base.memory(bytes);
        let mut buffer = Vec::with_capacity(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.base
            .pulse
            .of((&self.base.opened.file).take(bytes))
            .read_to_end(&mut buffer)
            .map_err(|e| self.base.fault(&e))?;
        self.held_bytes -= bytes;
        self.at += bytes;
        let as_planned = buffer.len() as u64 == bytes && self.base.check(&buffer);
        Ok(as_planned.then_some((buffer, permit)))
    }

    fn pass(
        &mut self,
        copy: &Copy,
        _: &Assembly,
        wants_md5: bool,
    ) -> Result<(Option<[u8; 16]>, bool), Fault> {
        if wants_md5 {
            let md5 = self.md5(copy)?;
            return Ok((md5, md5.is_some()));
        }
        if self.base.racy {
            let bytes = copy.from.end - copy.from.start;
            self.at += bytes;
            return Ok((None, self.base.read_over(bytes, |_| ())?));
        }
        let end = copy.segments.end;
        self.at = self.begins.get(end).copied().unwrap_or(self.at);
        self.base.pulse.beat();
        (&self.base.opened.file)
            .seek(SeekFrom::Start(self.at))
            .map_err(|e| self.base.fault(&e))?;
        self.base.go_to(end);
        Ok((None, true))
    }

    fn stored(&self, segment: usize) -> Option<(u64, Crc64)> {
        let segment = self.base.segments.get(segment)?;
        Some((segment.raw_bytes, segment.crc64))
    }
}
