//! One object of the bucket becomes one file, link or folder of the target.
//!
//! Every object ends in one [`Outcome`] or one [`Fault`]. A key is believed only
//! when it is the key that its path would have; the metadata's word counts for
//! shortened keys alone, and only when that path leads back to the same key.

use super::arrival::{self, Arrival, Budget, RANGE_BYTES};
use super::beneath;
use super::content::{self, PRIVATE_FOLDERS, Source, damaged};
use super::in_place::{self, Current};
use super::large::{self, Large};
use super::restore::{Options, Pass};
use super::retry::{Patience, Stop, told};
use super::room;
use super::tally::{Covered, Tally};
use super::thawing;
use super::timeline::{Chosen, Name};
use super::{Origin, Selector, shown};
use crate::error::{Class, Fault, chain};
use crate::files::{self, Committed, Looks, Pending, Target};
use crate::model::meta::MetaRefused;
use crate::model::{ContentHash, Fingerprint, Kind, ObjectMeta, RelKey, RelPath};
use crate::store::{At, GetBody, Head, Store};
use std::sync::Arc;
use tokio::sync::Semaphore;

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
    pub(super) budget: Budget,
    /// A place for each large file under way.
    pub(super) large: Semaphore,
    /// The target was empty when the run began: nothing is looked for there.
    pub(super) is_fresh: bool,
}

impl Shop {
    /// Where the object is.
    pub(super) fn at<'a>(&'a self, chosen: &'a Chosen) -> At<'a> {
        At {
            bucket: &self.origin.bucket,
            key: &chosen.key,
        }
    }
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
    /// It is in cold storage and on its way out of there; what to say of it.
    Thawing(Fault),
    /// Keepwatch did not write it, nor anything beneath.
    Foreign,
    /// Keepwatch did not write it; the version beneath that it did write ended so.
    Covered(Box<Outcome>, Covered),
    /// It was not asked for, or is another pass's business.
    Passed,
}

/// What the object's metadata leaves to do.
enum Next {
    Ended(Outcome),
    Bring(RelPath, ObjectMeta),
}

/// How a try ended.
enum Tried {
    Ended(Outcome),
    /// It is to be fetched by ranges, each of which is tried again by itself.
    Large(Large),
}

/// Bring one object; where another program has put its own over a file of ours,
/// what is beneath.
pub(super) async fn bring(shop: &Arc<Shop>, chosen: &Chosen, pass: Pass) -> Result<Outcome, Fault> {
    match bring_exactly(shop, chosen, pass).await? {
        Outcome::Foreign => beneath::bring(shop, chosen, pass).await,
        outcome => Ok(outcome),
    }
}

/// Bring this very version, trying again what passes by itself.
pub(super) async fn bring_exactly(
    shop: &Arc<Shop>,
    chosen: &Chosen,
    pass: Pass,
) -> Result<Outcome, Fault> {
    let mut stop = shop.stop.clone();
    let mut patience = Patience::default();
    let done = loop {
        match once(shop, chosen, pass).await {
            Err(fault) if patience.again(&fault, &mut stop).await => {}
            Ok(Tried::Ended(outcome)) => break Ok(outcome),
            Ok(Tried::Large(large)) => break large::bring(shop, chosen, &large).await,
            Err(fault) => break Err(fault),
        }
    };
    let done = match done {
        Err(fault) => thawing::if_cold(shop, chosen, fault).await,
        done => done,
    };
    done.map_err(|fault| told(fault).about(chosen.subject()))
}

async fn once(shop: &Arc<Shop>, chosen: &Chosen, pass: Pass) -> Result<Tried, Fault> {
    let path = match &chosen.name {
        Name::Foreign(why) => {
            let head = head(shop, chosen).await?;
            return foreign(chosen, why, &head).map(Tried::Ended);
        }
        Name::Path(key) if key.is_folder() && pass == Pass::Files => {
            return Ok(Tried::Ended(Outcome::Later));
        }
        Name::Path(key) => Some(key.path()),
        Name::Shortened => None,
    };
    let is_large = chosen.stored_bytes > RANGE_BYTES;
    // Ask first where a download may not be needed at all.
    let ask_first = is_large
        || match path {
            None => true,
            Some(_) if shop.is_fresh => false,
            Some(path) => {
                let shop = shop.clone();
                let there = blocking(chosen, move || shop.target.existing(&path)).await?;
                there.is_some()
            }
        };
    let mut current = Current::Unknown;
    if ask_first {
        let head = head(shop, chosen).await?;
        let (path, meta) = match examine(shop, chosen, pass, &head, true).await? {
            Next::Ended(outcome) => return Ok(Tried::Ended(outcome)),
            Next::Bring(path, meta) => (path, meta),
        };
        if shop.options.in_place.is_some() {
            current = in_place::look(shop, chosen, &path, &meta).await?;
            if current == Current::Same {
                let shop = shop.clone();
                let restamp = move || in_place::restamp(&shop, &path, &meta);
                return blocking(chosen, restamp).await.map(Tried::Ended);
            }
        }
        if is_large && meta.kind == Kind::File {
            return Ok(Tried::Large(Large {
                path,
                meta,
                stored_bytes: head.stored_bytes,
                gzip: head.gzip,
                current,
            }));
        }
    }
    fetch_small(shop, chosen, pass, current)
        .await
        .map(Tried::Ended)
}

