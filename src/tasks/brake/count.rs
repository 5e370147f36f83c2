//! How many files are there: on disk, or known to the index where nobody can look.
//!
//! Invariant: what cannot be seen counts as there, and nothing counts twice.

use crate::error::Fault;
use crate::files::{self, Pulse, WalkFault};
use crate::index::{Index, SourceId};
use crate::model::{Kind, RelKey, RelPath};
use crate::tasks::context::Context;

/// Files and links on disk. Twice when that looks like a fall: a folder that is
/// renamed under the walk may be missed in both places. `pulse` beats with the
/// walk.
pub(super) fn count_surely(ctx: &Context, source: usize, pulse: &Pulse) -> Result<u64, Fault> {
    let on_disk = count(ctx, source, pulse)?;
    if !ctx.brakes.memory(source).saved.brake.has_fallen(on_disk) {
        return Ok(on_disk);
    }
    Ok(on_disk.max(count(ctx, source, pulse)?))
}

fn count(ctx: &Context, source: usize, pulse: &Pulse) -> Result<u64, Fault> {
    let place = &ctx.sources[source];
    let mut files = 0;
    pulse.beat();
    for entry in files::walk(&place.config.path, &RelPath::root(), &place.rules) {
        pulse.beat();
        match entry {
            Ok(entry) => {
                let kind = entry.fingerprint.kind;
                files += u64::from(matches!(kind, Kind::File | Kind::Symlink));
            }
            // What cannot be seen is not gone.
            Err(broken) => files += known_in(&ctx.index, place.id, &broken)?,
        }
    }
    Ok(files)
}

/// Files and links that the index knows below a folder.
pub fn known_below(index: &Index, id: SourceId, folder: &RelKey) -> Result<u64, Fault> {
    known(index, id, folder, |_| true)
}

/// The same for what could not be looked at: a file's key is that file alone,
/// not all whose names begin like it.
fn known_in(index: &Index, id: SourceId, broken: &WalkFault) -> Result<u64, Fault> {
    known(index, id, &broken.subtree, |key| broken.covers(key))
}

fn known(
    index: &Index,
    id: SourceId,
    prefix: &RelKey,
    is_meant: impl Fn(&RelKey) -> bool,
) -> Result<u64, Fault> {
    let mut files = 0;
    for entry in index.range(id, prefix.as_str(), None) {
        let (key, _) = entry?;
        files += u64::from(!key.is_folder() && is_meant(&key));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;
    use crate::index::{ActivityDelta, Change};
    use crate::model::{Fingerprint, Look, Record};

    fn record() -> Record {
        Record {
            fingerprint: Fingerprint {
                kind: Kind::File,
                size_bytes: 1,
                mtime_ns: 0,
                ctime_ns: 0,
                inode: 0,
                mode: 0,
                owner: None,
            },
            content: None,
            version_id: String::new(),
            etag: String::new(),
            stored_bytes: 1,
            stored_at_ms: 0,
            racy: false,
            look: Look::Unknown,
            attributes: None,
        }
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_counts_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(folder.path()).unwrap();
        let id = index.source_id("office", "bucket", "", "here").unwrap();
        let key = |text: &str| RelKey::parse_full(text).unwrap();
        for text in ["a", "a.txt", "ab", "d/", "d/a", "d/b"] {
            let put = Change::Put(record());
            let nothing = ActivityDelta::default();
            index.commit(id, &key(text), put, &nothing).unwrap();
        }
        let root = RelKey::of_folder(&RelPath::root());
        for (subtree, want) in [(key("a"), 1), (key("d/"), 2), (key("x"), 0), (root, 5)] {
            let fault = Fault::new(Class::Unreadable, "look at", "it", "no");
            let broken = WalkFault { fault, subtree };
            let got = known_in(&index, id, &broken).unwrap();
            assert_eq!(got, want, "{:?}", broken.subtree);
        }
    }
}
