//! One object of the bucket becomes one file, link or folder of the target.
//!
//! Every object ends in one [`Outcome`] or one [`Fault`]. A key is believed only
//! when it is the key that its path would have; the metadata's word counts for
//! shortened keys alone, and only when that path leads back to the same key.

use super::content::{self, PRIVATE_FOLDERS, Source, damaged};
use super::in_place::{self, Current};
use super::restore::{Options, Pass};
use super::retry::{Patience, Stop, told};
use super::tally::Tally;
use super::timeline::{Chosen, Name};
use super::{Origin, Selector, shown};
use crate::error::{Class, Fault, chain};
use crate::files::{self, Committed, Target};
use crate::model::meta::MetaRefused;
use crate::model::{ContentHash, Fingerprint, Kind, ObjectMeta, RelKey, RelPath};
use crate::store::{At, Head, Store};
use std::sync::Arc;

/// The longest link target anywhere: Windows allows 32,767 UTF-16 units, which
/// are up to three bytes each; Linux ends at 4,096.
pub(super) const LINK_TARGET_BYTES_MAX: u64 = 96 * 1024;

/// Reading buffer for comparing a file that is there already.
const COMPARE_BUFFER_BYTES: usize = 256 * 1024;

/// What all workers of one restore share.
pub(super) struct Shop {
    pub(super) store: Store,
    pub(super) origin: Origin,
    pub(super) selector: Selector,
    pub(super) target: Arc<Target>,
    pub(super) options: Options,
    pub(super) tally: Arc<Tally>,
    pub(super) stop: Stop,
}

/// How one object ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is there now.
    Written {
        kind: Kind,
        bytes: u64,
        left_out: Option<Fault>,
        /// Its path, when it never rested while it was backed up.
        unrested: Option<String>,
    },
    /// The same was there already.
    Identical,
    /// Another file was there already and stays.
    Kept(Fault),
    /// A link or a folder: not before all files are there.
    Later,
    /// Keepwatch did not write it.
    Foreign,
    /// It was not asked for, or is another pass's business.
    Passed,
}

/// What the object's metadata leaves to do.
enum Next {
    Ended(Outcome),
    Bring(RelPath, ObjectMeta),
}

/// Bring one object, trying again what passes by itself.
pub(super) async fn bring(shop: &Arc<Shop>, chosen: &Chosen, pass: Pass) -> Result<Outcome, Fault> {
    let mut stop = shop.stop.clone();
    let mut patience = Patience::default();
    loop {
        match once(shop, chosen, pass).await {
            Err(fault) if patience.again(&fault, &mut stop).await => {}
            done => return done.map_err(|fault| told(fault).about(chosen.subject())),
        }
    }
}

async fn once(shop: &Arc<Shop>, chosen: &Chosen, pass: Pass) -> Result<Outcome, Fault> {
    let at = At {
        bucket: &shop.origin.bucket,
        key: &chosen.key,
    };
    let version = Some(chosen.version_id.as_str());
    let path = match &chosen.name {
        Name::Foreign(why) => {
            let head = shop
                .store
                .head(at, version)
                .await?
                .ok_or_else(|| gone(chosen))?;
            return foreign(chosen, why, &head);
        }
        Name::Path(key) if key.is_folder() && pass == Pass::Files => return Ok(Outcome::Later),
        Name::Path(key) => Some(key.path()),
        Name::Shortened => None,
    };
    // Ask first where a download may not be needed at all.
    let ask_first = match path {
        None => true,
        Some(path) => {
            let shop = shop.clone();
            blocking(chosen, move || shop.target.existing(&path))
                .await?
                .is_some()
        }
    };
    let mut current = Current::Unknown;
    if ask_first {
        let head = shop
            .store
            .head(at, version)
            .await?
            .ok_or_else(|| gone(chosen))?;
        match examine(shop, chosen, pass, &head).await? {
            Next::Ended(outcome) => return Ok(outcome),
            Next::Bring(path, meta) if shop.options.in_place.is_some() => {
                current = in_place::look(shop, chosen, &path, &meta).await?;
                if current == Current::Same {
                    let shop = shop.clone();
                    return blocking(chosen, move || in_place::restamp(&shop, &path, &meta)).await;
                }
            }
            Next::Bring(..) => {}
        }
    }
    let (head, body) = shop.store.get(at, version).await?;
    let (path, meta) = match examine(shop, chosen, pass, &head).await? {
        Next::Ended(outcome) => return Ok(outcome),
        Next::Bring(path, meta) => (path, meta),
    };
    let source = Source {
        body,
        stored_bytes: head.stored_bytes,
        gzip: head.gzip,
        meta,
        subject: path.to_string(),
        stop: shop.stop.clone(),
    };
    let shop = shop.clone();
    blocking(chosen, move || write(&shop, &path, source, current)).await
}

