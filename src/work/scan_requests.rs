//! Which scans are asked for. Asking never fails and never blocks: what would
//! grow without end collapses into one scan of the whole source.

use crate::status::ScanDone;
use crate::types::RelPath;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// Subtrees remembered; beyond that the whole source is scanned, which is hardly more
/// work then.
const SUBTREES_MAX: usize = 256;

/// A scan of a whole source that somebody asked for.
#[derive(Debug)]
pub struct Whole {
    /// Ask the bucket as well.
    pub with_bucket: bool,
    /// Deletions were confirmed: mark them, however many.
    pub confirmed: bool,
    /// Who waits for the result.
    pub waiting: Vec<oneshot::Sender<ScanDone>>,
}

#[derive(Default)]
struct Requests {
    whole: bool,
    with_bucket: bool,
    confirmed: bool,
    waiting: Vec<oneshot::Sender<ScanDone>>,
    subtrees: BTreeSet<RelPath>,
    /// Those that were taken are being scanned.
    scanning: bool,
    later: bool,
    /// News are lost, or too many to be kept: the next whole scan finds what they
    /// were of.
    lost: bool,
    /// That scan is under way.
    finding: bool,
}

#[derive(Default)]
struct Inner {
    requests: Mutex<Requests>,
    changed: Notify,
}

/// The scans that are asked for in one source. Clones share them.
#[derive(Clone, Default)]
pub struct ScanRequests(Arc<Inner>);

impl ScanRequests {
    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.requests.lock()
    }

    fn change(&self, change: impl FnOnce(&mut Requests)) {
        change(&mut self.lock());
        self.0.changed.notify_waiters();
    }

    /// Ask for a scan of a folder (or one path) of a source.
    pub fn ask_subtree(&self, subtree: RelPath) {
        self.change(|asked| {
            if subtree.is_root() || asked.subtrees.len() >= SUBTREES_MAX {
                asked.whole = true;
                asked.lost |= !asked.subtrees.is_empty() || !subtree.is_root();
                asked.subtrees.clear();
            } else {
                // Also when a whole scan is asked for: that one may take days.
                asked.subtrees.insert(subtree);
            }
        });
    }

    /// Ask for a scan of a whole source.
    pub fn ask_whole(&self, with_bucket: bool) {
        self.change(|asked| {
            asked.whole = true;
            asked.with_bucket |= with_bucket;
        });
    }

    /// Ask for a scan of a whole source, but not right now: it is begun when
    /// [`ScanRequests::ripen`] is called.
    pub fn ask_later(&self) {
        self.lock().later = true;
    }

    /// News of what changed in a source are lost: until a whole scan has ended that
    /// begins from now on, nobody knows what has come and what has gone. Ask for one
    /// as well.
    pub fn lost_news(&self) {
        self.lock().lost = true;
    }

    /// Begin what was asked for later.
    pub fn ripen(&self) {
        let is_asked = {
            let mut asked = self.lock();
            let is_asked = std::mem::take(&mut asked.later);
            asked.whole |= is_asked;
            is_asked
        };
        if is_asked {
            self.0.changed.notify_waiters();
        }
    }

    /// Ask for a full comparison of a source with its bucket and hear of its
    /// end. The receiver fails when the scanner stops before.
    pub fn ask_and_wait(&self, confirmed: bool) -> oneshot::Receiver<ScanDone> {
        let (done, wait) = oneshot::channel();
        self.change(|asked| {
            asked.whole = true;
            asked.with_bucket = true;
            asked.confirmed |= confirmed;
            asked.waiting.push(done);
        });
        wait
    }

    /// Take the whole scan that is asked for; waits until one is.
    pub async fn take_whole(&self) -> Whole {
        self.take(|asked| {
            asked.whole.then(|| {
                asked.whole = false;
                asked.finding = std::mem::take(&mut asked.lost);
                Whole {
                    with_bucket: std::mem::take(&mut asked.with_bucket),
                    confirmed: std::mem::take(&mut asked.confirmed),
                    waiting: std::mem::take(&mut asked.waiting),
                }
            })
        })
        .await
    }

    /// Take the folders that are asked for; waits until some are.
    pub async fn take_subtrees(&self) -> BTreeSet<RelPath> {
        self.take(|asked| {
            let subtrees = std::mem::take(&mut asked.subtrees);
            asked.scanning = !subtrees.is_empty();
            asked.scanning.then(|| outermost(subtrees))
        })
        .await
    }

    async fn take<T>(&self, find: impl Fn(&mut Requests) -> Option<T>) -> T {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let found = find(&mut self.lock());
            if let Some(found) = found {
                return found;
            }
            changed.await;
        }
    }

    /// The whole scan that was taken has ended.
    pub fn looked_everywhere(&self) {
        self.lock().finding = false;
    }

    /// The folders that were taken have been scanned.
    pub fn looked(&self) {
        self.lock().scanning = false;
    }

    /// True while somebody looks for what is known to have changed in that source,
    /// or is about to.
    pub fn is_looking(&self) -> bool {
        let asked = self.lock();
        asked.scanning || !asked.subtrees.is_empty() || asked.lost || asked.finding
    }

    /// True while folders that somebody just made or moved are looked at, or are
    /// about to be.
    pub fn is_looking_at_part(&self) -> bool {
        let asked = self.lock();
        asked.scanning || !asked.subtrees.is_empty()
    }

    /// True when something is asked for in that source.
    pub fn is_asked(&self) -> bool {
        let asked = self.lock();
        asked.whole || !asked.subtrees.is_empty()
    }
}

