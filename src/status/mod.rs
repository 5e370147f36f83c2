//! The live status: what each source is doing right now.
//!
//! Loops write it; `status`, the digest and `try` read it. It holds no history (the
//! index does) and nothing per file. Its channel of events may drop old ones for a slow
//! reader and is for showing only.

use crate::types::{Fault, WallMs};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events kept for a slow reader; a terminal that lags further skips some.
const EVENTS_MAX: usize = 1024;

/// The topic of the warning that a root cannot be used.
pub const FOLDER: &str = "folder";

/// The topic of the warning that deletions are held back because a root is away.
pub const AWAY: &str = "away";

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
    pub proven_ms: Option<WallMs>,
    /// How often the watch was set up again since the start.
    pub rebuilt: u64,
    /// When it last was, milliseconds since 1970.
    pub rebuilt_ms: Option<WallMs>,
    /// And why.
    pub rebuilt_why: String,
}

/// A finished scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanDone {
    /// When it began, milliseconds since 1970.
    pub started_ms: WallMs,
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
    /// Nothing was looked at: the root cannot be used. It is the only reason then.
    #[serde(default)]
    pub has_no_root: bool,
    /// Why it is not complete; empty when it is.
    pub incomplete: Vec<String>,
}

impl ScanDone {
    /// True when every folder could be read and the bucket, if asked, answered.
    pub fn complete(&self) -> bool {
        self.incomplete.is_empty()
    }
}

/// How many of the files that `scan` saw are in no bucket yet, `protected` being those that
/// are, and `waiting` those of which it is not known. Files that have come or gone since the
/// scan are not taken for such.
pub fn not_stored(scan: Option<&ScanDone>, protected: u64, waiting: u64) -> u64 {
    scan.map_or(0, |scan| scan.files.saturating_sub(protected).min(waiting))
}

/// One source as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusSnapshot {
    /// Whether changes are seen at once.
    pub watching: Watching,
    /// Files seen so far by a running scan.
    pub scanning: Option<u64>,
    /// The newest finished scan of the whole source.
    pub last_scan: Option<ScanDone>,
    /// Nothing can be uploaded: why and since when (milliseconds since 1970).
    pub outage: Option<(WallMs, Fault)>,
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
    pub stored_ms: Option<WallMs>,
}

impl StatusSnapshot {
    /// The same for people: a folder that is away is one trouble, though its watch and its
    /// guard find it each. The watch knows why it cannot be used.
    #[must_use]
    pub fn told_once(mut self) -> Self {
        if self.warnings.contains_key(FOLDER) {
            self.warnings.remove(AWAY);
        }
        self
    }
}

/// Something worth a line on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A version was stored.
    Stored {
        /// Name of the source.
        source: Arc<str>,
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
        /// Name of the source.
        source: Arc<str>,
        /// The path as shown to people.
        path: String,
    },
    /// A file has another name now; its old one was marked as deleted.
    Renamed {
        /// Name of the source.
        source: Arc<str>,
        /// The old path as shown to people.
        path: String,
        /// The new one.
        to: String,
    },
    /// A path could not be protected.
    Failed {
        /// Name of the source.
        source: Arc<str>,
        /// What happened.
        fault: Fault,
    },
    /// A scan of a whole source is over.
    Scanned {
        /// Name of the source.
        source: Arc<str>,
        /// How it went.
        scan: ScanDone,
    },
    /// A source's changes are seen from now on.
    Watching {
        /// Name of the source.
        source: Arc<str>,
    },
    /// Uploads are on hold.
    Outage {
        /// Name of the source.
        source: Arc<str>,
        /// Why.
        fault: Fault,
    },
    /// Uploads go on.
    Recovered {
        /// Name of the source.
        source: Arc<str>,
        /// How long they were on hold.
        after_ms: u64,
    },
}

/// The channel of events, shared by all sources.
#[derive(Clone)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(EVENTS_MAX))
    }
}

