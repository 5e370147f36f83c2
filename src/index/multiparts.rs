//! Uploads in parts that were begun and have not ended, with what is needed to continue them.
//!
//! Invariant: they survive the loss of the database. A copy is kept beside it, and a fresh
//! database begins with that copy. The copy is best effort: large files must be backed up
//! without it, too. The owner pays for parts that nobody knows of until somebody looks.

use super::carried_over::copy_of;
use super::engine::{Batch, Engine, Entry};
use super::entries::{from_json, json};
use super::handle::Index;
use super::keys::{self, Space, multipart_key, part_prefix};
use super::ledger::Ledger;
use super::private::replace_private;
use super::types::{AcknowledgedPart, Multipart, SourceId};
use crate::types::{Class, Fault, RelKey, WallMs, chain};
use std::ops::Bound;
use std::sync::atomic::Ordering;

/// Entries read at a time.
const PAGE: usize = 256;

impl Index {
    /// Remember a multipart upload; on disk when this returns, so that no kill
    /// leaves parts in the bucket that nobody knows of.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn multipart_begin(&self, upload: Multipart) -> Result<(), Fault> {
        let (ledger, engine) = self.writer()?;
        note(&ledger, &engine, upload)?;
        engine.flush()?;
        self.copy_multiparts(&engine);
        Ok(())
    }

    /// Remember that a multipart upload of that object is about to begin, so that
    /// it is found when the answer is lost; on disk when this returns. True when
    /// one was remembered already: its answer was lost.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn multipart_intend(
        &self,
        source: SourceId,
        key: &RelKey,
        at: (&str, &str),
        now_ms: WallMs,
    ) -> Result<bool, Fault> {
        let (ledger, engine) = self.writer()?;
        if engine.get(&multipart_key(source, key, ""))?.is_some() {
            return Ok(true);
        }
        let upload = Multipart {
            noted_ms: now_ms,
            ..Multipart::of(source, key, "", at)
        };
        note(&ledger, &engine, upload)?;
        engine.flush()?;
        self.copy_multiparts(&engine);
        Ok(false)
    }

    /// Write down how far a multipart upload has come, unless it is forgotten.
    /// A kill may lose that.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn multipart_update(&self, upload: Multipart) -> Result<(), Fault> {
        let (ledger, engine) = self.writer()?;
        let stored = multipart_key(upload.source, &upload.key, &upload.upload_id);
        match engine.get(&stored)?.is_some() {
            true => note(&ledger, &engine, upload),
            false => Ok(()),
        }
    }

    /// Forget a multipart upload that was completed or aborted, and its parts.
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
        if !upload_id.is_empty() {
            for (part, _) in entries(&engine, &part_prefix(source, key, upload_id))? {
                batch.remove(part);
            }
        }
        engine.apply(batch)?;
        self.copy_multiparts(&engine);
        Ok(())
    }

    /// Remember that the server has acknowledged a part of a noted upload. A kill
    /// may lose the last half second of these; a list of the upload's parts
    /// then tells.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn part_acknowledged(
        &self,
        source: SourceId,
        key: &RelKey,
        upload_id: &str,
        part: &AcknowledgedPart,
    ) -> Result<(), Fault> {
        let (_ledger, engine) = self.writer()?;
        // It may have ended since: what stays must belong to somebody.
        if engine
            .get(&multipart_key(source, key, upload_id))?
            .is_none()
        {
            return Ok(());
        }
        let mut stored = part_prefix(source, key, upload_id);
        stored.extend_from_slice(&part.number.to_be_bytes());
        let mut batch = Batch::default();
        batch.put(stored, json(&engine, part)?);
        engine.apply(batch)
    }

    /// The parts of an upload that the server is known to have acknowledged.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn parts_acknowledged(&self, upload: &Multipart) -> Result<Vec<AcknowledgedPart>, Fault> {
        let engine = self.engine()?;
        let begin = part_prefix(upload.source, &upload.key, &upload.upload_id);
        let parts = entries(&engine, &begin)?;
        let parts = parts.iter().map(|(_, value)| from_json(&engine, value));
        parts.collect()
    }

    /// The noted uploads to one object, as far as they are where the bucket of
    /// `source` is. Whose they were does not matter: a fresh index numbers its
    /// sources anew.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn multiparts_at(
        &self,
        source: SourceId,
        bucket: &str,
        bucket_key: &str,
    ) -> Result<Vec<Multipart>, Fault> {
        let here = self.destination(source);
        let mut found = self.multiparts()?;
        found.retain(|upload| {
            let is_here = upload.destination.is_empty() || upload.destination == here;
            is_here && upload.bucket == bucket && upload.bucket_key == bucket_key
        });
        Ok(found)
    }

    /// The server or vault where a source's bucket is; empty when the source is
    /// not known.
    pub fn destination(&self, source: SourceId) -> String {
        destination(&self.ledger(), source)
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

fn destination(ledger: &Ledger, source: SourceId) -> String {
    let known = ledger.sources.get(&source);
    known.map_or_else(String::new, |source| source.identity.destination.clone())
}

/// Write a note, with where its upload is.
fn note(ledger: &Ledger, engine: &Engine, mut upload: Multipart) -> Result<(), Fault> {
    if upload.destination.is_empty() {
        upload.destination = destination(ledger, upload.source);
    }
    let mut batch = Batch::default();
    let stored = multipart_key(upload.source, &upload.key, &upload.upload_id);
    batch.put(stored, json(engine, &upload)?);
    engine.apply(batch)
}

fn noted(engine: &Engine) -> Result<Vec<Multipart>, Fault> {
    let all = entries(engine, &[Space::Multipart as u8])?;
    let all = all.iter().map(|(_, value)| from_json(engine, value));
    all.collect()
}

/// Everything whose key begins with that.
fn entries(engine: &Engine, begin: &[u8]) -> Result<Vec<Entry>, Fault> {
    let end = keys::end_of(begin);
    let mut out: Vec<Entry> = Vec::new();
    loop {
        let low = match out.last() {
            Some((last, _)) => Bound::Excluded(&last[..]),
            None => Bound::Included(begin),
        };
        let page = engine.page(low, &end, PAGE)?;
        if page.is_empty() {
            return Ok(out);
        }
        out.extend(page);
    }
}
