//! What differs between a moment and a folder, or between two moments.
//!
//! Reads only: it lists, asks for metadata, and reads files of today where size
//! and time say nothing. It never opens an object's body, and holds one page of
//! the listing, one batch of the walk and a bounded number of questions. Keys
//! come in one order from bucket and disk, so the two are merged as they stream.

use super::beneath;
use super::pairs::{Now, Pair, Pairs};
use super::retry::{Patience, Stop, told};
use super::tally::{Bounded, Covered};
use super::timeline::{Chosen, Name, current_of};
use super::{Origin, Selector, object};
use crate::error::{Class, Fatal, Fault, chain};
use crate::files::{self, Rules};
use crate::model::meta::MetaRefused;
use crate::model::{ContentHash, Fingerprint, Kind, ObjectMeta, RelKey, RelPath};
use crate::store::{At, Store};
use serde::Serialize;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Paths that are looked at at once: enough to hide the way to a server.
const LOOKS_AT_ONCE: usize = 32;

/// Reading buffer for comparing a file of today; with all looks 8 MiB.
const COMPARE_BUFFER_BYTES: usize = 256 * 1024;

/// What a moment is compared with.
#[derive(Debug, Clone)]
pub enum Against {
    /// A folder as it is now, with all that is in it.
    Folder {
        /// Where it is.
        root: PathBuf,
        /// What of it is not backed up.
        rules: Arc<Rules>,
    },
    /// What stands now where the moment's files would be put, and nothing else.
    Target(PathBuf),
    /// Another moment, milliseconds since 1970; `None` for the latest.
    Moment(Option<i64>),
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Where the objects are.
    pub origin: Origin,
    /// Which of them.
    pub selector: Arc<Selector>,
    /// As of when, milliseconds since 1970; `None` for the latest.
    pub at_ms: Option<i64>,
    /// With what.
    pub against: Against,
}

/// From the moment to what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there at the moment.
    Added,
    /// It was there at the moment, and is not any more.
    Removed,
    /// Other content, or something else of that name.
    Changed,
    /// The same content with another mode or time.
    Metadata,
    /// The same.
    Same,
}

/// One path on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Side {
    /// File, link or folder.
    pub kind: Kind,
    /// Size of the file itself.
    pub size_bytes: u64,
    /// Its modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Its permission bits.
    pub mode: u32,
}

impl Side {
    fn of_meta(meta: &ObjectMeta) -> Self {
        Self {
            kind: meta.kind,
            size_bytes: meta.size_bytes,
            mtime_ns: meta.mtime_ns,
            mode: meta.mode,
        }
    }

    fn of_disk(found: &Fingerprint) -> Self {
        Self {
            kind: found.kind,
            size_bytes: found.size_bytes,
            mtime_ns: found.mtime_ns,
            mode: found.mode,
        }
    }
}

/// One path on both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path; a folder's ends in `/`.
    pub path: String,
    /// How it differs.
    pub change: Change,
    /// At the moment.
    pub then: Option<Side>,
    /// On the other side.
    pub now: Option<Side>,
    /// Another program has put something over it in the bucket; what is compared
    /// is Keepwatch's own version beneath.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covered: Option<Covered>,
}

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Both sides are known.
    Compared(Difference),
    /// Keepwatch did not write the object.
    Foreign,
    /// It could not be compared.
    Failed(Fault),
    /// It is told elsewhere, or was not asked for.
    Nothing,
}

/// What a comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Not there at the moment.
    pub added: u64,
    /// There at the moment only.
    pub removed: u64,
    /// Of other content.
    pub changed: u64,
    /// Of other mode or time alone.
    pub metadata: u64,
    /// The same on both sides.
    pub same: u64,
    /// Bytes, unpacked, that the moment has and the other side has not.
    pub bytes: u64,
    /// Objects that Keepwatch did not write.
    pub foreign: u64,
    /// Files that another program has put something over in the bucket.
    pub covered: u64,
    /// What could not be compared.
    pub failed: Bounded<Fault>,
    /// What was asked for and matched nothing.
    pub unmatched: Vec<String>,
    /// When the earliest version that was seen was stored, milliseconds since 1970.
    pub first_ms: Option<i64>,
}

