//! Many files encrypted or emptied within a short time: the mark of ransomware.
//!
//! Pure: the workers report once what they stored and what is gone. Times are the
//! server's, since a restore command is made from them. A file is suspect when its path
//! held plain content and now holds noise (`types::content_class`), or when a plain file
//! is gone and noise, or an empty file, stands beside it under its name with another
//! ending. A file that is emptied in place is suspect if its format is never empty:
//! programs empty texts and tables every day. One suspect is nothing; many within minutes
//! are an incident. Memory is bounded whatever comes.

use crate::types::{ContentHash, Look, RelPath, moment};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// This many suspect files are an incident. People encrypt or convert a handful by hand;
/// attackers take all they find, some hundred a minute.
pub const FILES: u64 = 20;

/// In a small source half of the files are enough, but never fewer than these.
pub const FILES_SMALL: u64 = 8;

/// The suspects of an incident lie within this time.
pub const WINDOW_MS: i64 = 10 * 60 * 1_000;

/// Names remembered of files that are gone, and as many of noise that came, until the
/// other half of the rename comes: 100 KB a source. An attack whose deletions run further
/// ahead of its new files than this is still seen by what it leaves behind.
const NAMES_MAX: usize = 2_048;

/// Endings that a new name may have been given at once (`.id-1.[a@b.c].xyz`).
const ENDINGS_MAX: usize = 8;

/// Endings found to be in use already, kept so that they are looked for once.
const KNOWN_MAX: usize = 32;

/// Many files look encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Just before the first of them changed, milliseconds since 1970 by the clock
    /// that `at_ms` and `now_ms` were by.
    pub before_ms: i64,
    /// How many.
    pub files: u64,
    /// The ending that most of them have been given, if any.
    pub ending: Option<String>,
    /// Most of them are empty now.
    pub is_emptied: bool,
}

/// A suspect file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    path: u64,
    at_ms: i64,
    ending: Option<String>,
    #[serde(default)]
    is_blank: bool,
}

/// The suspects of the last minutes; survives a kill in the middle of an attack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// At most [`FILES`].
    suspects: Vec<Suspect>,
}

/// A plain file that is gone.
#[derive(Debug)]
struct Gone {
    /// Its path, and its path without its ending.
    names: [u64; 2],
    at_ms: i64,
    /// The file is still there, and empty.
    is_emptied: bool,
}

/// Noise, or an empty file, under a new name.
#[derive(Debug)]
struct Came {
    path: u64,
    /// The names that it may have had before.
    before: Vec<u64>,
    ending: String,
    at_ms: i64,
    is_blank: bool,
}

/// Halves of renames that wait for the other half.
#[derive(Debug, Default)]
pub struct Halves {
    gone: VecDeque<Gone>,
    came: VecDeque<Came>,
    known: VecDeque<String>,
}

/// How many suspects are an incident in a source of so many files.
pub fn threshold(known_files: u64) -> u64 {
    (known_files / 2).clamp(FILES_SMALL, FILES)
}

impl Window {
    /// Plain content of a path was replaced by noise. An incident when that is
    /// one too many.
    pub fn rewritten(
        &mut self,
        path: &RelPath,
        at_ms: i64,
        now_ms: i64,
        known_files: u64,
    ) -> Option<Incident> {
        self.add(in_place(path, at_ms, false), now_ms, known_files)
    }

    /// Plain content of a path was emptied.
    pub fn emptied(
        &mut self,
        halves: &mut Halves,
        path: &RelPath,
        at_ms: i64,
        now_ms: i64,
        known_files: u64,
    ) -> Option<Incident> {
        if is_never_empty(path.name()) {
            return self.add(in_place(path, at_ms, true), now_ms, known_files);
        }
        let gone = Gone {
            names: names_of(path),
            at_ms,
            is_emptied: true,
        };
        self.half_gone(halves, gone, now_ms, known_files)
    }

