//! What a fresh database takes over from the one before it: the uploads under way, so
//! that no parts stay in the bucket that nobody knows of, and the ids of the sources,
//! because callers hold them.

use super::engine::{Batch, Engine};
use super::entries::{json, put_identity};
use super::keys::{Space, multipart_key};
use super::ledger::{Ledger, META_LAST_SOURCE, SourceLedger, number_bytes};
use super::types::{Multipart, SourceId};
use crate::types::Fault;
use std::path::{Path, PathBuf};

/// Under which name a database notes that it has the uploads of the one before.
const CARRIED_OVER: &[u8] = b"uploads_carried_over";

/// The copy's name, in the folder that the index's is in.
const COPY: &str = "uploads.json";

/// Give a fresh database in `folder` the uploads that the one before it knew.
/// Best effort: without the copy the bucket's own rules clear them away.
pub(super) fn carry_uploads(engine: &Engine, folder: &Path) -> Result<(), Fault> {
    let copy = std::fs::read(copy_of(folder)).unwrap_or_default();
    let known: Vec<Multipart> = serde_json::from_slice(&copy).unwrap_or_default();
    let mut batch = Batch::default();
    for upload in &known {
        let key = multipart_key(upload.source, &upload.key, &upload.upload_id);
        // The database knows better than a copy that may be old.
        if engine.get(&key)?.is_none() {
            batch.put(key, json(engine, upload)?);
        }
    }
    batch.put(carried_over_key(), json(engine, &true)?);
    engine.apply(batch)?;
    engine.flush()
}

/// Whether [`carry_uploads`] has ended in this database: a fresh one whose making
/// was cut short (a full disk, a kill) looks like any other but for this.
pub(super) fn has_uploads(engine: &Engine) -> Result<bool, Fault> {
    Ok(engine.get(&carried_over_key())?.is_some())
}

fn carried_over_key() -> Vec<u8> {
    Space::State.key(SourceId(0), CARRIED_OVER)
}

/// Where the copy of the uploads is, for the index in `folder`.
pub(super) fn copy_of(folder: &Path) -> PathBuf {
    folder.with_file_name(COPY)
}

/// Give the sources that callers hold ids of the same ids in a database that
/// does not have them: a fresh one, or one that lost its last half second.
pub(super) fn carry_sources(
    engine: &Engine,
    old: &Ledger,
    fresh: &mut Ledger,
) -> Result<(), Fault> {
    let mut batch = Batch::default();
    for (id, source) in &old.sources {
        if !source.identity.leaving && !fresh.sources.contains_key(id) {
            put_identity(engine, &mut batch, *id, &source.identity)?;
            fresh
                .sources
                .insert(*id, SourceLedger::new(source.identity.clone()));
        }
    }
    fresh.last_source = fresh.last_source.max(old.last_source);
    batch.put(
        Space::Meta.key(SourceId(0), META_LAST_SOURCE),
        number_bytes(u64::from(fresh.last_source)),
    );
    engine.apply(batch)?;
    engine.flush()
}