async fn head(shop: &Shop, chosen: &Chosen) -> Result<Head, Fault> {
    let head = shop.store.head(shop.at(chosen), chosen.version()).await?;
    head.ok_or_else(|| gone(chosen))
}

/// One request, one look, one writing.
async fn fetch_small(
    shop: &Arc<Shop>,
    chosen: &Chosen,
    pass: Pass,
    current: Current,
) -> Result<Outcome, Fault> {
    let room = arrival::room(shop, chosen.stored_bytes).await;
    let (head, body) = shop.store.get(shop.at(chosen), chosen.version()).await?;
    let (path, meta) = match examine(shop, chosen, pass, &head, !shop.is_fresh).await? {
        Next::Ended(outcome) => return Ok(outcome),
        Next::Bring(path, meta) => (path, meta),
    };
    let subject = path.to_string();
    let arrival = whole(chosen, &head, &meta, body, &subject).await?;
    let source = Source {
        arrival: arrival.within(room),
        gzip: head.gzip,
        meta,
        subject,
    };
    let shop = shop.clone();
    blocking(chosen, move || write(&shop, &path, source, current)).await
}

/// The body of a small object, no more of it than it can have.
async fn whole(
    chosen: &Chosen,
    head: &Head,
    meta: &ObjectMeta,
    body: GetBody,
    subject: &str,
) -> Result<Arrival, Fault> {
    let believable = content::body_bytes_max(meta, head.gzip);
    // Some servers list an older size for a moment.
    let listed = chosen.stored_bytes.saturating_add(2 * arrival::GRAIN_BYTES);
    let bytes_max = believable.min(listed);
    match arrival::collect(body, head.stored_bytes, bytes_max, subject).await? {
        Some(arrival) => Ok(arrival),
        None if believable <= listed => Err(content::body_too_long(meta, head.gzip, subject)),
        None => Err(damaged(
            subject,
            format!(
                "the server sends more than the {} bytes it lists",
                chosen.stored_bytes
            ),
        )),
    }
}

/// See from the metadata and, where `looks`, the target what is to be done.
async fn examine(
    shop: &Arc<Shop>,
    chosen: &Chosen,
    pass: Pass,
    head: &Head,
    looks: bool,
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
    if !looks {
        return Ok(Next::Bring(path, meta));
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
    let is_folder = there.kind == Kind::Folder;
    Ok(if same {
        Some(Outcome::Identical)
    } else if is_folder && overwrite {
        // Said before anything is fetched: no file replaces a folder.
        return Err(in_the_way(path));
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
    let looks = Looks {
        mode: meta.mode,
        mtime_ns: meta.mtime_ns,
        owner: meta.owner,
    };
    let committed = match meta.kind {
        Kind::Folder => shop.target.folder(path, looks, PRIVATE_FOLDERS)?,
        Kind::Symlink => {
            let to = content::read_link_target(source, LINK_TARGET_BYTES_MAX)?;
            make_way()?;
            shop.target
                .symlink(path, &to, overwrite, looks, PRIVATE_FOLDERS)?
        }
        Kind::File | Kind::Special => {
            room::for_file(shop, meta.size_bytes, &source.subject)?;
            let pending = content::write_small(&shop.target, path, source, &shop.tally)?;
            commit(pending, overwrite, &meta, make_way)?
        }
    };
    ended(shop, path, &meta, committed)
}

pub(super) fn commit(
    pending: Pending,
    overwrite: bool,
    meta: &ObjectMeta,
    make_way: impl FnOnce() -> Result<(), Fault>,
) -> Result<Committed, Fault> {
    pending.commit_after(overwrite, meta.mode, meta.mtime_ns, meta.owner, make_way)
}

/// What the writing came to. Blocks.
pub(super) fn ended(
    shop: &Shop,
    path: &RelPath,
    meta: &ObjectMeta,
    committed: Committed,
) -> Result<Outcome, Fault> {
    Ok(match committed {
        Committed::Written { left_out } => Outcome::Written {
            kind: meta.kind,
            bytes: meta.size_bytes,
            left_out,
            unrested: meta.unrested.then(|| path.to_string()),
        },
        // Of one name twice in this run, the second finds the first's folder.
        Committed::AlreadyThere if meta.kind == Kind::Folder => Outcome::Identical,
        // It was not looked for before, or has come meanwhile.
        Committed::AlreadyThere => {
            against_disk(shop, path, meta)?.unwrap_or_else(|| Outcome::Kept(kept(path)))
        }
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

fn in_the_way(path: &RelPath) -> Fault {
    Fault::new(
        Class::Local,
        "restore",
        path.to_string(),
        "a folder stands where the file was",
    )
    .hint("move the folder away and run the restore again")
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

pub(super) async fn blocking<T: Send + 'static>(
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
