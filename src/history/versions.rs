//! The past of one file: every version and every deletion, newest first. It includes what
//! earlier versions of Keepwatch stored under another key.

use super::pages::{Pages, list_page};
use super::selector::LISTING_PREFIX_BYTES_MAX;
use crate::retry::Stop;
use crate::s3::{At, ListedVersion, ListingGuard, Next, Store};
use crate::types::{Fatal, Origin, RelKey, RelPath, VersionId, id_or_empty, shown};
use futures::stream;
use futures::stream::StreamExt as _;
use serde::Serialize;

/// Versions that are shown, the newest of them. Each costs a request to see
/// the file's own size; nobody reads longer lists.
pub const VERSIONS_SHOWN_MAX: usize = 1_000;

/// Requests at once while looking at them.
const LOOKS_AT_ONCE: usize = 8;

/// One version or deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileVersion {
    /// When the server stored it, milliseconds since 1970.
    pub stored_at_ms: i64,
    /// What S3 tools call it.
    #[serde(with = "id_or_empty")]
    pub version_id: Option<VersionId>,
    /// Full key, where it is another than [`Versions::key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_key: Option<String>,
    /// It is the newest: what a restore brings back now, if Keepwatch wrote it.
    pub current: bool,
    /// The file was deleted then.
    pub deleted: bool,
    /// Size of the file itself; `None` for a deletion or when it cannot be told.
    pub size_bytes: Option<u64>,
    /// Bytes it takes in the bucket.
    pub stored_bytes: u64,
    /// Stored compressed.
    pub compressed: bool,
    /// S3 storage class; empty for a deletion.
    pub storage_class: String,
    /// SHA-256 of the file, in hex.
    pub sha256: Option<String>,
    /// The file was being written all the time when it was backed up.
    #[serde(rename = "unrested")]
    pub is_torn: bool,
    /// What is wrong with it, in words.
    pub trouble: Option<String>,
}

/// A file's past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// Where S3 tools find it.
    pub bucket: String,
    /// Full key.
    pub key: String,
    /// Newest first, at most [`VERSIONS_SHOWN_MAX`]; empty when there never was such a file.
    pub versions: Vec<FileVersion>,
    /// There are older ones.
    pub more: bool,
    /// The server keeps no earlier versions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_current: bool,
}

