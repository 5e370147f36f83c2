//! Restores a large file by ranges, and resumes where an earlier run was cut short.
//!
//! Each range is tried again by itself, so that a broken connection costs one range
//! and never the file. A range that stays broken fails this file alone.

use super::content::{Begun, PRIVATE_FOLDERS, Source};
use super::context::{RestoreContext, blocking};
use super::faults::gone;
use super::outcome::Outcome;
use super::plan::Replaced;
use super::write::{commit, ended};
use super::{content, in_place, ranges};
use crate::history::Chosen;
use crate::types::{Class, Fault, ObjectMeta, RelPath};
use std::sync::Arc;

/// Large files under way at once. One fills the line by itself; more of them
/// only hide the moments in which one begins and ends.
pub(crate) const LARGE_AT_ONCE: usize = 3;

/// What is known of it before it is fetched.
pub(crate) struct LargeFile {
    pub(crate) path: RelPath,
    pub(crate) meta: ObjectMeta,
    pub(crate) stored_bytes: u64,
    pub(crate) gzip: bool,
    /// What is known of the file that it replaces.
    pub(crate) replaced: Replaced,
}

/// Restore a large file by ranges, resuming where an earlier run was cut short.
pub(crate) async fn bring(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    large: &LargeFile,
) -> Result<Outcome, Fault> {
    let subject = large.path.to_string();
    if large.stored_bytes > content::body_bytes_max(&large.meta, large.gzip) {
        return Err(content::body_too_long(&large.meta, large.gzip, &subject));
    }
    let Ok(_permit) = ctx.large_files.acquire().await else {
        return Err(gone(chosen));
    };
    let mut is_first = true;
    loop {
        let (is_resumed, done) = go_on(ctx, chosen, large, &subject).await?;
        match done {
            // What the earlier run left may be at fault: try once more, from the start.
            Err(fault) if is_resumed && is_first && fault.class == Class::Damaged => {
                is_first = false;
            }
            done => return done,
        }
    }
}

async fn go_on(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    large: &LargeFile,
    subject: &str,
) -> Result<(bool, Result<Outcome, Fault>), Fault> {
    let (shared, path, version) = (ctx.clone(), large.path.clone(), chosen.identity());
    let (mut pending, mut from) = blocking(chosen, move || {
        shared
            .target
            .begin_partial(&path, PRIVATE_FOLDERS, &version)
    })
    .await?;
    if from
        .as_ref()
        .is_some_and(|(at, _)| at.source_bytes > large.stored_bytes)
    {
        // It belongs to another object, whatever it says.
        from = None;
        pending = blocking(chosen, move || pending.restart().map(|()| pending)).await?;
    }
    let begin = from.as_ref().map_or(0, |(at, _)| at.source_bytes);
    ctx.stats.taken_up(begin);
    let span = begin..large.stored_bytes;
    let (body, _feeding) = ranges::begin(ctx, chosen, span, subject);
    let source = Source {
        body,
        gzip: large.gzip,
        meta: large.meta.clone(),
        subject: subject.to_owned(),
    };
    let (shared, path, replaced) = (ctx.clone(), large.path.clone(), large.replaced);
    let done = blocking(chosen, move || {
        let meta = source.meta.clone();
        let done = from.as_ref().map_or(0, |(at, _)| at.file_bytes);
        // Nobody knows how much of what is there already is holes.
        let needed_bytes = meta.disk_bytes().min(meta.size_bytes.saturating_sub(done));
        shared.check_space(needed_bytes, &source.subject)?;
        let begun = Begun { pending, from };
        let pending = content::write_large(begun, source, &shared.stats)?;
        // At the last moment: until then it may be edited.
        let make_way = || in_place::make_way(&shared, &path, replaced);
        let committed = commit(&shared, pending, &meta, make_way)?;
        ended(&shared, &path, &meta, committed)
    })
    .await;
    Ok((begin > 0, done))
}
