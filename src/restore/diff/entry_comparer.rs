//! One path looked at on both sides.
//!
//! Asks for metadata, and reads a file of today only where size and time say
//! nothing; never an object's body.

use super::difference::{Against, Change, Comparison, Difference, Finding, Side};
use super::pairs::{Now, Pair};
use crate::files;
use crate::history::{Chosen, Name, current_of, head};
use crate::os::blocking::blocking_on;
use crate::restore::tally::Covered;
use crate::restore::{ownership, shadowed_version, shop};
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{
    Class, ContentHash, Fault, Fingerprint, Kind, MetaRefused, ObjectMeta, RelKey, RelPath, chain,
};
use tokio::task::JoinHandle;

/// Reading buffer for comparing a file of today; with all looks 8 MiB.
const COMPARE_BUFFER_BYTES: usize = 256 * 1024;

/// A look on its way; dropped, it goes no further.
pub(crate) struct Look(JoinHandle<Result<Finding, Fault>>);

impl Look {
    pub(crate) fn begin(store: &Store, comparison: &Comparison, pair: Pair, stop: &Stop) -> Self {
        let eye = Eye {
            store: store.clone(),
            comparison: comparison.clone(),
            stop: stop.clone(),
            covered: None,
        };
        Self(tokio::spawn(eye.look(pair)))
    }

