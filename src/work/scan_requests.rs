//! Which scans are asked for. Asking never fails and never blocks: what would
//! grow without end collapses into one scan of the whole source.

use crate::status::ScanDone;
use crate::types::RelPath;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// Subtrees remembered per source; beyond that the whole source is scanned,
/// which is hardly more work then.
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
struct Page {
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

struct Inner {
    pages: Mutex<Vec<Page>>,
    changed: Notify,
}

/// Handle to the book; cheap to clone.
#[derive(Clone)]
pub struct ScanBook(Arc<Inner>);

impl ScanBook {
    /// A book for `sources` sources.
    pub fn new(sources: usize) -> Self {
        Self(Arc::new(Inner {
            pages: Mutex::new((0..sources).map(|_| Page::default()).collect()),
            changed: Notify::new(),
        }))
    }

    fn pages(&self) -> MutexGuard<'_, Vec<Page>> {
        self.0.pages.lock()
    }

    fn write(&self, source: usize, change: impl FnOnce(&mut Page)) {
        if let Some(page) = self.pages().get_mut(source) {
            change(page);
        }
        self.0.changed.notify_waiters();
    }

    /// Ask for a scan of a folder (or one path) of a source.
    pub fn ask_subtree(&self, source: usize, subtree: RelPath) {
        self.write(source, |page| {
            if subtree.is_root() || page.subtrees.len() >= SUBTREES_MAX {
                page.whole = true;
                page.lost |= !page.subtrees.is_empty() || !subtree.is_root();
                page.subtrees.clear();
            } else {
                // Also when a whole scan is asked for: that one may take days.
                page.subtrees.insert(subtree);
            }
        });
    }

    /// Ask for a scan of a whole source.
    pub fn ask_whole(&self, source: usize, with_bucket: bool) {
        self.write(source, |page| {
            page.whole = true;
            page.with_bucket |= with_bucket;
        });
    }

    /// Ask for a scan of a whole source, but not right now: it is begun when
    /// [`ScanBook::ripen`] is called.
    pub fn ask_later(&self, source: usize) {
        if let Some(page) = self.pages().get_mut(source) {
            page.later = true;
        }
    }

    /// News of what changed in a source are lost: until a whole scan has ended that
    /// begins from now on, nobody knows what has come and what has gone. Ask for one
    /// as well.
    pub fn lost_news(&self, source: usize) {
        if let Some(page) = self.pages().get_mut(source) {
            page.lost = true;
        }
    }

    /// Begin what was asked for later.
    pub fn ripen(&self) {
        let mut any = false;
        for page in self.pages().iter_mut().filter(|page| page.later) {
            page.later = false;
            page.whole = true;
            any = true;
        }
        if any {
            self.0.changed.notify_waiters();
        }
    }

    /// Ask for a full comparison of a source with its bucket and hear of its
    /// end. The receiver fails when the scanner stops before.
    pub fn ask_and_wait(&self, source: usize, confirmed: bool) -> oneshot::Receiver<ScanDone> {
        let (done, wait) = oneshot::channel();
        self.write(source, |page| {
            page.whole = true;
            page.with_bucket = true;
            page.confirmed |= confirmed;
            page.waiting.push(done);
        });
        wait
    }

    /// Take the whole scan that is asked for; waits until one is.
    pub async fn take_whole(&self, source: usize) -> Whole {
        self.take(source, |page| {
            page.whole.then(|| {
                page.whole = false;
                page.finding = std::mem::take(&mut page.lost);
                Whole {
                    with_bucket: std::mem::take(&mut page.with_bucket),
                    confirmed: std::mem::take(&mut page.confirmed),
                    waiting: std::mem::take(&mut page.waiting),
                }
            })
        })
        .await
    }

    /// Take the folders that are asked for; waits until some are.
    pub async fn take_subtrees(&self, source: usize) -> BTreeSet<RelPath> {
        self.take(source, |page| {
            let subtrees = std::mem::take(&mut page.subtrees);
            page.scanning = !subtrees.is_empty();
            page.scanning.then(|| outermost(subtrees))
        })
        .await
    }

    async fn take<T>(&self, source: usize, find: impl Fn(&mut Page) -> Option<T>) -> T {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let found = self.pages().get_mut(source).and_then(&find);
            if let Some(found) = found {
                return found;
            }
            changed.await;
        }
    }

    /// The whole scan that was taken has ended.
    pub fn looked_everywhere(&self, source: usize) {
        if let Some(page) = self.pages().get_mut(source) {
            page.finding = false;
        }
    }

    /// The folders that were taken have been scanned.
    pub fn looked(&self, source: usize) {
        if let Some(page) = self.pages().get_mut(source) {
            page.scanning = false;
        }
    }

    /// True while somebody looks for what is known to have changed in that source,
    /// or is about to.
    pub fn is_looking(&self, source: usize) -> bool {
        let pages = self.pages();
        let page = pages.get(source);
        page.is_some_and(|page| {
            page.scanning || !page.subtrees.is_empty() || page.lost || page.finding
        })
    }

    /// True while folders that somebody just made or moved are looked at, or are
    /// about to be.
    pub fn is_looking_at_part(&self, source: usize) -> bool {
        let pages = self.pages();
        let page = pages.get(source);
        page.is_some_and(|page| page.scanning || !page.subtrees.is_empty())
    }

    /// True when something is asked for in that source.
    pub fn is_asked(&self, source: usize) -> bool {
        self.pages()
            .get(source)
            .is_some_and(|page| page.whole || !page.subtrees.is_empty())
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
        let book = ScanBook::new(1);
        let waiting = book.ask_and_wait(0, false);
        for path in ["a", "a/b", "a/b/c", "d"] {
            book.ask_subtree(0, p(path));
        }
        let got = book.take_subtrees(0).await;
        assert_eq!(got.into_iter().collect::<Vec<_>>(), [p("a"), p("d")]);
        assert!(book.is_asked(0), "the whole scan");
        let whole = book.take_whole(0).await;
        assert!(whole.with_bucket && !whole.confirmed && whole.waiting.len() == 1);
        assert!(!book.is_asked(0) && nothing(book.take_whole(0)).await);
        drop(whole);
        assert!(waiting.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_later_waits_until_it_is_ripe() {
        let book = ScanBook::new(1);
        book.ask_later(0);
        assert!(!book.is_asked(0));
        book.ripen();
        assert!(!book.take_whole(0).await.with_bucket);
        book.ripen();
        assert!(!book.is_asked(0));
    }

    #[tokio::test(start_paused = true)]
    async fn lost_news_are_looked_for_until_a_scan_that_began_later_has_ended() {
        let book = ScanBook::new(1);
        book.ask_whole(0, false);
        assert!(!book.is_looking(0), "the daily one");
        book.take_whole(0).await;
        book.lost_news(0);
        book.looked_everywhere(0);
        assert!(book.is_looking(0), "this one began before");
        book.ask_subtree(0, RelPath::root());
        book.take_whole(0).await;
        assert!(book.is_looking(0));
        book.looked_everywhere(0);
        assert!(!book.is_looking(0));
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_subtrees_become_one_scan() {
        let book = ScanBook::new(1);
        for i in 0..=SUBTREES_MAX {
            book.ask_subtree(0, p(&format!("d{i}")));
        }
        // Some of them may have been taken: what they became is among these.
        assert!(book.is_looking(0));
        assert!(!book.take_whole(0).await.with_bucket);
        assert!(nothing(book.take_subtrees(0)).await && book.is_looking(0));
        book.looked_everywhere(0);
        assert!(!book.is_looking(0));
    }
}