    /// A new path holds noise, or (by `look`) nothing. `at_ms` is when it was first seen.
    pub fn came(
        &mut self,
        halves: &mut Halves,
        path: &RelPath,
        look: Look,
        at_ms: i64,
        now_ms: i64,
        known_files: u64,
    ) -> Option<Incident> {
        let bytes = path.as_bytes();
        let name_at = bytes.len() - path.name().len();
        let dots = (name_at + 1..bytes.len()).rev();
        let before: Vec<u64> = dots
            .filter(|at| bytes[*at] == b'.')
            .take(ENDINGS_MAX)
            .map(|at| hash(&bytes[..at]))
            .collect();
        let ending = ending_of(path)?;
        let is_blank = look == Look::Blank;
        if halves.known.contains(&ending) || is_blank && is_a_sign(&ending) {
            return None;
        }
        forget(&mut halves.gone, |gone| gone.at_ms, at_ms);
        let came = Came {
            path: hash(bytes),
            before,
            ending,
            at_ms,
            is_blank,
        };
        let half = halves.gone.iter().position(|gone| is_rename(gone, &came));
        let Some(gone) = half.and_then(|at| halves.gone.remove(at)) else {
            push(&mut halves.came, came);
            return None;
        };
        self.add(suspect(&gone, came), now_ms, known_files)
    }

    /// A plain file is gone.
    pub fn gone(
        &mut self,
        halves: &mut Halves,
        path: &RelPath,
        at_ms: i64,
        now_ms: i64,
        known_files: u64,
    ) -> Option<Incident> {
        let gone = Gone {
            names: names_of(path),
            at_ms,
            is_emptied: false,
        };
        self.half_gone(halves, gone, now_ms, known_files)
    }

    fn half_gone(
        &mut self,
        halves: &mut Halves,
        gone: Gone,
        now_ms: i64,
        known_files: u64,
    ) -> Option<Incident> {
        forget(&mut halves.came, |came| came.at_ms, gone.at_ms);
        let half = halves.came.iter().position(|came| is_rename(&gone, came));
        let Some(came) = half.and_then(|at| halves.came.remove(at)) else {
            // A deletion that is held back is reported again and again.
            if halves
                .gone
                .iter()
                .all(|other| other.names[0] != gone.names[0])
            {
                push(&mut halves.gone, gone);
            }
            return None;
        };
        self.add(suspect(&gone, came), now_ms, known_files)
    }

    /// This ending was in use before: such files are no suspects.
    pub fn forgive(&mut self, halves: &mut Halves, ending: &str) {
        self.suspects
            .retain(|suspect| suspect.ending.as_deref() != Some(ending));
        halves.came.retain(|came| came.ending != ending);
        if halves.known.len() >= KNOWN_MAX {
            halves.known.pop_front();
        }
        halves.known.push_back(ending.to_owned());
    }

    /// Begin anew: somebody has said that all is in order.
    pub fn clear(&mut self) {
        self.suspects.clear();
    }

    /// Forget suspects from before the clock was set back: beside them every new one
    /// would look too old to count.
    fn forget_future(&mut self, now_ms: i64) {
        self.suspects.retain(|suspect| suspect.at_ms <= now_ms);
    }

    fn add(&mut self, suspect: Suspect, now_ms: i64, known_files: u64) -> Option<Incident> {
        let Suspect { path, at_ms, .. } = suspect;
        self.forget_future(now_ms);
        let newest_ms = self.suspects.iter().map(|s| s.at_ms).max().unwrap_or(at_ms);
        let from_ms = newest_ms.max(at_ms) - WINDOW_MS;
        self.suspects
            .retain(|s| s.at_ms >= from_ms && s.path != path);
        if at_ms < from_ms {
            return None;
        }
        if self.suspects.len() as u64 >= FILES {
            // The oldest stays: it tells since when. Any other may go.
            self.suspects.pop();
        }
        self.suspects.push(suspect);
        self.suspects.sort_by_key(|suspect| suspect.at_ms);
        let files = self.suspects.len() as u64;
        (files >= threshold(known_files)).then(|| Incident {
            before_ms: moment::before(self.suspects.first().map_or(at_ms, |first| first.at_ms)),
            files,
            ending: self.usual_ending(),
            is_emptied: self.suspects.iter().filter(|s| s.is_blank).count() * 2
                > self.suspects.len(),
        })
    }