/// See from the metadata and the target what is to be done.
async fn examine(
    shop: &Arc<Shop>,
    chosen: &Chosen,
    pass: Pass,
    head: &Head,
) -> Result<Next, Fault> {
    let meta = match &head.meta {
        Ok(meta) => meta.clone(),
        Err(MetaRefused::Foreign) => return Ok(Next::Ended(Outcome::Foreign)),
        Err(refused) => return Err(unreadable_meta(chosen, refused)),
    };
    let key = true_key(&shop.origin, chosen, &meta)?;
    if key.is_folder() != (meta.kind == Kind::Folder) {
        return Err(damaged(
            &chosen.subject(),
            "its key and its metadata disagree on whether it is a folder",
        ));
    }
    let path = key.path();
    if matches!(chosen.name, Name::Shortened) && !shop.selector.matches(&path) {
        return Ok(Next::Ended(Outcome::Passed));
    }
    match (pass, meta.kind) {
        (Pass::Files, Kind::Symlink | Kind::Folder) => return Ok(Next::Ended(Outcome::Later)),
        (Pass::LinksAndFolders, Kind::File) => return Ok(Next::Ended(Outcome::Passed)),
        _ => {}
    }
    let (shop, meta_now, path_now) = (shop.clone(), meta.clone(), path.clone());
    let there = blocking(chosen, move || against_disk(&shop, &path_now, &meta_now)).await?;
    Ok(there.map_or(Next::Bring(path, meta), Next::Ended))
}

/// The key in full, proved to belong to this object.
pub(super) fn true_key(
    origin: &Origin,
    chosen: &Chosen,
    meta: &ObjectMeta,
) -> Result<RelKey, Fault> {
    match (&chosen.name, &meta.full_key) {
        (Name::Path(key), _) => Ok(key.clone()),
        (_, None) => Err(damaged(
            &chosen.subject(),
            "its key is shortened and its metadata does not say the full path",
        )),
        (_, Some(full)) => unshortened(&origin.prefix, &chosen.key, full).ok_or_else(|| {
            damaged(
                &chosen.subject(),
                format!("the bucket's object claims another path: {}", shown(full)),
            )
        }),
    }
}

/// The key that `full` stands for, if an object of that path has `bucket_key`.
/// The source's own prefix may be longer than the one that is being restored.
pub(super) fn unshortened(prefix: &str, bucket_key: &str, full: &str) -> Option<RelKey> {
    let within = bucket_key.strip_prefix(prefix)?;
    let ends = within.match_indices('/').map(|(slash, _)| slash + 1);
    std::iter::once(0).chain(ends).find_map(|end| {
        let own_prefix = &bucket_key[..prefix.len() + end];
        let own = RelKey::parse_full(full).ok()?;
        if own.in_bucket(own_prefix).key != bucket_key {
            return None;
        }
        RelKey::parse_full(&format!("{}{full}", &within[..end])).ok()
    })
}

/// What stands at the path already decides: `None` means that it is free, or
/// may be replaced. Blocks.
fn against_disk(shop: &Shop, path: &RelPath, meta: &ObjectMeta) -> Result<Option<Outcome>, Fault> {
    let Some(there) = shop.target.existing(path)? else {
        return Ok(None);
    };
    let overwrite = shop.options.overwrite;
    let same_stat = there.size_bytes == meta.size_bytes
        && there.mtime_ns == meta.mtime_ns
        && there.mode == meta.mode;
    let same = match (there.kind, meta.kind) {
        (Kind::Folder, Kind::Folder) => true,
        (Kind::Symlink, Kind::Symlink) => same_link(shop, path, meta)?,
        // To overwrite means to have mode and time put right as well.
        (Kind::File, Kind::File) => {
            same_stat || (!overwrite && same_content(shop, path, meta, &there)?)
        }
        _ => false,
    };
    Ok(if same {
        Some(Outcome::Identical)
    } else if overwrite {
        None
    } else {
        Some(Outcome::Kept(kept(path)))
    })
}

fn same_link(shop: &Shop, path: &RelPath, meta: &ObjectMeta) -> Result<bool, Fault> {
    let target = files::read_link(shop.target.path(), path)?;
    Ok(meta.content == Some(ContentHash::of(&target)))
}

fn same_content(
    shop: &Shop,
    path: &RelPath,
    meta: &ObjectMeta,
    there: &Fingerprint,
) -> Result<bool, Fault> {
    let Some(content) = meta.content else {
        return Ok(false);
    };
    if there.size_bytes != meta.size_bytes {
        return Ok(false);
    }
    let mut opened = files::open(shop.target.path(), path)?;
    let mut buffer = vec![0; COMPARE_BUFFER_BYTES];
    files::hash_file(&mut opened.file, None, &mut buffer)
        .map(|(hash, _)| hash == content)
        .map_err(|e| Fault::new(Class::Unreadable, "compare", path.to_string(), chain(&e)))
}

