//! One gate and one pace per bucket: whether anything may be sent there now, and
//! how much at a time.
//!
//! The decisions are `retry::policy`'s; this only keeps one of each per bucket.
//! Invariant: every yes of [`Gates::may_start`] is followed by [`Gates::ended`].

use crate::retry::{Gate, MayStart, Pace, Slowed, Transition};
use crate::types::{Class, Fault, RelPath};
use crate::work::Lane;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Stands for no path: asking whether the bucket answers while nothing waits.
const NO_PATH: u64 = 0;

struct Bucket {
    gate: Gate,
    pace: Pace,
    /// What is under way: at most one per worker.
    running: HashMap<u64, Running>,
}

#[derive(Clone, Copy)]
struct Running {
    ticket: u64,
    is_edit: bool,
}

struct Inner {
    buckets: Mutex<Vec<Bucket>>,
    /// Gate number of each source.
    of_source: Vec<usize>,
}

/// Handle to the gates; cheap to clone.
#[derive(Clone)]
pub struct Gates(Arc<Inner>);

impl Gates {
    /// Gates for sources that go to these buckets (one entry per source), up to
    /// `workers` paths at a time to each.
    pub fn new<'a>(buckets: impl IntoIterator<Item = &'a str>, workers: usize) -> Self {
        let mut numbers = BTreeMap::new();
        let mut of_source = Vec::new();
        for bucket in buckets {
            let next = numbers.len();
            of_source.push(*numbers.entry(bucket).or_insert(next));
        }
        Self(Arc::new(Inner {
            buckets: Mutex::new(
                (0..numbers.len())
                    .map(|_| Bucket {
                        gate: Gate::new(),
                        pace: Pace::new(workers),
                        running: HashMap::new(),
                    })
                    .collect(),
            ),
            of_source,
        }))
    }

    fn with<T>(&self, source: usize, act: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
        let mut buckets: MutexGuard<'_, Vec<Bucket>> = self.0.buckets.lock();
        let bucket = buckets.get_mut(*self.0.of_source.get(source)?)?;
        Some(act(bucket))
    }

    /// Whether this path may be worked on now. A yes while the bucket is
    /// unreachable makes it the probe: report its outcome.
    pub fn may_start(&self, source: usize, path: &RelPath, lane: Lane, now_ms: i64) -> bool {
        let is_edit = lane == Lane::Edit;
        self.with(source, |bucket| {
            let hash = hash_of(source, path);
            if !bucket.pace.may_start(is_edit, now_ms)
                || matches!(bucket.gate.may_start(hash, now_ms), MayStart::No { .. })
            {
                return false;
            }
            let ticket = bucket.pace.start(is_edit);
            bucket.running.insert(hash, Running { ticket, is_edit });
            true
        })
        .unwrap_or(true)
    }

    /// The path is in no worker any more, whatever became of it.
    pub fn ended(&self, source: usize, path: &RelPath) {
        self.with(source, |bucket| {
            if let Some(ended) = bucket.running.remove(&hash_of(source, path)) {
                bucket.pace.end(ended.is_edit);
            }
        });
    }

    /// The bucket took something of this path.
    pub fn success(&self, source: usize, path: &RelPath, now_ms: i64) -> Option<Transition> {
        self.with(source, |bucket| {
            let hash = hash_of(source, path);
            if let Some(running) = bucket.running.get(&hash) {
                bucket.pace.worked(running.ticket);
            }
            bucket.gate.success(hash, now_ms)
        })
        .flatten()
    }

    /// The bucket answered a question about this path and took nothing.
    pub fn answered(&self, source: usize, path: &RelPath, now_ms: i64) -> Option<Transition> {
        self.with(source, |bucket| {
            bucket.gate.answered(hash_of(source, path), now_ms)
        })
        .flatten()
    }

    /// The path failed; what it says of the bucket is the gate's to decide. A
    /// server that asks for patience gets fewer at a time first; true when that
    /// is all there is to it, and the path only has to wait.
    pub fn failure(
        &self,
        source: usize,
        path: &RelPath,
        fault: &Fault,
        now_ms: i64,
    ) -> (Option<Transition>, bool) {
        let random = fastrand::u64(..);
        self.with(source, |bucket| {
            let hash = hash_of(source, path);
            let is_open = bucket.gate.outage().is_none();
            if fault.class == Class::SlowDown
                && bucket.slowed(hash, now_ms) == Slowed::Fewer
                && is_open
            {
                return (None, true);
            }
            (bucket.gate.failure(fault, hash, now_ms, random), false)
        })
        .unwrap_or((None, false))
    }

    /// The server asked for fewer requests while it took parts of this path.
    pub fn slowed(&self, source: usize, path: &RelPath, now_ms: i64) {
        self.with(source, |bucket| {
            bucket.slowed(hash_of(source, path), now_ms);
        });
    }

    /// How many paths may be sent to the source's bucket at a time.
    pub fn at_once(&self, source: usize) -> usize {
        self.with(source, |bucket| bucket.pace.limit()).unwrap_or(1)
    }

    /// The path ended without asking the bucket.
    pub fn abandoned(&self, source: usize, path: &RelPath, now_ms: i64) {
        self.with(source, |bucket| {
            bucket.gate.abandoned(hash_of(source, path), now_ms);
        });
    }

    /// Whether to ask the source's bucket itself, as nothing waits that could:
    /// then report to [`Gates::idle`].
    pub fn may_ask_idle(&self, source: usize, now_ms: i64) -> bool {
        self.with(source, |bucket| {
            bucket.gate.may_start(NO_PATH, now_ms) == MayStart::ProbeOnly
        })
        .unwrap_or(false)
    }

    /// What the bucket answered while nothing waited for it.
    pub fn idle(
        &self,
        source: usize,
        answer: Result<(), &Fault>,
        now_ms: i64,
    ) -> Option<Transition> {
        let random = fastrand::u64(..);
        self.with(source, |bucket| match answer {
            Ok(()) => bucket.gate.idle(now_ms),
            Err(fault) => bucket.gate.failure(fault, NO_PATH, now_ms, random),
        })
        .flatten()
    }

    /// Since when the source's bucket cannot be used, and why.
    pub fn outage(&self, source: usize) -> Option<(i64, Fault)> {
        self.with(source, |bucket| {
            let outage = bucket.gate.outage();
            outage.map(|(since, fault)| (since, fault.clone()))
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

impl Bucket {
    fn slowed(&mut self, hash: u64, now_ms: i64) -> Slowed {
        match self.running.get(&hash) {
            Some(running) => self.pace.slowed(running.ticket, now_ms, fastrand::u64(..)),
            None => Slowed::Fewer,
        }
    }
}

fn hash_of(source: usize, path: &RelPath) -> u64 {
    let mut hasher = DefaultHasher::new();
    (source, path).hash(&mut hasher);
    hasher.finish()
}
