//! Carries out what `plan` says: asks what it asks, and does what it decides.

use super::context::{RestoreContext, blocking};
use super::existing_target;
use super::faults::{damaged, gone, kept, other_name};
use super::large::LargeFile;
use super::outcome::Outcome;
use super::plan::{Described, Facts, Next, Plan, Policy, Question, Replaced};
use super::range_buffer::BodyReader;
use super::request::Pass;
use super::stats::ArrivingBody;
use super::write::looks_of;
use super::{content, in_place, large, plan, range_buffer, separate_attributes, thawing, write};
use crate::history::Chosen;
use crate::retry::{advise_rerun, with_retries};
use crate::s3::{GetBody, Head};
use crate::types::{Fault, Kind, ObjectMeta};
use std::sync::Arc;

/// How a try ended.
enum Tried {
    Ended(Outcome),
    /// It is to be fetched by ranges, each of which is tried again by itself.
    Large(Box<LargeFile>),
}

/// Bring this very version, trying again what passes by itself.
pub(crate) async fn bring_exactly(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    pass: Pass,
) -> Result<Outcome, Fault> {
    let mut stop = ctx.stop.clone();
    let done = match with_retries(&mut stop, || once(ctx, chosen, pass)).await {
        Ok(Tried::Ended(outcome)) => Ok(outcome),
        Ok(Tried::Large(file)) => large::bring(ctx, chosen, &file).await,
        Err(fault) => Err(fault),
    };
    let done = match done {
        Err(fault) => {
            let thawing = thawing::if_cold(ctx, chosen, fault);
            ctx.unless_stopped(chosen, thawing).await
        }
        done => done,
    };
    done.map_err(|fault| advise_rerun(fault).about(chosen.subject()))
}

/// What the plan for an object depends on, beside the object.
fn policy(ctx: &RestoreContext) -> Policy<'_> {
    Policy {
        origin: &ctx.origin,
        selector: &ctx.selector,
        is_fresh: ctx.is_fresh,
        is_in_place: ctx.options.in_place.is_some(),
    }
}

async fn once(ctx: &Arc<RestoreContext>, chosen: &Chosen, pass: Pass) -> Result<Tried, Fault> {
    let mut facts = Facts::default();
    loop {
        match plan::next(chosen, pass, policy(ctx), &facts)? {
            Next::Ask(question) => find_out(ctx, chosen, question, &mut facts).await?,
            Next::Do(Plan::FetchWhole) => {
                let outcome = fetch_whole(ctx, chosen, pass, facts.replaced).await?;
                return Ok(Tried::Ended(outcome));
            }
            Next::Do(Plan::FetchRanges(Described { path, meta })) => {
                let head = facts.head.ok_or_else(|| gone(chosen))?;
                return Ok(Tried::Large(Box::new(LargeFile {
                    path,
                    meta,
                    stored_bytes: head.stored_bytes,
                    gzip: head.gzip,
                    replaced: facts.replaced.unwrap_or(Replaced::Unknown),
                })));
            }
            Next::Do(plan) => return without_body(ctx, chosen, plan).await.map(Tried::Ended),
        }
    }
}

/// Find out what the plan depends on.
async fn find_out(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    question: Question,
    facts: &mut Facts,
) -> Result<(), Fault> {
    let shared = ctx.clone();
    match question {
        Question::IsOccupied(path) => {
            let found = blocking(chosen, move || shared.target.existing(&path)).await?;
            facts.is_occupied = Some(found.is_some());
        }
        Question::Metadata => {
            let asking = ctx.store.head(ctx.at(chosen), chosen.version());
            let head = ctx.unless_stopped(chosen, asking).await?;
            facts.head = Some(head.ok_or_else(|| gone(chosen))?);
        }
        Question::Attributes(Described { path, meta }) => {
            let asking = separate_attributes::fetched(ctx, &path, meta);
            facts.completed = Some(ctx.unless_stopped(chosen, asking).await?);
        }
        Question::Existing(Described { path, meta }) => {
            let inspect = move || existing_target::inspect(&shared, &path, &meta);
            facts.existing = Some(blocking(chosen, inspect).await?);
        }
        Question::Replaced(Described { path, meta }) => {
            let asking = in_place::find_replaced(ctx, chosen, &path, &meta);
            facts.replaced = Some(ctx.unless_stopped(chosen, asking).await?);
        }
    }
    Ok(())
}

