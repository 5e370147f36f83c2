//! Whether a source's root is the folder that was backed up.
//!
//! The sentinel says so (`guard::root_sentinel`). Where there never was one, device, inode
//! and creation time do; where these have changed (on some disks they do at every start),
//! the known files must be there.
//!
//! Invariant: the files to look for are chosen before anything of a folder in doubt is
//! stored. What came from that folder proves nothing for it.

use super::deletion_guard::DeletionGuard;
use super::policy::{RootVerdict, SentinelMatch, is_alike, judge_root};
use super::root_sentinel;
use super::standing::{Judged, Standing};
use crate::files;
use crate::files::RootId;
use crate::types::{Fault, Fingerprint, RelKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Known files that are looked for on a root that nothing else proves.
const SAMPLE_FILES: u64 = 200;

/// Under which name the index remembers device and inode of a root without a sentinel.
const UNMARKED_ROOT: &str = "brake:root";

/// And when that root was created, where its file system says so.
const UNMARKED_MADE: &str = "brake:root-made";

/// And which files to look for while another folder is in its place.
const SAMPLE: &str = "brake:sample";

/// One of the files that are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sampled {
    key: RelKey,
    size_bytes: u64,
    /// Whole seconds since 1970 and nanoseconds: JSON has no wider numbers.
    mtime: (i128, i128),
}

/// The time of the last change, as [`Sampled`] keeps it.
fn seconds_of(fingerprint: &Fingerprint) -> (i128, i128) {
    const NS_PER_S: i128 = 1_000_000_000;
    let ns = fingerprint.mtime_ns;
    (ns.div_euclid(NS_PER_S), ns.rem_euclid(NS_PER_S))
}

impl Sampled {
    fn is(&self, now: &Fingerprint) -> bool {
        now.size_bytes == self.size_bytes && seconds_of(now) == self.mtime
    }
}

/// Whether the root is the folder that was backed up, or the first one. Then it is
/// remembered as that, and gets its sentinel.
///
/// # Errors
/// The root or its sentinel cannot be looked at, or the index fails.
pub(crate) fn is_itself(guard: &DeletionGuard) -> Result<bool, Fault> {
    let path = &guard.source.path;
    let (root, made_ns) = (files::root_state(path)?, files::root_made_ns(path));
    let standing = root_sentinel::standing(guard)?;
    let judged = Judged {
        root,
        made_ns,
        standing: standing.clone(),
        is_itself: true,
    };
    if let Some(known) = &guard.memory().judged
        && (known.root, known.made_ns, &known.standing) == (root, made_ns, &standing)
    {
        return Ok(known.is_itself);
    }
    let (sentinel, same) = match &standing {
        Standing::Itself => (SentinelMatch::Equal, None),
        Standing::Absent { same_root } => (SentinelMatch::Absent, Some(*same_root)),
        Standing::Different { same_root } => (SentinelMatch::Different, Some(*same_root)),
        Standing::Unknown | Standing::Foreign => {
            (SentinelMatch::Unused, same_unmarked(guard, root)?)
        }
    };
    let is_itself = match judge_root(sentinel, same) {
        RootVerdict::Itself => true,
        RootVerdict::Unproven => is_same_content(guard, is_alike)?,
        // It never had a sentinel, as when the first one was written while the disk was
        // away: nearly all known files must be there.
        RootVerdict::Other if sentinel == SentinelMatch::Absent => {
            is_same_content(guard, |same, known| {
                known > 0 && same * NEARLY_ALL >= known * (NEARLY_ALL - 1)
            })?
        }
        RootVerdict::Other => false,
    };
    if !is_itself {
        keep_sample(guard)?;
    } else if standing != Standing::Itself {
        adopt(guard)?;
    }
    // After a sentinel was written, the next call looks at everything once more.
    guard.memory().judged = Some(Judged {
        is_itself,
        ..judged
    });
    Ok(is_itself)
}

/// Whether the root is the one that was last judged, and was itself then. Whatever has
/// become of its sentinel since is left to the next look.
pub(crate) fn is_as_judged(guard: &DeletionGuard) -> bool {
    let now = files::root_id(&guard.source.path);
    let memory = guard.memory();
    let judged = memory.judged.as_ref();
    // A root that is away is reported elsewhere.
    let is_it = |judged: &Judged| Some((judged.root, judged.made_ns)) == now;
    now.is_none() || judged.is_some_and(|judged| judged.is_itself && is_it(judged))
}

