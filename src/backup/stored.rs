//! Whether a path is stored as it is, or waits for its next version.

use crate::backup::context::Context;
use crate::types::{Fingerprint, Kind, Record};
use crate::backup::context::Item;

pub(crate) fn is_as_stored(seen: &Fingerprint, record: Option<&Record>) -> bool {
    record.is_some_and(|r| r.content.is_some() && !r.racy && r.fingerprint == *seen)
}

/// A file that has had many versions of late waits for its next one; it is not
/// even read until then.
pub(crate) fn is_paced(
    ctx: &Context,
    item: &Item,
    seen: &Fingerprint,
    record: Option<&Record>,
) -> bool {
    let Some(record) = record.filter(|r| r.content.is_some() && seen.kind == Kind::File) else {
        // The first version, or one that the bucket has to be asked about.
        return false;
    };
    let then = &record.fingerprint;
    if (then.size_bytes, then.mtime_ns) == (seen.size_bytes, seen.mtime_ns) {
        // Its mode or owner alone, or nothing after all.
        return false;
    }
    let now_ms = ctx.clock.now_ms();
    !item.source.pacing.may_store(&item.path, record.stored_at_ms, now_ms)
}