/// The newest versions of the file or link at `path`, or of the empty folder; of
/// those stored before a moment, where one is given.
///
/// # Errors
/// The listing cannot be had, or it was asked to stop.
pub async fn versions(
    store: &Store,
    origin: &Origin,
    path: &RelPath,
    before_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<Versions, Fatal> {
    let file = of_key(store, origin, &RelKey::of_file(path), before_ms, stop).await?;
    if !file.versions.is_empty() {
        return Ok(file);
    }
    let folder = of_key(store, origin, &RelKey::of_folder(path), before_ms, stop).await?;
    Ok(if folder.versions.is_empty() {
        file
    } else {
        folder
    })
}

async fn of_key(
    store: &Store,
    origin: &Origin,
    rel_key: &RelKey,
    before_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<Versions, Fatal> {
    let bucket = &origin.bucket;
    let mut key = rel_key.in_bucket(&origin.prefix).key;
    let (mut listed, mut more) = list(store, bucket, &key, before_ms, stop).await?;
    if let Some(older_key) = rel_key.older(&origin.prefix).filter(|_| !more) {
        let (mut older, more_older) = list(store, bucket, &older_key, before_ms, stop).await?;
        match listed.last().map(|first| first.modified_ms) {
            None if older.is_empty() => {}
            None => key = older_key,
            // What came under it after that does not count.
            Some(first_ms) => older.retain(|version| version.modified_ms <= first_ms),
        }
        listed.append(&mut older);
        more = more_older || listed.len() > VERSIONS_SHOWN_MAX;
        listed.truncate(VERSIONS_SHOWN_MAX);
    }
    let looks = listed
        .into_iter()
        .map(|version| look(store, bucket, &key, version));
    let versions = tokio::select! {
        versions = stream::iter(looks).buffered(LOOKS_AT_ONCE).collect() => versions,
        () = stop.asked() => return Err(Fatal::interrupted(format!("list {}", shown(&key)))),
    };
    Ok(Versions {
        bucket: bucket.clone(),
        key,
        versions,
        more,
        only_current: store.has_only_current(bucket),
    })
}

/// The newest versions of exactly this key, and whether there are more.
async fn list(
    store: &Store,
    bucket: &str,
    key: &str,
    before_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<(Vec<ListedVersion>, bool), Fatal> {
    let mut found = Vec::new();
    let mut after: Option<Box<Next>> = None;
    let mut guard = ListingGuard::default();
    loop {
        let page = list_page(store, bucket, key, after.as_deref(), stop).await?;
        // Keys that go back end the list below: they are not this one.
        guard.versions(&page, bucket)?;
        let mut past_it = false;
        for version in page.items {
            // Longer keys with the same beginning come after it.
            past_it |= version.key != key;
            if past_it {
                break;
            }
            if before_ms.is_some_and(|before_ms| version.modified_ms >= before_ms) {
                continue;
            }
            if found.len() == VERSIONS_SHOWN_MAX {
                return Ok((found, true));
            }
            found.push(version);
        }
        if past_it || page.next.is_none() {
            return Ok((found, false));
        }
        after = page.next;
    }
}

/// A file that is deleted now, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// When it was marked as deleted, milliseconds since 1970.
    pub deleted_at_ms: i64,
    /// When its last version was stored, milliseconds since 1970: a moment at which
    /// it was there.
    pub stored_at_ms: i64,
}

/// Whether the file or link at `path` is deleted now; `None` also for what never
/// was a file, where a version of it cannot be told from the deletion, and where a
/// folder with something in it has its name by now: that is what is there.
///
/// # Errors
/// The listing cannot be had, or it was asked to stop.
pub async fn deleted(
    store: &Store,
    origin: &Origin,
    path: &RelPath,
    stop: &mut Stop,
) -> Result<Option<Deleted>, Fatal> {
    let rel_key = RelKey::of_file(path);
    let key = rel_key.in_bucket(&origin.prefix).key;
    let (mut listed, _) = list(store, &origin.bucket, &key, None, stop).await?;
    if let Some(older_key) = rel_key.older(&origin.prefix).filter(|_| listed.is_empty()) {
        listed = list(store, &origin.bucket, &older_key, None, stop).await?.0;
    }
    let Some(newest) = listed.first().filter(|newest| newest.is_marker) else {
        return Ok(None);
    };
    let last = listed.iter().find(|version| !version.is_marker);
    let Some(last) = last else { return Ok(None) };
    if is_folder_now(store, origin, path, stop).await? {
        return Ok(None);
    }
    Ok(Some(Deleted {
        deleted_at_ms: newest.modified_ms,
        stored_at_ms: last.modified_ms,
    }))
}

/// Something is in the folder at `path` now.
async fn is_folder_now(
    store: &Store,
    origin: &Origin,
    path: &RelPath,
    stop: &mut Stop,
) -> Result<bool, Fatal> {
    let mut below = format!("{}{}", origin.prefix, RelKey::of_folder(path).as_str());
    below.truncate(below.floor_char_boundary(LISTING_PREFIX_BYTES_MAX));
    let mut pages = Pages::new(store, &origin.bucket, vec![below]);
    while let Some(mut page) = pages.next(stop).await? {
        if page.any(|version| version.is_latest && !version.is_marker) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn look(store: &Store, bucket: &str, key: &str, listed: ListedVersion) -> FileVersion {
    let is_older = listed.key != key;
    let mut version = FileVersion {
        stored_at_ms: listed.modified_ms,
        version_id: listed.version_id,
        older_key: is_older.then(|| listed.key.clone()),
        current: listed.is_latest && !is_older,
        deleted: listed.is_marker,
        size_bytes: None,
        stored_bytes: listed.stored_bytes,
        compressed: false,
        storage_class: listed.storage_class,
        sha256: None,
        is_torn: false,
        trouble: None,
    };
    if version.deleted {
        return version;
    }
    let at = At {
        bucket,
        key: &listed.key,
    };
    match store.head(at, version.version_id.as_ref()).await {
        Ok(Some(head)) => {
            version.compressed = head.gzip;
            match head.meta {
                Ok(meta) => {
                    version.size_bytes = Some(meta.size_bytes);
                    version.sha256 = meta.content.map(|hash| hash.to_hex());
                    version.is_torn = meta.is_torn;
                }
                Err(refused) => version.trouble = Some(refused.to_string()),
            }
        }
        Ok(None) => version.trouble = Some("it was removed a moment ago".to_owned()),
        Err(fault) => version.trouble = Some(fault.cause),
    }
    version
}
