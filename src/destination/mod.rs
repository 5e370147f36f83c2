//! Whether the place that a source's copies go to is ours, and does what a backup
//! needs: asked now and then, before anything is marked as deleted, and whenever
//! an answer hints that it does not.
//!
//! Invariants: nothing is sent to a place that is not known to be ours. As long as
//! a bucket is not known to keep versions, nothing is marked deleted: in an
//! unversioned bucket S3 would destroy the object instead.
//! What is wrong stands in one list ([`troubles`]), which status, digest,
//! reconciliation and alerts go by.

mod announce;
mod owner;
mod policy;
mod report;
mod tell;

pub use announce::announce;
pub use policy::{Kind, Trouble};
pub use tell::{place_name, tell};

use crate::source;
use crate::types::{VersionId, command};

use crate::config::OnDelete;
use crate::index::{Index, SourceId};
use crate::os::blocking::blocking;
use crate::s3::Versioning;
use crate::source::Context;
use crate::types::{Class, Fault, chain};
use parking_lot::{Mutex, MutexGuard};
use policy::{Sign, Troubles, Word, sign_of};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Under which name the index remembers what is wrong.
const STATE: &str = "destination";

/// What was done to an object: each may be answered without a version id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Content was stored.
    Stored,
    /// The server copied what it has.
    Copied,
    /// A deletion was marked.
    Marked,
}

#[derive(Debug, Default)]
struct Memory {
    troubles: Troubles,
    /// Whether it is ours and the bucket said that it keeps versions, by
    /// [`Context::steady_ms`].
    word: Word,
    /// The id of our record; or that somebody else's is there. `None`: not known yet.
    owner: Option<Result<String, ()>>,
    /// The id of a record that took the place of ours while we ran.
    displaced_by: Option<String>,
    /// Deeds that this server answers without a version id though it keeps versions.
    mute: Vec<Deed>,
}

impl Memory {
    fn is_known_ours(&self) -> bool {
        matches!(self.owner, Some(Ok(_)))
    }

    /// Both questions were answered well, and a moment ago.
    fn may_mark(&self, now_ms: i64) -> bool {
        self.is_known_ours() && self.word.is_fresh(now_ms)
    }
}

/// What is known of one source's destination.
#[derive(Debug, Default)]
pub struct Destination {
    memory: Mutex<Memory>,
    /// Published from `memory`, for scans that look at it file by file.
    keeps: AtomicBool,
    /// One question serves all who want to know.
    asking: tokio::sync::Mutex<()>,
    /// One at a time, or an alert could go out twice.
    telling: tokio::sync::Mutex<()>,
}

