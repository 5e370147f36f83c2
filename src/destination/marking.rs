//! Whether deletions may be marked, and what answers say of that.

use super::asking::{ask, ask_alone};
use super::known::{Deed, Destination};
use super::policy::{Kind, Sign, sign_of};
use super::trouble::change;
use crate::config::OnDelete;
use crate::types::{Fault, VersionId};
use std::sync::Arc;

/// Whether something may be marked as deleted now: deletions are to be marked, the
/// destination is ours, and the bucket keeps versions, as both said a moment ago.
///
/// # Errors
/// It does not answer.
pub async fn may_mark(destination: &Arc<Destination>) -> Result<bool, Fault> {
    if destination.source.on_delete == OnDelete::Keep {
        return Ok(false);
    }
    let fresh = || destination.memory().may_mark(destination.clock.steady_ms());
    if fresh() {
        return Ok(true);
    }
    let _one = destination.memory.asking.lock().await;
    if !fresh() {
        ask_alone(destination).await?;
    }
    Ok(fresh())
}

/// Everything has been compared with the bucket.
pub async fn is_compared(destination: &Arc<Destination>) {
    if !destination.has(Kind::Emptied) {
        return;
    }
    let now_ms = destination.clock.server_now_ms();
    change(destination, |troubles| {
        troubles.set(Kind::Emptied, None, now_ms);
    })
    .await;
}

/// A deletion was not marked since the access key may not do that. Without a path: it
/// is one trouble, however many files are deleted.
pub async fn refuses_to_mark(destination: &Arc<Destination>, fault: &Fault) {
    let text = format!(
        "deleted files are not marked as deleted, so a restore brings them back: {}",
        fault.reason()
    );
    let remedy = match fault.hint.is_empty() {
        true => "if that is meant, set on_delete = \"keep\"".to_owned(),
        false => format!("{}; if that is meant, set on_delete = \"keep\"", fault.hint),
    };
    let now_ms = destination.clock.server_now_ms();
    change(destination, |troubles| {
        troubles.set(Kind::Unmarked, Some((text, remedy)), now_ms);
    })
    .await;
}

/// A deletion was marked, or there is none to mark.
pub async fn may_be_marked(destination: &Arc<Destination>) {
    if !destination.has(Kind::Unmarked) {
        return;
    }
    let now_ms = destination.clock.server_now_ms();
    change(destination, |troubles| {
        troubles.set(Kind::Unmarked, None, now_ms);
    })
    .await;
}

/// The bucket has acknowledged a version under this id (none: under none). Where
/// it was known to keep versions and this says that it does not, it is asked.
pub async fn heard(destination: &Arc<Destination>, deed: Deed, version_id: Option<&VersionId>) {
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
        source = %destination.source.name,
        ?deed,
        "an answer has no version id of its own: the bucket is asked whether it still keeps versions"
    );
    if ask(destination).await.is_ok() && destination.keeps_versions() {
        // It says that it does, and it just did not tell the id.
        let mut memory = destination.memory();
        if sign_of(version_id) == Sign::None && !memory.mute.contains(&deed) {
            memory.mute.push(deed);
        }
    }
}
