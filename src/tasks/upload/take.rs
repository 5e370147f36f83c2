//! Taking a file's content, or a link's target, off the disk.
//!
//! Invariant: a file that waits for its next version is not read, and what is
//! read early is held only where memory is free.

use super::file::{is_as_stored, is_paced};
use crate::error::Fault;
use crate::files::{self, Pulse};
use crate::model::{ContentHash, Fingerprint, Kind, Look, Record, RelPath};
use crate::queue::Item;
use crate::tasks::answering::on_disk;
use crate::tasks::context::Context;
use crate::transfer::{self, Content, Patience, Permit, Reading};
use bytes::Bytes;
use std::sync::Arc;

/// Files up to this size are read by the thread that looks at them.
const EARLY_BYTES_MAX: u64 = 1024 * 1024;

/// A content, and a link's target.
pub(super) type Taken = (Content, Option<Vec<u8>>);

/// Read the file or link; `None` when it changed meanwhile. For a link the
/// content is its target.
pub(super) async fn take(
    ctx: &Arc<Context>,
    item: &Item,
    kind: Kind,
) -> Result<Option<Taken>, Fault> {
    let (shared, item) = (Arc::clone(ctx), item.clone());
    let pulse = Pulse::default();
    let beat = pulse.clone();
    on_disk(ctx, item.source, &pulse, move || {
        take_now(&shared, &item, kind, &beat)
    })
    .await
}

/// A small file's content, read by the thread that has looked at it: each
/// change of thread costs more than the reading.
pub(super) struct Early {
    pub(super) memory: Permit,
    pub(super) taken: Result<Option<Taken>, Fault>,
}

impl Early {
    /// Read it if it differs from its record, is small and may be held at once.
    /// Blocking.
    pub(super) fn take(
        ctx: &Context,
        item: &Item,
        seen: &Fingerprint,
        record: Option<&Record>,
        pulse: &Pulse,
    ) -> Option<Self> {
        let is_small =
            matches!(seen.kind, Kind::File | Kind::Symlink) && seen.size_bytes <= EARLY_BYTES_MAX;
        if !is_small || is_as_stored(seen, record) || is_paced(ctx, item, seen, record) {
            return None;
        }
        let memory = ctx.budget.try_take(item.lane, seen.size_bytes)?;
        let taken = take_now(ctx, item, seen.kind, pulse);
        Some(Self { memory, taken })
    }
}

fn take_now(ctx: &Context, item: &Item, kind: Kind, pulse: &Pulse) -> Result<Option<Taken>, Fault> {
    let root = &ctx.sources[item.source].config.path;
    if kind == Kind::Symlink {
        return take_link(root, &item.path);
    }
    let patience = if item.deadline {
        Patience::TakeWhatIsThere
    } else {
        Patience::Strict
    };
    Ok(match transfer::read(root, &item.path, patience, pulse)? {
        Reading::Steady(content) => Some((content, None)),
        Reading::Changed => None,
    })
}

fn take_link(root: &std::path::Path, path: &RelPath) -> Result<Option<Taken>, Fault> {
    let before = files::stat(root, path)?;
    let target = files::read_link(root, path)?;
    let Some(fingerprint) = before.filter(|f| f.kind == Kind::Symlink) else {
        return Ok(None);
    };
    if files::stat(root, path)? != before {
        return Ok(None);
    }
    let content = Content {
        // As every object says of itself: the size of what it holds.
        fingerprint: Fingerprint {
            size_bytes: target.len() as u64,
            ..fingerprint
        },
        hash: ContentHash::of(&target),
        bytes: Some(Bytes::from(target.clone())),
        unrested: false,
        racy: false,
        look: Look::Unknown,
        segments: Arc::new([]),
    };
    Ok(Some((content, Some(target))))
}
