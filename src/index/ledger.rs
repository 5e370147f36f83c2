//! What is kept in memory of every source, exactly, and its durable totals.
//!
//! The totals are written in the same batch as the records they sum up. So an
//! opened database proves itself: when its records do not add up to them,
//! pages were lost, whatever sled says (cut at its end, it opens as if it had
//! always been empty).

use super::bytes::ByteReader;
use super::keys::Space;
use super::types::{Activity, Counts, SourceId, SourceIdentity};
use super::{bytes, codec, keys};
use crate::types::{Class, Fault};
use std::collections::BTreeMap;

/// What is durable of one source besides its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SourceTotals {
    pub(super) activity: Activity,
    /// Failures since the last digest beyond the bounded list.
    pub(super) overflow: u64,
    pub(super) records_sum: RecordSum,
}

/// Number and sum of checksums of a source's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RecordSum {
    pub(super) records: u64,
    pub(super) sum: u64,
}

impl RecordSum {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.sum = self.sum.wrapping_add(check(key, value));
    }

    pub(super) fn subtract(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(check(key, value));
    }
}

fn check(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    u64::from(hasher.finalize())
}

impl SourceTotals {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        for number in self.activity.fields() {
            bytes::put_number(&mut out, number);
        }
        for number in [
            self.overflow,
            self.records_sum.records,
            self.records_sum.sum,
        ] {
            bytes::put_number(&mut out, number);
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = ByteReader(bytes);
        let mut fields = [0; Activity::FIELDS];
        for field in &mut fields {
            *field = from.number()?;
        }
        let totals = Self {
            activity: Activity::from_fields(fields),
            overflow: from.number()?,
            records_sum: RecordSum {
                records: from.number()?,
                sum: from.number()?,
            },
        };
        from.0.is_empty().then_some(totals)
    }
}

/// One source, as memory has it.
#[derive(Debug, Clone)]
pub(super) struct SourceLedger {
    pub(super) identity: SourceIdentity,
    pub(super) totals: SourceTotals,
    pub(super) counts: Counts,
    pub(super) unprotected: u64,
    pub(super) failures: u64,
    /// Entries of [`Space::Content`].
    pub(super) contents: u64,
}

impl SourceLedger {
    pub(super) fn new(identity: SourceIdentity) -> Self {
        Self {
            identity,
            totals: SourceTotals::default(),
            counts: Counts::default(),
            unprotected: 0,
            failures: 0,
            contents: 0,
        }
    }
}

/// Everything that is kept in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) sources: BTreeMap<SourceId, SourceLedger>,
    /// The last source id ever given out.
    pub(super) last_source: u32,
    pub(super) outbox: OutboxLedger,
}

impl Ledger {
    /// The source, for a write; a fault when it is unknown or leaves.
    pub(super) fn known(&mut self, source: SourceId) -> Result<&mut SourceLedger, Fault> {
        self.sources
            .get_mut(&source)
            .filter(|known| !known.identity.leaving)
            .ok_or_else(|| {
                Fault::new(
                    Class::Local,
                    "write the index",
                    format!("source {}", source.0),
                    "the index does not know this source (any more)",
                )
                .hint("restart Keepwatch")
            })
    }
}

/// The outbox in numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct OutboxLedger {
    pub(super) count: u64,
    pub(super) next_id: u64,
}

/// Collects a [`Ledger`] from one pass over the database, and checks it.
#[derive(Default)]
pub(super) struct LedgerBuilder {
    ledger: Ledger,
    totals: BTreeMap<SourceId, SourceTotals>,
    found: BTreeMap<SourceId, SourceFound>,
    schema: Option<u64>,
}

#[derive(Default)]
struct SourceFound {
    records_sum: RecordSum,
    counts: Counts,
    unprotected: u64,
    due: u64,
    failures: u64,
    contents: u64,
}

/// Names in [`Space::Meta`].
pub(super) const META_SCHEMA: &[u8] = b"schema";
pub(super) const META_LAST_SOURCE: &[u8] = b"last-source";
/// Earlier versions counted here what nobody ever asked for.
const META_OUTBOX_DROPPED: &[u8] = b"outbox-dropped";

