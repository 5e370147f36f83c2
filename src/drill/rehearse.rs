//! One version of one file really restored, and compared: what the daily drill
//! does again and again.
//!
//! It goes the way that `restore --at` goes (the same choice of a version, the
//! same download, verification and writing), and then reads back from the disk
//! what was written. It writes into the target alone.

use crate::files;
use crate::files::Target;
use crate::history::{Chosen, Name, VersionSelector, list_page};
use crate::restore::{Outcome, damaged, restore_version};
use crate::retry::Stop;
use crate::s3::{ListedVersion, Next, Page, Store};
use crate::types::{Class, ContentHash, Fault, Kind, ObjectMeta, Origin, RelPath, WallMs, chain};
use std::sync::Arc;

/// What a rehearsal brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rehearsed {
    /// What stands there now.
    pub kind: Kind,
    /// Bytes of it.
    pub bytes: u64,
}

/// The newest versions and markers of exactly this key, newest first: one page
/// of the listing at most. And how many entries the page had.
///
/// # Errors
/// The list cannot be had.
pub async fn life_of(
    store: &Store,
    origin: &Origin,
    bucket_key: &str,
    stop: &mut Stop,
) -> Result<(Vec<ListedVersion>, usize), Fault> {
    let page = list_page(store, &origin.bucket, bucket_key, None, stop).await?;
    let listed = page.items.len();
    let is_it = |version: &ListedVersion| version.key == bucket_key;
    Ok((page.items.into_iter().take_while(is_it).collect(), listed))
}

/// A page of versions behind `after`, a full key that need not be there.
///
/// # Errors
/// The list cannot be had.
pub async fn page_behind(
    store: &Store,
    origin: &Origin,
    after: Option<&str>,
    stop: &mut Stop,
) -> Result<Page<ListedVersion>, Fault> {
    let after = after.map(Next::after_key);
    let prefix = &origin.prefix;
    list_page(store, &origin.bucket, prefix, after.as_ref(), stop).await
}

/// Which of one key's versions (newest first) was stored last by a moment. What
/// was stored a little later and read before it is not asked for: any version
/// of a file's life will do.
pub fn current_at(life: &[ListedVersion], at_ms: WallMs) -> Option<ListedVersion> {
    let mut selector = VersionSelector::new(Some(at_ms), WallMs::MAX);
    let decided = life.iter().find_map(|version| {
        let [_, of_this_key] = selector.push(version.clone());
        of_this_key
    });
    decided.or_else(|| selector.end())?.by_then
}

/// True for a key that may be a file's of this source.
pub fn is_a_files(origin: &Origin, bucket_key: &str) -> bool {
    matches!(
        Name::of(bucket_key, &origin.prefix),
        Some(Name::Path(_) | Name::Shortened)
    )
}

/// Restore this version into the target and compare it with `meta`, what its
/// object says of it, and `recorded`, what else is known of its content.
///
/// # Errors
/// Class `Damaged` when it is not what was stored; anything else says that it
/// could not be had or written.
pub async fn rehearse(
    store: &Store,
    origin: &Origin,
    version: &ListedVersion,
    meta: &ObjectMeta,
    recorded: Option<ContentHash>,
    target: &Arc<Target>,
    stop: &Stop,
) -> Result<Rehearsed, Fault> {
    let name = Name::of(&version.key, &origin.prefix)
        .unwrap_or_else(|| Name::Foreign("it is no file of this source".to_owned()));
    let path = match &name {
        Name::Path(key) | Name::Older(key) => Some(key.path()),
        _ => meta
            .full_key
            .as_ref()
            .and_then(|full| crate::types::unshortened(&origin.prefix, &version.key, full))
            .map(|key| key.path()),
    };
    let chosen = Chosen::of(version.clone(), name);
    let outcome = restore_version(store, origin, &chosen, target, stop).await?;
    let (kind, path) = match (outcome, path) {
        (Outcome::Written { kind, .. }, Some(path)) => (kind, path),
        (Outcome::Foreign, _) => {
            return Err(damaged(
                &chosen.subject(),
                "it does not say any more that Keepwatch wrote it",
            ));
        }
        (other, _) => {
            return Err(damaged(
                &chosen.subject(),
                format!("it did not come back ({other:?})"),
            ));
        }
    };
    let (target, wanted) = (target.clone(), recorded.or(meta.content));
    let size_bytes = meta.size_bytes;
    tokio::task::spawn_blocking(move || compare(&target, &path, kind, size_bytes, wanted))
        .await
        .unwrap_or_else(|e| {
            Err(Fault::new(
                Class::Local,
                "compare",
                chosen.subject(),
                chain(&e),
            ))
        })
}

/// Read back what was written. Blocks.
fn compare(
    target: &Target,
    path: &RelPath,
    kind: Kind,
    size_bytes: u64,
    wanted: Option<ContentHash>,
) -> Result<Rehearsed, Fault> {
    let subject = path.to_string();
    let (bytes, hash) = match files::content_hash(target.path(), &target.here(path), kind)? {
        Some((hash, bytes)) => (bytes, Some(hash)),
        None => (0, None),
    };
    if kind == Kind::File && bytes != size_bytes {
        return Err(damaged(
            &subject,
            format!("it came back with {bytes} bytes instead of {size_bytes}"),
        ));
    }
    if let (Some(hash), Some(wanted)) = (hash, wanted)
        && hash != wanted
    {
        return Err(damaged(
            &subject,
            "it came back with another content than was recorded (SHA-256 differs)",
        ));
    }
    Ok(Rehearsed { kind, bytes })
}
