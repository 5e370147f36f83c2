//! Whether a source's root is the folder that was backed up.
//!
//! The marker says so (`tasks::marker`); where none is kept or it was never
//! written there, device and inode do, and where these have changed (they do,
//! on some disks, at every start), whether the known files are there.

use crate::error::Fault;
use crate::files::{self, RootId};
use crate::model::brake::{Identity, Marker, identity, is_alike};
use crate::tasks::context::Context;
use crate::tasks::marker::{self, Standing};
use serde_json::json;

/// Known files that are looked for on a root that nothing else proves.
const SAMPLE_FILES: u64 = 200;

/// Under which name the index remembers device and inode of a root without a
/// marker.
const UNMARKED_ROOT: &str = "brake:root";

/// The answer for one root, kept until either changes: finding it takes a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    root: RootId,
    standing: Standing,
    is_itself: bool,
}

/// True when the root is the folder that was backed up, or nothing is known of
/// that yet. It is remembered as such then, and has its marker.
///
/// # Errors
/// The root or its marker cannot be looked at, or the index fails.
pub(super) fn is_itself(ctx: &Context, source: usize) -> Result<bool, Fault> {
    let root = files::root_state(&ctx.sources[source].config.path)?;
    let standing = marker::standing(ctx, source)?;
    let judged = Judged {
        root,
        standing: standing.clone(),
        is_itself: true,
    };
    if let Some(known) = &ctx.brakes.memory(source).judged
        && (known.root, &known.standing) == (root, &standing)
    {
        return Ok(known.is_itself);
    }
    let (marker, same) = match &standing {
        Standing::Itself => (Marker::Equal, None),
        Standing::Absent { same_root } => (Marker::Absent, Some(*same_root)),
        Standing::Different { same_root } => (Marker::Different, Some(*same_root)),
        Standing::Unknown | Standing::Foreign => {
            (Marker::Unused, same_unmarked(ctx, source, root)?)
        }
    };
    let is_itself = match identity(marker, same) {
        Identity::Itself => true,
        Identity::Unproven => is_same_content(ctx, source, is_alike)?,
        // Never marked, as when a marker was first written while the disk was
        // away: nearly all that is known must be there.
        Identity::Other if marker == Marker::Absent => {
            is_same_content(ctx, source, |same, known| {
                known > 0 && same * NEARLY_ALL >= known * (NEARLY_ALL - 1)
            })?
        }
        Identity::Other => false,
    };
    if is_itself && standing != Standing::Itself {
        adopt(ctx, source)?;
    }
    // After a marker was written everything is looked at once more.
    ctx.brakes.memory(source).judged = Some(Judged {
        is_itself,
        ..judged
    });
    Ok(is_itself)
}

/// Judge another root anew.
pub(super) fn forget_other(ctx: &Context, source: usize) {
    let mut memory = ctx.brakes.memory(source);
    memory.judged.take_if(|judged| !judged.is_itself);
}

/// All but one in so many.
const NEARLY_ALL: u64 = 20;

/// From now on this root is the source.
pub(super) fn adopt(ctx: &Context, source: usize) -> Result<(), Fault> {
    let settings = &ctx.sources[source].config;
    marker::adopt(ctx, source)?;
    let root = files::root_state(&settings.path)?;
    if same_unmarked(ctx, source, root)? != Some(true) {
        ctx.index
            .source_state_set(ctx.sources[source].id, UNMARKED_ROOT, &json!(root))?;
    }
    ctx.brakes.memory(source).judged = None;
    Ok(())
}

fn same_unmarked(ctx: &Context, source: usize, root: RootId) -> Result<Option<bool>, Fault> {
    let id = ctx.sources[source].id;
    let known = ctx.index.source_state_get(id, UNMARKED_ROOT)?;
    let known: Option<RootId> = known.and_then(|value| serde_json::from_value(value).ok());
    Ok(known.map(|known| known == root))
}

/// Look for some of the known files, spread over all of them.
fn is_same_content(
    ctx: &Context,
    source: usize,
    is_enough: impl Fn(u64, u64) -> bool,
) -> Result<bool, Fault> {
    let place = &ctx.sources[source];
    let counts = ctx.index.counts(place.id);
    let step = ((counts.files + counts.links) / SAMPLE_FILES).max(1);
    let (mut seen, mut known, mut same) = (0u64, 0, 0);
    for entry in ctx.index.range(place.id, "", None) {
        let (key, record) = entry?;
        if key.is_folder() || record.content.is_none() {
            continue;
        }
        seen += 1;
        if !seen.is_multiple_of(step) {
            continue;
        }
        known += 1;
        let now = files::stat(&place.config.path, &key.path())?;
        same += u64::from(now.is_some_and(|now| {
            let then = &record.fingerprint;
            now.size_bytes == then.size_bytes && now.mtime_ns == then.mtime_ns
        }));
    }
    Ok(is_enough(same, known))
}
