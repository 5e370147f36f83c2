//! What a manifest adds to a restore, when all files are there: the folders'
//! own modes, and the names of files whose versions somebody has removed.
//!
//! A version that is gone leaves no trace in the bucket's list: only a manifest
//! remembers that there was one. Invariants: without a manifest everything is
//! restored all the same; nothing is written here but modes, owners and times
//! of folders that the restore has made; one page of the list and a bounded
//! number of folders are held.

use super::manifest::{self, Manifest};
use super::object::Shop;
use super::retry::{Stop, told};
use super::shown;
use super::timeline::list_page;
use crate::error::{Class, Fatal, Fault, chain};
use crate::model::manifest::Line;
use crate::model::{Kind, RelPath};
use crate::store::{Course, ListedVersion};
use std::sync::Arc;

/// Where not everything is restored, a larger manifest would take longer to read
/// than the files.
const PART_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A manifest that is older than the moment by more than this names no missing
/// versions: what was deleted since may have left the bucket by its rules.
const MISSING_AGE_MAX_MS: i64 = 31 * 24 * 3_600_000;

/// Folders that are finished at a time.
const FOLDERS_AT_ONCE: usize = 256;

/// Folders that wait for the end, since their modes would let nobody in.
const CLOSED_MAX: usize = 10_000;

/// Mode bit without which an owner cannot enter a folder.
const MODE_ENTER: u32 = 0o100;