    /// The ending that more than half of the suspects share.
    fn usual_ending(&self) -> Option<String> {
        let endings = || self.suspects.iter().filter_map(|s| s.ending.as_ref());
        endings()
            .find(|one| endings().filter(|other| other == one).count() * 2 > self.suspects.len())
            .cloned()
    }
}

/// The last ending of a path's name with its dot; none for `.profile`.
pub fn ending_of(path: &RelPath) -> Option<String> {
    let name = path.name();
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let ending = &name[dot..];
    (dot > 0 && ending.len() > 1).then(|| String::from_utf8_lossy(ending).into_owned())
}

/// Its path, and its path without its ending.
fn names_of(path: &RelPath) -> [u64; 2] {
    let bytes = path.as_bytes();
    let ending_bytes = ending_of(path).map_or(0, |ending| ending.len());
    [hash(bytes), hash(&bytes[..bytes.len() - ending_bytes])]
}

fn is_rename(gone: &Gone, came: &Came) -> bool {
    // An emptied file was not attacked if its content came under another name.
    let fits = came.is_blank || !gone.is_emptied;
    fits && came.before.iter().any(|name| gone.names.contains(name))
}

/// Content that was replaced under its own name.
fn in_place(path: &RelPath, at_ms: i64, is_blank: bool) -> Suspect {
    Suspect {
        path: hash(path.as_bytes()),
        at_ms,
        ending: None,
        is_blank,
    }
}

/// A rename of which both halves are known.
fn suspect(gone: &Gone, came: Came) -> Suspect {
    Suspect {
        path: came.path,
        at_ms: gone.at_ms.min(came.at_ms),
        ending: Some(came.ending),
        is_blank: came.is_blank,
    }
}

/// Programs that take a file away leave an empty one with such an ending in its place, to
/// say what became of it.
const SIGNS: &[&str] = &[
    ".done",
    ".ok",
    ".ready",
    ".processed",
    ".imported",
    ".complete",
    ".completed",
    ".finished",
    ".success",
    ".failed",
    ".err",
    ".error",
    ".sent",
    ".lock",
    ".lck",
];

fn is_a_sign(ending: &str) -> bool {
    SIGNS.contains(&ending.to_ascii_lowercase().as_str())
}

/// No program empties a file of these formats: an empty file is not valid in them.
const NEVER_EMPTY: &[&str] = &[
    "doc", "docx", "docm", "dotx", "xls", "xlsx", "xlsm", "ppt", "pptx", "odt", "ods", "odp",
    "odg", "pdf", "jpg", "jpeg", "png", "gif", "tif", "tiff", "bmp", "webp", "heic", "mp3", "mp4",
    "mov", "avi", "mkv", "zip", "7z", "rar", "gz", "msg", "pst", "psd", "dwg",
];

fn is_never_empty(name: &[u8]) -> bool {
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let ending = ending.to_ascii_lowercase();
    NEVER_EMPTY.iter().any(|format| format.as_bytes() == ending)
}

fn push<T>(names: &mut VecDeque<T>, name: T) {
    if names.len() >= NAMES_MAX {
        names.pop_front();
    }
    names.push_back(name);
}

fn forget<T>(names: &mut VecDeque<T>, at_ms: impl Fn(&T) -> i64, now_ms: i64) {
    while names
        .front()
        .is_some_and(|name| at_ms(name) < now_ms - WINDOW_MS)
    {
        names.pop_front();
    }
}

/// The same in every run and on every computer.
fn hash(path: &[u8]) -> u64 {
    let ContentHash(bytes) = ContentHash::of(path);
    bytes[..8]
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
