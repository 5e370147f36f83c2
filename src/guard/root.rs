//! Whether a source's root is the folder that was backed up.
//!
//! The marker says so (`guard::root_sentinel`); where none is kept or it was never
//! written there, device, inode and time of making do, and where these have changed
//! (they do, on some disks, at every start), whether the known files are there.
//!
//! Invariant: which files are looked for is settled before anything of a folder in
//! doubt is stored. What came from that folder proves nothing for it.

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

/// Under which name the index remembers what an unmarked root is known by.
const UNMARKED_ROOT: &str = "brake:root";

/// And when that was made, where its file system says so.
const UNMARKED_MADE: &str = "brake:root-made";

/// And which files are looked for while another folder is in its place.
const SAMPLE: &str = "brake:sample";

/// One of the files that are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sampled {
    key: RelKey,
    size_bytes: u64,
    /// Whole seconds since 1970 and nanoseconds: JSON has no wider numbers.
    mtime: (i128, i128),
}

/// When it was changed, as [`Sampled`] keeps it.
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

/// True when the root is the folder that was backed up, or nothing is known of
/// that yet. It is remembered as such then, and has its marker.
///
/// # Errors
/// The root or its marker cannot be looked at, or the index fails.
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
        // Never marked, as when a marker was first written while the disk was
        // away: nearly all that is known must be there.
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
    // After a marker was written everything is looked at once more.
    guard.memory().judged = Some(Judged {
        is_itself,
        ..judged
    });
    Ok(is_itself)
}

/// The root is the one that was last judged, and was itself then: whatever has
/// become of its marker since is left to the next look.
pub(crate) fn is_as_judged(guard: &DeletionGuard) -> bool {
    let now = files::root_id(&guard.source.path);
    let memory = guard.memory();
    let judged = memory.judged.as_ref();
    // Whoever finds the root away says so itself.
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

/// The same device and inode, made at the same time: a folder that is removed and
/// made again may well get its number again.
fn same_unmarked(guard: &DeletionGuard, root: RootId) -> Result<Option<bool>, Fault> {
    let Some(known) = get::<RootId>(guard, UNMARKED_ROOT)? else {
        return Ok(None);
    };
    let made_ns = files::root_made_ns(&guard.source.path);
    // `None`: nobody knew, or an earlier version did not ask.
    let known_ns = get::<i64>(guard, UNMARKED_MADE)?;
    let is_as_old = known_ns.is_none() || known_ns == made_ns;
    Ok(Some(known == root && is_as_old))
}

/// Look for some of the known files, spread over all of them.
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

/// What is looked for: what was settled, or else any of the files known now.
fn sample(guard: &DeletionGuard) -> Result<Vec<Sampled>, Fault> {
    match get(guard, SAMPLE)? {
        Some(sample) => Ok(sample),
        None => draw(guard),
    }
}

/// Settle what is looked for, until a root has it or the owner has spoken.
fn keep_sample(guard: &DeletionGuard) -> Result<(), Fault> {
    if get::<Vec<Sampled>>(guard, SAMPLE)?.is_none() {
        set(guard, SAMPLE, json!(draw(guard)?))?;
        guard.index.flush()?;
    }
    Ok(())
}

/// Files that the index knows, from all over the folder.
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
