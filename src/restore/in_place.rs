//! Restoring over a folder that is in use: what is there now is never lost.
//!
//! Invariants: a file is replaced only when the bucket has exactly its content as
//! a version of it, or after it has a second name beside it; that name never takes
//! anybody else's place; both names are there before the old one's content
//! changes, so that a kill at any point leaves the file whole under one of them.
//! What did not exist at the moment is left alone and named.

use super::shop::{Outcome, Shop};
use super::stale;
use super::tally::Bounded;
use crate::files;
use crate::files::MODE_SET_ID;
use crate::history::{Chosen, current_of, head_at, list_page};
use crate::restore::diff::difference::Comparison;
use crate::restore::diff::pairs::{Now, Pairs};
use crate::retry::Stop;
use crate::s3::{At, Store};
use crate::types::{
    Class, ContentHash, Fatal, Fault, Fingerprint, Kind, ObjectMeta, RelPath, chain, kept_name,
};
use std::sync::Arc;

/// Versions of a file that are asked whether they hold what it holds now, the
/// newest of them: it is the newest as a rule, since the backup goes on.
const VERSIONS_ASKED_MAX: usize = 20;

/// Reading buffer for hashing a file that is there.
const BUFFER_BYTES: usize = 256 * 1024;

/// What stands in the folder and was not there at the moment.
///
/// # Errors
/// As [`super::compare`].
pub async fn only_in_folder(
    store: &Store,
    comparison: &Comparison,
    stop: &Stop,
) -> Result<Bounded<String>, Fatal> {
    let mut stop = stop.clone();
    let mut pairs = Pairs::new(store, comparison);
    let mut alone = Bounded::default();
    let (origin, at_ms) = (&comparison.origin, comparison.at_ms);
    while let Some(pair) = pairs.next(&mut stop).await? {
        // What could not be looked at is named by the restore itself.
        pairs.take_faults();
        let (None, Now::OnDisk { key, .. }) = (pair.then, pair.now) else {
            continue;
        };
        let was_there = key.may_be_elsewhere(&origin.prefix)
            && current_of(store, origin, &key, at_ms, &mut stop)
                .await?
                .is_some();
        if !was_there {
            let slash = if key.is_folder() { "/" } else { "" };
            alone.push(format!("{}{slash}", key.path()));
        }
    }
    Ok(alone)
}

/// What is known of the file that is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Current {
    /// The bucket has it as a version, as long as it still looks like this.
    Stored(Fingerprint),
    /// It has the right content, and wants another mode or time alone.
    Same,
    /// Nobody knows: it is kept.
    Unknown,
}

/// See whether the bucket has what stands at the path now. `meta` is what will
/// stand there.
pub(crate) async fn look(
    shop: &Arc<Shop>,
    chosen: &Chosen,
    path: &RelPath,
    meta: &ObjectMeta,
) -> Result<Current, Fault> {
    let (shared, rel) = (shop.clone(), path.clone());
    let hashed = tokio::task::spawn_blocking(move || hashed(&shared, &rel))
        .await
        .map_err(|e| Fault::new(Class::Local, "compare", path.to_string(), chain(&e)))??;
    let Some((found, hash)) = hashed else {
        return Ok(Current::Unknown);
    };
    if found.kind == meta.kind && meta.content == Some(hash) {
        return Ok(Current::Same);
    }
    Ok(match is_stored(shop, chosen, found.kind, hash).await? {
        true => Current::Stored(found),
        false => Current::Unknown,
    })
}

/// The file or link as it is, and its hash; `None` when it changed meanwhile.
fn hashed(shop: &Shop, path: &RelPath) -> Result<Option<(Fingerprint, ContentHash)>, Fault> {
    let root = shop.target.path();
    let before = files::stat(root, path)?;
    let hash = match before.map(|found| found.kind) {
        Some(Kind::File) => {
            let mut opened = files::open(root, path)?;
            let mut buffer = vec![0; BUFFER_BYTES];
            files::hash_file(&mut opened.file, None, &mut buffer)
                .map(|(hash, _)| hash)
                .map_err(|e| {
                    Fault::new(Class::Unreadable, "compare", path.to_string(), chain(&e))
                })?
        }
        Some(Kind::Symlink) => ContentHash::of(&files::read_link(root, path)?),
        Some(Kind::Folder | Kind::Special) | None => return Ok(None),
    };
    let rests = files::stat(root, path)? == before;
    Ok(before.filter(|_| rests).map(|found| (found, hash)))
}

/// One of the newest versions of the object holds exactly this.
async fn is_stored(
    shop: &Shop,
    chosen: &Chosen,
    kind: Kind,
    hash: ContentHash,
) -> Result<bool, Fault> {
    let mut stop = shop.stop.clone();
    let bucket = &shop.origin.bucket;
    let page = list_page(&shop.store, bucket, &chosen.key, None, &mut stop).await?;
    let versions = page
        .items
        .iter()
        .take_while(|version| version.key == chosen.key)
        .filter(|version| !version.is_marker)
        .take(VERSIONS_ASKED_MAX);
    for version in versions {
        let at = At {
            bucket,
            key: &chosen.key,
        };
        let head = head_at(&shop.store, at, &version.version_id, &mut stop).await?;
        let holds_it = head
            .and_then(|head| head.meta.ok())
            .is_some_and(|meta| meta.kind == kind && meta.content == Some(hash));
        if holds_it {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Right before the path gets its new content: give what is there a second name,
/// unless the bucket has it. Blocks.
pub(crate) fn make_way(shop: &Shop, path: &RelPath, current: Current) -> Result<(), Fault> {
    stale::set_aside(shop, path)?;
    let Some(label) = &shop.options.in_place else {
        return Ok(());
    };
    let Some(found) = shop.target.existing(path)? else {
        return Ok(());
    };
    if current == Current::Stored(found) {
        shop.tally.note(|all| all.replaced_stored += 1);
        return Ok(());
    }
    let label = label.strftime("before restore %Y-%m-%d %H-%M").to_string();
    for number in 1..=kept_name::NUMBERS_MAX {
        let Some(beside) = kept_name::beside(path, &label, number) else {
            break;
        };
        if shop.target.second_name(path, &beside)? {
            shop.tally
                .note(|all| all.kept_beside.push(beside.to_string()));
            return Ok(());
        }
    }
    Err(Fault::new(
        Class::Local,
        "keep what is there of",
        path.to_string(),
        "no free name was found beside it",
    )
    .hint("move it away and run the restore again"))
}

/// Give the file the object's mode, time and owner: its content is right. Blocks.
pub(crate) fn restamp(shop: &Shop, path: &RelPath, meta: &ObjectMeta) -> Result<Outcome, Fault> {
    // What the file may do on this computer already is not the bucket's gift.
    let has_all = |found: &Fingerprint| {
        let is_same_owner = meta.owner.is_none() || found.owner == meta.owner;
        is_same_owner && found.mode & meta.mode & MODE_SET_ID == meta.mode & MODE_SET_ID
    };
    let is_given = shop
        .target
        .existing(path)?
        .is_some_and(|found| has_all(&found));
    let mode = match is_given {
        true => meta.mode,
        false => shop.mode_of(meta),
    };
    let left_out = shop.target.restamp(
        path,
        mode,
        meta.mtime_ns,
        meta.owner,
        &meta.attributes.attributes(),
    )?;
    let withheld = || shop.withheld(path, meta).filter(|_| !is_given);
    let left_out = left_out.or_else(withheld);
    Ok(Outcome::Written {
        kind: meta.kind,
        bytes: 0,
        left_out,
        unrested: meta.unrested.then(|| path.to_string()),
    })
}
