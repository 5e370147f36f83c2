//! Sends a content, whole or in parts.

use super::object::Object;
use super::run::Progress;
use crate::backup::outcome::Outcome;
use crate::destination::Deed;
use crate::index::ActivityDelta;
use crate::transfer;
use crate::transfer::{Content, Sent, StoredVersion};
use crate::types::{Class, Fault, Operation, Parts, id_text};

impl Object<'_> {
    /// Send the content; of `reuse` the server copies what stayed the same. `may_copy`:
    /// its copies were worth a try when that was planned.
    pub(crate) async fn send(
        &self,
        content: &Content,
        may_copy: bool,
        reuse: Option<&Parts>,
    ) -> Result<Progress, Fault> {
        let (meta, job) = (self.meta(content), self.job());
        let sent = match &content.bytes {
            Some(bytes) => transfer::send_small(&job, bytes.clone(), meta, content.hash).await,
            None => {
                let sending = Box::pin(transfer::send_large(&job, content, meta, reuse));
                self.item
                    .source
                    .watchdog
                    .watch_over(&job.pulse, sending)
                    .await
            }
        };
        self.note_copy_health(&sent, may_copy);
        match self.unless_answered(content.fingerprint, sent).await? {
            Sent::Changed => Ok(Progress::Done(Outcome::Changed)),
            Sent::Stored(done) => {
                self.commit_sent(content, done).await?;
                Ok(Progress::Done(Outcome::Sent))
            }
        }
    }

    fn note_copy_health(&self, sent: &Result<Sent, Fault>, may_copy: bool) {
        let copies = &self.source.copies;
        match sent {
            Ok(Sent::Stored(done)) if done.cost.reused_bytes > 0 => copies.answered(),
            Err(fault)
                if fault.class == Class::Transient && fault.operation == Operation::CopyPart =>
            {
                copies.failed();
            }
            _ => {}
        }
        let is_stored = matches!(sent, Ok(Sent::Stored { .. }));
        // What failed just now may have been a copy itself: it tells nothing else.
        if !may_copy && copies.sent(is_stored, self.executor.clock.monotonic_ms()) {
            tracing::warn!(
                source = %self.source.config.name,
                "the server fails to copy but takes contents: for the next hour, all are sent"
            );
        }
    }

    async fn commit_sent(&self, content: &Content, done: StoredVersion) -> Result<(), Fault> {
        let size_bytes = content.fingerprint.size_bytes;
        let (stored_bytes, cost) = (done.stored_bytes, done.cost);
        self.heard(Deed::Stored, &done.stored).await;
        let delta = ActivityDelta {
            versions: 1,
            raw_bytes: size_bytes,
            stored_bytes,
            saved_bytes: size_bytes.saturating_sub(cost.sent_bytes),
            ..ActivityDelta::default()
        };
        let record = self.record(content, done.hash, &done.stored, stored_bytes);
        self.commit(record, done.parts, delta).await?;
        let after_ms = self.after_ms();
        tracing::info!(
            source = %self.source.config.name,
            path = %self.item.path,
            size_bytes,
            stored_bytes,
            sent_bytes = cost.sent_bytes,
            reused_bytes = cost.reused_bytes,
            requests = cost.requests,
            after_ms,
            version_id = %id_text(&done.stored.version_id),
            "stored"
        );
        self.tell_stored(size_bytes, stored_bytes, after_ms);
        Ok(())
    }
}