impl Compared {
    /// True when nothing differs.
    pub fn is_same(&self) -> bool {
        self.added + self.removed + self.changed + self.metadata == 0
    }

    fn count(&mut self, finding: &Finding) {
        match finding {
            Finding::Compared(difference) => {
                self.covered += u64::from(difference.covered.is_some());
                let missing = difference.then.map_or(0, |then| then.size_bytes);
                match difference.change {
                    Change::Added => self.added += 1,
                    Change::Removed => {
                        self.removed += 1;
                        self.bytes += missing;
                    }
                    Change::Changed => {
                        self.changed += 1;
                        self.bytes += missing;
                    }
                    Change::Metadata => self.metadata += 1,
                    Change::Same => self.same += 1,
                }
            }
            Finding::Foreign => self.foreign += 1,
            Finding::Failed(fault) => self.failed.push(fault.clone()),
            Finding::Nothing => {}
        }
    }
}

/// Compare, and tell each finding in the order of paths.
///
/// # Errors
/// [`Fatal`] when nothing more can be had: credentials, bucket, listing, or a
/// list out of order, by which nothing can be said to be missing.
pub async fn compare(
    store: &Store,
    comparison: &Comparison,
    mut tell: impl FnMut(&Finding),
    stop: &Stop,
) -> Result<Compared, Fatal> {
    let mut stop = stop.clone();
    let mut pairs = Pairs::new(store, comparison);
    let mut line: VecDeque<Look> = VecDeque::new();
    let mut compared = Compared::default();
    let mut ended = false;
    loop {
        while !ended && line.len() < LOOKS_AT_ONCE {
            match pairs.next(&mut stop).await? {
                Some(pair) => line.push_back(Look::begin(store, comparison, pair, &stop)),
                None => ended = true,
            }
            for fault in pairs.take_faults() {
                let finding = Finding::Failed(fault);
                compared.count(&finding);
                tell(&finding);
            }
        }
        if stop.is_asked() {
            return Err(Fatal::interrupted("compare everything"));
        }
        let Some(look) = line.pop_front() else { break };
        let finding = match look.end().await {
            Ok(finding) => finding,
            Err(fault) if matches!(fault.class, Class::Credentials | Class::NoBucket) => {
                return Err(fault.into());
            }
            Err(fault) => Finding::Failed(fault),
        };
        compared.count(&finding);
        tell(&finding);
    }
    compared.unmatched = comparison.selector.unmatched();
    compared.first_ms = pairs.first_ms();
    Ok(compared)
}

/// A look on its way; dropped, it goes no further.
struct Look(JoinHandle<Result<Finding, Fault>>);

impl Look {
    fn begin(store: &Store, comparison: &Comparison, pair: Pair, stop: &Stop) -> Self {
        let eye = Eye {
            store: store.clone(),
            comparison: comparison.clone(),
            stop: stop.clone(),
            covered: None,
        };
        Self(tokio::spawn(eye.look(pair)))
    }

