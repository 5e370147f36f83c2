//! Taking a file's content as it was at one moment. Blocking.

use super::plan::plan;
use super::sizes::SMALL_BYTES_MAX;
use crate::files;
use crate::files::{Opened, Pulse, ReadAttributes};
use crate::os;
use crate::os::{Trouble, boot_now};
use crate::types::{
    BootMs, Class, ContentHash, Fault, Fingerprint, Look, RelPath, SAMPLE_BYTES, Segment, WallMs,
    chain,
};
use bytes::Bytes;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often a file that never rests is read; then what the last reading gave is stored.
const TRIES_MAX: u32 = 5;

/// Pause between two readings of a file that does not rest.
const TRY_PAUSE: Duration = Duration::from_millis(50);

/// Linux stamps modification times with the timer tick (4 ms at 250 Hz, 10 ms at
/// 100 Hz), Windows with about 16 ms: two writes closer than this can share one
/// stamp, so a file as fresh as that is read twice and must hash the same.
const CLOCK_GRAIN: Duration = Duration::from_millis(50);

/// FAT keeps modification times to 2 s, the coarsest of all common file
/// systems. A file whose status changed so shortly before it was hashed is hashed
/// again at the next scan.
const RACY_WINDOW_NS: i64 = 2_000_000_000;

/// A program that writes to a mapped file changes the modification time when it first
/// writes to a page, and again only after the system has written that page to the disk:
/// Linux does so after 30 s, looking every 5 s. No `stat` shows what was written in
/// between, so a file that was modified so shortly before it was hashed is hashed again
/// at the next scan, too.
const MAPPED_WINDOW_NS: i64 = 60_000_000_000;

/// How long to insist on a reading during which the file did not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// A change means: not now, let it settle first.
    Strict,
    /// It never rests: try a few times, then take what is there.
    TakeWhatIsThere,
}

/// What a reading found.
#[derive(Debug)]
pub enum Reading {
    /// The content at one moment.
    Steady(Box<Content>),
    /// The file changed while it was read.
    Changed,
}

/// A file's content.
#[derive(Debug)]
pub struct Content {
    /// The file as it was when it was read.
    pub fingerprint: Fingerprint,
    /// Hash of the content. For a large file that never rests, of the bytes
    /// that were there when reading began.
    pub hash: ContentHash,
    /// When the file was known to be like this: just before the last look that found it
    /// unchanged.
    pub seen_at: BootMs,
    /// The same by the server's clock, milliseconds since 1970; `None` while that is not
    /// known, and where the clock here is wrong.
    pub seen_ms: Option<WallMs>,
    /// The content itself, when small.
    pub bytes: Option<Bytes>,
    /// The file changed during every reading: the content is torn.
    pub is_torn: bool,
    /// It was modified so recently that a change could hide in the clock's grain.
    pub racy: bool,
    /// How its beginning looks.
    pub look: Look,
    /// The segments of a large file; empty for a small one.
    pub segments: Arc<[Segment]>,
    /// Bytes that it takes on its disk, when it has holes.
    pub sparse_bytes: Option<u64>,
    /// Its attributes at that moment.
    pub attributes: ReadAttributes,
}

/// Read a regular file. Small ones are held in memory, of large ones hash and
/// segments are kept.
///
/// # Errors
/// Class `Vanished`, `Unreadable` or whatever the disk reports.
pub fn read(
    root: &Path,
    path: &RelPath,
    patience: ReadMode,
    pulse: &Pulse,
) -> Result<Reading, Fault> {
    let tries = match patience {
        ReadMode::Strict => 1,
        ReadMode::TakeWhatIsThere => TRIES_MAX,
    };
    let mut last = None;
    for attempt in 0..tries {
        if attempt > 0 {
            std::thread::sleep(TRY_PAUSE);
        }
        let mut opened = files::open(root, path)?;
        let sparse_bytes = os::sparse_bytes(&mut opened.file).map_err(|e| read_fault(path, &e))?;
        // A change of attributes changes the ctime, which is looked at again below.
        let attributes = files::attributes_of(&opened.file);
        let (content, steady) = if opened.fingerprint.size_bytes <= SMALL_BYTES_MAX {
            read_small(root, path, opened, pulse)?
        } else {
            read_large(root, path, opened, pulse)?
        };
        let content = Content {
            sparse_bytes,
            attributes,
            ..content
        };
        if steady {
            return Ok(Reading::Steady(Box::new(content)));
        }
        last = Some(content);
    }
    Ok(match (patience, last) {
        (ReadMode::TakeWhatIsThere, Some(content)) => Reading::Steady(Box::new(Content {
            is_torn: true,
            racy: true,
            ..content
        })),
        _ => Reading::Changed,
    })
}