/// Judge another root anew.
pub(crate) fn forget_other(guard: &DeletionGuard) {
    let mut memory = guard.memory();
    memory.judged.take_if(|judged| !judged.is_itself);
}

/// All but one in so many.
const NEARLY_ALL: u64 = 20;

/// From now on this root is the source.
pub(crate) fn adopt(guard: &DeletionGuard) -> Result<(), Fault> {
    let path = &guard.source.path;
    let id = guard.id;
    root_sentinel::adopt(guard)?;
    let (root, made_ns) = (files::root_state(path)?, files::root_made_ns(path));
    set(guard, UNMARKED_ROOT, json!(root))?;
    set(guard, UNMARKED_MADE, json!(made_ns))?;
    if guard.index.source_state_get(id, SAMPLE)?.is_some() {
        set(guard, SAMPLE, Value::Null)?;
    }
    guard.memory().judged = None;
    Ok(())
}

fn set(guard: &DeletionGuard, name: &str, value: Value) -> Result<(), Fault> {
    let id = guard.id;
    if guard.index.source_state_get(id, name)?.as_ref() != Some(&value) {
        guard.index.source_state_set(id, name, &value)?;
    }
    Ok(())
}

fn get<T: serde::de::DeserializeOwned>(
    guard: &DeletionGuard,
    name: &str,
) -> Result<Option<T>, Fault> {
    let value = guard.index.source_state_get(guard.id, name)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// Whether a root without a sentinel has the known device, inode and creation time: a
/// folder that is removed and made again may well get the same inode.
fn same_unmarked(guard: &DeletionGuard, root: RootId) -> Result<Option<bool>, Fault> {
    let Some(known) = get::<RootId>(guard, UNMARKED_ROOT)? else {
        return Ok(None);
    };
    let made_ns = files::root_made_ns(&guard.source.path);
    // `None`: the file system did not say, or an earlier version did not ask.
    let known_ns = get::<i64>(guard, UNMARKED_MADE)?;
    let is_as_old = known_ns.is_none() || known_ns == made_ns;
    Ok(Some(root.is_noted_as(known, made_ns) && is_as_old))
}

/// Look for a sample of the known files; `is_enough` judges how many are unchanged.
fn is_same_content(
    guard: &DeletionGuard,
    is_enough: impl Fn(u64, u64) -> bool,
) -> Result<bool, Fault> {
    let root = &guard.source.path;
    let sample = sample(guard)?;
    let mut same = 0;
    for file in &sample {
        let now = files::stat(root, &file.key.path())?;
        same += u64::from(now.is_some_and(|now| file.is(&now)));
    }
    Ok(is_enough(same, sample.len() as u64))
}

/// The files to look for: those that were chosen, or else some that are known now.
fn sample(guard: &DeletionGuard) -> Result<Vec<Sampled>, Fault> {
    match get(guard, SAMPLE)? {
        Some(sample) => Ok(sample),
        None => draw(guard),
    }
}

/// Choose the files to look for, until a root has them or the owner has spoken.
fn keep_sample(guard: &DeletionGuard) -> Result<(), Fault> {
    if get::<Vec<Sampled>>(guard, SAMPLE)?.is_none() {
        set(guard, SAMPLE, json!(draw(guard)?))?;
        guard.index.flush()?;
    }
    Ok(())
}

/// Choose known files from all over the folder.
fn draw(guard: &DeletionGuard) -> Result<Vec<Sampled>, Fault> {
    let counts = guard.index.counts(guard.id);
    let step = ((counts.files + counts.links) / SAMPLE_FILES).max(1);
    let (mut seen, mut sample) = (0u64, Vec::new());
    for entry in guard.index.range(guard.id, "", None) {
        let (key, record) = entry?;
        if key.is_folder() || record.content.is_none() {
            continue;
        }
        seen += 1;
        if seen.is_multiple_of(step) {
            sample.push(Sampled {
                key,
                size_bytes: record.fingerprint.size_bytes,
                mtime: seconds_of(&record.fingerprint),
            });
        }
    }
    Ok(sample)
}
