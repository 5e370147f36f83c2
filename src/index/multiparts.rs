//! Uploads in parts that were begun and have not ended.
//!
//! Invariant: whoever can lose the database does not lose these: a copy lies
//! beside it, and a fresh database begins with that. The copy is best effort:
//! without it large files must still be backed up. Parts that nobody knows of
//! are paid for until somebody looks.

use super::Index;
use super::engine::{Batch, Engine};
use super::keys::{self, Space};
use super::pending::{from_json, json};
use super::private::replace_private;
use super::types::{Multipart, SourceId};
use crate::error::{Class, Fault, chain};
use crate::model::RelKey;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Entries read at a time.
const PAGE: usize = 256;

/// Under which name a database notes that it has the uploads of the one before.
const CARRIED_OVER: &[u8] = b"uploads_carried_over";

/// The copy's name, in the folder that the index's is in.
const COPY: &str = "uploads.json";

impl Index {
    /// Remember a multipart upload; on disk when this returns, so that no kill
    /// leaves parts in the bucket that nobody knows of.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn multipart_begin(
        &self,
        source: SourceId,
        key: &RelKey,
        upload_id: &str,
        bucket: &str,
        bucket_key: &str,
    ) -> Result<(), Fault> {
        let (_ledger, engine) = self.writer()?;
        let multipart = Multipart {
            source,
            key: key.clone(),
            upload_id: upload_id.to_owned(),
            bucket: bucket.to_owned(),
            bucket_key: bucket_key.to_owned(),
            noted_ms: 0,
        };
        let mut batch = Batch::default();
        batch.put(
            multipart_key(source, key, upload_id),
            json(&engine, &multipart)?,
        );
        engine.apply(batch)?;
        engine.flush()?;
        self.copy_multiparts(&engine);
        Ok(())
    }

    /// Remember that a multipart upload of that key is about to begin, so that it
    /// is found when the answer is lost; on disk when this returns. True when
    /// one was remembered already: its answer was lost.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn multipart_intend(
        &self,
        source: SourceId,
        key: &RelKey,
        bucket: &str,
        bucket_key: &str,
        now_ms: i64,
    ) -> Result<bool, Fault> {
        let (_ledger, engine) = self.writer()?;
        let stored = multipart_key(source, key, "");
        if engine.get(&stored)?.is_some() {
            return Ok(true);
        }
        let multipart = Multipart {
            source,
            key: key.clone(),
            upload_id: String::new(),
            bucket: bucket.to_owned(),
            bucket_key: bucket_key.to_owned(),
            noted_ms: now_ms,
        };
        let mut batch = Batch::default();
        batch.put(stored, json(&engine, &multipart)?);
        engine.apply(batch)?;
        engine.flush()?;
        self.copy_multiparts(&engine);
        Ok(false)
    }

    /// Forget a multipart upload that was completed or aborted.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn multipart_end(
        &self,
        source: SourceId,
        key: &RelKey,
        upload_id: &str,
    ) -> Result<(), Fault> {
        let (_ledger, engine) = self.writer()?;
        let mut batch = Batch::default();
        batch.remove(multipart_key(source, key, upload_id));
        engine.apply(batch)?;
        self.copy_multiparts(&engine);
        Ok(())
    }

    /// Every multipart upload that was begun and not ended: the workers' own,
    /// and after a kill those to go on with or to abort.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn multiparts(&self) -> Result<Vec<Multipart>, Fault> {
        noted(&*self.engine()?)
    }

    /// No failure of the call: the note is in the database already, and a second
    /// one that cannot be written is no reason to keep a large file out of the
    /// bucket. What it would save is parts that cost until somebody looks, and
    /// only once the database is lost as well.
    fn copy_multiparts(&self, engine: &Engine) {
        let copied = self.try_copy_multiparts(engine);
        let failed_before = self.0.copy_fails.swap(copied.is_err(), Ordering::Relaxed);
        if let Err(fault) = copied
            && !failed_before
        {
            tracing::warn!("the list of uploads under way has no copy for now: {fault}");
        }
    }

    fn try_copy_multiparts(&self, engine: &Engine) -> Result<(), Fault> {
        let path = copy_of(&self.0.opening.root);
        let fault = |error: &(dyn std::error::Error + 'static)| {
            let subject = path.display().to_string();
            Fault::new(Class::Local, "write", subject, chain(error)).hint(
                "make sure that the disk of the state folder is not full and may be written to",
            )
        };
        let text = serde_json::to_vec(&noted(engine)?).map_err(|e| fault(&e))?;
        replace_private(&path, &text).map_err(|e| fault(&e))
    }
}

/// Give a fresh database in `folder` the uploads that the one before it knew.
/// Best effort: without the copy the bucket's own rules clear them away.
pub(super) fn carry_over(engine: &Engine, folder: &Path) -> Result<(), Fault> {
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

/// Whether [`carry_over`] has ended in this database: a fresh one whose making
/// was cut short (a full disk, a kill) looks like any other but for this.
pub(super) fn is_carried_over(engine: &Engine) -> Result<bool, Fault> {
    Ok(engine.get(&carried_over_key())?.is_some())
}

fn carried_over_key() -> Vec<u8> {
    Space::State.key(SourceId(0), CARRIED_OVER)
}

fn copy_of(folder: &Path) -> PathBuf {
    folder.with_file_name(COPY)
}

fn noted(engine: &Engine) -> Result<Vec<Multipart>, Fault> {
    let begin = [Space::Multipart as u8];
    let end = keys::end_of(&begin);
    let mut out = Vec::new();
    let mut last: Option<Vec<u8>> = None;
    loop {
        let low = last
            .as_deref()
            .map_or(Bound::Included(&begin[..]), Bound::Excluded);
        let page = engine.page(low, &end, PAGE)?;
        for (_, value) in &page {
            out.push(from_json(engine, value)?);
        }
        match page.into_iter().next_back() {
            Some((key, _)) => last = Some(key),
            None => return Ok(out),
        }
    }
}

fn multipart_key(source: SourceId, key: &RelKey, upload_id: &str) -> Vec<u8> {
    // A path key has no NUL (they are escaped), so no two uploads share a key.
    let rest = [key.as_str().as_bytes(), &[0], upload_id.as_bytes()].concat();
    Space::Multipart.key(source, &rest)
}
