//! Reads a manifest and proves it.
//!
//! Called by restore, by the scan that rebuilds a lost index, and by the command line.
//! Invariants: the entries of a manifest are given out only after all of it was read once
//! and found whole; a damaged manifest is named, and the next older one is used; a
//! manifest is believed no further than the objects themselves. Small manifests are held
//! in memory, large ones are read twice.

mod rows;

use super::fault::damaged;
use super::format::{Header, ManifestEntry, Trailer};
pub use super::listing::{Listing, list, newest};
use crate::manifest::format::proof::Row;
use crate::retry::{Retries, Stop};
use crate::s3::{At, Store};
use crate::types::{Class, Fault, Origin, VersionId};
use bytes::Bytes;
use rows::{Arriving, Packed, Rows};
use std::io;

/// Damaged manifests that are passed over before none is used.
pub const PASSED_OVER_MAX: usize = 5;

/// Manifests up to this size are held, larger ones are read a second time:
/// some 80,000 paths.
const HELD_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A manifest takes about 80 bytes a path as stored: this is one of fifty million.
/// What is larger is nobody's, and reading it would never end.
const STORED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

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
    let mut retries = Retries::default();
    loop {
        match open(store, origin, one, stop).await {
            Err(fault) if retries.again(&fault, stop).await => {}
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
            Row::Entry(_) => {}
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
    pub async fn lines(&self, store: &Store, stop: &Stop) -> Result<ManifestEntries, Fault> {
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
        Ok(ManifestEntries(Rows::new(
            packed,
            &self.bucket,
            &self.listing,
        )))
    }
}

/// The paths of a proved manifest.
pub struct ManifestEntries(Rows);

impl ManifestEntries {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<ManifestEntry>, Fault> {
        loop {
            match self.0.next().await? {
                Some(Row::Entry(line)) => return Ok(Some(*line)),
                Some(Row::Header(_) | Row::End(_)) => {}
                None => return Ok(None),
            }
        }
    }
}