impl Destination {
    /// What the index remembers.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn load(index: &Index, source: SourceId) -> Result<Self, Fault> {
        let known = index.source_state_get(source, STATE)?;
        let troubles = known.and_then(|value| serde_json::from_value(value).ok());
        Ok(Self {
            memory: Mutex::new(Memory {
                troubles: troubles.unwrap_or_default(),
                ..Memory::default()
            }),
            ..Self::default()
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }

    /// It is ours, and the bucket has said that it keeps versions, some time ago
    /// perhaps.
    pub fn keeps_versions(&self) -> bool {
        self.keeps.load(Ordering::Relaxed)
    }

    /// It is known to be ours.
    pub fn is_known_ours(&self) -> bool {
        self.memory().is_known_ours()
    }

    /// Whether that is wrong with it.
    pub fn has(&self, kind: Kind) -> bool {
        self.memory().troubles.has(kind)
    }

    /// The bucket could not be used for a while: it may be another one by now, so it is
    /// asked at the next beat.
    pub fn doubt(&self) {
        let mut memory = self.memory();
        (memory.word.asked_ms, memory.word.tried_ms) = (0, 0);
    }

    /// It is not known to be somebody else's. Before it is known whose it is, who
    /// wants to send something asks ([`is_ours`]).
    pub fn may_send(&self) -> bool {
        self.memory().owner != Some(Err(()))
    }
}

/// All that is wrong with a source's destination.
pub fn troubles(ctx: &Context, source: usize) -> Vec<Trouble> {
    let memory = ctx.sources[source].destination.memory();
    memory.troubles.standing().to_vec()
}

/// Put what stands onto the board, for `status`.
pub fn show(ctx: &Context, source: usize) {
    let standing = troubles(ctx, source);
    for topic in Kind::TOPICS {
        let lines: Vec<String> = standing
            .iter()
            .filter(|trouble| trouble.kind.topic() == topic)
            .map(Trouble::line)
            .collect();
        let text = (!lines.is_empty()).then(|| lines.join("; "));
        if ctx.board.warn(source, topic, text.clone()) {
            let name = &ctx.sources[source].config.name;
            match text {
                Some(text) => tracing::warn!(source = %name, "{text}"),
                None => tracing::info!(source = %name, "the destination is well again ({topic})"),
            }
        }
    }
}

/// Change what is known of a destination; if that made a difference, save and show it.
async fn change(ctx: &Arc<Context>, source: usize, change: impl FnOnce(&mut Troubles)) {
    let changed = {
        let mut memory = ctx.sources[source].destination.memory();
        let before = memory.troubles.clone();
        change(&mut memory.troubles);
        (memory.troubles != before).then(|| memory.troubles.clone())
    };
    if let Some(troubles) = changed {
        let shared = Arc::clone(ctx);
        let saved = blocking(move || {
            let id = shared.sources[source].id;
            let name = &shared.sources[source].config.name;
            let value = serde_json::to_value(&troubles)
                .map_err(|e| Fault::new(Class::Local, "remember", name, chain(&e)))?;
            shared.index.source_state_set(id, STATE, &value)
        });
        if let Err(fault) = saved.await {
            // Memory has it; after a restart it is found and told anew.
            tracing::error!("{fault}");
        }
    }
    show(ctx, source);
}

/// Whether the destination is ours, so that anything may be sent there at all. Asks
/// when nobody has asked yet.
///
/// # Errors
/// It cannot be found out now.
pub async fn is_ours(ctx: &Arc<Context>, source: usize) -> Result<bool, Fault> {
    let destination = &ctx.sources[source].destination;
    let known = || Some(destination.memory().owner.as_ref()?.is_ok());
    if let Some(known) = known() {
        return Ok(known);
    }
    let _one = destination.asking.lock().await;
    if known().is_none() {
        owner::settle(ctx, source, false).await?;
    }
    Ok(known() == Some(true))
}

/// Take the destination from whoever has it: somebody has said so.
///
/// # Errors
/// It cannot be taken now.
pub async fn take_over(ctx: &Arc<Context>, source: usize) -> Result<(), Fault> {
    let destination = &ctx.sources[source].destination;
    let _one = destination.asking.lock().await;
    ask_owner(ctx, source).await?;
    if destination.may_send() {
        return Ok(());
    }
    owner::settle(ctx, source, true).await
}

/// Look whose it is now.
async fn ask_owner(ctx: &Arc<Context>, source: usize) -> Result<(), Fault> {
    let known = ctx.sources[source].destination.memory().owner.clone();
    match known {
        Some(Ok(id)) => owner::still(ctx, source, &id).await,
        Some(Err(())) | None => owner::settle(ctx, source, false).await,
    }
}

/// Ask whose the destination is, and the bucket whether it keeps versions.
///
/// # Errors
/// The question was not answered; what was known before stands.
pub async fn ask(ctx: &Arc<Context>, source: usize) -> Result<(), Fault> {
    let _one = ctx.sources[source].destination.asking.lock().await;
    ask_alone(ctx, source).await
}

/// The same for who asks anyway, and has nothing to do with the answer.
pub async fn look(ctx: &Arc<Context>, source: usize) {
    if let Err(fault) = ask(ctx, source).await {
        tracing::debug!(source = %ctx.sources[source].config.name, "{fault}");
    }
}

async fn ask_alone(ctx: &Arc<Context>, source: usize) -> Result<(), Fault> {
    let settings = &ctx.sources[source].config;
    // Never 0, which is never.
    let asked_ms = ctx.steady_ms().max(1);
    ctx.sources[source].destination.memory().word.tried_ms = asked_ms;
    ask_owner(ctx, source).await?;
    if !ctx.sources[source].destination.may_send() {
        learned(ctx, source, false, asked_ms);
        return Ok(());
    }
    let answer = ctx.store.versioning(&settings.bucket).await;
    let now_ms = ctx.server_now_ms();
    if let Some(fault) = answer
        .as_ref()
        .err()
        .filter(|fault| is_of_the_moment(fault.class))
    {
        // What it does is as it was; whoever would mark something asks again.
        if ctx.sources[source]
            .destination
            .memory()
            .word
            .is_well
            .is_none()
        {
            let untold = Some(not_told(&settings.bucket, fault));
            change(ctx, source, |troubles| {
                troubles.set(Kind::VersionsUntold, untold, now_ms);
            })
            .await;
        }
        return Err(fault.clone());
    }
    let keeps = matches!(answer, Ok(Versioning::Enabled));
    learned(ctx, source, keeps, asked_ms);
    let off = matches!(answer, Ok(Versioning::Off)).then(|| without_versions(&settings.bucket));
    let untold = answer.err().map(|fault| not_told(&settings.bucket, &fault));
    change(ctx, source, |troubles| {
        troubles.set(Kind::NoVersions, off, now_ms);
        troubles.set(Kind::VersionsUntold, untold, now_ms);
    })
    .await;
    Ok(())
}

fn learned(ctx: &Context, source: usize, is_well: bool, asked_ms: i64) {
    let destination = &ctx.sources[source].destination;
    destination.memory().word = Word {
        is_well: Some(is_well),
        asked_ms,
        tried_ms: asked_ms,
    };
    destination.keeps.store(is_well, Ordering::Relaxed);
}

/// Trouble of the line, the credentials or the bucket as such: everything else
/// fails for it as well, and that is told.
fn is_of_the_moment(class: Class) -> bool {
    class.is_transient()
        || matches!(
            class,
            Class::Credentials | Class::NoBucket | Class::Untrusted | Class::Full
        )
}

fn not_told(bucket: &str, fault: &Fault) -> (String, String) {
    let text = format!(
        "deletions are not marked until the bucket {bucket} says whether it keeps old versions: {}",
        fault.reason()
    );
    let remedy = match fault.hint.is_empty() {
        true => format!(
            "see that the bucket can be asked: `{}` tells",
            command::with_configuration("check")
        ),
        false => fault.hint.clone(),
    };
    (text, remedy)
}

fn without_versions(bucket: &str) -> (String, String) {
    (
        format!(
            "the bucket {bucket} keeps no old versions: a file that is saved again replaces its only copy, and deletions are not marked"
        ),
        format!(
            "turn on versioning: aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled; where the server cannot do that, use one that can (docs/OPERATIONS.md)"
        ),
    )
}

/// Whether something may be marked as deleted now: deletions are to be marked, the
/// destination is ours, and the bucket keeps versions, as both said a moment ago.
///
/// # Errors
/// It does not answer.
pub async fn may_mark(ctx: &Arc<Context>, source: usize) -> Result<bool, Fault> {
    let of = &ctx.sources[source];
    if of.config.on_delete == OnDelete::Keep {
        return Ok(false);
    }
    let fresh = || of.destination.memory().may_mark(ctx.steady_ms());
    if fresh() {
        return Ok(true);
    }
    let _one = of.destination.asking.lock().await;
    if !fresh() {
        ask_alone(ctx, source).await?;
    }
    Ok(fresh())
}

/// What this computer wrote there last is there no more, whoever took it away: whatever
/// else was believed to be there is compared, from this moment on and after a restart.
async fn is_not_what_it_was(ctx: &Arc<Context>, source: usize) -> Result<(), Fault> {
    source::forget_comparison(ctx, source).await?;
    let bucket = &ctx.sources[source].config.bucket;
    let text = format!(
        "the bucket {bucket} no longer has what this computer wrote there to know it again: it was emptied or made again, and whatever else it had may be gone as well"
    );
    let remedy = "nothing for the files that are on disk: everything is compared with the bucket and sent again where it is missing. Earlier versions and deleted files may be gone: ask whoever runs the server".to_owned();
    let now_ms = ctx.server_now_ms();
    change(ctx, source, |troubles| {
        troubles.set(Kind::Emptied, Some((text, remedy)), now_ms);
    })
    .await;
    Ok(())
}

/// Everything has been compared with the bucket.
pub async fn is_compared(ctx: &Arc<Context>, source: usize) {
    if !ctx.sources[source].destination.has(Kind::Emptied) {
        return;
    }
    let now_ms = ctx.server_now_ms();
    change(ctx, source, |troubles| {
        troubles.set(Kind::Emptied, None, now_ms);
    })
    .await;
}

/// A deletion was not marked since the access key may not do that. Without a path: it
/// is one trouble, however many files are deleted.
pub async fn refuses_to_mark(ctx: &Arc<Context>, source: usize, fault: &Fault) {
    let text = format!(
        "deleted files are not marked as deleted, so a restore brings them back: {}",
        fault.reason()
    );
    let remedy = match fault.hint.is_empty() {
        true => "if that is meant, set on_delete = \"keep\"".to_owned(),
        false => format!("{}; if that is meant, set on_delete = \"keep\"", fault.hint),
    };
    let now_ms = ctx.server_now_ms();
    change(ctx, source, |troubles| {
        troubles.set(Kind::Unmarked, Some((text, remedy)), now_ms);
    })
    .await;
}

/// A deletion was marked, or there is none to mark.
pub async fn may_be_marked(ctx: &Arc<Context>, source: usize) {
    if !ctx.sources[source].destination.has(Kind::Unmarked) {
        return;
    }
    let now_ms = ctx.server_now_ms();
    change(ctx, source, |troubles| {
        troubles.set(Kind::Unmarked, None, now_ms);
    })
    .await;
}

/// Ask what is due to be asked; what was deleted meanwhile is looked for when the
/// bucket keeps versions again.
pub async fn ask_if_due(ctx: &Arc<Context>, source: usize) {
    let word = ctx.sources[source].destination.memory().word;
    if !word.is_due(ctx.steady_ms()) || ctx.gates.outage(source).is_some() {
        return;
    }
    let kept = word.is_well == Some(true);
    look(ctx, source).await;
    if !kept && ctx.sources[source].destination.keeps_versions() {
        ctx.scans.ask_whole(source, false);
    }
}

/// The bucket has acknowledged a version under this id (none: under none). Where
/// it was known to keep versions and this says that it does not, it is asked.
pub async fn heard(ctx: &Arc<Context>, source: usize, deed: Deed, version_id: Option<&VersionId>) {
    let destination = &ctx.sources[source].destination;
    let is_sign = match sign_of(version_id) {
        Sign::Kept => false,
        Sign::NotKept => destination.keeps_versions(),
        Sign::None => {
            let memory = destination.memory();
            memory.word.is_well == Some(true) && !memory.mute.contains(&deed)
        }
    };
    if !is_sign {
        return;
    }
    tracing::warn!(
        source = %ctx.sources[source].config.name,
        ?deed,
        "an answer has no version id of its own: the bucket is asked whether it still keeps versions"
    );
    if ask(ctx, source).await.is_ok() && destination.keeps_versions() {
        // It says that it does, and it just did not tell the id.
        let mut memory = destination.memory();
        if sign_of(version_id) == Sign::None && !memory.mute.contains(&deed) {
            memory.mute.push(deed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: within ten seconds of the bucket's last word deletions were
    /// marked at a destination that another computer had taken over.
    #[test]
    fn nothing_is_marked_while_the_owner_is_not_known_or_another() {
        let ours = || Some(Ok("our record".to_owned()));
        let well = |is_well| Word {
            is_well,
            asked_ms: 1_000,
            tried_ms: 1_000,
        };
        for (owner, is_well, now_ms, may) in [
            (ours(), Some(true), 1_000, true),
            (ours(), Some(true), 60_000, false),
            (ours(), Some(false), 1_000, false),
            (ours(), None, 1_000, false),
            (None, Some(true), 1_000, false),
            (Some(Err(())), Some(true), 1_000, false),
        ] {
            let memory = Memory {
                owner: owner.clone(),
                word: well(is_well),
                ..Memory::default()
            };
            assert_eq!(memory.may_mark(now_ms), may, "{owner:?} {is_well:?}");
        }
    }
}