fn read_small(
    root: &Path,
    path: &RelPath,
    mut opened: Opened,
    pulse: &Pulse,
) -> Result<(Content, bool), Fault> {
    let began = now();
    let bytes = read_all(&mut opened, path, pulse)?;
    let hash = ContentHash::of(&bytes);
    let look = Look::of(&bytes);
    let seen_at = boot_now();
    let mut steady = is_same(root, path, &opened)?;
    if steady && is_fresh(&opened.fingerprint, began) {
        let mut again = files::open(root, path)?;
        steady = again.fingerprint == opened.fingerprint
            && ContentHash::of(&read_all(&mut again, path, pulse)?) == hash
            && is_same(root, path, &again)?;
    }
    steady &= bytes.len() as u64 == opened.fingerprint.size_bytes;
    // Of a file that changed, the metadata describes the bytes that are stored.
    let fingerprint = Fingerprint {
        size_bytes: bytes.len() as u64,
        ..opened.fingerprint
    };
    let content = Content {
        seen_at,
        ..content(fingerprint, hash, Some(Bytes::from(bytes)), look, began)
    };
    Ok((content, steady))
}

fn read_all(opened: &mut Opened, path: &RelPath, pulse: &Pulse) -> Result<Vec<u8>, Fault> {
    let capacity = usize::try_from(opened.fingerprint.size_bytes).unwrap_or(0);
    let mut bytes = Vec::with_capacity(capacity.saturating_add(1));
    // One byte more than allowed shows that the file grew meanwhile.
    pulse
        .of((&mut opened.file).take(SMALL_BYTES_MAX + 1))
        .read_to_end(&mut bytes)
        .map_err(|e| read_fault(path, &e))?;
    Ok(bytes)
}

fn read_large(
    root: &Path,
    path: &RelPath,
    mut opened: Opened,
    pulse: &Pulse,
) -> Result<(Content, bool), Fault> {
    let began = now();
    let size = opened.fingerprint.size_bytes;
    let look = look_at(&mut opened.file).map_err(|e| read_fault(path, &e))?;
    let planned = plan(&mut opened.file, size, pulse).map_err(|e| read_fault(path, &e))?;
    let seen_at = boot_now();
    let steady = planned.bytes == size && is_same(root, path, &opened)?;
    let fingerprint = Fingerprint {
        size_bytes: planned.bytes,
        ..opened.fingerprint
    };
    let content = Content {
        segments: planned.segments.into(),
        seen_at,
        ..content(fingerprint, planned.hash, None, look, began)
    };
    Ok((content, steady))
}

/// Look at a file's beginning, and leave it as it was opened.
fn look_at(file: &mut std::fs::File) -> std::io::Result<Look> {
    let mut sample = Vec::with_capacity(SAMPLE_BYTES);
    file.take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
    file.rewind()?;
    Ok(Look::of(&sample))
}

fn content(
    fingerprint: Fingerprint,
    hash: ContentHash,
    bytes: Option<Bytes>,
    look: Look,
    began: Duration,
) -> Content {
    let began_ns = i128::try_from(began.as_nanos()).unwrap_or(i128::MAX);
    // Each time by itself: one in the future must not hide the other.
    let is_recent = |stamp_ns: i128, window_ns: i64| {
        stamp_ns <= began_ns && began_ns - stamp_ns < window_ns.into()
    };
    Content {
        fingerprint,
        hash,
        seen_at: boot_now(),
        seen_ms: None,
        bytes,
        is_torn: false,
        racy: is_recent(fingerprint.mtime_ns, MAPPED_WINDOW_NS)
            || is_recent(fingerprint.ctime_ns.into(), RACY_WINDOW_NS),
        look,
        segments: Arc::new([]),
        sparse_bytes: None,
        attributes: ReadAttributes::default(),
    }
}

