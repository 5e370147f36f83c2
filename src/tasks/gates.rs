//! One gate per bucket: whether anything may be sent there now.
//!
//! The decisions are `model::retry`'s; this only keeps one per bucket and
//! mirrors its state on the board.

use crate::error::Fault;
use crate::model::RelPath;
use crate::model::retry::{Gate, MayStart, Transition};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Inner {
    gates: Mutex<Vec<Gate>>,
    /// Gate number of each source.
    of_source: Vec<usize>,
}

/// Handle to the gates; cheap to clone.
#[derive(Clone)]
pub struct Gates(Arc<Inner>);

impl Gates {
    /// Gates for sources that go to these buckets (one entry per source).
    pub fn new<'a>(buckets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut numbers = BTreeMap::new();
        let mut of_source = Vec::new();
        for bucket in buckets {
            let next = numbers.len();
            of_source.push(*numbers.entry(bucket).or_insert(next));
        }
        Self(Arc::new(Inner {
            gates: Mutex::new((0..numbers.len()).map(|_| Gate::new()).collect()),
            of_source,
        }))
    }

    fn with<T>(&self, source: usize, act: impl FnOnce(&mut Gate) -> T) -> Option<T> {
        let mut gates: MutexGuard<'_, Vec<Gate>> =
            self.0.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.get_mut(*self.0.of_source.get(source)?)?;
        Some(act(gate))
    }

    /// Whether this path may be worked on now. A yes while the bucket is
    /// unreachable makes it the probe: report its outcome.
    pub fn may_start(&self, source: usize, path: &RelPath, now_ms: i64) -> bool {
        self.with(source, |gate| {
            !matches!(
                gate.may_start(hash_of(source, path), now_ms),
                MayStart::No { .. }
            )
        })
        .unwrap_or(true)
    }

    /// The bucket took something of this path.
    pub fn success(&self, source: usize, path: &RelPath, now_ms: i64) -> Option<Transition> {
        self.with(source, |gate| gate.success(hash_of(source, path), now_ms))
            .flatten()
    }

    /// The path failed; what it says of the bucket is the gate's to decide.
    pub fn failure(
        &self,
        source: usize,
        path: &RelPath,
        fault: &Fault,
        now_ms: i64,
    ) -> Option<Transition> {
        let random = fastrand::u64(..);
        self.with(source, |gate| {
            gate.failure(fault, hash_of(source, path), now_ms, random)
        })
        .flatten()
    }

    /// The path ended without asking the bucket.
    pub fn abandoned(&self, source: usize, path: &RelPath, now_ms: i64) {
        self.with(source, |gate| gate.abandoned(hash_of(source, path), now_ms));
    }

    /// Since when the source's bucket cannot be used, and why.
    pub fn outage(&self, source: usize) -> Option<(i64, Fault)> {
        self.with(source, |gate| {
            gate.outage().map(|(since, fault)| (since, fault.clone()))
        })
        .flatten()
    }

    /// The sources that share this source's bucket, itself included.
    pub fn neighbours(&self, source: usize) -> Vec<usize> {
        let gate = self.0.of_source.get(source);
        (0..self.0.of_source.len())
            .filter(|other| self.0.of_source.get(*other) == gate)
            .collect()
    }
}

fn hash_of(source: usize, path: &RelPath) -> u64 {
    let mut hasher = DefaultHasher::new();
    (source, path).hash(&mut hasher);
    hasher.finish()
}
