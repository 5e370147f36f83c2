//! Marks a key as unverified after a request to change it got no answer: the change may
//! have happened or not.
//!
//! Invariant: afterwards the index claims nothing about that key. The next turn of the
//! path asks the bucket, even when the file is again as it was stored, or is gone without
//! a record. A change that happens after that turn is found by a second check
//! (`backup::late`).

use crate::index::Index;
use crate::os::blocking::blocking;
use crate::source::SourceRuntime;
use crate::types::{Class, Fault, Fingerprint, Record, RelKey};

/// Pass the answer on; when there was none, mark the key as unverified. `seen` stands in
/// the record of a key that has none.
pub(crate) async fn unless_answered<T>(
    index: &Index,
    source: &SourceRuntime,
    key: &RelKey,
    seen: Fingerprint,
    answer: Result<T, Fault>,
) -> Result<T, Fault> {
    let is_unanswered = |fault: &Fault| fault.class == Class::Transient;
    if !answer.as_ref().is_err_and(is_unanswered) {
        return answer;
    }
    if let Err(fault) = mark_unverified(index, source, key, seen).await {
        tracing::error!("{fault}");
    }
    answer
}

/// Write down that the bucket's state at this key is unknown: the path's next turn asks.
/// `seen` stands in the record of a key that has none.
pub(crate) async fn mark_unverified(
    index: &Index,
    source: &SourceRuntime,
    key: &RelKey,
    seen: Fingerprint,
) -> Result<(), Fault> {
    let (key, index, id) = (key.clone(), index.clone(), source.id);
    blocking(move || {
        let unverified = match index.get(id, &key)? {
            Some(record) => Record {
                content: None,
                ..record
            },
            None => Record::unverified(seen),
        };
        index.update(id, &key, unverified)
    })
    .await
}
