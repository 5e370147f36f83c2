//! Cutting a large file into pieces for the wire, compressed or not.
//!
//! Runs on a blocking thread and hands pieces over one at a time; it takes the
//! memory of a piece from the budget before it fills it.

use super::budget::{Budget, Permit};
use super::read::read_fault;
use crate::error::{Class, Fault, chain};
use crate::files::{self, Opened, Pulse};
use crate::model::hash::Hasher;
use crate::model::{ContentHash, Crc64, Fingerprint, RelPath};
use crate::queue::Lane;
use crate::store::Sums;
use async_compression::Level;
use async_compression::tokio::write::GzipEncoder;
use bytes::Bytes;
use std::io::Read as _;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// S3's limit on parts of one upload (Amazon S3 User Guide, "Multipart upload limits").
const PARTS_MAX: u64 = 10_000;

/// Ordinary part size: large enough that requests do not dominate, small enough
/// that a lost part costs seconds on an office line.
pub(super) const PART_BYTES: u64 = 8 * 1024 * 1024;

const MIB: u64 = 1024 * 1024;

/// Bytes read from disk at a time while compressing.
const READ_BYTES: usize = 256 * 1024;

/// A piece on its way.
pub(super) struct Piece {
    /// The bytes for the wire.
    pub bytes: Bytes,
    /// Their checksums, which the server checks.
    pub sums: Sums,
    /// What the whole reading came to, on the last piece.
    pub end: Option<End>,
    /// The memory they take.
    pub permit: Permit,
}

/// What the whole reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Hash of the raw bytes that were read.
    pub hash: ContentHash,
    /// Raw bytes read.
    pub raw_bytes: u64,
    /// The open file still looks as it did when it was opened.
    pub steady: bool,
}

/// Size of the parts of a file: [`PART_BYTES`], more only where 10,000 of them
/// would not do. One in a hundred is kept free for gzip's worst case.
pub(super) fn part_bytes(file_bytes: u64) -> u64 {
    let needed = file_bytes.div_ceil(PARTS_MAX * 99 / 100);
    PART_BYTES.max(needed.div_ceil(MIB) * MIB)
}

/// What to cut.
pub(super) struct Cut {
    pub opened: Opened,
    pub path: RelPath,
    /// Read no further than this: what a growing file had at the start.
    pub limit_bytes: u64,
    /// Compression level, `None` for none.
    pub gzip_level: Option<u32>,
    pub budget: Budget,
    /// Beats while the disk is asked, rests while something else is waited for.
    pub pulse: Pulse,
}

/// Read, hash and compress; blocking. Ends early when the receiver is gone.
///
/// # Errors
/// The file cannot be read.
pub(super) fn cut(
    job: Cut,
    to: &mpsc::Sender<Result<Piece, Fault>>,
    runtime: &Handle,
) -> Result<(), Fault> {
    let gzip_level = job.gzip_level;
    let mut cutter = Cutter {
        size: part_bytes(job.limit_bytes),
        job,
        hasher: Hasher::default(),
        raw_bytes: 0,
        to,
        runtime,
    };
    match gzip_level {
        None => cutter.raw(),
        Some(level) => cutter.gzip(level),
    }
}

/// No cutter ever waits for memory while it holds some (a full piece is handed
/// over first), so many large files at once cannot block each other.
struct Cutter<'a> {
    job: Cut,
    size: u64,
    hasher: Hasher,
    raw_bytes: u64,
    to: &'a mpsc::Sender<Result<Piece, Fault>>,
    runtime: &'a Handle,
}

