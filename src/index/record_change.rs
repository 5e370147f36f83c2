//! A record that changes, beside what the database has at its path.

use super::codec;
use super::engine::Engine;
use super::keys::Space;
use super::types::SourceId;
use crate::types::{Fault, Record, RelKey};

/// A record that changes, with what stood there before.
pub(super) struct RecordChange<'a> {
    pub(super) key: &'a RelKey,
    /// Its key in the database.
    pub(super) stored: Vec<u8>,
    pub(super) before: Option<(Vec<u8>, Record)>,
    pub(super) after: Option<&'a Record>,
}

impl RecordChange<'_> {
    /// The record before and after.
    pub(super) fn both(&self) -> (Option<&Record>, Option<&Record>) {
        (self.before.as_ref().map(|(_, was)| was), self.after)
    }
}

/// Read what stands at each of the keys, all at once.
pub(super) fn with_before<'a>(
    engine: &Engine,
    source: SourceId,
    changes: impl IntoIterator<Item = (&'a RelKey, Option<&'a Record>)>,
) -> Result<Vec<RecordChange<'a>>, Fault> {
    let mut changes: Vec<_> = changes
        .into_iter()
        .map(|(key, after)| RecordChange {
            key,
            stored: Space::Record.key(source, key.as_str().as_bytes()),
            before: None,
            after,
        })
        .collect();
    let stored = changes.iter().map(|change| change.stored.clone()).collect();
    for (change, bytes) in changes.iter_mut().zip(engine.get_many(stored)?) {
        change.before = match bytes {
            Some(bytes) => {
                let was = read_record(engine, &bytes)?;
                Some((bytes, was))
            }
            None => None,
        };
    }
    Ok(changes)
}

/// A stored record; a fault when it cannot be read.
pub(super) fn read_record(engine: &Engine, bytes: &[u8]) -> Result<Record, Fault> {
    codec::decode(bytes).ok_or_else(|| engine.damaged("a record cannot be read"))
}
