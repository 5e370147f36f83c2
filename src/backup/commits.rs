//! What workers write into the index, many paths to a batch.
//!
//! A batch costs the index the same whatever it holds: two writes to its disk and a
//! dozen changes of thread. So a change that comes while a batch is being written joins
//! the next one, which begins [`BATCH_EVERY`] later at the earliest. Invariant:
//! [`Commits::commit`] returns only after the index has taken the change.

use crate::index::{Commit, Index};
use crate::types::{Class, Fault};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Between the beginnings of two batches. A single save does not wait. Of a thousand small
/// files a second, five share a batch; on a line where each takes 50 ms or more, this adds
/// a few hundredths to that.
const BATCH_EVERY: Duration = Duration::from_millis(5);

/// A change, and who waits for it.
type Waiting = (Commit, oneshot::Sender<Result<(), Fault>>);

#[derive(Default)]
struct State {
    /// At most one per worker: each waits for its own change.
    waiting: Vec<Waiting>,
    /// A thread is writing, and will take what comes meanwhile.
    is_writing: bool,
    /// When the last batch began.
    last_began: Option<Instant>,
}

impl State {
    /// How long the next batch has to wait.
    fn wait(&self) -> Duration {
        self.last_began.map_or(Duration::ZERO, |last| {
            BATCH_EVERY.saturating_sub(last.elapsed())
        })
    }
}

/// Handle; cheap to clone.
#[derive(Clone, Default)]
pub struct Commits(Arc<Mutex<State>>);

impl Commits {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one push or one swap: a panic leaves it whole.
        self.0.lock()
    }

    /// Write one path's change.
    ///
    /// # Errors
    /// As [`Index::commit`].
    pub async fn commit(&self, index: &Index, commit: Commit) -> Result<(), Fault> {
        let subject = commit.key.path().to_string();
        let (to, done) = oneshot::channel();
        let must_write = {
            let mut state = self.state();
            state.waiting.push((commit, to));
            !std::mem::replace(&mut state.is_writing, true)
        };
        if must_write {
            let index = index.clone();
            let writer = Writer {
                commits: self.clone(),
                is_done: false,
            };
            // Not waited for: it goes on when this future is dropped.
            tokio::task::spawn_blocking(move || writer.write_all(&index));
        }
        done.await.unwrap_or_else(|_| {
            let why = "the thread that writes the index ended early";
            Err(Fault::new(Class::Local, "write the index", subject, why))
        })
    }
}

/// The thread that writes at the moment; when it ends, the next one may.
struct Writer {
    commits: Commits,
    is_done: bool,
}

impl Writer {
    fn write_all(mut self, index: &Index) {
        loop {
            let wait = self.commits.state().wait();
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            let taken = {
                let mut state = self.commits.state();
                if state.waiting.is_empty() {
                    state.is_writing = false;
                    self.is_done = true;
                    return;
                }
                state.last_began = Some(Instant::now());
                std::mem::take(&mut state.waiting)
            };
            let (commits, waiting): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
            for (to, result) in waiting.into_iter().zip(index.commit_all(&commits)) {
                // The worker that waited may have been stopped.
                let _ = to.send(result);
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It panicked, or never ran because the process ends.
        if !self.is_done {
            let mut state = self.commits.state();
            state.is_writing = false;
            // They are told that it ended early.
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{ActivityDelta, Change};
    use crate::types::WallMs;
    use crate::types::{Fingerprint, Kind, Look, Record, RelKey};

    fn record() -> Record {
        Record {
            fingerprint: Fingerprint {
                kind: Kind::File,
                size_bytes: 1,
                mtime_ns: 1,
                ctime_ns: 1,
                inode: 1,
                mode: 0o600,
                owner: None,
            },
            content: None,
            version_id: None,
            etag: "e".into(),
            stored_bytes: 1,
            stored_at_ms: WallMs(1),
            racy: false,
            look: Look::Unknown,
            attributes: None,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_many_commit_at_once_is_all_there_when_they_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(folder.path()).unwrap();
        let source = index.source_id("s", "b", "", "d").unwrap();
        let commits = Commits::default();
        let all = (0..300).map(|number| {
            let (commits, index) = (commits.clone(), index.clone());
            tokio::spawn(async move {
                // Some keys come three times.
                let key = RelKey::parse_full(&format!("f{:03}", number % 100)).unwrap();
                let activity = ActivityDelta {
                    versions: 1,
                    ..ActivityDelta::default()
                };
                let commit = Commit {
                    source,
                    key: key.clone(),
                    change: Change::Put(record()),
                    activity,
                };
                commits.commit(&index, commit).await.unwrap();
                assert!(index.get(source, &key).unwrap().is_some());
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert_eq!(index.counts(source).files, 100);
        assert_eq!(index.activity(source).versions, 300);
        assert!(!commits.state().is_writing || commits.state().waiting.is_empty());
    }

    #[tokio::test]
    async fn an_index_that_fails_fails_each_and_the_next_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(folder.path()).unwrap();
        let commits = Commits::default();
        let known = index.source_id("s", "b", "", "d").unwrap();
        for (source, is_well) in [(crate::index::SourceId(77), false), (known, true)] {
            let commit = Commit {
                source,
                key: RelKey::parse_full("a").unwrap(),
                change: Change::Put(record()),
                activity: ActivityDelta::default(),
            };
            let done = commits.commit(&index, commit).await;
            assert_eq!(done.is_ok(), is_well, "{done:?}");
        }
    }
}
