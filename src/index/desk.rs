//! What is under way or waits: messages to send, multipart uploads that were
//! begun, and small facts to remember.

use super::Index;
use super::engine::Batch;
use super::keys::{self, Space};
use super::ledger::{META_OUTBOX_DROPPED, number_bytes};
use super::pending::{from_json, json, read};
use super::types::{Multipart, OutboxMessage, SourceId};
use crate::error::{Class, Fault};
use crate::model::RelKey;
use serde_json::Value;
use std::ops::Bound;

/// Messages that may wait. A digest a day and a few alerts: half a year.
pub const OUTBOX_MAX: u64 = 200;

/// The longest text of a message: what SNS takes.
pub const OUTBOX_BODY_BYTES_MAX: usize = 256 * 1024;

/// Entries read at a time.
const PAGE: usize = 256;

/// Belongs to no source.
const NO_SOURCE: SourceId = SourceId(0);

impl Index {
    /// Put a message behind the others; it is on disk when this returns. When
    /// [`OUTBOX_MAX`] wait, the oldest is dropped and counted.
    ///
    /// # Errors
    /// When it is too long, or the index cannot be written.
    pub fn outbox_push(&self, message: &OutboxMessage) -> Result<u64, Fault> {
        if message.body.len() > OUTBOX_BODY_BYTES_MAX {
            return Err(Fault::new(
                Class::Refused,
                "keep the message",
                message.subject.clone(),
                format!("it is longer than {OUTBOX_BODY_BYTES_MAX} bytes"),
            ));
        }
        let (mut ledger, engine) = self.writer()?;
        let outbox = &mut ledger.outbox;
        let mut batch = Batch::default();
        let mut dropped = 0;
        if outbox.count >= OUTBOX_MAX {
            let excess = usize::try_from(outbox.count - OUTBOX_MAX + 1).unwrap_or(PAGE);
            let begin = Space::Outbox.key(NO_SOURCE, b"");
            let low = Bound::Included(&begin[..]);
            for (key, _) in engine.page(low, &keys::end_of(&begin), excess)? {
                batch.remove(key);
                dropped += 1;
            }
            batch.put(
                Space::Meta.key(NO_SOURCE, META_OUTBOX_DROPPED),
                number_bytes(outbox.dropped + dropped),
            );
        }
        let id = outbox.next_id;
        batch.put(outbox_key(id), json(&engine, message)?);
        engine.apply(batch)?;
        outbox.next_id += 1;
        outbox.count = outbox.count + 1 - dropped;
        outbox.dropped += dropped;
        engine.flush()?;
        Ok(id)
    }

    /// The message that waits longest, and its number.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn outbox_peek(&self) -> Result<Option<(u64, OutboxMessage)>, Fault> {
        let engine = self.engine()?;
        let begin = Space::Outbox.key(NO_SOURCE, b"");
        let page = engine.page(Bound::Included(&begin), &keys::end_of(&begin), 1)?;
        let Some((key, value)) = page.first() else {
            return Ok(None);
        };
        let id = keys::rest_of(key)
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| engine.damaged("a message's number cannot be read"))?;
        Ok(Some((id, from_json(&engine, value)?)))
    }

    /// Take a message out once it is sent; on disk when this returns, so that a
    /// kill does not send it twice. False when it was there no more.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn outbox_remove(&self, id: u64) -> Result<bool, Fault> {
        let (mut ledger, engine) = self.writer()?;
        let key = outbox_key(id);
        if engine.get(&key)?.is_none() {
            return Ok(false);
        }
        let mut batch = Batch::default();
        batch.remove(key);
        engine.apply(batch)?;
        ledger.outbox.count = ledger.outbox.count.saturating_sub(1);
        engine.flush()?;
        Ok(true)
    }

    /// How many messages wait.
    pub fn outbox_len(&self) -> u64 {
        self.ledger().outbox.count
    }

    /// How many messages were dropped because too many waited.
    pub fn outbox_dropped(&self) -> u64 {
        self.ledger().outbox.dropped
    }

    /// That many dropped messages have been reported: count them no more.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn outbox_dropped_reported(&self, count: u64) -> Result<(), Fault> {
        let (mut ledger, engine) = self.writer()?;
        let left = ledger.outbox.dropped.saturating_sub(count);
        let mut batch = Batch::default();
        batch.put(
            Space::Meta.key(NO_SOURCE, META_OUTBOX_DROPPED),
            number_bytes(left),
        );
        engine.apply(batch)?;
        ledger.outbox.dropped = left;
        Ok(())
    }

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
        engine.flush()
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
        engine.apply(batch)
    }

    /// Every multipart upload that was begun and not ended: the workers' own,
    /// and after a kill those to go on with or to abort.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn multiparts(&self) -> Result<Vec<Multipart>, Fault> {
        let engine = self.engine()?;
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
                out.push(from_json(&engine, value)?);
            }
            match page.into_iter().next_back() {
                Some((key, _)) => last = Some(key),
                None => return Ok(out),
            }
        }
    }

    /// A small fact that belongs to no source.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn state_get(&self, name: &str) -> Result<Option<Value>, Fault> {
        self.source_state_get(NO_SOURCE, name)
    }

    /// Remember a small fact.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn state_set(&self, name: &str, value: &Value) -> Result<(), Fault> {
        self.source_state_set(NO_SOURCE, name, value)
    }

    /// A small fact of one source; it goes with the source.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn source_state_get(&self, source: SourceId, name: &str) -> Result<Option<Value>, Fault> {
        read(&*self.engine()?, &Space::State.key(source, name.as_bytes()))
    }

    /// Remember a small fact of one source.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn source_state_set(
        &self,
        source: SourceId,
        name: &str,
        value: &Value,
    ) -> Result<(), Fault> {
        let (_ledger, engine) = self.writer()?;
        let mut batch = Batch::default();
        batch.put(
            Space::State.key(source, name.as_bytes()),
            json(&engine, value)?,
        );
        engine.apply(batch)
    }
}

fn outbox_key(id: u64) -> Vec<u8> {
    Space::Outbox.key(NO_SOURCE, &id.to_be_bytes())
}

fn multipart_key(source: SourceId, key: &RelKey, upload_id: &str) -> Vec<u8> {
    // A path key has no NUL (they are escaped), so no two uploads share a key.
    let rest = [key.as_str().as_bytes(), &[0], upload_id.as_bytes()].concat();
    Space::Multipart.key(source, &rest)
}