/// Finish what the restore has brought.
pub(super) async fn finish(
    shop: &Arc<Shop>,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<(), Fatal> {
    let bytes_max = match shop.selector.is_everything() {
        true => u64::MAX,
        false => PART_BYTES_MAX,
    };
    let found = manifest::nearest(&shop.store, &shop.origin, at_ms, bytes_max, stop).await;
    let done = match found {
        Ok(found) => {
            for fault in found.damaged {
                shop.tally.remarked(fault);
            }
            match found.manifest {
                Some(manifest) => compare(shop, &manifest, at_ms, stop).await,
                None => Ok(()),
            }
        }
        Err(fault) => Err(fault),
    };
    if stop.is_asked() {
        return Err(Fatal::interrupted("restore everything"));
    }
    if let Err(fault) = done {
        // The files are there: this is about what could be said beyond them.
        shop.tally.remarked(told(fault));
    }
    Ok(())
}

async fn compare(
    shop: &Arc<Shop>,
    manifest: &Manifest,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<(), Fault> {
    let mut lines = manifest.lines(&shop.store).await?;
    // The server's clock may be ahead: what is newest counts, whenever that was.
    let until_ms = at_ms.unwrap_or(i64::MAX);
    let asked_ms = at_ms.unwrap_or_else(crate::transfer::wall_ms);
    let is_young = asked_ms.saturating_sub(manifest.header.moment_ms) <= MISSING_AGE_MAX_MS;
    let mut listing = Listing::new(shop, until_ms);
    let (mut folders, mut closed) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next().await? {
        let (Some(rel), Some(seen)) = (line.rel_key(), line.fingerprint()) else {
            continue;
        };
        if stop.is_asked() {
            return Ok(());
        }
        let path = rel.path();
        if !shop.selector.matches(&path) {
            continue;
        }
        if seen.kind == Kind::Folder {
            let is_closed = seen.mode & MODE_ENTER == 0 && closed.len() < CLOSED_MAX;
            let list = if is_closed { &mut closed } else { &mut folders };
            list.push((path.clone(), seen));
            if folders.len() == FOLDERS_AT_ONCE {
                finish_folders(shop, std::mem::take(&mut folders)).await?;
            }
        }
        // One that was drawn while something was stored has younger lines.
        let was_there = line.has_object() && line.stored_at_ms <= until_ms;
        if is_young && was_there && !line.version_id.is_empty() {
            let key = line.bucket_key(&shop.origin.prefix);
            let is_missing = match line.key.is_some() {
                true => listing.alone(&key, &line, stop).await?,
                false => listing.is_missing(&key, &line, stop).await?,
            };
            if is_missing {
                shop.tally.failed(missing(&path, &line, manifest));
            }
        }
    }
    finish_folders(shop, folders).await?;
    // What is inside comes before what it is in.
    closed.reverse();
    finish_folders(shop, closed).await
}

async fn finish_folders(
    shop: &Arc<Shop>,
    folders: Vec<(RelPath, crate::model::Fingerprint)>,
) -> Result<(), Fault> {
    let shared = shop.clone();
    let work = move || {
        for (path, then) in folders {
            let (mode, owner) = (then.mode, then.owner);
            let overwrite = shared.options.overwrite;
            let target = &shared.target;
            // A folder in use has its own mode by now.
            let only_made = shared.options.in_place.is_some();
            let mtime_ns = then.mtime_ns;
            match target.finish_folder(&path, mode, mtime_ns, owner, overwrite, only_made) {
                Ok(None) => {}
                Ok(Some(fault)) | Err(fault) => shared.tally.left_out(fault),
            }
        }
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::new(Class::Local, "finish", "the folders", chain(&error)))
}

fn missing(path: &RelPath, line: &Line, manifest: &Manifest) -> Fault {
    Fault::new(
        Class::NotFound,
        "restore",
        path.to_string(),
        format!(
            "the manifest of {} has it as version {}, which is not in the bucket any more",
            manifest.header.moment,
            shown(&line.version_id)
        ),
    )
    .hint("somebody, or a rule of the bucket, has removed that version; if there is a file of that name now, it is an older state: `keepwatch versions` lists what is left")
}

/// The bucket's list of versions, walked beside the manifest.
struct Listing<'a> {
    shop: &'a Arc<Shop>,
    until_ms: i64,
    prefixes: std::vec::IntoIter<String>,
    prefix: Option<String>,
    after: Option<String>,
    course: Course,
    page: std::iter::Peekable<std::vec::IntoIter<ListedVersion>>,
    /// The server does not keep to the order: nothing can be said any more.
    is_lost: bool,
}

impl<'a> Listing<'a> {
    fn new(shop: &'a Arc<Shop>, until_ms: i64) -> Self {
        let mut prefixes = shop.selector.prefixes(&shop.origin.prefix).into_iter();
        Self {
            shop,
            until_ms,
            prefix: prefixes.next(),
            prefixes,
            after: None,
            course: Course::default(),
            page: Vec::new().into_iter().peekable(),
            is_lost: false,
        }
    }

    /// Whether the version is gone, and nothing younger stood in its place at
    /// the moment. Keys come in order.
    async fn is_missing(&mut self, key: &str, line: &Line, stop: &mut Stop) -> Result<bool, Fault> {
        let (mut seen, until_ms) = (Seen::default(), self.until_ms);
        while let Some(version) = self.peek(stop).await? {
            match version.key.as_str().cmp(key) {
                std::cmp::Ordering::Greater => break,
                std::cmp::Ordering::Equal => seen.look(version, line, until_ms),
                std::cmp::Ordering::Less => {}
            }
            self.page.next();
        }
        Ok(!self.is_lost && !stop.is_asked() && !seen.is_accounted_for)
    }

    /// The same for a shortened key, which stands elsewhere in the list.
    async fn alone(&self, key: &str, line: &Line, stop: &mut Stop) -> Result<bool, Fault> {
        let (store, bucket) = (&self.shop.store, &self.shop.origin.bucket);
        let (mut seen, mut after, mut course) =
            (Seen::default(), None::<String>, Course::default());
        loop {
            let page = list_page(store, bucket, key, after.as_deref(), stop).await?;
            course.versions(&page, bucket)?;
            for version in page.items.iter().filter(|version| version.key == key) {
                seen.look(version, line, self.until_ms);
            }
            after = page.next;
            if after.is_none() || seen.is_accounted_for {
                return Ok(!seen.is_accounted_for);
            }
        }
    }

    async fn peek(&mut self, stop: &mut Stop) -> Result<Option<&ListedVersion>, Fault> {
        while self.page.peek().is_none() {
            let Some(prefix) = self.prefix.clone() else {
                return Ok(None);
            };
            if self.is_lost || stop.is_asked() {
                return Ok(None);
            }
            let (store, bucket) = (&self.shop.store, &self.shop.origin.bucket);
            let page = list_page(store, bucket, &prefix, self.after.as_deref(), stop).await?;
            self.is_lost |= !self.course.versions(&page, bucket)?;
            self.page = page.items.into_iter().peekable();
            if page.next.is_none() {
                self.prefix = self.prefixes.next();
                self.course = Course::default();
            }
            self.after = page.next;
        }
        Ok(self.page.peek())
    }
}

/// What the list has of one line's key.
#[derive(Default)]
struct Seen {
    is_accounted_for: bool,
}

impl Seen {
    fn look(&mut self, version: &ListedVersion, line: &Line, until_ms: i64) {
        let is_it = version.version_id == line.version_id;
        let is_younger = version.modified_ms > line.stored_at_ms && version.modified_ms <= until_ms;
        self.is_accounted_for |= is_it || is_younger;
    }
}
