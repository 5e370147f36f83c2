//! What has gone wrong with a watch since it was set up, and what that means for the owner.
//!
//! The callback writes it and the loop reads it. It blocks no longer than a lookup in a
//! small set, and holds a bounded number of folders.

use crate::os;
use crate::os::LimitMet;
use crate::types::{RelPath, chain, duration};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Folders that could not be watched and are scanned one by one. Where there are more, the
/// whole source is scanned, which is hardly more work then.
const PARTS_MAX: usize = 64;

/// What is not watched although it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unwatched {
    /// The limit of the system that was met.
    pub limit: Option<LimitMet>,
    /// Nobody knows which folders: everything must be scanned.
    pub whole: bool,
    /// These folders, otherwise.
    pub parts: BTreeSet<RelPath>,
}

impl Unwatched {
    pub fn is_empty(&self) -> bool {
        !self.whole && self.parts.is_empty()
    }
}

/// What has gone wrong since the watch was set up.
#[derive(Default)]
pub(crate) struct Trouble {
    overflowed: AtomicBool,
    root_lost: AtomicBool,
    heard: AtomicBool,
    unwatched: Mutex<Unwatched>,
    /// Wakes the loop.
    pub news: Notify,
}

impl Trouble {
    /// Events were lost, and folders made meanwhile are not watched.
    pub fn note_overflow(&self) {
        self.overflowed.store(true, Ordering::Relaxed);
    }

    pub fn overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// The root was removed or unmounted: its watch is gone with it.
    pub fn note_root_lost(&self) {
        self.root_lost.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    pub fn root_lost(&self) -> bool {
        self.root_lost.load(Ordering::Relaxed)
    }

    /// An event of the sentinel has come.
    pub fn note_heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Forget the events of the sentinel so far.
    pub fn forget_heard(&self) {
        self.heard.store(false, Ordering::Relaxed);
    }

    pub fn heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// A limit was met: nobody knows what else could not be watched. True the first time.
    pub fn note_limit(&self, met: LimitMet) -> bool {
        let mut unwatched = self.unwatched.lock();
        unwatched.whole = true;
        unwatched.limit.replace(met) != Some(met)
    }

    /// This folder could not be watched; `None` when nobody knows which.
    pub fn note_failure(&self, part: Option<RelPath>) {
        let mut unwatched = self.unwatched.lock();
        match part {
            Some(part) if !part.is_root() && unwatched.parts.len() < PARTS_MAX => {
                unwatched.parts.insert(part);
            }
            _ => unwatched.whole = true,
        }
    }

    pub fn unwatched(&self) -> Unwatched {
        self.unwatched.lock().clone()
    }
}

/// The limit that this error is about.
pub(crate) fn limit_of(error: &notify::Error) -> Option<LimitMet> {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => Some(LimitMet::Watches),
        notify::ErrorKind::Io(error) => os::limit_met(error),
        _ => None,
    }
}

/// The period of scans in words.
pub(crate) fn period_text(period: Duration) -> String {
    duration(u64::try_from(period.as_millis()).unwrap_or(u64::MAX))
}

/// What a watch error means for the owner; never "no space left on device".
/// The text of a limit is the same for every folder that meets it.
pub(crate) fn watch_trouble(root: &Path, error: &notify::Error, period: Duration) -> String {
    let every = period_text(period);
    let Some(met) = limit_of(error) else {
        let folder = error.paths.first().map_or(root, PathBuf::as_path);
        return format!(
            "{}: changes are not seen at once: {}. Keepwatch scans the folder every {every} instead",
            folder.display(),
            chain(error)
        );
    };
    let root = root.display();
    let limits = os::watch_limits();
    let figure = |limit: Option<os::WatchLimit>| {
        limit.map_or_else(
            || ("".to_owned(), "raise the system's limit".to_owned()),
            |limit| {
                (
                    format!(" ({} is {})", limit.key, limit.value),
                    limit.remedy(),
                )
            },
        )
    };
    match met {
        LimitMet::Watches => {
            let (figure, remedy) = figure(limits.map(|limits| limits.watches));
            format!(
                "{root}: it has folders that are not watched: the number of folders that this computer lets one account watch is used up{figure}. What is not watched is found by scanning every {every}. To see changes at once again: {remedy}"
            )
        }
        LimitMet::Instances => {
            let (figure, remedy) = figure(limits.map(|limits| limits.instances));
            format!(
                "{root}: it is not watched: the number of programs that this computer lets one account watch folders with is used up{figure}. Keepwatch scans the folder every {every} instead. To see changes at once again: {remedy}"
            )
        }
        LimitMet::OpenFiles => format!(
            "{root}: it is not watched: Keepwatch has as many files open as it may. Keepwatch scans the folder every {every} instead. To see changes at once again: start it with a higher limit on open files (LimitNOFILE= of its service, ulimit -n in a terminal)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os;

    const PERIOD: Duration = Duration::from_secs(600);

    #[test]
    fn the_watch_limit_is_never_called_a_full_disk() {
        let io = |code| notify::Error::io(std::io::Error::from_raw_os_error(code));
        let mut errors = vec![(
            notify::Error::new(notify::ErrorKind::MaxFilesWatch),
            "watches",
        )];
        if os::watch_limits().is_some() {
            // ENOSPC and EMFILE of Linux, the one system with such limits.
            errors.extend([(io(28), "watches"), (io(24), "instances")]);
        }
        for (error, key) in errors {
            let text = watch_trouble(Path::new("/srv/office"), &error, PERIOD);
            assert!(!text.to_lowercase().contains("space"), "{text}");
            assert!(
                text.contains("/srv/office") && text.contains("10 min"),
                "{text}"
            );
            if let Some(limits) = os::watch_limits() {
                let limit = match key {
                    "watches" => limits.watches,
                    _ => limits.instances,
                };
                let figure = format!("{} is {}", limit.key, limit.value);
                assert!(text.contains(&figure), "{text}");
                assert!(text.contains(&limit.remedy()), "{text}");
            }
        }
    }

    #[test]
    fn other_trouble_is_told_as_it_is() {
        let error = notify::Error::generic("odd").add_path("/x/sub".into());
        let text = watch_trouble(Path::new("/x"), &error, PERIOD);
        assert!(
            text.contains("odd") && text.starts_with("/x/sub: "),
            "{text}"
        );
    }

    #[test]
    fn folders_that_are_not_watched_are_named_up_to_a_bound() {
        let trouble = Trouble::default();
        assert!(trouble.unwatched().is_empty());
        for number in 0..PARTS_MAX {
            trouble.note_failure(RelPath::from_bytes(format!("{number}")).ok());
        }
        let known = trouble.unwatched();
        assert!(!known.whole && known.parts.len() == PARTS_MAX);
        trouble.note_failure(RelPath::from_bytes("one more").ok());
        assert!(trouble.unwatched().whole && trouble.unwatched().parts.len() == PARTS_MAX);
        assert!(trouble.note_limit(LimitMet::Watches), "news");
        assert!(!trouble.note_limit(LimitMet::Watches), "no news");
        let other = Trouble::default();
        other.note_failure(None);
        assert!(other.unwatched().whole);
    }
}