impl Cutter<'_> {
    fn raw(&mut self) -> Result<(), Fault> {
        loop {
            let permit = self.memory();
            let want = self.size.min(self.job.limit_bytes - self.raw_bytes);
            let mut buffer = Vec::with_capacity(usize::try_from(want).unwrap_or(usize::MAX));
            self.job
                .pulse
                .of((&mut self.job.opened.file).take(want))
                .read_to_end(&mut buffer)
                .map_err(|e| read_fault(&self.job.path, &e))?;
            self.hasher.update(&buffer);
            self.raw_bytes += buffer.len() as u64;
            let is_end = (buffer.len() as u64) < want || self.raw_bytes == self.job.limit_bytes;
            let end = is_end.then(|| self.end()).transpose()?;
            if !self.hand_over(buffer, permit, end) || is_end {
                return Ok(());
            }
        }
    }

    fn gzip(&mut self, level: u32) -> Result<(), Fault> {
        let level = Level::Precise(i32::try_from(level).unwrap_or(6));
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let mut encoder = GzipEncoder::with_quality(Vec::new(), level);
        let mut buffer = vec![0u8; READ_BYTES];
        let mut permit = self.memory();
        loop {
            let left = self.job.limit_bytes - self.raw_bytes;
            let want = READ_BYTES.min(usize::try_from(left).unwrap_or(READ_BYTES));
            self.job.pulse.beat();
            let got = self
                .job
                .opened
                .file
                .read(&mut buffer[..want])
                .map_err(|e| read_fault(&self.job.path, &e))?;
            self.hasher.update(&buffer[..got]);
            self.raw_bytes += got as u64;
            let write = async {
                match got {
                    0 => encoder.shutdown().await,
                    _ => encoder.write_all(&buffer[..got]).await,
                }
            };
            self.runtime
                .block_on(write)
                .map_err(|e| gzip_fault(&self.job.path, &e))?;
            // Strictly more than a piece: so what is handed over is not the last.
            while encoder.get_ref().len() > size {
                let rest = encoder.get_mut().split_off(size);
                let full = std::mem::replace(encoder.get_mut(), rest);
                if !self.hand_over(full, permit, None) {
                    return Ok(());
                }
                permit = self.memory();
            }
            if got == 0 {
                break;
            }
        }
        let end = self.end()?;
        self.hand_over(encoder.into_inner(), permit, Some(end));
        Ok(())
    }

    /// The memory of one piece. Always the backlog's: large files must not take
    /// what is kept for small edits.
    fn memory(&self) -> Permit {
        self.job.pulse.rest();
        let taken = self
            .runtime
            .block_on(self.job.budget.take(Lane::Backlog, self.size));
        self.job.pulse.beat();
        taken
    }

    fn end(&mut self) -> Result<End, Fault> {
        let now: Fingerprint = files::fingerprint_of(&self.job.opened.file)
            .map_err(|e| read_fault(&self.job.path, &e))?;
        Ok(End {
            hash: std::mem::take(&mut self.hasher).finish(),
            raw_bytes: self.raw_bytes,
            steady: now == self.job.opened.fingerprint,
        })
    }

    /// False when nobody takes pieces any more.
    fn hand_over(&self, bytes: Vec<u8>, permit: Permit, end: Option<End>) -> bool {
        let piece = Piece {
            sums: Sums {
                sha256: ContentHash::of(&bytes),
                crc64: Crc64::of(&bytes),
            },
            bytes: Bytes::from(bytes),
            end,
            permit,
        };
        // Also after the last piece: from here on nothing of the disk is waited for.
        self.job.pulse.rest();
        self.runtime.block_on(self.to.send(Ok(piece))).is_ok()
    }
}

fn gzip_fault(path: &RelPath, error: &std::io::Error) -> Fault {
    Fault::new(Class::Local, "compress", path.to_string(), chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_ten_thousand_whatever_the_size() {
        for (file_bytes, want_mib) in [
            (0, 8),
            (5 << 30, 8),
            (77 << 30, 8),
            (100 << 30, 11),
            (5 << 40, 530),
        ] {
            let part = part_bytes(file_bytes);
            assert_eq!(part / MIB, want_mib, "{file_bytes}");
            assert!(file_bytes.div_ceil(part) <= PARTS_MAX);
        }
    }

    async fn pieces(content: &[u8], gzip_level: Option<u32>) -> (Vec<u8>, usize, End) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), content).unwrap();
        let path = RelPath::from_bytes("f").unwrap();
        let opened = files::open(dir.path(), &path).unwrap();
        let (to, mut from) = mpsc::channel(1);
        let runtime = Handle::current();
        let job = Cut {
            limit_bytes: opened.fingerprint.size_bytes,
            opened,
            path,
            gzip_level,
            budget: Budget::default(),
            pulse: Pulse::default(),
        };
        let cutter = tokio::task::spawn_blocking(move || cut(job, &to, &runtime));
        let (mut all, mut count, mut end) = (Vec::new(), 0, None);
        while let Some(piece) = from.recv().await {
            let piece = piece.unwrap();
            assert!(end.is_none(), "nothing follows the last piece");
            assert_eq!(piece.sums.sha256, ContentHash::of(&piece.bytes));
            all.extend_from_slice(&piece.bytes);
            count += 1;
            end = piece.end;
        }
        cutter.await.unwrap().unwrap();
        (all, count, end.unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn raw_pieces_make_the_file() {
        for (size, want) in [
            (PART_BYTES as usize, 1),
            (PART_BYTES as usize + 1, 2),
            (2 * PART_BYTES as usize, 2),
            (0, 1),
        ] {
            let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let (got, count, end) = pieces(&content, None).await;
            assert!(got == content && count == want, "{size}: {count}");
            assert_eq!(end.hash, ContentHash::of(&content));
            assert!(end.steady && end.raw_bytes == size as u64);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn gzip_pieces_unpack_to_the_file() {
        let mut noise = fastrand::Rng::with_seed(1);
        for size in [0, 1000, 20 * MIB as usize] {
            let content: Vec<u8> = (0..size).map(|_| noise.u8(..)).collect();
            let (got, count, end) = pieces(&content, Some(1)).await;
            assert_eq!(count, if size > 1000 { 3 } else { 1 });
            assert_eq!(end.hash, ContentHash::of(&content));
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&got[..])
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == content, "{size}");
        }
    }
}
