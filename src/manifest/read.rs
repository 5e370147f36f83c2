//! Reading manifests: which there are, and the lines of one that is proved.
//!
//! Called by restore, by the scan that rebuilds a lost index, and by the command
//! line. Invariants: the lines of a manifest are given out only after all of it
//! was read once and found whole; a damaged one is named and the next older one
//! is used; nothing is believed of a manifest that is not believed of the
//! objects themselves. Small ones are held in memory, large ones are read twice.

mod rows;

use super::format;
use super::format::{Header, Line, Trailer};
use crate::manifest::format::proof::Row;
use crate::os::clock::wall_ms;
use crate::retry::{Patience, Stop};
use crate::s3::{At, Course, Listed, Next, PAGE_KEYS, Store};
use crate::types::{Class, ETag, Fault, Origin, VersionId, shown};
use bytes::Bytes;
use jiff::Timestamp;
use rows::{Arriving, Packed, Rows};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;

/// Manifests that are looked at in a list: ten years of daily ones.
const PAGES_MAX: usize = 4;

/// Damaged manifests that are passed over before none is used.
pub const PASSED_OVER_MAX: usize = 5;

/// Manifests up to this size are held, larger ones are read a second time:
/// some 80,000 paths.
const HELD_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How far apart the computer's clock and the server's may be without anything
/// being made of it: S3 itself refuses requests whose clock differs by more
/// (Amazon S3 API, `RequestTimeTooSkewed`).
pub(crate) const CLOCKS_APART_MAX_MS: i64 = 15 * 60 * 1000;

/// A manifest takes about 80 bytes a path as stored: this is one of fifty million.
/// What is larger is nobody's, and reading it would never end.
const STORED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// One manifest in a bucket, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Full key.
    pub key: String,
    /// The moment that it tells of, milliseconds since 1970.
    pub moment_ms: i64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: i64,
    /// ETag without quotes.
    pub etag: ETag,
    /// When it was listed, by the server's time as far as that is known.
    pub listed_ms: i64,
}

/// The newest manifest of a source that this computer wrote, as its index
/// remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Full key.
    pub key: String,
    /// What the bucket answered; empty while it is on its way.
    pub etag: ETag,
    /// Those that this computer wrote before it and that tell of a later moment:
    /// its clock was ahead then. The newest [`AHEAD_MAX`].
    #[serde(default)]
    pub ahead: Vec<Earlier>,
    /// What it says besides its moment, as a hash; `None` while it is on its way, of
    /// one that was disturbed, or where nobody has noted it.
    #[serde(default)]
    pub says: Option<String>,
}

/// One that was written before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Full key.
    pub key: String,
    /// What the bucket answered; empty when no answer came.
    pub etag: ETag,
}

/// Manifests remembered of the time when the clock was ahead: a month of days.
const AHEAD_MAX: usize = 32;

impl Written {
    /// Under which name the index has it.
    pub const NAME: &str = "newest-manifest";

    /// The one that is written now, after `before`.
    pub fn after(before: Option<Self>, key: String, etag: ETag) -> Self {
        let mut ahead = Vec::new();
        if let Some(before) = before {
            ahead = before.ahead;
            ahead.push(Earlier {
                key: before.key,
                etag: before.etag,
            });
        }
        ahead.retain(|earlier| earlier.key > key);
        let too_many = ahead.len().saturating_sub(AHEAD_MAX);
        ahead.drain(..too_many);
        Self {
            key,
            etag,
            ahead,
            says: None,
        }
    }

    /// This computer wrote it while its clock was ahead.
    pub fn was_ahead(&self, one: &Listing) -> bool {
        let is_it = |earlier: &Earlier| {
            earlier.key == one.key && (earlier.etag.is_empty() || earlier.etag == one.etag)
        };
        self.ahead.iter().any(is_it)
    }

    /// As the index keeps it.
    pub fn to_value(&self) -> Value {
        serde_json::json!({ "key": self.key, "etag": self.etag, "ahead": self.ahead, "says": self.says })
    }

