//! Reading manifests: which there are, and the lines of one that is proved.
//!
//! Called by restore, by the scan that rebuilds a lost index, and by the command
//! line. Invariants: the lines of a manifest are given out only after all of it
//! was read once and found whole; a damaged one is named and the next older one
//! is used; nothing is believed of a manifest that is not believed of the
//! objects themselves. Small ones are held in memory, large ones are read twice.

use super::retry::{Patience, Stop};
use super::{Origin, shown};
use crate::error::{Class, Fault, chain};
use crate::model::manifest::{self, Header, LINE_BYTES_MAX, Line, Reading, Row, Trailer};
use crate::store::{At, Course, Listed, PAGE_KEYS, Store};
use async_compression::tokio::bufread::GzipDecoder;
use bytes::Bytes;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};

/// Manifests that are looked at in a list: ten years of daily ones.
const PAGES_MAX: usize = 4;

/// Damaged manifests that are passed over before none is used.
pub(super) const PASSED_OVER_MAX: usize = 5;

/// Manifests up to this size are held, larger ones are read a second time:
/// some 80,000 paths.
const HELD_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What is unpacked at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// One manifest in a bucket, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Full key.
    pub key: String,
    /// The moment that it tells of, milliseconds since 1970.
    pub moment_ms: i64,
    /// Bytes as stored.
    pub stored_bytes: u64,
}

/// A manifest that was read and found whole.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its first line.
    pub header: Header,
    /// Its last one.
    pub trailer: Trailer,
    /// Full key.
    pub key: String,
    bucket: String,
    version_id: String,
    /// All of it, when it is small.
    held: Option<Bytes>,
}

/// The manifest that serves, and those that should have.
#[derive(Debug, Default)]
pub struct Nearest {
    /// The newest whole one that is not younger than was asked for.
    pub manifest: Option<Manifest>,
    /// Younger ones that are damaged, each with what is wrong with it.
    pub damaged: Vec<Fault>,
}