/// Without the paths that lie below another of the set.
fn outermost(subtrees: BTreeSet<RelPath>) -> BTreeSet<RelPath> {
    let all = subtrees.clone();
    subtrees
        .into_iter()
        .filter(|path| {
            let mut folder = path.parent();
            while let Some(above) = folder {
                if all.contains(&above) {
                    return false;
                }
                folder = above.parent();
            }
            true
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    async fn nothing<T>(wait: impl Future<Output = T>) -> bool {
        tokio::time::timeout(std::time::Duration::from_secs(1), wait)
            .await
            .is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn subtrees_are_joined_and_do_not_wait_for_a_whole_scan() {
        let book = ScanRequests::default();
        let waiting = book.ask_and_wait(false);
        for path in ["a", "a/b", "a/b/c", "d"] {
            book.ask_subtree(p(path));
        }
        let got = book.take_subtrees().await;
        assert_eq!(got.into_iter().collect::<Vec<_>>(), [p("a"), p("d")]);
        assert!(book.is_asked(), "the whole scan");
        let whole = book.take_whole().await;
        assert!(whole.with_bucket && !whole.confirmed && whole.waiting.len() == 1);
        assert!(!book.is_asked() && nothing(book.take_whole()).await);
        drop(whole);
        assert!(waiting.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_later_waits_until_it_is_ripe() {
        let book = ScanRequests::default();
        book.ask_later();
        assert!(!book.is_asked());
        book.ripen();
        assert!(!book.take_whole().await.with_bucket);
        book.ripen();
        assert!(!book.is_asked());
    }

    #[tokio::test(start_paused = true)]
    async fn lost_news_are_looked_for_until_a_scan_that_began_later_has_ended() {
        let book = ScanRequests::default();
        book.ask_whole(false);
        assert!(!book.is_looking(), "the daily one");
        book.take_whole().await;
        book.lost_news();
        book.looked_everywhere();
        assert!(book.is_looking(), "this one began before");
        book.ask_subtree(RelPath::root());
        book.take_whole().await;
        assert!(book.is_looking());
        book.looked_everywhere();
        assert!(!book.is_looking());
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_subtrees_become_one_scan() {
        let book = ScanRequests::default();
        for i in 0..=SUBTREES_MAX {
            book.ask_subtree(p(&format!("d{i}")));
        }
        // Some of them may have been taken: what they became is among these.
        assert!(book.is_looking());
        assert!(!book.take_whole().await.with_bucket);
        assert!(nothing(book.take_subtrees()).await && book.is_looking());
        book.looked_everywhere();
        assert!(!book.is_looking());
    }
}