/// A number as a value of [`Space::Meta`].
pub(super) fn number_bytes(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

impl LedgerBuilder {
    /// Take the next entry.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.try_take(key, value)
            .ok_or_else(|| format!("an entry of {} bytes cannot be read", key.len()))
    }

    fn try_take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let source = keys::source_of(key);
        let rest = keys::rest_of(key);
        match Space::of(key)? {
            Space::Record => {
                keys::rel_key(rest)?;
                let record = codec::decode(value)?;
                let found = self.found.entry(source).or_default();
                found.records_sum.add(rest, value);
                found.counts.add(&record);
            }
            Space::Unprotected => self.found.entry(source).or_default().unprotected += 1,
            Space::Due => self.found.entry(source).or_default().due += 1,
            Space::Failure => self.found.entry(source).or_default().failures += 1,
            // SourceLedger 0 has none: the engine's batch number is kept there.
            Space::Totals if source.0 == 0 => {}
            Space::Totals => {
                self.totals.insert(source, SourceTotals::decode(value)?);
            }
            Space::Source => {
                let identity = serde_json::from_slice(value).ok()?;
                self.ledger
                    .sources
                    .insert(source, SourceLedger::new(identity));
            }
            Space::Outbox => {
                self.ledger.outbox.count += 1;
                self.ledger.outbox.next_id = number_of(rest)?.checked_add(1)?;
            }
            Space::Meta => match rest {
                META_SCHEMA => self.schema = Some(number_of(value)?),
                META_LAST_SOURCE => {
                    self.ledger.last_source = u32::try_from(number_of(value)?).ok()?;
                }
                META_OUTBOX_DROPPED => {
                    number_of(value)?;
                }
                _ => return None,
            },
            Space::Parts => {
                keys::chunk_of(rest)?;
            }
            Space::Content => self.found.entry(source).or_default().contents += 1,
            Space::State | Space::Multipart | Space::Acknowledged => {}
        }
        Some(())
    }

    /// The ledger, when the database is whole.
    pub(super) fn finish(mut self, schema_known: u64) -> Result<Ledger, String> {
        match self.schema {
            Some(schema) if schema == schema_known => {}
            Some(other) => {
                return Err(format!(
                    "it was written by another version of Keepwatch (layout {other}, this program knows {schema_known})"
                ));
            }
            None => return Err("it has lost its contents".to_owned()),
        }
        for (id, source) in &mut self.ledger.sources {
            source.totals = self.totals.remove(id).unwrap_or_default();
            let found = self.found.remove(id).unwrap_or_default();
            source.counts = found.counts;
            source.unprotected = found.unprotected;
            source.failures = found.failures;
            source.contents = found.contents;
            // While a source leaves, its entries go in many batches.
            if !source.identity.leaving
                && (found.records_sum != source.totals.records_sum
                    || found.unprotected != found.due)
            {
                return Err(format!(
                    "the records of `{}` do not add up ({} found, {} expected)",
                    source.identity.name,
                    found.records_sum.records,
                    source.totals.records_sum.records
                ));
            }
        }
        if self.found.is_empty() && self.totals.is_empty() {
            Ok(self.ledger)
        } else {
            Err("it has entries of a source that it does not know".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_come_back() {
        let totals = SourceTotals {
            activity: Activity::from_fields([1, 2, 3, 4, 5, 6, 7, u64::MAX]),
            overflow: 9,
            records_sum: RecordSum {
                records: 1,
                sum: u64::MAX,
            },
        };
        let bytes = totals.encode();
        assert_eq!(SourceTotals::decode(&bytes), Some(totals));
        assert_eq!(SourceTotals::decode(&bytes[1..]), None);
        assert_eq!(SourceTotals::decode(&[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn a_sum_does_not_depend_on_order_and_undoes() {
        let mut one = RecordSum::default();
        one.add(b"a", b"1");
        one.add(b"b", b"2");
        let mut other = RecordSum::default();
        other.add(b"b", b"2");
        other.add(b"c", b"3");
        other.add(b"a", b"1");
        other.subtract(b"c", b"3");
        assert_eq!(one, other);
        other.subtract(b"a", b"1");
        other.add(b"a", b"0");
        assert_ne!(one, other);
    }

    fn builder(entries: &[(Vec<u8>, Vec<u8>)]) -> Result<Ledger, String> {
        let mut builder = LedgerBuilder::default();
        for (key, value) in entries {
            builder.take(key, value)?;
        }
        builder.finish(1)
    }

    #[test]
    fn what_does_not_add_up_is_found() {
        let schema = |n| (Space::Meta.key(SourceId(0), META_SCHEMA), number_bytes(n));
        let identity = br#"{"name":"a","bucket":"b","prefix":"","destination":"d"}"#;
        let source = (Space::Source.key(SourceId(1), b""), identity.to_vec());
        let expecting = SourceTotals {
            records_sum: RecordSum { records: 1, sum: 7 },
            ..SourceTotals::default()
        };
        let line = |totals: SourceTotals| (Space::Totals.key(SourceId(1), b""), totals.encode());
        assert!(builder(&[schema(1), source.clone(), line(SourceTotals::default())]).is_ok());
        for (broken, why) in [
            (vec![], "lost its contents"),
            (vec![schema(2)], "another version"),
            (vec![schema(1), source.clone(), line(expecting)], "add up"),
            (
                vec![schema(1), line(SourceTotals::default())],
                "does not know",
            ),
            (vec![schema(1), (b"?".to_vec(), vec![])], "cannot be read"),
        ] {
            let got = builder(&broken).unwrap_err();
            assert!(got.contains(why), "{got}");
        }
    }
}