/// True when both the open file and what stands at the path now are still as
/// they were when the file was opened.
fn is_same(root: &Path, path: &RelPath, opened: &Opened) -> Result<bool, Fault> {
    let open_now = files::fingerprint_of(&opened.file).map_err(|e| read_fault(path, &e))?;
    Ok(open_now == opened.fingerprint && files::stat(root, path)? == Some(opened.fingerprint))
}

fn is_fresh(fingerprint: &Fingerprint, began: Duration) -> bool {
    let began_ns = i128::try_from(began.as_nanos()).unwrap_or(i128::MAX);
    let grain_ns = i128::try_from(CLOCK_GRAIN.as_nanos()).unwrap_or(0);
    began_ns - fingerprint.mtime_ns < grain_ns && fingerprint.mtime_ns <= began_ns + grain_ns
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

pub(crate) fn read_fault(path: &RelPath, error: &std::io::Error) -> Fault {
    if matches!(os::trouble(error), Trouble::Busy | Trouble::InCloud) {
        return files::reading_fault(path, error);
    }
    Fault::new(Class::Unreadable, "read", path.to_string(), chain(error)).hint(
        "check the disk and whether another program holds the file; Keepwatch tries again by itself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    fn steady(reading: Reading) -> Content {
        match reading {
            Reading::Steady(content) => *content,
            Reading::Changed => panic!("the file did not change"),
        }
    }

    #[test]
    fn small_content_is_held_and_large_only_hashed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, size) in [
            ("empty", 0),
            ("small", 10),
            ("edge", SMALL_BYTES_MAX as usize),
            ("large", SMALL_BYTES_MAX as usize + 1),
        ] {
            let bytes = vec![7u8; size];
            std::fs::write(dir.path().join(name), &bytes).unwrap();
            let got =
                steady(read(dir.path(), &p(name), ReadMode::Strict, &Pulse::default()).unwrap());
            assert_eq!(got.hash, ContentHash::of(&bytes), "{name}");
            assert_eq!(got.bytes.is_some(), size as u64 <= SMALL_BYTES_MAX);
            assert_eq!(got.fingerprint.size_bytes, size as u64);
            assert!(!got.is_torn && got.racy, "{name} was written just now");
        }
    }

    #[test]
    fn an_old_file_is_not_racy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, b"x").unwrap();
        let old = Fingerprint {
            mtime_ns: 1,
            ctime_ns: 1,
            ..files::stat(dir.path(), &p("a")).unwrap().unwrap()
        };
        let racy_at = |mtime_s: i64, ctime_s: i64| {
            let at = |seconds: i64| (1_000 + seconds) * 1_000_000_000;
            let file = Fingerprint {
                mtime_ns: at(mtime_s).into(),
                ctime_ns: at(ctime_s),
                ..old
            };
            let began = Duration::from_secs(1_000);
            content(file, ContentHash::of(b"x"), None, Look::Unknown, began).racy
        };
        assert!(!content(old, ContentHash::of(b"x"), None, Look::Unknown, now()).racy);
        // A mapped page may still be written to; a new mode says nothing like it.
        assert!(racy_at(-59, -59) && !racy_at(-61, -61));
        assert!(racy_at(-99, -1) && !racy_at(-99, -3));
        assert!(!racy_at(5, -99), "from the future");
    }

    #[test]
    fn a_file_that_is_gone_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let fault = read(dir.path(), &p("gone"), ReadMode::Strict, &Pulse::default()).unwrap_err();
        assert_eq!(fault.class, Class::Vanished);
        assert!(fault.to_string().contains("gone"), "{fault}");
    }

    #[test]
    fn a_file_that_changes_under_the_reader_is_not_steady() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, b"before").unwrap();
        let opened = files::open(dir.path(), &p("a")).unwrap();
        std::fs::write(&file, b"after, and longer").unwrap();
        let (_, is_steady) = read_small(dir.path(), &p("a"), opened, &Pulse::default()).unwrap();
        assert!(!is_steady);
        // Replaced by another file while it was open.
        let opened = files::open(dir.path(), &p("a")).unwrap();
        std::fs::write(dir.path().join("b"), b"after, and longer").unwrap();
        std::fs::rename(dir.path().join("b"), &file).unwrap();
        let (_, is_steady) = read_small(dir.path(), &p("a"), opened, &Pulse::default()).unwrap();
        assert!(!is_steady);
    }
}