/// Write what the object holds. Blocks.
fn write(shop: &Shop, path: &RelPath, source: Source, current: Current) -> Result<Outcome, Fault> {
    let meta = source.meta.clone();
    let overwrite = shop.options.overwrite;
    // At the last moment: until then it may be edited.
    let make_way = || in_place::make_way(shop, path, current);
    let committed = match meta.kind {
        Kind::Folder => shop
            .target
            .folder(path, meta.mode, meta.mtime_ns, PRIVATE_FOLDERS)?,
        Kind::Symlink => {
            let to = content::read_link_target(source, LINK_TARGET_BYTES_MAX)?;
            make_way()?;
            shop.target
                .symlink(path, &to, overwrite, meta.mtime_ns, PRIVATE_FOLDERS)?
        }
        Kind::File | Kind::Special => {
            content::write_file(&shop.target, path, source, overwrite, &shop.tally, make_way)?
        }
    };
    Ok(match committed {
        Committed::Written { left_out } => Outcome::Written {
            kind: meta.kind,
            bytes: meta.size_bytes,
            left_out,
            unrested: meta.unrested.then(|| path.to_string()),
        },
        // Of one name twice in this run, the second finds the first's folder.
        Committed::AlreadyThere if meta.kind == Kind::Folder => Outcome::Identical,
        Committed::AlreadyThere => Outcome::Kept(kept(path)),
    })
}

/// An object under a key that no path has: foreign, unless it says it is ours.
fn foreign(chosen: &Chosen, why: &str, head: &Head) -> Result<Outcome, Fault> {
    match &head.meta {
        Err(MetaRefused::Foreign) => Ok(Outcome::Foreign),
        Ok(_) | Err(MetaRefused::Newer(_) | MetaRefused::Broken(_)) => Err(misplaced(chosen, why)),
    }
}

pub(super) fn misplaced(chosen: &Chosen, why: &str) -> Fault {
    Fault::new(
        Class::Damaged,
        "restore",
        chosen.subject(),
        format!("the object says that Keepwatch wrote it, but its key cannot be used: {why}"),
    )
    .hint("somebody else put it there; fetch it with an S3 tool if you need it (docs/FORMAT.md)")
}

pub(super) fn unreadable_meta(chosen: &Chosen, refused: &MetaRefused) -> Fault {
    let hint = match refused {
        MetaRefused::Newer(_) => "restore it with a newer Keepwatch",
        MetaRefused::Broken(_) | MetaRefused::Foreign => {
            "restore another version with --at, or fetch this one with an S3 tool (docs/FORMAT.md)"
        }
    };
    Fault::new(
        Class::Damaged,
        "restore",
        chosen.subject(),
        refused.to_string(),
    )
    .hint(hint)
}

fn kept(path: &RelPath) -> Fault {
    Fault::new(
        Class::Local,
        "restore",
        path.to_string(),
        "something else is there already, and was not overwritten",
    )
    .hint("restore into an empty folder, or give --overwrite to replace it")
}

pub(super) fn gone(chosen: &Chosen) -> Fault {
    Fault::new(
        Class::NotFound,
        "restore",
        chosen.subject(),
        "this version was removed from the bucket a moment ago",
    )
    .hint("see what is left of it with `keepwatch versions`")
}

async fn blocking<T: Send + 'static>(
    chosen: &Chosen,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Fault::new(
            Class::Local,
            "restore",
            chosen.subject(),
            chain(&error),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_key_gives_its_path_back_only_to_its_owner() {
        let long = format!("{}/ü{}", "d".repeat(200), "x".repeat(1200));
        let key = RelKey::parse_full(&long).unwrap();
        let in_bucket = key.in_bucket("office/").key;
        assert_eq!(unshortened("office/", &in_bucket, &long), Some(key));
        // The whole bucket is restored: the source's prefix is a folder then.
        let with_prefix = RelKey::parse_full(&format!("office/{long}")).unwrap();
        assert_eq!(unshortened("", &in_bucket, &long), Some(with_prefix));
        let escape = format!("../{long}");
        for claim in [&long[1..], "etc/passwd", "", escape.as_str()] {
            assert_eq!(unshortened("office/", &in_bucket, claim), None, "{claim}");
        }
        assert_eq!(unshortened("elsewhere/", &in_bucket, &long), None);
    }

    #[test]
    fn a_prefix_that_is_no_path_leads_nowhere() {
        let long = "x".repeat(1200);
        let key = RelKey::parse_full(&long).unwrap();
        let in_bucket = key.in_bucket("../up/").key;
        assert_eq!(unshortened("", &in_bucket, &long), None);
    }
}
