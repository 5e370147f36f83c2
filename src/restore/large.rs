//! A large file: by ranges, going on from where an earlier run was cut short.
//!
//! Its ranges are tried again each by itself, so that a broken connection costs
//! a range and never the file; what stays broken fails this file alone.

use super::content::{Begun, PRIVATE_FOLDERS, Source};
use super::in_place::Current;
use super::object::{blocking, commit, ended};
use super::shop::{Outcome, Shop, gone};
use super::{content, in_place, ranges, room};
use crate::history::Chosen;
use crate::types::{Class, Fault, ObjectMeta, RelPath};
use std::sync::Arc;

/// Large files under way at once. One fills the line by itself; more of them
/// only hide the moments in which one begins and ends.
pub(crate) const LARGE_AT_ONCE: usize = 3;

/// What is known of it before it is fetched.
pub(crate) struct Large {
    pub(crate) path: RelPath,
    pub(crate) meta: ObjectMeta,
    pub(crate) stored_bytes: u64,
    pub(crate) gzip: bool,
    /// What is known of the file that it replaces.
    pub(crate) current: Current,
}

/// By ranges, going on from where an earlier run was when it was cut short.
pub(crate) async fn bring(
    shop: &Arc<Shop>,
    chosen: &Chosen,
    large: &Large,
) -> Result<Outcome, Fault> {
    let subject = large.path.to_string();
    if large.stored_bytes > content::body_bytes_max(&large.meta, large.gzip) {
        return Err(content::body_too_long(&large.meta, large.gzip, &subject));
    }
    let Ok(_place) = shop.large.acquire().await else {
        return Err(gone(chosen));
    };
    let mut is_first = true;
    loop {
        let (is_resumed, done) = go_on(shop, chosen, large, &subject).await?;
        match done {
            // What was there before may be at fault: once more, from the start.
            Err(fault) if is_resumed && is_first && fault.class == Class::Damaged => {
                is_first = false;
            }
            done => return done,
        }
    }
}

async fn go_on(
    shop: &Arc<Shop>,
    chosen: &Chosen,
    large: &Large,
    subject: &str,
) -> Result<(bool, Result<Outcome, Fault>), Fault> {
    let (desk, path, version) = (shop.clone(), large.path.clone(), chosen.identity());
    let (mut pending, mut from) = blocking(chosen, move || {
        desk.target.begin_partial(&path, PRIVATE_FOLDERS, &version)
    })
    .await?;
    if from
        .as_ref()
        .is_some_and(|(at, _)| at.source_bytes > large.stored_bytes)
    {
        // Not of this object, whatever it says.
        from = None;
        pending = blocking(chosen, move || pending.restart().map(|()| pending)).await?;
    }
    let begin = from.as_ref().map_or(0, |(at, _)| at.source_bytes);
    shop.tally.taken_up(begin);
    let span = begin..large.stored_bytes;
    let (arrival, _feeding) = ranges::begin(shop, chosen, span, subject);
    let source = Source {
        arrival,
        gzip: large.gzip,
        meta: large.meta.clone(),
        subject: subject.to_owned(),
    };
    let (desk, path, current) = (shop.clone(), large.path.clone(), large.current);
    let done = blocking(chosen, move || {
        let meta = source.meta.clone();
        let done = from.as_ref().map_or(0, |(at, _)| at.file_bytes);
        // Nobody knows how much of what is there already is holes.
        let needed_bytes = meta.disk_bytes().min(meta.size_bytes.saturating_sub(done));
        room::for_file(&desk, needed_bytes, &source.subject)?;
        let begun = Begun { pending, from };
        let pending = content::write_large(begun, source, &desk.tally)?;
        // At the last moment: until then it may be edited.
        let make_way = || in_place::make_way(&desk, &path, current);
        let committed = commit(&desk, pending, &meta, make_way)?;
        ended(&desk, &path, &meta, committed)
    })
    .await;
    Ok((begin > 0, done))
}
