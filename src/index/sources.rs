//! Which source has which id, for as long as it stays bound to the same place.
//!
//! What is known of one bucket must never be taken for another's: a source that
//! changes any of name, bucket, prefix or destination is another source, and
//! ids are never used again.

use super::engine::Batch;
use super::entries::put_identity;
use super::handle::Index;
use super::keys;
use super::keys::Space;
use super::ledger::{META_LAST_SOURCE, SourceLedger, number_bytes};
use super::types::{SourceId, SourceIdentity};
use crate::types::{Class, Fault};
use std::ops::Bound;

/// Entries removed in one batch while a source leaves.
const LEAVE_BATCH: usize = 500;

/// Everything that belongs to a source and leaves with it. Multiparts stay:
/// they say themselves where they are, and still have to be ended there.
const LEAVING: [Space; 9] = [
    Space::Record,
    Space::Content,
    Space::Parts,
    Space::Acknowledged,
    Space::Unprotected,
    Space::Due,
    Space::Failure,
    Space::State,
    Space::Totals,
];

impl Index {
    /// The id of the source of this name in this bucket under this prefix at
    /// this destination (the endpoint, or the vault's identity). The same four
    /// always give the same id. Another of the same name, or of the same place,
    /// is forgotten first (a million records take some ten seconds).
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn source_id(
        &self,
        name: &str,
        bucket: &str,
        prefix: &str,
        destination: &str,
    ) -> Result<SourceId, Fault> {
        let wanted = SourceIdentity {
            name: name.to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            destination: destination.to_owned(),
            leaving: false,
        };
        self.leave(|other| {
            let is_same_place = other.bucket == wanted.bucket
                && other.prefix == wanted.prefix
                && other.destination == wanted.destination;
            *other != wanted && (other.name == wanted.name || is_same_place)
        })?;
        let (mut ledger, engine) = self.writer()?;
        let known = ledger
            .sources
            .iter()
            .find(|(_, source)| source.identity == wanted);
        if let Some((id, _)) = known {
            return Ok(*id);
        }
        let id = ledger.last_source.checked_add(1).ok_or_else(|| {
            let subject = engine.folder().display().to_string();
            Fault::new(Class::Local, "number a source in", subject, "no id is left")
        })?;
        let mut batch = Batch::default();
        put_identity(&engine, &mut batch, SourceId(id), &wanted)?;
        batch.put(
            Space::Meta.key(SourceId(0), META_LAST_SOURCE),
            number_bytes(u64::from(id)),
        );
        engine.apply(batch)?;
        ledger.last_source = id;
        ledger
            .sources
            .insert(SourceId(id), SourceLedger::new(wanted));
        Ok(SourceId(id))
    }

    /// Forget every source but these (those that left the configuration).
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn retain_sources(&self, keep: &[SourceId]) -> Result<(), Fault> {
        let gone: Vec<SourceId> = {
            let ledger = self.ledger();
            let ids = ledger.sources.keys().copied();
            ids.filter(|id| !keep.contains(id)).collect()
        };
        for id in gone {
            self.leave_one(id)?;
        }
        Ok(())
    }

    fn leave(&self, is_replaced: impl Fn(&SourceIdentity) -> bool) -> Result<(), Fault> {
        let ids: Vec<SourceId> = self
            .ledger()
            .sources
            .iter()
            .filter(|(_, source)| source.identity.leaving || is_replaced(&source.identity))
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().try_for_each(|id| self.leave_one(id))
    }

    /// Mark it first, so that a kill in between leaves nothing half-known; the
    /// name goes last.
    fn leave_one(&self, id: SourceId) -> Result<(), Fault> {
        {
            let (mut ledger, engine) = self.writer()?;
            let Some(source) = ledger.sources.get_mut(&id) else {
                return Ok(());
            };
            let leaving = SourceIdentity {
                leaving: true,
                ..source.identity.clone()
            };
            let mut batch = Batch::default();
            put_identity(&engine, &mut batch, id, &leaving)?;
            engine.apply(batch)?;
            *source = SourceLedger::new(leaving);
        }
        for space in LEAVING {
            let begin = space.key(id, b"");
            loop {
                // Locked for each batch alone: others can write meanwhile.
                let (_ledger, engine) = self.writer()?;
                let low = Bound::Included(&begin[..]);
                let page = engine.page(low, &keys::end_of(&begin), LEAVE_BATCH)?;
                if page.is_empty() {
                    break;
                }
                let removals = page.into_iter().map(|(key, _)| (key, None));
                engine.apply(Batch(removals.collect()))?;
            }
        }
        let (mut ledger, engine) = self.writer()?;
        let mut batch = Batch::default();
        batch.remove(Space::Source.key(id, b""));
        engine.apply(batch)?;
        ledger.sources.remove(&id);
        Ok(())
    }
}
