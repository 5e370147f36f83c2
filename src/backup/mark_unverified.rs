//! A change of the bucket that was asked for and not answered: it may be done
//! or not.
//!
//! Invariant: after it, the index claims nothing of that key any more. Whoever
//! looks at the path next asks the bucket, be it that the file went back to
//! what was stored before, or that it is gone and has no record. What is carried
//! out after that look is found by a second one (`backup::late`).

use crate::os::blocking::blocking;
use crate::source::Context;
use crate::types::{Class, Fault, Fingerprint, Record, RelKey};
use std::sync::Arc;

/// Pass the answer on; when there was none, write down that the key is to be
/// compared. `seen` stands in the record of a key that has none.
pub(crate) async fn unless_answered<T>(
    ctx: &Arc<Context>,
    source: usize,
    key: &RelKey,
    seen: Fingerprint,
    answer: Result<T, Fault>,
) -> Result<T, Fault> {
    let is_unanswered = |fault: &Fault| fault.class == Class::Transient;
    if !answer.as_ref().is_err_and(is_unanswered) {
        return answer;
    }
    if let Err(fault) = mark_unverified(ctx, source, key, seen).await {
        tracing::error!("{fault}");
    }
    answer
}

/// Write down that nobody knows what the bucket has at this key: the next look at
/// its path asks. `seen` stands in the record of a key that has none.
pub(crate) async fn mark_unverified(
    ctx: &Arc<Context>,
    source: usize,
    key: &RelKey,
    seen: Fingerprint,
) -> Result<(), Fault> {
    let (key, ctx) = (key.clone(), Arc::clone(ctx));
    blocking(move || {
        let id = ctx.sources[source].id;
        let unverified = match ctx.index.get(id, &key)? {
            Some(record) => Record {
                content: None,
                ..record
            },
            None => Record::unverified(seen),
        };
        ctx.index.update(id, &key, unverified)
    })
    .await
}
