//! The lines of a manifest's body as it comes over the line: paced, stoppable,
//! unpacked, bounded and proved one by one.
//!
//! Invariant: whatever the object holds, reading it takes the memory of one line and a
//! buffer, and ends.

use crate::manifest::fault::{damaged, subject};
use crate::manifest::format::LINE_BYTES_MAX;
use crate::manifest::format::proof::{Reading, Row};
use crate::manifest::listing::Listing;
use crate::retry::Stop;
use crate::s3::GetBody;
use crate::types::{Class, Fault, chain};
use async_compression::tokio::bufread::GzipDecoder;
use bytes::Bytes;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio_util::io::StreamReader;

/// What is unpacked at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// How much more its lines may be than its stored bytes: every object has a hash
/// or an id that nothing packs, so real ones unpack to five times their size, and
/// folders with paths of 1,500 bytes to sixty times. gzip can make a thousand of
/// nothing.
const UNPACKED_TO_STORED_MAX: u64 = 200;

/// What the unpacking reads from.
pub(crate) type Packed = Box<dyn AsyncBufRead + Send + Unpin>;

/// A body on its way: given up when the server hardly sends, when told to stop,
/// and when more comes than the list says that there is.
pub(crate) struct Arriving {
    body: GetBody,
    left_bytes: u64,
    stop: Stop,
    bucket: String,
    key: String,
}

impl Arriving {
    pub(crate) fn new(body: GetBody, bucket: &str, one: &Listing, stop: &Stop) -> Self {
        Self {
            body,
            left_bytes: one.stored_bytes,
            stop: stop.clone(),
            bucket: bucket.to_owned(),
            key: one.key.clone(),
        }
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let piece = tokio::select! {
            piece = self.body.next() => piece?,
            () = self.stop.asked() => return Err(self.stopped()),
        };
        let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let left_bytes = self.left_bytes.checked_sub(bytes);
        self.left_bytes = left_bytes
            .ok_or_else(|| damaged(&self.bucket, &self.key, "it is longer than its list says"))?;
        Ok(piece)
    }

    fn stopped(&self) -> Fault {
        let subject = subject(&self.bucket, &self.key);
        Fault::new(
            Class::Local,
            "read the manifest",
            subject,
            "it was told to stop",
        )
    }

    /// As what the unpacking reads from; a [`Fault`] goes through it as it is.
    pub(crate) fn packed(self) -> Packed {
        let pieces = futures::stream::unfold(Some(self), |arriving| async {
            let mut arriving = arriving?;
            match arriving.next().await {
                Ok(piece) => Some((Ok(piece?), Some(arriving))),
                Err(fault) => Some((Err(io::Error::other(fault)), None)),
            }
        });
        Box::new(StreamReader::new(Box::pin(pieces)))
    }
}

/// The lines of a body.
pub(crate) struct Rows {
    body: BufReader<GzipDecoder<Packed>>,
    reading: Reading,
    line: Vec<u8>,
    /// What may still be unpacked.
    left_bytes: u64,
    bucket: String,
    key: String,
}

impl Rows {
    pub(crate) fn new(packed: Packed, bucket: &str, one: &Listing) -> Self {
        let mut unpacked = GzipDecoder::new(packed);
        unpacked.multiple_members(true);
        Self {
            body: BufReader::with_capacity(BUFFER_BYTES, unpacked),
            reading: Reading::default(),
            line: Vec::new(),
            left_bytes: one
                .stored_bytes
                .saturating_mul(UNPACKED_TO_STORED_MAX)
                .saturating_add(LINE_BYTES_MAX as u64),
            bucket: bucket.to_owned(),
            key: one.key.clone(),
        }
    }

    /// The next one; `None` at the end of what is whole.
    pub(crate) async fn next(&mut self) -> Result<Option<Row>, Fault> {
        let is_line = self.fill().await.map_err(|error| self.broken(&error))?;
        if !is_line {
            let whole = self.reading.finish();
            return whole.map(|()| None).map_err(|why| self.damaged(&why));
        }
        let row = self.reading.row(&self.line);
        row.map(Some).map_err(|why| self.damaged(&why))
    }

