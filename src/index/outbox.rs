//! Messages that wait to be sent, and small facts that are to be remembered.

use super::engine::Batch;
use super::entries::{from_json, json, read};
use super::handle::Index;
use super::keys;
use super::keys::Space;
use super::types::{OutboxMessage, SourceId};
use crate::types::{Class, Fault};
use serde_json::Value;
use std::ops::Bound;

/// Messages that may wait. A digest a day and a few alerts: half a year.
pub const OUTBOX_MAX: u64 = 200;

/// The longest text of a message: what SNS takes.
pub const OUTBOX_BODY_BYTES_MAX: usize = 256 * 1024;

/// Belongs to no source.
const NO_SOURCE: SourceId = SourceId(0);

impl Index {
    /// Put a message behind the others; it is on disk when this returns. The caller sees
    /// to it that no more than [`OUTBOX_MAX`] wait.
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
        let id = outbox.next_id;
        batch.put(outbox_key(id), json(&engine, message)?);
        engine.apply(batch)?;
        outbox.next_id += 1;
        outbox.count += 1;
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
