//! Reads what one object holds.

use super::object::Object;
use crate::backup::plan::{Answer, Facts};
use crate::backup::read::{Early, read_object};
use crate::backup::valid_from::valid_from_ms;
use crate::files;
use crate::files::{Pulse, ReadAttributes};
use crate::os;
use crate::os::clock;
use crate::s3::Store;
use crate::transfer::{Content, SMALL_BYTES_MAX};
use crate::types::{BootMs, ContentHash, Fault, Fingerprint, Kind, Look, WallMs};
use bytes::Bytes;
use std::sync::Arc;

/// When that was by the server's clock, which was read at `seen_at`.
pub(crate) fn when_seen_ms(store: &Store, seen_at: BootMs) -> Option<WallMs> {
    store.server_time_ms(seen_at, clock::wall_ms())
}

impl Object<'_> {
    pub(crate) async fn read_content(&mut self, facts: &Facts<'_>) -> Result<Answer, Fault> {
        let content = match facts.disk {
            None => None,
            Some(seen) if seen.kind == Kind::Folder => Some(self.read_folder(&seen).await?),
            Some(seen) => self.read_file(&seen, facts).await?,
        };
        if let Some(content) = &content {
            self.prepare(content).await?;
        }
        Ok(Answer::Content(content.map(Box::new)))
    }

    /// `None` when it changed while it was read.
    async fn read_file(
        &mut self,
        seen: &Fingerprint,
        facts: &Facts<'_>,
    ) -> Result<Option<Content>, Fault> {
        let (executor, item) = (self.executor, self.item);
        let taken = match self.early.take() {
            Some(Early { memory, taken }) => {
                self.memory = Some(memory);
                taken?
            }
            None => {
                if seen.size_bytes <= SMALL_BYTES_MAX {
                    let memory = executor.budget.take(item.lane, seen.size_bytes).await;
                    self.memory = Some(memory);
                }
                read_object(item, seen.kind).await?
            }
        };
        let Some((mut content, target)) = taken else {
            return Ok(None);
        };
        self.symlink_target = target;
        content.seen_ms = when_seen_ms(&executor.store, content.seen_at);
        let (swaps, index, record) = (&executor.swaps, &executor.index, facts.record.as_ref());
        content.seen_ms = valid_from_ms(swaps, index, item, &content, record).await?;
        Ok(Some(content))
    }

    async fn read_folder(&self, seen: &Fingerprint) -> Result<Content, Fault> {
        let attributes = self.folder_attributes().await?;
        let seen_at = os::boot_now();
        Ok(Content {
            fingerprint: Fingerprint {
                size_bytes: 0,
                ..*seen
            },
            hash: ContentHash::of(&[]),
            seen_at,
            seen_ms: when_seen_ms(&self.executor.store, seen_at),
            bytes: Some(Bytes::new()),
            is_torn: false,
            racy: false,
            look: Look::Unknown,
            segments: Arc::new([]),
            sparse_bytes: None,
            attributes,
        })
    }

    async fn folder_attributes(&self) -> Result<ReadAttributes, Fault> {
        let item = self.item.clone();
        let pulse = Pulse::default();
        item.source
            .watchdog
            .clone()
            .run(&pulse, move || {
                files::folder_attributes(&item.source.config.path, &item.path)
            })
            .await
    }
}