impl Events {
    /// Hear of events from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}

struct Inner {
    name: Arc<str>,
    snapshot: Mutex<StatusSnapshot>,
    events: Events,
}

/// What one source is doing now. Clones share it.
#[derive(Clone)]
pub struct LiveStatus(Arc<Inner>);

impl LiveStatus {
    /// Of the source of this name, of which nothing is known yet.
    pub fn new(name: &str, events: Events) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            snapshot: Mutex::default(),
            events,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, StatusSnapshot> {
        self.0.snapshot.lock()
    }

    /// The source's name, as events carry it.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.0.name)
    }

    /// A copy of what is known now.
    pub fn snapshot(&self) -> StatusSnapshot {
        self.lock().clone()
    }

    /// Change what is known.
    pub fn update(&self, change: impl FnOnce(&mut StatusSnapshot)) {
        change(&mut self.lock());
    }

    /// Set or clear a standing warning; true when that changed something.
    pub fn warn(&self, topic: &str, warning: Option<String>) -> bool {
        set(&mut self.lock().warnings, topic, warning)
    }

    /// Set or clear a standing note; true when that changed something.
    pub fn note(&self, topic: &str, note: Option<String>) -> bool {
        set(&mut self.lock().notes, topic, note)
    }

    /// Tell whoever listens.
    pub fn tell(&self, event: Event) {
        if matches!(event, Event::Stored { .. }) {
            let now_ms = WallMs::from(jiff::Timestamp::now());
            self.update(|snapshot| snapshot.stored_ms = Some(now_ms));
        }
        // Nobody listening is the usual case.
        let _ = self.0.events.0.send(event);
    }
}

/// True when that changed something.
fn set(texts: &mut BTreeMap<String, String>, topic: &str, text: Option<String>) -> bool {
    match text {
        Some(text) => texts.insert(topic.to_owned(), text.clone()) != Some(text),
        None => texts.remove(topic).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_once_and_cleared() {
        let status = LiveStatus::new("office", Events::default());
        assert!(status.warn("versioning", Some("off".into())));
        assert!(!status.warn("versioning", Some("off".into())));
        assert_eq!(status.snapshot().warnings.len(), 1);
        assert!(status.warn("versioning", None));
        assert!(!status.warn("versioning", None));
    }

    /// Named after the bug: one folder that was away was three findings.
    #[test]
    fn a_folder_that_is_away_is_told_once() {
        let warnings = |topics: &[&str]| {
            let texts = topics
                .iter()
                .map(|topic| ((*topic).into(), format!("{topic}!")));
            texts.collect::<BTreeMap<_, _>>()
        };
        for (topics, want) in [
            (&[FOLDER, AWAY, "x"][..], &[FOLDER, "x"][..]),
            (&[FOLDER], &[FOLDER]),
            // It is there again, and not looked at yet.
            (&[AWAY], &[AWAY]),
        ] {
            let told = StatusSnapshot {
                warnings: warnings(topics),
                ..StatusSnapshot::default()
            }
            .told_once();
            assert_eq!(told.warnings, warnings(want));
        }
    }

    #[test]
    fn files_that_are_in_no_bucket_are_counted_until_they_are_stored_or_gone() {
        for (seen, protected, waiting, want) in [
            (None, 0, 3, 0),
            (Some(3), 0, 3, 3),
            (Some(3), 1, 2, 2),
            // Saved again: their earlier versions are in the bucket.
            (Some(3), 3, 3, 0),
            // Deleted since the scan, and marked as such.
            (Some(3), 1, 0, 0),
            (Some(3), 5, 1, 0),
        ] {
            let scan = seen.map(|files| ScanDone {
                files,
                ..ScanDone::default()
            });
            let found = not_stored(scan.as_ref(), protected, waiting);
            assert_eq!(found, want, "{seen:?} {protected} {waiting}");
        }
    }

    #[tokio::test]
    async fn events_reach_listeners() {
        let events = Events::default();
        let status = LiveStatus::new("office", events.clone());
        let source = status.name();
        status.tell(Event::Watching { source });
        let mut heard = events.listen();
        status.tell(Event::Deleted {
            source: status.name(),
            path: "a".into(),
        });
        assert!(matches!(heard.recv().await, Ok(Event::Deleted { .. })));
    }
}
