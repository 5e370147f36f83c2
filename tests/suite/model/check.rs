//! What must hold when the program has come to rest.

use super::bucket::{History, Version};
use super::served::BUCKET;
use super::tree::{SENTINEL, Thing, Tree};
use super::truth::{State, Truth, What};
use keepwatch::index::Index;
use keepwatch::s3::ListedVersion;
use keepwatch::types::{Kind, RelKey};
use std::collections::BTreeMap;
use std::path::Path;

/// All that the bucket holds, by full key.
pub type Histories = BTreeMap<String, History>;

/// A version that says of itself that its file never rested must be of a file
/// that changed within this time before it: the longest debounce, its tries,
/// an upload on a busy machine.
const UNRESTED_WITHIN_MS: i64 = 20_000;

/// Every file's newest version equals the file, everything else is marked
/// deleted or was never there. What differs.
pub fn current(tree: &Tree, histories: &Histories) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, thing) in &tree.things {
        match histories.get(key).and_then(History::current) {
            None => wrong.push(format!("{key:?} is not in the bucket; on disk {thing:?}")),
            Some((listed, Some(version))) if !is_like(version, thing) => {
                wrong.push(format!(
                    "{key:?}: the newest version ({}, at {}) is {version:?}, on disk {thing:?}",
                    keepwatch::types::id_text(&listed.version_id),
                    listed.modified_ms.0
                ));
            }
            Some(_) => {}
        }
    }
    for (key, history) in histories {
        // The object of a folder stays when the folder fills.
        let is_there = tree.things.contains_key(key) || tree.folders.contains(key);
        if key != SENTINEL && !is_there && history.current().is_some() {
            wrong.push(format!("{key:?} is in the bucket and not on disk"));
        }
    }
    wrong
}

fn is_like(version: &Version, thing: &Thing) -> bool {
    let meta = &version.meta;
    match thing {
        Thing::File {
            hash,
            size_bytes,
            mode,
            mtime_ns,
        } => {
            meta.kind == Kind::File
                && version.hash == *hash
                && meta.size_bytes == *size_bytes
                && meta.mode == *mode
                && meta.mtime_ns == *mtime_ns
        }
        Thing::Link { target, mtime_ns } => {
            meta.kind == Kind::Symlink
                && version.body.as_ref() == Some(target)
                && meta.mtime_ns == *mtime_ns
        }
        Thing::EmptyFolder { mode } => meta.kind == Kind::Folder && meta.mode == *mode,
    }
}

/// What the versions were found to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Versions {
    pub total: u64,
    pub markers: u64,
    /// Of files that never rested.
    pub torn: u64,
}

/// Every version is a state that its path really had, and is what its metadata
/// says. What is not.
pub fn versions(truth: &Truth, histories: &Histories) -> (Versions, Vec<String>) {
    let (mut counts, mut wrong) = (Versions::default(), Vec::new());
    for (key, history) in histories.iter().filter(|(key, _)| *key != SENTINEL) {
        for (listed, version) in &history.versions {
            let Some(version) = version else {
                counts.markers += 1;
                continue;
            };
            counts.total += 1;
            let says = version.meta.content.map(|hash| hash.to_hex());
            let torn = version.meta.is_torn;
            counts.torn += u64::from(torn);
            let may_be_silent = torn && says.is_none();
            if !may_be_silent && says.as_ref() != Some(&version.hash) {
                wrong.push(format!("{key:?}: {version:?} is not what it says"));
            }
            if !torn && version.meta.size_bytes != version.size_bytes {
                wrong.push(format!(
                    "{key:?}: {version:?} has another size than it says"
                ));
            }
            if let Some(why) = not_true(truth.states(key), listed, version) {
                wrong.push(format!(
                    "{key:?} {why}: version {} at {}, {version:?}; states {:?}",
                    keepwatch::types::id_text(&listed.version_id),
                    listed.modified_ms.0,
                    truth.states(key)
                ));
            }
        }
    }
    (counts, wrong)
}

/// Why the path cannot have been like this; `None` when it was.
fn not_true(states: &[State], listed: &ListedVersion, version: &Version) -> Option<&'static str> {
    let before = |state: &&State| state.from_ms <= listed.modified_ms + 1;
    let was_so = |state: &State| match (&state.what, version.meta.kind) {
        (What::File { hash, size_bytes }, Kind::File) => {
            *hash == version.hash && *size_bytes == version.size_bytes
        }
        (What::Link { target }, Kind::Symlink) => version.body.as_ref() == Some(target),
        (What::EmptyFolder, Kind::Folder) => true,
        _ => false,
    };
    if states.iter().filter(before).any(was_so) {
        return None;
    }
    if !version.meta.is_torn {
        return Some(match states.iter().any(was_so) {
            true => "was so only later",
            false => "never was so",
        });
    }
    // One that says of itself that it may be torn: only of a file that changed.
    let since = listed.modified_ms - UNRESTED_WITHIN_MS;
    let recent = states.iter().filter(|state| state.from_ms >= since);
    (recent.filter(before).count() < 2).then_some("says that it never rested, and did")
}

/// The index of a stopped program claims exactly what the bucket has. What not.
pub fn index(state_dir: &Path, url: &str, tree: &Tree, histories: &Histories) -> Vec<String> {
    let (index, opened) = match Index::open(&state_dir.join("index")) {
        Ok(opened) => opened,
        Err(fatal) => return vec![fatal.to_string()],
    };
    let mut wrong = Vec::new();
    if opened != keepwatch::index::Opened::Existing {
        wrong.push(format!("the index was not whole: {opened:?}"));
    }
    let id = index.source_id("office", BUCKET, "", url).unwrap();
    let mut known: Vec<RelKey> = Vec::new();
    for entry in index.range(id, "", None) {
        let (key, record) = entry.unwrap();
        known.push(key.clone());
        let current = histories.get(key.as_str()).and_then(History::current);
        let Some((listed, Some(version))) = current else {
            wrong.push(format!("the index has {key:?}, the bucket does not"));
            continue;
        };
        let is_so = record.version_id == listed.version_id
            && record.etag == listed.etag
            && record.content.map(|hash| hash.to_hex()).as_ref() == Some(&version.hash);
        if !is_so {
            wrong.push(format!(
                "{key:?}: index {record:?}, bucket {listed:?} {version:?}"
            ));
        }
    }
    for key in tree.things.keys() {
        if !known.iter().any(|there| there.as_str() == key) {
            wrong.push(format!("the index does not know {key:?}"));
        }
    }
    match index.unprotected(id, 100) {
        Ok((_, 0)) => {}
        other => wrong.push(format!("the index has unprotected paths: {other:?}")),
    }
    wrong
}

/// Whether the index still knows of uploads in parts. After a stop it may: the
/// next start clears away what it notes.
pub fn notes(state_dir: &Path) -> Vec<String> {
    let index = match Index::open(&state_dir.join("index")) {
        Ok((index, _)) => index,
        Err(fatal) => return vec![format!("the index does not open: {fatal}")],
    };
    match index.multiparts() {
        // An intention is kept for a while after its answer was lost: whether
        // anything came of it is the bucket's to say.
        Ok(left) if left.iter().all(|upload| !upload.is_begun()) => Vec::new(),
        other => vec![format!("the index notes open uploads: {other:?}")],
    }
}
