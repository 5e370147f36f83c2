//! What drills have found, kept in the index: the newest one for digest and
//! status, and the findings that are not over.

use super::outcome::{Drill, FAILURES_NAMED_MAX, Failure, LASTING_NAMED_MAX};
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::types::Fault;

/// Under which name the index has the newest drill.
const LAST: &str = "drill:last";

/// Under which name it has the findings that are not over.
const FINDINGS: &str = "drill:findings";

/// Under which name it has whether the last drill let a second look take all.
const LARGE_CAME_LAST: &str = "drill:large-came-last";

/// Findings that are kept open. A bucket with more of them has one trouble, and
/// the owner knows of it.
pub(crate) const FINDINGS_MAX: usize = FAILURES_NAMED_MAX;

/// Damaged versions of the past that are remembered, so that each is told once and
/// never drawn again: 250 KB. Beyond it they are still named by the drill that
/// finds them, but no message is sent.
pub(crate) const LASTING_MAX: usize = 500;

/// The newest drill, if there was one. Blocks.
///
/// # Errors
/// The index cannot be read.
pub fn last(index: &Index) -> Result<Option<Drill>, Fault> {
    read(index, LAST)
}

fn read<T: serde::de::DeserializeOwned>(index: &Index, name: &str) -> Result<Option<T>, Fault> {
    let value = index.state_get(name)?;
    // Written by another version: as good as none.
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// Keep it for digest and status.
pub(crate) async fn keep(index: &Index, drill: &Drill) -> Result<(), Fault> {
    let mut kept = drill.clone();
    kept.failures.truncate(FINDINGS_MAX);
    kept.lasting.truncate(LASTING_NAMED_MAX);
    write(index, LAST, serde_json::to_value(kept).unwrap_or_default()).await
}

/// The findings that are not over.
pub(crate) async fn findings(index: &Index) -> Result<Vec<Failure>, Fault> {
    let index = index.clone();
    blocking(move || Ok(read(&index, FINDINGS)?.unwrap_or_default())).await
}

/// Whether one more can be kept beside these.
pub(crate) fn has_room(findings: &[Failure], more: &Failure) -> bool {
    let same_kind = findings.iter().filter(|f| f.is_older == more.is_older);
    same_kind.count() < max_of(more)
}

fn max_of(finding: &Failure) -> usize {
    match finding.is_older {
        true => LASTING_MAX,
        false => FINDINGS_MAX,
    }
}

/// Keep the findings that are not over; of too many the first ones.
pub(crate) async fn keep_findings(index: &Index, findings: &[Failure]) -> Result<(), Fault> {
    let mut kept = Vec::new();
    for finding in findings {
        if has_room(&kept, finding) {
            kept.push(finding.clone());
        }
    }
    write(
        index,
        FINDINGS,
        serde_json::to_value(kept).unwrap_or_default(),
    )
    .await
}

/// The last second look at something large took more than its part.
pub(crate) async fn large_came_last(index: &Index) -> Result<bool, Fault> {
    let index = index.clone();
    blocking(move || Ok(read(&index, LARGE_CAME_LAST)?.unwrap_or_default())).await
}

/// See [`large_came_last`].
pub(crate) async fn keep_large_came_last(index: &Index, it_did: bool) -> Result<(), Fault> {
    write(index, LARGE_CAME_LAST, it_did.into()).await
}

async fn write(index: &Index, name: &'static str, value: serde_json::Value) -> Result<(), Fault> {
    let index = index.clone();
    blocking(move || index.state_set(name, &value)).await
}