    async fn end(mut self) -> Result<Finding, Fault> {
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
            (Some(then), Now::Chosen(now)) => {
                let (then, now) = (self.known(&then).await?, self.known(&now).await?);
                Ok(match (then, now) {
                    (Ok(then), Ok(now)) => between(&then, &now),
                    (Ok(then), Err(_)) => self.told(Some(Side::of_meta(&then.meta)), Ok(then)),
                    (Err(finding), _) => finding,
                })
            }
            (Some(then), Now::OnDisk { found, empty, .. }) => match self.known(&then).await? {
                Ok(then) => self.with_disk(then, Some(found), empty).await,
                Err(finding) => Ok(finding),
            },
            (Some(then), Now::Nothing) => Ok(match self.known(&then).await? {
                Ok(then) => self.told(Some(Side::of_meta(&then.meta)), Ok(then)),
                Err(finding) => finding,
            }),
            (Some(then), Now::Unseen) => self.unseen(then).await,
        }
    }

    /// There is no object, or none that stands where this path's would.
    async fn only_on_disk(&mut self, key: RelKey, found: Fingerprint) -> Result<Finding, Fault> {
        let origin = &self.comparison.origin;
        if !key.in_bucket(&origin.prefix).shortened {
            let now = Some(Side::of_disk(&found));
            return Ok(difference(&key, Change::Added, None, now));
        }
        let at_ms = self.comparison.at_ms;
        let current = current_of(&self.store, origin, &key, at_ms, &mut self.stop).await?;
        let Some(then) = current else {
            let now = Some(Side::of_disk(&found));
            return Ok(difference(&key, Change::Added, None, now));
        };
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
        if is_walked && found.is_some() {
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
            change_of(&meta, &found, empty, || {
                is_content(&root, &path, &found, &meta)
            })
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
        let at = At {
            bucket: &self.comparison.origin.bucket,
            key: &chosen.key,
        };
        let mut patience = Patience::default();
        let head = loop {
            match self.store.head(at, Some(&chosen.version_id)).await {
                Err(fault) if patience.again(&fault, &mut self.stop).await => {}
                done => break done.map_err(|fault| told(fault).about(chosen.subject()))?,
            }
        };
        let Some(head) = head else {
            return Err(object::gone(chosen));
        };
        let head = match head.meta {
            Err(MetaRefused::Foreign) => {
                let origin = &self.comparison.origin;
                let ours = beneath::ours(&self.store, origin, chosen, &mut self.stop).await?;
                let Some(ours) = ours else {
                    return Ok(Err(Finding::Foreign));
                };
                self.covered = Some(beneath::covered(origin, chosen, &ours));
                ours.head
            }
            _ => head,
        };
        let meta = match head.meta {
            Ok(meta) => meta,
            Err(refused) => return Err(object::unreadable_meta(chosen, &refused)),
        };
        if let Name::Foreign(why) = &chosen.name {
            return Err(object::misplaced(chosen, why));
        }
        let key = object::true_key(&self.comparison.origin, chosen, &meta)?;
        Ok(Ok(Known {
            key,
            meta,
            etag: head.etag,
        }))
    }
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
    };
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

async fn blocking<T: Send + 'static>(
    path: &RelPath,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let subject = path.to_string();
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Fault::new(Class::Local, "compare", subject, chain(&e))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size_bytes: u64, mtime_ns: i64, mode: u32) -> Fingerprint {
        Fingerprint {
            kind: Kind::File,
            size_bytes,
            mtime_ns,
            ctime_ns: 9,
            inode: 9,
            mode,
            owner: None,
        }
    }

    #[test]
    fn size_and_time_first_and_content_where_they_say_nothing() {
        let then = ObjectMeta::of(&file(5, 100, 0o644), None);
        for (name, now, read, want) in [
            ("the same", file(5, 100, 0o644), None, Change::Same),
            ("its mode", file(5, 100, 0o600), None, Change::Metadata),
            ("its size", file(6, 100, 0o644), None, Change::Changed),
            ("touched", file(5, 101, 0o644), Some(true), Change::Metadata),
            ("edited", file(5, 101, 0o644), Some(false), Change::Changed),
        ] {
            let mut was_read = false;
            let got = change_of(&then, &now, false, || {
                was_read = true;
                Ok(read.unwrap())
            });
            assert_eq!((got, was_read), (Ok(want), read.is_some()), "{name}");
        }
        let folder = |mode| Fingerprint {
            kind: Kind::Folder,
            ..file(0, 1, mode)
        };
        let then = ObjectMeta::of(&folder(0o755), None);
        for (now, empty, want) in [
            (folder(0o700), true, Change::Metadata),
            (folder(0o700), false, Change::Same),
            (folder(0o755), true, Change::Same),
            (file(0, 1, 0o755), true, Change::Changed),
        ] {
            let got = change_of(&then, &now, empty, || panic!("nothing to read"));
            assert_eq!(got, Ok(want), "{now:?}");
        }
    }
}