/// The manifests of a source, oldest first.
///
/// # Errors
/// They cannot be listed.
pub async fn list(store: &Store, origin: &Origin, stop: &mut Stop) -> Result<Vec<Listing>, Fault> {
    let folder = manifest::folder(&origin.prefix);
    let (mut all, mut next, mut course) = (Vec::new(), None::<String>, Course::default());
    for _ in 0..PAGES_MAX {
        let mut patience = Patience::default();
        let page = loop {
            let listing = store.list(&origin.bucket, &folder, next.as_deref(), PAGE_KEYS);
            match listing.await {
                Err(fault) if patience.again(&fault, stop).await => {}
                done => break done?,
            }
        };
        course.objects(&page, &origin.bucket)?;
        all.extend(page.items.into_iter().filter_map(|o| listing(origin, o)));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

fn listing(origin: &Origin, listed: Listed) -> Option<Listing> {
    Some(Listing {
        moment_ms: manifest::moment_of(&origin.prefix, &listed.key)?,
        key: listed.key,
        stored_bytes: listed.stored_bytes,
    })
}

/// The first line of a manifest, and no more of it.
///
/// # Errors
/// It cannot be had or read.
pub async fn header(store: &Store, bucket: &str, key: &str) -> Result<Header, Fault> {
    let (_, body) = store.get(At { bucket, key }, None).await?;
    let mut rows = Rows::new(Box::new(body.into_reader()), bucket, key);
    match rows.next().await? {
        Some(Row::Header(header)) => Ok(*header),
        _ => Err(rows.damaged("it is empty")),
    }
}

/// The newest whole manifest that is not younger than `at_ms`, of at most
/// `bytes_max` bytes as stored.
///
/// # Errors
/// Manifests cannot be listed, or not be fetched.
pub async fn nearest(
    store: &Store,
    origin: &Origin,
    at_ms: Option<i64>,
    bytes_max: u64,
    stop: &mut Stop,
) -> Result<Nearest, Fault> {
    let mut found = Nearest::default();
    let all = list(store, origin, stop).await?;
    let in_time = |one: &&Listing| at_ms.is_none_or(|at_ms| one.moment_ms <= at_ms);
    for one in all.iter().rev().filter(in_time).take(PASSED_OVER_MAX) {
        if one.stored_bytes > bytes_max {
            break;
        }
        let mut patience = Patience::default();
        let opened = loop {
            match open(store, &origin.bucket, one).await {
                Err(fault) if patience.again(&fault, stop).await => {}
                done => break done,
            }
        };
        match opened {
            Ok(manifest) => {
                found.manifest = Some(manifest);
                break;
            }
            // Gone since it was listed counts as damaged, too.
            Err(fault) if matches!(fault.class, Class::Damaged | Class::NotFound) => {
                found.damaged.push(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}

/// Read all of it and prove it.
async fn open(store: &Store, bucket: &str, one: &Listing) -> Result<Manifest, Fault> {
    let at = At {
        bucket,
        key: &one.key,
    };
    let (head, mut body) = store.get(at, None).await?;
    let mut held = None;
    let reader: Box<dyn AsyncBufRead + Send + Unpin> = if head.stored_bytes <= HELD_BYTES_MAX {
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await? {
            if bytes.len() as u64 + piece.len() as u64 > HELD_BYTES_MAX {
                return Err(damaged(bucket, &one.key, "it is longer than it says"));
            }
            bytes.extend_from_slice(&piece);
        }
        let bytes = Bytes::from(bytes);
        held = Some(bytes.clone());
        Box::new(io::Cursor::new(bytes))
    } else {
        Box::new(body.into_reader())
    };
    let mut rows = Rows::new(reader, bucket, &one.key);
    let (mut header, mut trailer) = (None, None);
    while let Some(row) = rows.next().await? {
        match row {
            Row::Header(first) => header = Some(*first),
            Row::Line(_) => {}
            Row::End(last) => trailer = Some(last),
        }
    }
    let (Some(header), Some(trailer)) = (header, trailer) else {
        return Err(rows.damaged("it is empty"));
    };
    if header.moment_ms != one.moment_ms {
        return Err(rows.damaged("its name and its first line say different moments"));
    }
    Ok(Manifest {
        header,
        trailer,
        key: one.key.clone(),
        bucket: bucket.to_owned(),
        version_id: head.version_id,
        held,
    })
}

impl Manifest {
    /// Its paths, in key order.
    ///
    /// # Errors
    /// It cannot be fetched again.
    pub async fn lines(&self, store: &Store) -> Result<Lines, Fault> {
        let reader: Box<dyn AsyncBufRead + Send + Unpin> = match &self.held {
            Some(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            None => {
                let at = At {
                    bucket: &self.bucket,
                    key: &self.key,
                };
                let version = Some(self.version_id.as_str()).filter(|id| !id.is_empty());
                let (_, body) = store.get(at, version).await?;
                Box::new(body.into_reader())
            }
        };
        Ok(Lines(Rows::new(reader, &self.bucket, &self.key)))
    }
}

/// The paths of a proved manifest.
pub struct Lines(Rows);

impl Lines {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            match self.0.next().await? {
                Some(Row::Line(line)) => return Ok(Some(*line)),
                Some(Row::Header(_) | Row::End(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

/// The lines of a body, unpacked, bounded and proved as they come.
struct Rows {
    body: BufReader<GzipDecoder<Box<dyn AsyncBufRead + Send + Unpin>>>,
    reading: Reading,
    line: Vec<u8>,
    bucket: String,
    key: String,
}

impl Rows {
    fn new(body: Box<dyn AsyncBufRead + Send + Unpin>, bucket: &str, key: &str) -> Self {
        let mut unpacked = GzipDecoder::new(body);
        unpacked.multiple_members(true);
        Self {
            body: BufReader::with_capacity(BUFFER_BYTES, unpacked),
            reading: Reading::default(),
            line: Vec::new(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    async fn next(&mut self) -> Result<Option<Row>, Fault> {
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
                let why = "it has a line that is longer than any path";
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            self.line.extend_from_slice(&piece[..taken]);
            self.body.consume(end.map_or(taken, |end| end + 1));
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// What cannot be unpacked is damaged; everything else is the line's trouble.
    fn broken(&self, error: &io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidInput => self.damaged(&chain(error)),
            _ => Fault::new(
                Class::Transient,
                "read the manifest",
                subject(&self.bucket, &self.key),
                chain(error),
            ),
        }
    }

    fn damaged(&self, why: &str) -> Fault {
        damaged(&self.bucket, &self.key, why)
    }
}

fn subject(bucket: &str, key: &str) -> String {
    format!("{bucket}/{}", shown(key))
}

fn damaged(bucket: &str, key: &str, why: &str) -> Fault {
    Fault::new(
        Class::Damaged,
        "use the manifest",
        subject(bucket, key),
        why,
    )
    .hint("an older one is used instead, or none: files are restored and checked without")
}
