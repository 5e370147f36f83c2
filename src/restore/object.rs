//! One object of the bucket becomes one file, link or folder of the target.
//!
//! Every object ends in one [`Outcome`] or one [`Fault`]. Nothing is fetched for a
//! path whose key is not believed (`claim`), or where the same stands (`there`).

use super::arrival::{Arrival, RANGE_BYTES};
use super::content::{PRIVATE_FOLDERS, Source, damaged};
use super::in_place::Current;
use super::large::Large;
use super::ownership::{foreign, true_key, unreadable_meta};
use super::request::Pass;
use super::shop::{Outcome, Shop, gone};
use super::there::{against_disk, kept};
use super::{
    arrival, carried, content, folders, in_place, large, room, shadowed_version, stale, thawing,
};
use crate::files::{Committed, Looks, Pending};
use crate::history::{Chosen, Name};
use crate::os::blocking::blocking_on;
use crate::retry::{Patience, told};
use crate::s3::{GetBody, Head};
use crate::types::{Fault, Kind, MetaRefused, ObjectMeta, RelPath};
use std::sync::Arc;

/// The longest link target anywhere: Windows allows 32,767 UTF-16 units, which
/// are up to three bytes each; Linux ends at 4,096.
pub(crate) const LINK_TARGET_BYTES_MAX: u64 = 96 * 1024;

/// What the object's metadata leaves to do.
enum Next {
    Ended(Outcome),
    Bring(RelPath, ObjectMeta),
}

/// How a try ended.
enum Tried {
    Ended(Outcome),
    /// It is to be fetched by ranges, each of which is tried again by itself.
    Large(Box<Large>),
}

/// Bring one object; where another program has put its own over a file of ours,
/// what is beneath.
pub(crate) async fn bring(shop: &Arc<Shop>, chosen: &Chosen, pass: Pass) -> Result<Outcome, Fault> {
    stale::look(shop, chosen, pass).await?;
    let outcome = match bring_exactly(shop, chosen, pass).await? {
        Outcome::Foreign => shadowed_version::bring(shop, chosen, pass).await?,
        outcome => outcome,
    };
    if matches!(
        outcome,
        Outcome::Written { .. } | Outcome::Identical | Outcome::Covered(..)
    ) {
        stale::finish(shop, chosen).await?;
    }
    Ok(outcome)
}

/// Bring this very version, trying again what passes by itself.
pub(crate) async fn bring_exactly(
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
        Name::Path(key) | Name::Older(key) if key.is_folder() && pass == Pass::Files => {
            return Ok(Tried::Ended(Outcome::Later));
        }
        Name::Path(key) | Name::Older(key) => Some(key.path()),
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
            return Ok(Tried::Large(Box::new(Large {
                path,
                meta,
                stored_bytes: head.stored_bytes,
                gzip: head.gzip,
                current,
            })));
        }
    }
    fetch_small(shop, chosen, pass, current)
        .await
        .map(Tried::Ended)
}

pub(crate) async fn head(shop: &Shop, chosen: &Chosen) -> Result<Head, Fault> {
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
    let meta = carried::fetched(shop, &path, meta).await?;
    if !looks {
        return Ok(Next::Bring(path, meta));
    }
    let (shop, meta_now, path_now) = (shop.clone(), meta.clone(), path.clone());
    let look = move || {
        let there = against_disk(&shop, &path_now, &meta_now)?;
        if meta_now.kind == Kind::Folder && matches!(there, Some(Outcome::Identical)) {
            let attributes = meta_now.attributes.attributes();
            folders::is_there(&shop, &path_now, looks_of(&meta_now), attributes);
        }
        Ok(there)
    };
    let there = blocking(chosen, look).await?;
    Ok(there.map_or(Next::Bring(path, meta), Next::Ended))
}

/// Write what the object holds. Blocks.
fn write(shop: &Shop, path: &RelPath, source: Source, current: Current) -> Result<Outcome, Fault> {
    let meta = source.meta.clone();
    let overwrite = shop.options.overwrite;
    // At the last moment: until then it may be edited.
    let make_way = || in_place::make_way(shop, path, current);
    let looks = looks_of(&meta);
    let committed = match meta.kind {
        Kind::Folder => folders::bring(shop, path, looks, meta.attributes.attributes())?,
        Kind::Symlink => {
            let to = content::read_link_target(source, LINK_TARGET_BYTES_MAX)?;
            make_way()?;
            shop.target
                .symlink(path, &to, overwrite, looks, PRIVATE_FOLDERS)?
        }
        Kind::File | Kind::Special => {
            room::for_file(shop, meta.disk_bytes(), &source.subject)?;
            let pending = content::write_small(&shop.target, path, source, &shop.tally)?;
            commit(shop, pending, &meta, make_way)?
        }
    };
    ended(shop, path, &meta, committed)
}

fn looks_of(meta: &ObjectMeta) -> Looks {
    Looks {
        // Links and folders alone are dressed by these.
        mode: meta.mode,
        mtime_ns: meta.mtime_ns,
        owner: meta.owner,
    }
}

pub(crate) fn commit(
    shop: &Shop,
    mut pending: Pending,
    meta: &ObjectMeta,
    make_way: impl FnOnce() -> Result<(), Fault>,
) -> Result<Committed, Fault> {
    let (overwrite, mode) = (shop.options.overwrite, shop.mode_of(meta));
    pending.give(meta.attributes.attributes());
    pending.commit_after(overwrite, mode, meta.mtime_ns, meta.owner, make_way)
}

/// What the writing came to. Blocks.
pub(crate) fn ended(
    shop: &Shop,
    path: &RelPath,
    meta: &ObjectMeta,
    committed: Committed,
) -> Result<Outcome, Fault> {
    Ok(match committed {
        Committed::Written { left_out } => Outcome::Written {
            kind: meta.kind,
            bytes: meta.size_bytes,
            left_out: left_out.or_else(|| shop.withheld(path, meta)),
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

pub(crate) async fn blocking<T: Send + 'static>(
    chosen: &Chosen,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    blocking_on("restore", chosen.subject(), work).await
}