    pub(crate) async fn end(mut self) -> Result<Finding, Fault> {
        (&mut self.0).await.unwrap_or_else(|error| {
            let cause = chain(&error);
            Err(Fault::new(Class::Local, "compare", "a file", cause))
        })
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An object's metadata, and whose it is.
struct Known {
    key: RelKey,
    meta: ObjectMeta,
    etag: String,
}

struct Eye {
    store: Store,
    comparison: Comparison,
    stop: Stop,
    covered: Option<Covered>,
}

impl Eye {
    async fn look(mut self, pair: Pair) -> Result<Finding, Fault> {
        let mut finding = self.compare(pair).await?;
        if let Finding::Compared(difference) = &mut finding {
            difference.covered = self.covered;
        }
        Ok(finding)
    }

    async fn compare(&mut self, pair: Pair) -> Result<Finding, Fault> {
        let Pair { then, now } = pair;
        match (then, now) {
            (None, Now::Nothing | Now::Unseen) => Ok(Finding::Nothing),
            (None, Now::OnDisk { key, found, .. }) => self.only_on_disk(key, found).await,
            (None, Now::Chosen(now)) => {
                let known = self.known(&now).await?;
                if known.is_ok() && self.by_other_key(&now, true).await?.is_some() {
                    // Told where the moment's own key has its turn.
                    return Ok(Finding::Nothing);
                }
                Ok(self.told(None, known))
            }
            (Some(then), Now::Chosen(now)) if then.version_id == now.version_id => {
                let known = self.known(&then).await?;
                Ok(match known {
                    Ok(known) => {
                        let side = Side::of_meta(&known.meta);
                        difference(&known.key, Change::Same, Some(side), Some(side))
                    }
                    Err(finding) => finding,
                })
            }
            (Some(then), Now::Chosen(now)) => self.both(&then, &now).await,
            (Some(then), Now::OnDisk { found, empty, .. }) => match self.known(&then).await? {
                Ok(then) => self.with_disk(then, Some(found), empty).await,
                Err(finding) => Ok(finding),
            },
            (Some(then), Now::Nothing) => {
                if let Some(now) = self.by_other_key(&then, false).await? {
                    return self.both(&then, &now).await;
                }
                Ok(match self.known(&then).await? {
                    Ok(then) => self.told(Some(Side::of_meta(&then.meta)), Ok(then)),
                    Err(finding) => finding,
                })
            }
            (Some(then), Now::Unseen) => self.unseen(then).await,
        }
    }

    async fn both(&mut self, then: &Chosen, now: &Chosen) -> Result<Finding, Fault> {
        let (then, now) = (self.known(then).await?, self.known(now).await?);
        Ok(match (then, now) {
            (Ok(then), Ok(now)) => between(&then, &now),
            (Ok(then), Err(_)) => self.told(Some(Side::of_meta(&then.meta)), Ok(then)),
            (Err(finding), _) => finding,
        })
    }

    /// Between two moments: the same file on the other side, then (`in_then`) or
    /// now, where it has another key there. Few have two.
    async fn by_other_key(
        &mut self,
        chosen: &Chosen,
        in_then: bool,
    ) -> Result<Option<Chosen>, Fault> {
        let Against::Moment(now_ms) = self.comparison.against else {
            return Ok(None);
        };
        let (Name::Path(key) | Name::Older(key)) = &chosen.name else {
            return Ok(None);
        };
        if key.older(&self.comparison.origin.prefix).is_none() {
            return Ok(None);
        }
        let at_ms = match in_then {
            true => self.comparison.at_ms,
            false => now_ms,
        };
        let origin = &self.comparison.origin;
        current_of(&self.store, origin, key, at_ms, &mut self.stop).await
    }

    /// There is no object, or none that stands where this path's would.
    async fn only_on_disk(&mut self, key: RelKey, found: Fingerprint) -> Result<Finding, Fault> {
        let origin = &self.comparison.origin;
        if !key.may_be_elsewhere(&origin.prefix) {
            let now = Some(Side::of_disk(&found));
            return Ok(difference(&key, Change::Added, None, now));
        }
        let at_ms = self.comparison.at_ms;
        let current = current_of(&self.store, origin, &key, at_ms, &mut self.stop).await?;
        let Some(then) = current else {
            let now = Some(Side::of_disk(&found));
            return Ok(difference(&key, Change::Added, None, now));
        };
        if is_told_by_older(&then, &key) {
            return Ok(Finding::Nothing);
        }
        match self.known(&then).await? {
            Ok(then) => self.with_disk(then, Some(found), false).await,
            Err(finding) => Ok(finding),
        }
    }

    /// What stands at the object's path is not known yet.
    async fn unseen(&mut self, then: Chosen) -> Result<Finding, Fault> {
        let known = match self.known(&then).await? {
            Ok(known) => known,
            Err(finding) => return Ok(finding),
        };
        let path = known.key.path();
        if !self.comparison.selector.matches(&path) {
            return Ok(Finding::Nothing);
        }
        let (root, is_walked) = match &self.comparison.against {
            Against::Folder { root, .. } => (root.clone(), true),
            Against::Target(root) => (root.clone(), false),
            Against::Moment(_) => return Ok(Finding::Nothing),
        };
        let found = blocking(&path.clone(), move || match root.is_dir() {
            true => files::stat(&root, &path),
            // It is to be made yet.
            false => Ok(None),
        })
        .await?;
        if is_walked && found.is_some() && !is_told_by_older(&then, &known.key) {
            // The walk comes by, and asks for the object.
            return Ok(Finding::Nothing);
        }
        self.with_disk(known, found, false).await
    }

    async fn with_disk(
        &mut self,
        then: Known,
        found: Option<Fingerprint>,
        empty: bool,
    ) -> Result<Finding, Fault> {
        let side = Some(Side::of_meta(&then.meta));
        let Some(found) = found else {
            return Ok(difference(&then.key, Change::Removed, side, None));
        };
        let root = match &self.comparison.against {
            Against::Folder { root, .. } | Against::Target(root) => root.clone(),
            Against::Moment(_) => return Ok(Finding::Nothing),
        };
        let (path, meta) = (then.key.path(), then.meta.clone());
        let subject = path.clone();
        let change = blocking(&subject, move || {
            let change = change_of(&meta, &found, empty, || {
                is_content(&root, &path, &found, &meta)
            })?;
            match change == Change::Same && !has_attributes(&root, &path, &meta)? {
                true => Ok(Change::Metadata),
                false => Ok(change),
            }
        })
        .await?;
        let now = Some(Side::of_disk(&found));
        Ok(difference(&then.key, change, side, now))
    }

    /// One side alone: `then` when it was there at the moment.
    fn told(&self, then: Option<Side>, known: Result<Known, Finding>) -> Finding {
        match (known, then) {
            (Err(finding), _) => finding,
            (Ok(known), Some(then)) => difference(&known.key, Change::Removed, Some(then), None),
            (Ok(known), None) => {
                let now = Some(Side::of_meta(&known.meta));
                difference(&known.key, Change::Added, None, now)
            }
        }
    }

    /// What the object says of itself; a finding when it is none of ours.
    async fn known(&mut self, chosen: &Chosen) -> Result<Result<Known, Finding>, Fault> {
        let origin = &self.comparison.origin;
        let Some(head) = head(&self.store, origin, chosen, &mut self.stop).await? else {
            return Err(shop::gone(chosen));
        };
        let head = match head.meta {
            Err(MetaRefused::Foreign) => {
                let origin = &self.comparison.origin;
                let ours =
                    shadowed_version::ours(&self.store, origin, chosen, &mut self.stop).await?;
                let Some(ours) = ours else {
                    return Ok(Err(Finding::Foreign));
                };
                self.covered = Some(shadowed_version::covered(origin, chosen, &ours));
                ours.head
            }
            _ => head,
        };
        let meta = match head.meta {
            Ok(meta) => meta,
            Err(refused) => return Err(ownership::unreadable_meta(chosen, &refused)),
        };
        if let Name::Foreign(why) = &chosen.name {
            return Err(ownership::misplaced(chosen, why));
        }
        let key = ownership::true_key(&self.comparison.origin, chosen, &meta)?;
        Ok(Ok(Known {
            key,
            meta,
            etag: head.etag,
        }))
    }
}

/// A file by its older key is told when that has its turn: something of another
/// program's may have the new key's. Whether a folder is empty the walk knows.
fn is_told_by_older(then: &Chosen, key: &RelKey) -> bool {
    matches!(then.name, Name::Older(_)) && !key.is_folder()
}

fn difference(key: &RelKey, change: Change, then: Option<Side>, now: Option<Side>) -> Finding {
    let slash = if key.is_folder() { "/" } else { "" };
    Finding::Compared(Difference {
        path: format!("{}{slash}", key.path()),
        change,
        then,
        now,
        covered: None,
    })
}

fn between(then: &Known, now: &Known) -> Finding {
    let (one, other) = (&then.meta, &now.meta);
    let same_content = match (one.content, other.content) {
        (Some(one), Some(other)) => one == other,
        // Files that never rested: the same bytes only if the server says so.
        _ => !then.etag.is_empty() && then.etag == now.etag,
    };
    // Times of links and folders are no change of their own.
    let same_meta = match one.kind {
        Kind::Symlink => true,
        Kind::Folder => one.mode == other.mode,
        Kind::File | Kind::Special => (one.mode, one.mtime_ns) == (other.mode, other.mtime_ns),
    } && one.attributes.id() == other.attributes.id();
    let change = match (one.kind == other.kind && same_content, same_meta) {
        (false, _) => Change::Changed,
        (true, false) => Change::Metadata,
        (true, true) => Change::Same,
    };
    let sides = (Some(Side::of_meta(one)), Some(Side::of_meta(other)));
    difference(&then.key, change, sides.0, sides.1)
}

/// Size and time first; `is_content` is asked only where they say nothing.
fn change_of(
    then: &ObjectMeta,
    now: &Fingerprint,
    empty: bool,
    is_content: impl FnOnce() -> Result<bool, Fault>,
) -> Result<Change, Fault> {
    if then.kind != now.kind {
        return Ok(Change::Changed);
    }
    Ok(match then.kind {
        // The object of a folder that has been filled since says nothing of it.
        Kind::Folder if empty && then.mode != now.mode => Change::Metadata,
        Kind::Folder => Change::Same,
        Kind::Symlink => match is_content()? {
            true => Change::Same,
            false => Change::Changed,
        },
        Kind::File | Kind::Special => {
            let same_time = then.mtime_ns == now.mtime_ns;
            if then.size_bytes != now.size_bytes || !(same_time || is_content()?) {
                Change::Changed
            } else if same_time && then.mode == now.mode {
                Change::Same
            } else {
                Change::Metadata
            }
        }
    })
}

/// The file or link of today holds what the object says of itself. Blocks.
fn is_content(
    root: &std::path::Path,
    path: &RelPath,
    found: &Fingerprint,
    meta: &ObjectMeta,
) -> Result<bool, Fault> {
    let Some(content) = meta.content else {
        return Ok(false);
    };
    if found.kind == Kind::Symlink {
        return Ok(ContentHash::of(&files::read_link(root, path)?) == content);
    }
    let mut opened = files::open(root, path)?;
    let mut buffer = vec![0; COMPARE_BUFFER_BYTES];
    files::hash_file(&mut opened.file, None, &mut buffer)
        .map(|(hash, _)| hash == content)
        .map_err(|e| Fault::new(Class::Unreadable, "compare", path.to_string(), chain(&e)))
}

/// The file of today has the attributes that the object says; of one that says none,
/// nobody knows. Blocks.
fn has_attributes(
    root: &std::path::Path,
    path: &RelPath,
    meta: &ObjectMeta,
) -> Result<bool, Fault> {
    let then = meta.attributes.id();
    if meta.kind != Kind::File || then.is_none() {
        return Ok(true);
    }
    let opened = files::open(root, path)?;
    Ok(files::attributes_of(&opened.file).may_be(then))
}

async fn blocking<T: Send + 'static>(
    path: &RelPath,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    blocking_on("compare", path.to_string(), work).await
}

#[cfg(test)]
#[path = "entry_comparer_tests.rs"]
mod tests;
