//! Marks deletions in the bucket and forgets records in the index.

use super::executor::Executor;
use super::object::Object;
use crate::backup::item::Item;
use crate::backup::outcome::Outcome;
use crate::backup::plan::{Answer, Facts, GuardAnswer, is_lost_plain_file};
use crate::destination;
use crate::destination::Deed;
use crate::files::Pulse;
use crate::guard;
use crate::guard::Permission;
use crate::index::{ActivityDelta, Change, Commit};
use crate::os::blocking::blocking;
use crate::status::Event;
use crate::types::{Class, Fault, Kind, Record, RelKey, RelPath, VersionId};
use std::sync::Arc;

/// The object at `key` is gone from the disk: plan that and carry it out.
pub(crate) async fn delete(
    executor: &Executor,
    item: &Item,
    key: RelKey,
    record: Option<Record>,
) -> Result<Outcome, Fault> {
    if let Some(record) = &record
        && !item.was_deferred
    {
        tell_guard(item, record).await?;
    }
    let mut facts = Facts {
        record,
        ..Facts::default()
    };
    Object::new(executor, item, key).run(&mut facts).await
}

/// Tell the guard of a plain file that is gone.
pub(crate) async fn tell_guard(item: &Item, record: &Record) -> Result<(), Fault> {
    if !is_lost_plain_file(record, item.path.name()) {
        return Ok(());
    }
    let item = item.clone();
    blocking(move || guard::plain_is_gone(&item.source.guard, &item.path, item.since_ms)).await
}

impl Object<'_> {
    pub(crate) async fn ask_guard(&mut self, facts: &Facts<'_>) -> Result<Answer, Fault> {
        let (guard, key) = (Arc::clone(&self.source.guard), self.key.clone());
        let record = facts.record.as_ref();
        let counts = record.is_some_and(|record| record.fingerprint.kind != Kind::Folder);
        let pulse = Pulse::default();
        let beat = pulse.clone();
        let permission = self
            .source
            .watchdog
            .run(&pulse, move || guard::may_mark(&guard, &key, counts, &beat));
        Ok(Answer::Guard(match permission.await? {
            Permission::Granted(grant) => {
                self.grant = Some(grant);
                GuardAnswer::Granted
            }
            Permission::Held => GuardAnswer::Held,
            Permission::Reappeared => GuardAnswer::BackAgain,
            Permission::Counting => GuardAnswer::Counting,
        }))
    }

    /// Have the bucket mark the object as deleted, and forget its record.
    pub(crate) async fn mark_deleted(&mut self, facts: &Facts<'_>) -> Result<Outcome, Fault> {
        let Some(record) = &facts.record else {
            return Ok(Outcome::Agreed);
        };
        let source = self.source;
        let renamed = self
            .executor
            .swaps
            .went_to(source.id, &self.item.path, record);
        let marked = self.executor.store.mark_deleted(self.at()).await;
        let marked = self.unless_answered(record.fingerprint, marked).await;
        let Some(version_id) = self.is_marked(marked).await? else {
            return Ok(Outcome::Agreed);
        };
        if let Some(grant) = self.grant.take() {
            let (key, is_renamed) = (self.key.clone(), renamed.is_some());
            blocking(move || grant.marked(&key, is_renamed)).await?;
        }
        destination::heard(&source.destination, Deed::Marked, version_id.as_ref()).await;
        let deletions = u64::from(renamed.is_none());
        self.commit_removal(record, deletions).await?;
        self.tell_marked(renamed);
        Ok(Outcome::Sent)
    }

    /// Nothing of ours is in the bucket: forget the record.
    pub(crate) async fn forget_record(&self, facts: &Facts<'_>) -> Result<Outcome, Fault> {
        if let Some(record) = &facts.record {
            self.commit_removal(record, 0).await?;
        }
        Ok(Outcome::Answered)
    }

    /// Credentials that may store but not delete are a common and careful choice: that
    /// stops no uploads, and only says that deletions are not marked. The next scan tries
    /// again.
    async fn is_marked(
        &self,
        marked: Result<Option<VersionId>, Fault>,
    ) -> Result<Option<Option<VersionId>>, Fault> {
        match marked {
            Ok(version_id) => {
                destination::may_be_marked(&self.item.source.destination).await;
                Ok(Some(version_id))
            }
            Err(fault) if fault.class == Class::Denied => {
                destination::refuses_to_mark(&self.item.source.destination, &fault).await;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    async fn commit_removal(&self, record: &Record, deletions: u64) -> Result<(), Fault> {
        let commit = Commit {
            source: self.source.id,
            key: self.key.clone(),
            change: Change::Remove,
            activity: ActivityDelta {
                deletions,
                ..ActivityDelta::default()
            },
        };
        self.executor
            .commits
            .commit(&self.executor.index, commit)
            .await?;
        if record.fingerprint.kind != Kind::Folder {
            guard::forgotten(&self.item.source.guard, &self.key);
        }
        Ok(())
    }

    fn tell_marked(&self, renamed: Option<RelPath>) {
        let name = &self.source.config.name;
        let (source, path) = (self.source.status.name(), self.item.path.to_string());
        match renamed {
            Some(to) => {
                let to = to.to_string();
                tracing::info!(source = %name, %path, %to, "renamed: the old name is marked as deleted");
                self.source.status.tell(Event::Renamed { source, path, to });
            }
            None => {
                tracing::info!(source = %name, %path, "marked as deleted");
                self.source.status.tell(Event::Deleted { source, path });
            }
        }
    }
}
