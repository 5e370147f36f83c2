//! Since when a content counts at the path where it was read.

use super::item::Item;
use super::swap_tracker::SwapTracker;
use crate::files;
use crate::files::Pulse;
use crate::index::Index;
use crate::source::SourceRuntime;
use crate::transfer::Content;
use crate::types::{Fault, Fingerprint, Record, RelKey, RelPath, WallMs};

/// Records of a folder among which an old enough one is looked for; the rest of a larger
/// folder is not read.
const KNOWN_MAX: usize = 1_000;

/// Since when `content` counts at the path of `item`, by the server's clock; `record` is
/// what is stored there. `None` where the server's time is not known.
pub(crate) async fn valid_from_ms(
    swaps: &SwapTracker,
    index: &Index,
    item: &Item,
    content: &Content,
    record: Option<&Record>,
) -> Result<Option<WallMs>, Fault> {
    let (source, path) = (item.source.id, &item.path);
    let folders_ms = match swaps.left_until_ms(source, content) {
        Some(until_ms) => folders_came_ms(index, item, until_ms).await?,
        None => WallMs::default(),
    };
    Ok(swaps.since_ms(source, path, content, record, folders_ms))
}

/// When the last of the folders above came to its place, where that is after
/// `until_ms`; else 0.
async fn folders_came_ms(index: &Index, item: &Item, until_ms: WallMs) -> Result<WallMs, Fault> {
    let (index, item) = (index.clone(), item.clone());
    let pulse = Pulse::default();
    item.source
        .watchdog
        .clone()
        .run(&pulse, move || {
            let root = &item.source.config.path;
            let mut came_ms = WallMs::default();
            let mut above = item.path.parent();
            while let Some(folder) = above.filter(|folder| !folder.is_root()) {
                if let Some(seen) = files::stat(root, &folder)?
                    && seen.ctime_ms() > came_ms.max(until_ms)
                    && (was_moved(&seen) || !is_known(&index, &item.source, &folder, until_ms)?)
                {
                    came_ms = seen.ctime_ms();
                }
                above = folder.parent();
            }
            Ok(came_ms)
        })
        .await
}

/// The folder's status has changed since its last entry came or went.
fn was_moved(folder: &Fingerprint) -> bool {
    i128::from(folder.ctime_ns) != folder.mtime_ns
}

/// Something in the folder was stored by then: the folder was there, and only an entry
/// has changed since.
fn is_known(
    index: &Index,
    source: &SourceRuntime,
    folder: &RelPath,
    by_ms: WallMs,
) -> Result<bool, Fault> {
    let below = RelKey::of_folder(folder);
    let records = index.range(source.id, below.as_str(), None);
    for entry in records.take(KNOWN_MAX) {
        let (_, record) = entry?;
        if record.content.is_some() && record.stored_at_ms <= by_ms {
            return Ok(true);
        }
    }
    Ok(false)
}