    /// Read up to the next line end; false at the end of the body.
    async fn fill(&mut self) -> io::Result<bool> {
        self.line.clear();
        loop {
            let piece = self.body.fill_buf().await?;
            if piece.is_empty() {
                return Ok(!self.line.is_empty());
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(piece.len());
            if self.line.len() + taken > LINE_BYTES_MAX {
                return Err(invalid("it has a line that is longer than any path"));
            }
            self.line.extend_from_slice(&piece[..taken]);
            let used = end.map_or(taken, |end| end + 1);
            self.body.consume(used);
            self.left_bytes = self
                .left_bytes
                .checked_sub(used as u64)
                .ok_or_else(|| invalid("its compressed content goes on and on"))?;
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// The line's trouble comes as the [`Fault`] it is; everything else is the
    /// unpacking's, whatever kind of error it makes of it.
    fn broken(&self, error: &io::Error) -> Fault {
        let on_the_way = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Fault>());
        on_the_way
            .cloned()
            .unwrap_or_else(|| self.damaged(&chain(error)))
    }

    pub(crate) fn damaged(&self, why: &str) -> Fault {
        damaged(&self.bucket, &self.key, why)
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::format::proof::Writing;
    use crate::manifest::format::{Header, ManifestEntry, Settings};
    use crate::types::ETag;
    use crate::types::WallMs;
    use crate::types::{Fingerprint, Kind, RelKey};
    use std::io::Write as _;

    /// A whole manifest of so many folders, packed.
    fn folders(count: usize) -> Vec<u8> {
        let mut writing = Writing::default();
        let header = Header {
            keepwatch_manifest: 1,
            source: "s".into(),
            root: "/s".into(),
            bucket: "b".into(),
            prefix: String::new(),
            moment: String::new(),
            moment_ms: WallMs(0),
            host: String::new(),
            keepwatch: String::new(),
            files: 0,
            bytes: 0,
            settings: Settings::default(),
        };
        let mut text = writing.header(&header).unwrap();
        let seen = Fingerprint {
            kind: Kind::Folder,
            ..Fingerprint::UNSEEN
        };
        for number in 0..count {
            let key = RelKey::parse_full(&format!("{}{number:07}/", "d/".repeat(400))).unwrap();
            let line = ManifestEntry::without_object(&key, &seen);
            text.extend(writing.line(&line).unwrap());
        }
        text.extend(writing.trailer(WallMs(0), true).unwrap().0);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&text).unwrap();
        packed.finish().unwrap()
    }

    async fn read(packed: Vec<u8>, stored_bytes: u64) -> Result<usize, Fault> {
        let one = Listing {
            key: "k".into(),
            moment_ms: WallMs(0),
            stored_bytes,
            modified_ms: WallMs(0),
            etag: ETag::default(),
            listed_ms: WallMs(0),
        };
        let mut rows = Rows::new(Box::new(io::Cursor::new(Bytes::from(packed))), "b", &one);
        let mut count = 0;
        while rows.next().await?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Found by flipping a bit in the middle: where the unpacking had given some
    /// bytes before it met the damage, its error was taken for the line's.
    #[tokio::test]
    async fn a_flipped_bit_is_damage_wherever_it_is() {
        let whole = folders(40);
        let mut found = 0;
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            // Some bits of gzip's own first bytes mean nothing.
            if let Err(fault) = read(flipped, whole.len() as u64).await {
                assert_eq!(fault.class, Class::Damaged, "byte {at}: {fault}");
                found += 1;
            }
        }
        assert!(found + 10 > whole.len(), "{found} of {}", whole.len());
    }

    #[tokio::test]
    async fn what_unpacks_to_more_than_any_manifest_is_damaged() {
        // Even folders with long paths, the most that packs of what is real, pass.
        let real = folders(5_000);
        let bytes = real.len() as u64;
        assert_eq!(read(real.clone(), bytes).await.unwrap(), 5_002);
        let fault = read(real, 1_000).await.unwrap_err();
        assert_eq!(fault.class, Class::Damaged);
        assert!(fault.cause.contains("goes on and on"), "{fault}");
    }
}
