//! Which scans are asked for. Asking never fails and never blocks: what would
//! grow without end collapses into one scan of the whole source.

use crate::board::ScanDone;
use crate::model::RelPath;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// Subtrees remembered per source; beyond that the whole source is scanned,
/// which is hardly more work then.
const SUBTREES_MAX: usize = 256;

/// What to scan in one source.
#[derive(Debug)]
pub enum Wanted {
    /// Everything, and compare with the bucket's listing if `with_bucket`.
    Whole {
        /// Ask the bucket as well.
        with_bucket: bool,
        /// Who waits for the result.
        waiting: Vec<oneshot::Sender<ScanDone>>,
    },
    /// These folders or files only.
    Subtrees(BTreeSet<RelPath>),
}

#[derive(Default)]
struct Page {
    whole: bool,
    with_bucket: bool,
    waiting: Vec<oneshot::Sender<ScanDone>>,
    subtrees: BTreeSet<RelPath>,
    later: bool,
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
        self.0.pages.lock().unwrap_or_else(PoisonError::into_inner)
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
                page.subtrees.clear();
            } else if !page.whole {
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
    pub fn ask_and_wait(&self, source: usize) -> oneshot::Receiver<ScanDone> {
        let (done, wait) = oneshot::channel();
        self.write(source, |page| {
            page.whole = true;
            page.with_bucket = true;
            page.waiting.push(done);
        });
        wait
    }

    /// Take what is asked for in one source; waits until something is.
    pub async fn take(&self, source: usize) -> Wanted {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(wanted) = self.try_take(source) {
                return wanted;
            }
            changed.await;
        }
    }

    fn try_take(&self, source: usize) -> Option<Wanted> {
        let mut pages = self.pages();
        let page = pages.get_mut(source)?;
        if page.whole {
            let page = std::mem::take(page);
            return Some(Wanted::Whole {
                with_bucket: page.with_bucket,
                waiting: page.waiting,
            });
        }
        if page.subtrees.is_empty() {
            return None;
        }
        Some(Wanted::Subtrees(outermost(std::mem::take(
            &mut page.subtrees,
        ))))
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

    #[tokio::test]
    async fn subtrees_are_joined_and_a_whole_scan_swallows_them() {
        let book = ScanBook::new(1);
        for path in ["a", "a/b", "a/b/c", "d"] {
            book.ask_subtree(0, p(path));
        }
        let Wanted::Subtrees(got) = book.take(0).await else {
            panic!("subtrees were asked for");
        };
        assert_eq!(got.into_iter().collect::<Vec<_>>(), [p("a"), p("d")]);
        assert!(!book.is_asked(0));
        book.ask_subtree(0, p("a"));
        let waiting = book.ask_and_wait(0);
        let Wanted::Whole {
            with_bucket,
            waiting: senders,
        } = book.take(0).await
        else {
            panic!("a whole scan was asked for");
        };
        assert!(with_bucket && senders.len() == 1 && !book.is_asked(0));
        drop(senders);
        assert!(waiting.await.is_err());
    }

    #[tokio::test]
    async fn what_is_asked_for_later_waits_until_it_is_ripe() {
        let book = ScanBook::new(1);
        book.ask_later(0);
        assert!(!book.is_asked(0));
        book.ripen();
        assert!(matches!(book.take(0).await, Wanted::Whole { .. }));
        book.ripen();
        assert!(!book.is_asked(0));
    }

    #[tokio::test]
    async fn too_many_subtrees_become_one_scan() {
        let book = ScanBook::new(1);
        for i in 0..=SUBTREES_MAX {
            book.ask_subtree(0, p(&format!("d{i}")));
        }
        assert!(matches!(
            book.take(0).await,
            Wanted::Whole {
                with_bucket: false,
                ..
            }
        ));
    }
}
