//! The one reading of a large file that decides what is sent: hash of the whole,
//! and its segments with their checksums. Blocking.
//!
//! Memory is a few small buffers whatever the size; the hash of the whole is
//! made on a second thread, since two SHA-256 cost more than reading.

use crate::files::Pulse;
use crate::transfer::delta::chunker::Cutter;
use crate::types::{ContentHash, Crc64Hasher, Hasher, Segment};
use std::fs::File;
use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes read at a time; more gains nothing.
const READ_BYTES: usize = 256 * 1024;

/// Buffers on their way between the two threads: one being filled, one being
/// hashed by each, one to spare. With sixteen workers 16 MiB in all.
const BUFFERS: usize = 4;

/// What a file consists of.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Hash of all bytes that were read.
    pub hash: ContentHash,
    /// How many bytes were read.
    pub bytes: u64,
    /// Its segments as they would be stored uncompressed.
    pub segments: Vec<Segment>,
}

/// Read `file` from where it stands, no further than `limit_bytes`.
///
/// # Errors
/// Whatever the disk reports.
pub(crate) fn plan(file: &mut File, limit_bytes: u64, pulse: &Pulse) -> io::Result<Planned> {
    let (full, to_hash) = sync_channel::<(Arc<Vec<u8>>, usize)>(BUFFERS);
    let (give_back, free) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        let _ = give_back.send(Arc::new(vec![0; READ_BYTES]));
    }
    std::thread::scope(|scope| {
        let whole = scope.spawn(move || hash_whole(&to_hash, &give_back));
        let mut segments = Segments::for_file(limit_bytes);
        let mut reader = pulse.of(file.take(limit_bytes));
        // Ends early only if the other thread is gone, which `join` tells.
        while let Ok(mut buffer) = free.recv() {
            // Nobody else holds one that was given back.
            let Some(bytes) = Arc::get_mut(&mut buffer) else {
                break;
            };
            let got = read(&mut reader, bytes)?;
            if got == 0 || full.send((Arc::clone(&buffer), got)).is_err() {
                break;
            }
            segments.feed(&buffer[..got]);
        }
        drop(full);
        let hash = whole
            .join()
            .map_err(|_| io::Error::other("the hashing thread ended early"))?;
        Ok(segments.finish(hash))
    })
}

/// Read once; an interrupted read is repeated.
fn read(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn hash_whole(
    full: &Receiver<(Arc<Vec<u8>>, usize)>,
    give_back: &SyncSender<Arc<Vec<u8>>>,
) -> ContentHash {
    let mut hasher = Hasher::default();
    for (buffer, bytes) in full {
        hasher.update(&buffer[..bytes]);
        // The reader may have ended by an error.
        let _ = give_back.send(buffer);
    }
    hasher.finish()
}

/// The segments of a file, as its bytes come.
struct Segments {
    cutter: Cutter,
    sha256: Hasher,
    crc64: Crc64Hasher,
    open_bytes: u64,
    bytes: u64,
    done: Vec<Segment>,
}

impl Segments {
    fn for_file(size_bytes: u64) -> Self {
        Self {
            cutter: Cutter::for_file(size_bytes),
            sha256: Hasher::default(),
            crc64: Crc64Hasher::default(),
            open_bytes: 0,
            bytes: 0,
            done: Vec::new(),
        }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (count, ends) = self.cutter.feed(bytes);
            let (here, rest) = bytes.split_at(count);
            self.sha256.update(here);
            self.crc64.update(here);
            self.open_bytes += here.len() as u64;
            if ends {
                self.end();
            }
            bytes = rest;
        }
    }

    fn end(&mut self) {
        let raw_bytes = std::mem::take(&mut self.open_bytes);
        self.bytes += raw_bytes;
        self.done.push(Segment {
            raw_bytes,
            stored_bytes: raw_bytes,
            sha256: std::mem::take(&mut self.sha256).finish(),
            crc64: std::mem::take(&mut self.crc64).finish(),
        });
    }

    fn finish(mut self, hash: ContentHash) -> Planned {
        if self.open_bytes > 0 {
            self.end();
        }
        Planned {
            hash,
            bytes: self.bytes,
            segments: self.done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Crc64;
    use std::io::Write as _;

    fn planned(content: &[u8], limit_bytes: u64) -> Planned {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        File::create(&path).unwrap().write_all(content).unwrap();
        plan(
            &mut File::open(&path).unwrap(),
            limit_bytes,
            &Pulse::default(),
        )
        .unwrap()
    }

    #[test]
    fn a_plan_is_what_is_in_the_file() {
        let mut content = vec![0; 9_000_001];
        fastrand::Rng::with_seed(7).fill(&mut content);
        for limit in [0, 1, 700_000, content.len(), content.len() + 1] {
            let all = &content[..limit.min(content.len())];
            let got = planned(&content, limit as u64);
            assert_eq!(got.hash, ContentHash::of(all), "{limit}");
            assert_eq!(got.bytes, all.len() as u64);
            let mut at = 0;
            for segment in &got.segments {
                let end = at + usize::try_from(segment.raw_bytes).unwrap();
                assert_eq!(segment.sha256, ContentHash::of(&all[at..end]));
                assert_eq!(segment.crc64, Crc64::of(&all[at..end]));
                assert_eq!(segment.stored_bytes, segment.raw_bytes);
                at = end;
            }
            assert_eq!(at, all.len());
        }
    }
}
