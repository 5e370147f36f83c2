//! Whether anything may be sent to a bucket now, and how much at a time.
//!
//! The decisions are `retry`'s; this keeps one circuit breaker and one adaptive
//! concurrency per bucket, shared by the sources that go there.
//! Invariant: every yes of [`SourceBreaker::may_start`] is followed by
//! [`SourceBreaker::ended`].

use crate::retry::{AdaptiveConcurrency, CircuitBreaker, MayStart, Slowed, Transition};
use crate::types::{Class, Fault, RelPath, WallMs};
use crate::work::Lane;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Stands for no path: asking whether the bucket answers while nothing waits.
const NO_PATH: u64 = 0;

struct Bucket {
    breaker: CircuitBreaker,
    concurrency: AdaptiveConcurrency,
    /// What is under way: at most one per worker.
    running: HashMap<u64, Running>,
}

#[derive(Clone, Copy)]
struct Running {
    ticket: u64,
    is_edit: bool,
}

/// The breaker of one source's bucket. Sources of one bucket share it.
pub struct SourceBreaker {
    bucket: Arc<Mutex<Bucket>>,
    /// Tells the paths of the sources of one bucket from each other.
    salt: usize,
}

impl SourceBreaker {
    /// One for each source, by the bucket that it goes to; up to `workers` paths at a
    /// time to each bucket.
    pub fn for_sources<'a>(
        buckets: impl IntoIterator<Item = &'a str>,
        workers: usize,
    ) -> Vec<Self> {
        let mut known = BTreeMap::new();
        let new = || {
            Arc::new(Mutex::new(Bucket {
                breaker: CircuitBreaker::new(),
                concurrency: AdaptiveConcurrency::new(workers),
                running: HashMap::new(),
            }))
        };
        let breakers = buckets.into_iter().enumerate();
        breakers
            .map(|(salt, bucket)| Self {
                bucket: Arc::clone(known.entry(bucket).or_insert_with(new)),
                salt,
            })
            .collect()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bucket) -> T) -> T {
        act(&mut self.bucket.lock())
    }

    fn hash_of(&self, path: &RelPath) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.salt, path).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether this path may be worked on now. A yes while the bucket is
    /// unreachable makes it the probe: report its outcome.
    pub fn may_start(&self, path: &RelPath, lane: Lane, now_ms: WallMs) -> bool {
        let is_edit = lane == Lane::Edit;
        self.with(|bucket| {
            let hash = self.hash_of(path);
            if !bucket.concurrency.may_start(is_edit, now_ms)
                || matches!(bucket.breaker.may_start(hash, now_ms), MayStart::No { .. })
            {
                return false;
            }
            let ticket = bucket.concurrency.start(is_edit);
            bucket.running.insert(hash, Running { ticket, is_edit });
            true
        })
    }

    /// The path is in no worker any more, whatever became of it.
    pub fn ended(&self, path: &RelPath) {
        self.with(|bucket| {
            if let Some(ended) = bucket.running.remove(&self.hash_of(path)) {
                bucket.concurrency.end(ended.is_edit);
            }
        });
    }

    /// The bucket took something of this path.
    pub fn success(&self, path: &RelPath, now_ms: WallMs) -> Option<Transition> {
        self.with(|bucket| {
            let hash = self.hash_of(path);
            if let Some(running) = bucket.running.get(&hash) {
                bucket.concurrency.worked(running.ticket);
            }
            bucket.breaker.success(hash, now_ms)
        })
    }

    /// The bucket answered a question about this path and took nothing.
    pub fn answered(&self, path: &RelPath, now_ms: WallMs) -> Option<Transition> {
        self.with(|bucket| bucket.breaker.answered(self.hash_of(path), now_ms))
    }

    /// The path failed; what it says of the bucket is the circuit breaker's to decide. A
    /// server that asks for patience gets fewer at a time first; true when that
    /// is all there is to it, and the path only has to wait.
    pub fn failure(
        &self,
        path: &RelPath,
        fault: &Fault,
        now_ms: WallMs,
    ) -> (Option<Transition>, bool) {
        let random = fastrand::u64(..);
        self.with(|bucket| {
            let hash = self.hash_of(path);
            let is_closed = bucket.breaker.outage().is_none();
            if fault.class == Class::SlowDown
                && bucket.slowed(hash, now_ms) == Slowed::Reduced
                && is_closed
            {
                return (None, true);
            }
            (bucket.breaker.failure(fault, hash, now_ms, random), false)
        })
    }

    /// The server asked for fewer requests while it took parts of this path.
    pub fn slowed(&self, path: &RelPath, now_ms: WallMs) {
        self.with(|bucket| {
            bucket.slowed(self.hash_of(path), now_ms);
        });
    }

    /// How many paths may be sent to the source's bucket at a time.
    pub fn at_once(&self) -> usize {
        self.with(|bucket| bucket.concurrency.limit())
    }

    /// The path ended without asking the bucket.
    pub fn abandoned(&self, path: &RelPath, now_ms: WallMs) {
        self.with(|bucket| {
            bucket.breaker.abandoned(self.hash_of(path), now_ms);
        });
    }

    /// Whether to ask the source's bucket itself, as nothing waits that could, or too
    /// little to tell: then report to [`SourceBreaker::idle`].
    pub fn may_ask_idle(&self, now_ms: WallMs) -> bool {
        self.with(|bucket| {
            bucket.breaker.is_in_doubt(now_ms)
                || bucket.breaker.may_start(NO_PATH, now_ms) == MayStart::ProbeOnly
        })
    }

    /// The source's bucket did not answer a question that no path asked.
    pub fn doubt(&self, now_ms: WallMs) {
        self.with(|bucket| bucket.breaker.doubt(now_ms));
    }

    /// The next path finds out now whether the source's bucket answers again.
    pub fn probe_now(&self, now_ms: WallMs) {
        self.with(|bucket| bucket.breaker.probe_now(now_ms));
    }

    /// Whether something may be sent to the source's bucket now, or is: it is no outage, or
    /// one path finds out.
    pub fn is_passing(&self, now_ms: WallMs) -> bool {
        self.with(|bucket| bucket.breaker.is_passing(now_ms))
    }

    /// What the bucket answered while nothing waited for it.
    pub fn idle(&self, answer: Result<(), &Fault>, now_ms: WallMs) -> Option<Transition> {
        let random = fastrand::u64(..);
        self.with(|bucket| match (answer, bucket.breaker.outage()) {
            (Ok(()), _) => bucket.breaker.idle(now_ms),
            (Err(fault), None) => bucket.breaker.unreachable(fault, now_ms, random),
            (Err(fault), Some(_)) => bucket.breaker.failure(fault, NO_PATH, now_ms, random),
        })
    }

    /// Since when the source's bucket cannot be used, and why.
    pub fn outage(&self) -> Option<(WallMs, Fault)> {
        self.with(|bucket| {
            let outage = bucket.breaker.outage();
            outage.map(|(since, fault)| (since, fault.clone()))
        })
    }

    /// Both go to one bucket.
    pub fn shares_bucket(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bucket, &other.bucket)
    }
}

impl Bucket {
    fn slowed(&mut self, hash: u64, now_ms: WallMs) -> Slowed {
        match self.running.get(&hash) {
            Some(running) => self
                .concurrency
                .slowed(running.ticket, now_ms, fastrand::u64(..)),
            None => Slowed::Reduced,
        }
    }
}
