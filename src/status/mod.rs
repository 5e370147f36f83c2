//! The live status board: what each source is doing right now.
//!
//! Tasks write on it, `status`, the digest and `try` read from it. It holds no
//! history (the index does) and nothing per file; its news channel may drop
//! old news for a slow reader and is for showing only.

use crate::types::Fault;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::broadcast;

/// News kept for a slow reader; a terminal that lags further skips some.
const NEWS_MAX: usize = 1024;

/// Whether changes are seen at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watching {
    /// Watches are being set up.
    #[default]
    Starting,
    /// Changes are seen at once.
    On,
    /// Changes are found by the periodic scan only, or not at all; says why.
    Off(String),
}

/// How far a watch can be relied on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchProof {
    /// When a change made for the purpose was last seen, milliseconds since 1970.
    pub proven_ms: Option<i64>,
    /// How often the watch was set up again since the start.
    pub rebuilt: u64,
    /// When it last was, milliseconds since 1970.
    pub rebuilt_ms: Option<i64>,
    /// And why.
    pub rebuilt_why: String,
}

/// A finished scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanDone {
    /// When it began, milliseconds since 1970.
    pub started_ms: i64,
    /// How long it took, milliseconds.
    pub took_ms: i64,
    /// Files and links seen.
    pub files: u64,
    /// Folders seen.
    pub folders: u64,
    /// Paths handed to the workers.
    pub examined: u64,
    /// Sockets, FIFOs and devices, which are never backed up.
    pub special: u64,
    /// Names of files that have more than one (hard links).
    #[serde(default)]
    pub linked: u64,
    /// Objects in the bucket that Keepwatch did not write.
    pub foreign: u64,
    /// Missing files that were not marked as deleted, because there are so many.
    pub held: u64,
    /// Files and folders that the bucket has and the disk has not.
    #[serde(default)]
    pub gone: u64,
    /// The bucket's listing was to be compared too.
    pub with_bucket: bool,
    /// The bucket's listing came to its end.
    pub listed_whole: bool,
    /// Why it is not complete; empty when it is.
    pub incomplete: Vec<String>,
}

impl ScanDone {
    /// True when every folder could be read and the bucket, if asked, answered.
    pub fn complete(&self) -> bool {
        self.incomplete.is_empty()
    }
}

/// One source as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceBoard {
    /// Whether changes are seen at once.
    pub watching: Watching,
    /// Files seen so far by a running scan.
    pub scanning: Option<u64>,
    /// The newest finished scan of the whole source.
    pub last_scan: Option<ScanDone>,
    /// Nothing can be uploaded: why and since when (milliseconds since 1970).
    pub outage: Option<(i64, Fault)>,
    /// Standing warnings by topic.
    pub warnings: BTreeMap<String, String>,
    /// What is as it is and no trouble, but good to know, by topic.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
    /// When the watch was last proven, and how often it had to be renewed.
    #[serde(default)]
    pub proof: WatchProof,
    /// When the newest version was stored, by this run or one before it, milliseconds
    /// since 1970.
    #[serde(default)]
    pub stored_ms: Option<i64>,
}

/// Something worth a line on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A version was stored.
    Stored {
        /// Source number.
        source: usize,
        /// The path as shown to people.
        path: String,
        /// Size of the file.
        size_bytes: u64,
        /// Bytes it takes in the bucket.
        stored_bytes: u64,
        /// From the first sign of the change to S3's answer.
        after_ms: i64,
        /// A saved file rather than one found by a scan.
        is_edit: bool,
    },
    /// A deletion was marked.
    Deleted {
        /// Source number.
        source: usize,
        /// The path as shown to people.
        path: String,
    },
    /// A file has another name now; its old one was marked as deleted.
    Renamed {
        /// Source number.
        source: usize,
        /// The old path as shown to people.
        path: String,
        /// The new one.
        to: String,
    },
    /// A path could not be protected.
    Failed {
        /// Source number.
        source: usize,
        /// What happened.
        fault: Fault,
    },
    /// A scan of a whole source is over.
    Scanned {
        /// Source number.
        source: usize,
        /// How it went.
        scan: ScanDone,
    },
    /// A source's changes are seen from now on.
    Watching {
        /// Source number.
        source: usize,
    },
    /// Uploads are on hold.
    Outage {
        /// Source number.
        source: usize,
        /// Why.
        fault: Fault,
    },
    /// Uploads go on.
    Recovered {
        /// Source number.
        source: usize,
        /// How long they were on hold.
        after_ms: u64,
    },
}

struct Inner {
    sources: Mutex<Vec<SourceBoard>>,
    news: broadcast::Sender<News>,
}

/// Handle to the board; cheap to clone.
#[derive(Clone)]
pub struct Board(Arc<Inner>);

impl Board {
    /// A board for `sources` sources, nothing known yet.
    pub fn new(sources: usize) -> Self {
        Self(Arc::new(Inner {
            sources: Mutex::new(vec![SourceBoard::default(); sources]),
            news: broadcast::Sender::new(NEWS_MAX),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SourceBoard>> {
        self.0.sources.lock()
    }

    /// A copy of one source's state.
    pub fn source(&self, source: usize) -> Option<SourceBoard> {
        self.lock().get(source).cloned()
    }

    /// Change one source's state.
    pub fn update(&self, source: usize, change: impl FnOnce(&mut SourceBoard)) {
        if let Some(board) = self.lock().get_mut(source) {
            change(board);
        }
    }

    /// Set or clear a standing warning; true when that changed something.
    pub fn warn(&self, source: usize, topic: &str, warning: Option<String>) -> bool {
        let mut sources = self.lock();
        let Some(board) = sources.get_mut(source) else {
            return false;
        };
        match warning {
            Some(text) => board.warnings.insert(topic.to_owned(), text.clone()) != Some(text),
            None => board.warnings.remove(topic).is_some(),
        }
    }

    /// Set or clear a standing note; true when that changed something.
    pub fn note(&self, source: usize, topic: &str, note: Option<String>) -> bool {
        let mut sources = self.lock();
        let Some(board) = sources.get_mut(source) else {
            return false;
        };
        match note {
            Some(text) => board.notes.insert(topic.to_owned(), text.clone()) != Some(text),
            None => board.notes.remove(topic).is_some(),
        }
    }

    /// Tell whoever listens.
    pub fn tell(&self, news: News) {
        if let News::Stored { source, .. } = &news {
            let now_ms = jiff::Timestamp::now().as_millisecond();
            self.update(*source, |board| board.stored_ms = Some(now_ms));
        }
        // Nobody listening is the usual case.
        let _ = self.0.news.send(news);
    }

    /// Listen to news from now on.
    pub fn listen(&self) -> broadcast::Receiver<News> {
        self.0.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_once_and_cleared() {
        let board = Board::new(1);
        assert!(board.warn(0, "versioning", Some("off".into())));
        assert!(!board.warn(0, "versioning", Some("off".into())));
        assert_eq!(board.source(0).unwrap().warnings.len(), 1);
        assert!(board.warn(0, "versioning", None));
        assert!(!board.warn(0, "versioning", None));
        assert!(!board.warn(7, "no such source", Some(String::new())));
    }

    #[tokio::test]
    async fn news_reaches_listeners() {
        let board = Board::new(1);
        board.tell(News::Watching { source: 0 });
        let mut news = board.listen();
        board.tell(News::Deleted {
            source: 0,
            path: "a".into(),
        });
        assert!(matches!(news.recv().await, Ok(News::Deleted { .. })));
    }
}