    /// Read it back; `None` for what is none.
    pub fn from_value(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

impl Listing {
    /// It tells of a moment that had not come when it was stored, or has not come yet:
    /// the clock of the computer that wrote it was wrong. It would be the newest until
    /// then, so it is used for nothing.
    pub fn is_ahead(&self) -> bool {
        let known_ms = self.modified_ms.min(self.listed_ms);
        self.moment_ms > known_ms.saturating_add(CLOCKS_APART_MAX_MS)
    }

    /// Why it is used for nothing.
    pub fn ahead_because(&self) -> String {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
        if self.modified_ms > self.listed_ms.saturating_add(CLOCKS_APART_MAX_MS) {
            return format!(
                "it says that it is of {}, and it is {} now: the clock of the computer that wrote it was wrong, or this one's is",
                at(self.moment_ms),
                at(self.listed_ms)
            );
        }
        format!(
            "it says that it is of {}, and the bucket has it since {}: the clock of the computer that wrote it was wrong",
            at(self.moment_ms),
            at(self.modified_ms)
        )
    }
}

/// The newest of a list that can be believed.
pub fn newest(all: &[Listing]) -> Option<&Listing> {
    all.iter().rev().find(|one| !one.is_ahead())
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
    version_id: Option<VersionId>,
    listing: Listing,
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
    let folder = format::folder(&origin.prefix);
    let (mut all, mut next, mut course) = (Vec::new(), None::<Box<Next>>, Course::default());
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
        let listed_ms = store.server_now_ms(wall_ms());
        let listing = |one| listing(origin, one, listed_ms);
        all.extend(page.items.into_iter().filter_map(listing));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

fn listing(origin: &Origin, listed: Listed, listed_ms: i64) -> Option<Listing> {
    Some(Listing {
        moment_ms: format::moment_of(&origin.prefix, &listed.key)?,
        key: listed.key,
        stored_bytes: listed.stored_bytes,
        modified_ms: listed.modified_ms,
        etag: listed.etag,
        listed_ms,
    })
}

/// The first line of a manifest, and no more of it.
///
/// # Errors
/// It cannot be had or read.
pub async fn header(
    store: &Store,
    bucket: &str,
    one: &Listing,
    stop: &Stop,
) -> Result<Header, Fault> {
    let at = At {
        bucket,
        key: &one.key,
    };
    let (_, body) = store.get(at, None).await?;
    let body = Arriving::new(body, bucket, one, stop);
    let mut rows = Rows::new(body.packed(), bucket, one);
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
    let in_time = all.iter().rev().filter(in_time);
    let (ahead, believed): (Vec<_>, Vec<_>) = in_time.partition(|one| one.is_ahead());
    for one in ahead.into_iter().take(PASSED_OVER_MAX) {
        let why = one.ahead_because();
        found.damaged.push(damaged(&origin.bucket, &one.key, &why));
    }
    for one in believed.into_iter().take(PASSED_OVER_MAX) {
        if one.stored_bytes > bytes_max {
            break;
        }
        let opened = prove(store, origin, one, stop).await;
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

/// Read all of one, and find it whole.
///
/// # Errors
/// Class `Damaged` with what is wrong with it; anything else when it cannot be had.
pub async fn prove(
    store: &Store,
    origin: &Origin,
    one: &Listing,
    stop: &mut Stop,
) -> Result<Manifest, Fault> {
    let mut patience = Patience::default();
    loop {
        match open(store, origin, one, stop).await {
            Err(fault) if patience.again(&fault, stop).await => {}
            done => return done,
        }
    }
}

async fn open(
    store: &Store,
    origin: &Origin,
    one: &Listing,
    stop: &Stop,
) -> Result<Manifest, Fault> {
    let bucket = origin.bucket.as_str();
    if one.stored_bytes > STORED_BYTES_MAX {
        return Err(damaged(bucket, &one.key, "it is larger than any manifest"));
    }
    let at = At {
        bucket,
        key: &one.key,
    };
    let (head, body) = store.get(at, None).await?;
    let mut body = Arriving::new(body, bucket, one, stop);
    let mut held = None;
    let packed: Packed = if one.stored_bytes <= HELD_BYTES_MAX {
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let bytes = Bytes::from(bytes);
        held = Some(bytes.clone());
        Box::new(io::Cursor::new(bytes))
    } else {
        body.packed()
    };
    let mut rows = Rows::new(packed, bucket, one);
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
    // A bucket may be a replica under another name; keys keep their prefix.
    if header.prefix != origin.prefix {
        return Err(rows.damaged("its first line says that it belongs to another place"));
    }
    Ok(Manifest {
        header,
        trailer,
        key: one.key.clone(),
        bucket: bucket.to_owned(),
        version_id: head.version_id,
        listing: one.clone(),
        held,
    })
}

impl Manifest {
    /// Its paths, in key order.
    ///
    /// # Errors
    /// It cannot be fetched again.
    pub async fn lines(&self, store: &Store, stop: &Stop) -> Result<Lines, Fault> {
        let packed: Packed = match &self.held {
            Some(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            None => {
                let at = At {
                    bucket: &self.bucket,
                    key: &self.key,
                };
                let version = self.version_id.as_ref();
                let (_, body) = store.get(at, version).await?;
                Arriving::new(body, &self.bucket, &self.listing, stop).packed()
            }
        };
        Ok(Lines(Rows::new(packed, &self.bucket, &self.listing)))
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