/// Carry out what needs no body.
async fn without_body(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    plan: Plan,
) -> Result<Outcome, Fault> {
    let shared = ctx.clone();
    match plan {
        Plan::LeaveForeign => Ok(Outcome::Foreign),
        Plan::PutOff => Ok(Outcome::PutOff),
        Plan::Skip => Ok(Outcome::Skipped),
        Plan::KeepExisting(path) => Ok(Outcome::Kept(kept(&path))),
        Plan::KeepOtherName(path) => Ok(Outcome::Kept(other_name(&path))),
        Plan::LeaveIdentical(Described { path, meta }, mode) => {
            let leave = move || {
                write::note_withheld(&shared, &path, &meta, mode);
                if meta.kind == Kind::Folder {
                    let attributes = meta.attributes.attributes();
                    shared.folders.is_there(&path, looks_of(&meta), attributes);
                }
                Ok(write::there(&shared, &path))
            };
            blocking(chosen, leave).await
        }
        Plan::CopyMetadata(Described { path, meta }) => {
            blocking(chosen, move || {
                in_place::copy_metadata(&shared, &path, &meta)
            })
            .await
        }
        // These are carried out where the answers are at hand.
        Plan::FetchWhole | Plan::FetchRanges(_) | Plan::Write(_) => Err(gone(chosen)),
    }
}

/// One request, one look at what came with it, one writing.
async fn fetch_whole(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    pass: Pass,
    replaced: Option<Replaced>,
) -> Result<Outcome, Fault> {
    let memory = ctx.memory.take(chosen.stored_bytes).await;
    let asking = ctx.store.get(ctx.at(chosen), chosen.version());
    let (head, body) = ctx.unless_stopped(chosen, asking).await?;
    let mut facts = Facts {
        head: Some(head.clone()),
        has_body: true,
        replaced,
        ..Facts::default()
    };
    let Described { path, meta } = loop {
        match plan::next(chosen, pass, policy(ctx), &facts)? {
            Next::Ask(question) => find_out(ctx, chosen, question, &mut facts).await?,
            Next::Do(Plan::Write(described)) => break described,
            Next::Do(plan) => return without_body(ctx, chosen, plan).await,
        }
    };
    let subject = path.to_string();
    let mut arriving = ctx.stats.arriving();
    let body = whole(chosen, &head, &meta, body, &subject, &mut arriving);
    let body = ctx.unless_stopped(chosen, body).await?;
    let source = content::Source {
        body: body.within(memory),
        gzip: head.gzip,
        meta,
        subject,
    };
    let (ctx, replaced) = (ctx.clone(), replaced.unwrap_or(Replaced::Unknown));
    blocking(chosen, move || write::write(&ctx, &path, source, replaced)).await
}

/// The body of a small object, no more of it than it can have.
async fn whole(
    chosen: &Chosen,
    head: &Head,
    meta: &ObjectMeta,
    body: GetBody,
    subject: &str,
    arriving: &mut ArrivingBody,
) -> Result<BodyReader, Fault> {
    let believable = content::body_bytes_max(meta, head.gzip);
    // Some servers list an older size for a moment.
    let listed = chosen
        .stored_bytes
        .saturating_add(2 * range_buffer::GRAIN_BYTES);
    let bytes_max = believable.min(listed);
    let mut count = |bytes| arriving.add(bytes);
    let body = range_buffer::collect(body, head.stored_bytes, bytes_max, subject, &mut count);
    match body.await? {
        Some(body) => Ok(body),
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
