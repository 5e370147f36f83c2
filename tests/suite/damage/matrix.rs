//! The tables: damage by place.

use super::acts::{Act, damage};
use super::world::{BYSTANDER, Thing, World, file, large};
use Act::{
    Cut, DeleteAll, DeleteBody, DeleteVersion, Elsewhere, Empty, Flip, ForeignOver, Future,
    Garbage, Header, Mark, Nothing, OursOver, Replace, Truncate, Unmark,
};
use Comes::{AsBucket, Covered, Foreign, Looks, Missed, Named, Older, Remarked, Right};
use keepwatch::verify::Damage;
use keepwatch::verify::Damage::{
    Altered, MarkedDeleted, Metadata, Missing, Overwritten, Returned, Truncated, VersionGone,
};
use std::fs;
use std::path::Path;

/// What a restore from the damaged bucket gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// The right bytes.
    Right,
    /// The file is named as one that could not be restored.
    Named,
    /// The right bytes, from beneath what another program has put over them, and
    /// the file is named as one to look at.
    Covered,
    /// The same with an older version: nothing newer says that it is ours.
    Older(&'static [u8]),
    /// The object counts as not Keepwatch's, and is left alone.
    Foreign,
    /// What the bucket shows now, which it alone cannot know to be wrong.
    AsBucket,
    /// A manifest remembers it: it is named, whatever came in its place.
    Missed,
    /// A manifest remembers it: the right bytes, and it is named as one whose mode
    /// or time is not what was backed up.
    Looks,
    /// The right bytes; the manifest is named as one that could not be used.
    Remarked,
}

/// What a restore gives where a manifest of before the damage is whole.
fn remembered(act: Act, comes: Comes) -> Comes {
    match (act, comes) {
        // Gone without a trace.
        (DeleteAll | DeleteVersion, AsBucket) => Missed,
        (Header("x-amz-meta-kw-mode" | "x-amz-meta-kw-mtime-ns", _), AsBucket) => Looks,
        // The version is there, and is not what it was.
        (Header("x-amz-meta-kw-kind", _), AsBucket) => Missed,
        (Header("x-amz-meta-kw-format", _), Foreign) => Missed,
        // A newer state and a deletion look like the owner's own: `verify` knows.
        (_, comes) => comes,
    }
}

/// What is done; what `verify` finds, what `verify --deep` finds (`None`:
/// nothing, since the bucket cannot know); what a restore gives.
type Row = (Act, Option<Damage>, Option<Damage>, Comes);

const TIME_KEPT: Act = Flip { time_tells: false };
const TIME_TELLS: Act = Flip { time_tells: true };
const OTHER_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Damage that is the same for all things with bytes in them.
const BYTES: &[Row] = &[
    (Nothing, None, None, Right),
    (DeleteBody, None, Some(Altered), Named),
    (Truncate, None, Some(Altered), Named),
    (TIME_KEPT, None, Some(Altered), Named),
    (TIME_TELLS, None, Some(Altered), Named),
    (Replace, None, Some(Altered), Named),
    (ForeignOver, Some(Overwritten), Some(Overwritten), Covered),
    (OursOver, Some(Overwritten), Some(Overwritten), AsBucket),
    (DeleteAll, Some(Missing), Some(Missing), AsBucket),
    (Mark, Some(MarkedDeleted), Some(MarkedDeleted), AsBucket),
    (
        Header("x-amz-meta-kw-format", None),
        Some(Metadata),
        Some(Metadata),
        Foreign,
    ),
    (
        Header("x-amz-meta-kw-format", Some("9")),
        Some(Metadata),
        Some(Metadata),
        Named,
    ),
    (
        Header("x-amz-meta-kw-sha256", None),
        Some(Metadata),
        Some(Metadata),
        Named,
    ),
    (
        Header("x-amz-meta-kw-sha256", Some(OTHER_HASH)),
        Some(Altered),
        Some(Altered),
        Named,
    ),
    (
        Header("x-amz-meta-kw-size", None),
        Some(Metadata),
        Some(Metadata),
        Named,
    ),
    (
        Header("x-amz-meta-kw-kind", None),
        Some(Metadata),
        Some(Metadata),
        Named,
    ),
    (
        Header("x-amz-meta-kw-kind", Some("folder")),
        Some(Metadata),
        Some(Metadata),
        Named,
    ),
    (
        Header("x-amz-meta-kw-mode", Some("0700")),
        Some(Metadata),
        Some(Metadata),
        AsBucket,
    ),
    (
        Header("x-amz-meta-kw-mtime-ns", Some("1")),
        Some(Metadata),
        Some(Metadata),
        AsBucket,
    ),
    (Garbage, None, None, Right),
];

/// With the rows of `own` in the place of those of the same act in `common`.
fn with(common: &[Row], own: &[Row]) -> Vec<Row> {
    let others = common.iter().filter(|row| own.iter().all(|o| o.0 != row.0));
    others.chain(own).copied().collect()
}

struct Place {
    world: World,
    /// What must come back: a file's bytes or a link's target.
    truth: Vec<u8>,
    /// Damage the version before the newest, and look at all of them.
    older: bool,
    /// Where the truth stands in what is restored.
    restored_as: &'static str,
}

impl Place {
    /// The same place where manifests remember each state.
    async fn run_remembered(versions: &[Option<Thing>], like: &Self, rows: &[Row]) {
        let place = Self {
            world: World::with_manifests(like.restored_as, versions).await,
            truth: like.truth.clone(),
            ..*like
        };
        let rows = rows.iter().map(|(act, plain, deep, comes)| {
            let comes = remembered(*act, *comes);
            (*act, *plain, *deep, comes)
        });
        place.run(&rows.collect::<Vec<_>>()).await;
    }
}

impl Place {
    async fn run(&self, rows: &[Row]) {
        let mut wrong = Vec::new();
        for row in rows {
            self.world.reset();
            if let Err(why) = self.check(row).await {
                wrong.push(format!("{:?}: {why}", row.0));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    async fn check(&self, (act, plain, deep, comes): &Row) -> Result<(), String> {
        let versions = self.world.versions().await;
        let target = versions
            .iter()
            .filter(|v| !v.is_marker)
            .nth(usize::from(self.older));
        let target = target.unwrap_or(&versions[0]);
        let wire = damage(&self.world, *act, target).await;
        // Where there is a manifest of the state, its moment.
        let then = self.world.manifests_ms.iter().rev().nth(1).copied();
        let at_ms = self.older.then(|| then.unwrap_or(target.modified_ms));
        // Side by side: most of both is waiting for what does not get better.
        let verified = async {
            let plain = self.world.verify(&wire, false, self.older).await;
            (plain, self.world.verify(&wire, true, self.older).await)
        };
        let ((plainly, deeply), (out, restored)) =
            tokio::join!(verified, self.world.restore(&wire, at_ms));
        for (is_deep, want, verified) in [(false, plain, plainly), (true, deep, deeply)] {
            let found: Vec<_> = verified.findings.iter().map(|f| f.damage).collect();
            let wanted: Vec<_> = want.iter().copied().collect();
            if found != wanted || verified.not_looked_total > 0 {
                return Err(format!("deep {is_deep}: wanted {want:?}, {verified:#?}"));
            }
            if verified.findings.iter().any(|f| f.path != self.world.path) {
                return Err(format!("another file is named: {verified:#?}"));
            }
            if let Some(finding) = verified.findings.first()
                && (finding.why.is_empty() || finding.is_older != self.older)
            {
                return Err(format!("{finding:#?}"));
            }
        }
        if fs::read(out.join(BYSTANDER)).ok().as_deref() != Some(b"not concerned") {
            return Err("the bystander did not come back".to_owned());
        }
        let came = content(&out.join(self.restored_as));
        let is_named = restored
            .failed
            .items
            .iter()
            .any(|fault| fault.subject == self.world.path);
        let is_right = came.as_deref() == Some(&self.truth[..]);
        let covered = &restored.covered.items;
        let is_covered =
            restored.is_all_there() && matches!(&covered[..], [one] if one.path == self.world.path);
        let fits = match comes {
            Covered => is_right && is_covered,
            Older(content) => came.as_deref() == Some(content) && is_covered,
            Right => is_right && restored.is_complete(),
            Named => came.is_none() && is_named,
            Foreign => came.is_none() && restored.skipped_foreign == 1,
            AsBucket => restored.is_complete(),
            Missed => is_named && restored.failed.total == 1,
            Looks => {
                let left_out = &restored.left_out.items;
                is_right
                    && restored.is_complete()
                    && left_out.len() == 1
                    && left_out[0].subject == self.world.path
            }
            Remarked => {
                is_right
                    && restored.is_complete()
                    && restored.remarks.total == 1
                    && restored.remarks.items[0].subject.ends_with(&self.world.key)
            }
        };
        let is_remarked = restored.remarks.total > 0;
        if out.join(".keepwatch").exists() {
            return Err("something of Keepwatch's own was restored".to_owned());
        }
        match fits && is_remarked == (*comes == Remarked) {
            true => Ok(()),
            false => Err(format!(
                "wanted {comes:?}, came {}, {restored:#?}",
                is_right
            )),
        }
    }
}

/// A file's bytes, a link's target, an empty folder as no bytes.
fn content(path: &Path) -> Option<Vec<u8>> {
    let meta = fs::symlink_metadata(path).ok()?;
    if meta.is_symlink() {
        let target = fs::read_link(path).unwrap();
        return Some(target.to_string_lossy().into_owned().into_bytes());
    }
    match meta.is_dir() {
        true => Some(Vec::new()),
        false => fs::read(path).ok(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file() {
    let versions = [file("before"), file("small content")];
    let place = Place {
        world: World::new("small.txt", &versions).await,
        truth: b"small content".to_vec(),
        older: false,
        restored_as: "small.txt",
    };
    let own = [
        (
            Header("x-amz-meta-kw-format", None),
            Some(Metadata),
            Some(Metadata),
            Older(b"before"),
        ),
        (
            DeleteVersion,
            Some(VersionGone),
            Some(VersionGone),
            AsBucket,
        ),
        (Cut, Some(Truncated), Some(Truncated), Named),
        (
            Header("content-encoding", Some("gzip")),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
        // A size that is too large looks like bytes that are missing.
        (
            Header("x-amz-meta-kw-size", Some("14")),
            Some(Truncated),
            Some(Truncated),
            Named,
        ),
        // A link to nowhere: the bucket alone cannot know that it was a file.
        (
            Header("x-amz-meta-kw-kind", Some("symlink")),
            Some(Metadata),
            Some(Metadata),
            AsBucket,
        ),
    ];
    let rows = with(BYTES, &own);
    tokio::join!(
        place.run(&rows),
        Place::run_remembered(&versions, &place, &rows)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file() {
    let csv = "name;sum\nMiller;100\n".repeat(3_000);
    let place = Place {
        world: World::new("table.csv", &[file("a;b\n"), file(&csv)]).await,
        truth: csv.into_bytes(),
        older: false,
        restored_as: "table.csv",
    };
    let own = [
        (
            Header("x-amz-meta-kw-format", None),
            Some(Metadata),
            Some(Metadata),
            Older(b"a;b\n"),
        ),
        (
            DeleteVersion,
            Some(VersionGone),
            Some(VersionGone),
            AsBucket,
        ),
        // Nobody knows from outside how long it should be.
        (Cut, None, Some(Altered), Named),
        (
            Header("content-encoding", None),
            Some(Truncated),
            Some(Truncated),
            Named,
        ),
        (
            Header("x-amz-meta-kw-size", Some("1")),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
        (
            Header("x-amz-meta-kw-sha256", Some(OTHER_HASH)),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
    ];
    place.run(&with(BYTES, &own)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_of_many_parts() {
    let place = Place {
        world: World::new("large.bin", &[Some(Thing::File(large()))]).await,
        truth: large(),
        older: false,
        restored_as: "large.bin",
    };
    // Each row reads the file a few times: what differs from a small one, and
    // one of each kind.
    let rows = [
        (Nothing, None, None, Right),
        (TIME_KEPT, None, Some(Altered), Named),
        (Truncate, None, Some(Altered), Named),
        (DeleteVersion, Some(Missing), Some(Missing), AsBucket),
        (ForeignOver, Some(Overwritten), Some(Overwritten), Covered),
        (Mark, Some(MarkedDeleted), Some(MarkedDeleted), AsBucket),
        (Cut, Some(Truncated), Some(Truncated), Named),
        (
            Header("x-amz-meta-kw-sha256", Some(OTHER_HASH)),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
        // Only its bytes tell: a large object has no checksum of the kind.
        (
            Header("content-encoding", Some("gzip")),
            None,
            Some(Altered),
            Named,
        ),
    ];
    place.run(&rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version() {
    let versions = [file("first"), file("second one"), file("third")];
    let place = Place {
        world: World::new("old.txt", &versions).await,
        truth: b"second one".to_vec(),
        older: true,
        restored_as: "old.txt",
    };
    let rows = [
        (Nothing, None, None, Right),
        (DeleteBody, None, Some(Altered), Named),
        (Truncate, None, Some(Altered), Named),
        (TIME_KEPT, None, Some(Altered), Named),
        (Replace, None, Some(Altered), Named),
        // What is gone from the past, only a manifest knows.
        (DeleteVersion, None, None, AsBucket),
        (Cut, Some(Truncated), Some(Truncated), Named),
        // It may have been somebody else's from the beginning.
        (
            Header("x-amz-meta-kw-format", None),
            None,
            None,
            Older(b"first"),
        ),
        (
            Header("x-amz-meta-kw-size", None),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
        (
            Header("x-amz-meta-kw-sha256", Some(OTHER_HASH)),
            Some(Altered),
            Some(Altered),
            Named,
        ),
        (
            Header("content-encoding", Some("gzip")),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
    ];
    tokio::join!(
        place.run(&rows),
        Place::run_remembered(&versions, &place, &rows)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_marker() {
    let place = Place {
        world: World::new("gone.txt", &[file("was there"), None]).await,
        truth: b"was there".to_vec(),
        older: false,
        restored_as: "gone.txt",
    };
    let rows = [
        (Nothing, None, None, AsBucket),
        (Unmark, Some(Returned), Some(Returned), AsBucket),
        (Mark, None, None, AsBucket),
        // Nothing of ours is there that it could hide.
        (ForeignOver, None, None, Foreign),
        (OursOver, Some(Returned), Some(Returned), AsBucket),
        (DeleteAll, None, None, AsBucket),
        (Garbage, None, None, AsBucket),
    ];
    place.run(&rows).await;
    // The newest manifest knows that it is gone: nothing is missed.
    let place = Place {
        world: World::with_manifests("gone.txt", &[file("was there"), None]).await,
        ..place
    };
    place.run(&rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbolic_link() {
    let versions = [Some(Thing::Link("other.txt"))];
    let place = Place {
        world: World::new("link", &versions).await,
        truth: b"other.txt".to_vec(),
        older: false,
        restored_as: "link",
    };
    let own = [
        (DeleteVersion, Some(Missing), Some(Missing), AsBucket),
        (Cut, Some(Truncated), Some(Truncated), Named),
        // Links have no mode.
        (
            Header("x-amz-meta-kw-mode", Some("0700")),
            Some(Metadata),
            Some(Metadata),
            Right,
        ),
        // The bucket alone cannot know that it was a link.
        (
            Header("x-amz-meta-kw-kind", Some("file")),
            Some(Metadata),
            Some(Metadata),
            AsBucket,
        ),
        (
            Header("content-encoding", Some("gzip")),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
    ];
    let rows = with(BYTES, &own);
    tokio::join!(
        place.run(&rows),
        Place::run_remembered(&versions, &place, &rows)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder() {
    let versions = [Some(Thing::Folder)];
    let place = Place {
        world: World::new("nothing", &versions).await,
        truth: Vec::new(),
        older: false,
        restored_as: "nothing",
    };
    let rows = [
        (Nothing, None, None, Right),
        (DeleteVersion, Some(Missing), Some(Missing), AsBucket),
        (Mark, Some(MarkedDeleted), Some(MarkedDeleted), AsBucket),
        (ForeignOver, Some(Overwritten), Some(Overwritten), Covered),
        (
            Header("x-amz-meta-kw-format", None),
            Some(Metadata),
            Some(Metadata),
            Foreign,
        ),
        (
            Header("x-amz-meta-kw-kind", Some("file")),
            Some(Metadata),
            Some(Metadata),
            Named,
        ),
        (
            Header("x-amz-meta-kw-mode", Some("0700")),
            Some(Metadata),
            Some(Metadata),
            AsBucket,
        ),
    ];
    tokio::join!(
        place.run(&rows),
        Place::run_remembered(&versions, &place, &rows)
    );
}

/// Whatever is done to a manifest, all files come back, an older one serves, and it
/// is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest() {
    let place = Place {
        world: World::of_a_manifest().await,
        truth: b"small content".to_vec(),
        older: false,
        restored_as: "small.txt",
    };
    let over = Some(Overwritten);
    let own = [
        (DeleteBody, None, Some(Altered), Remarked),
        (Truncate, None, Some(Altered), Remarked),
        (TIME_KEPT, None, Some(Altered), Remarked),
        (TIME_TELLS, None, Some(Altered), Remarked),
        (Replace, None, Some(Altered), Remarked),
        (ForeignOver, over, over, Remarked),
        (OursOver, over, over, Remarked),
        (Empty, over, over, Remarked),
        (Elsewhere, over, over, Remarked),
        (Future, over, over, Remarked),
        (DeleteVersion, Some(Missing), Some(Missing), Right),
        (DeleteAll, Some(Missing), Some(Missing), Right),
        (Mark, Some(MarkedDeleted), Some(MarkedDeleted), Right),
        (Cut, Some(Truncated), Some(Truncated), Remarked),
    ];
    // A manifest is believed by its own proof: its metadata only tells whose it is.
    let by_metadata = BYTES.iter().filter_map(|row| match row.0 {
        Header("x-amz-meta-kw-mode" | "x-amz-meta-kw-mtime-ns", _) => {
            Some((row.0, None, None, Right))
        }
        Header(..) => Some((row.0, row.1, row.2, Right)),
        _ => None,
    });
    let rows: Vec<Row> = by_metadata
        .chain(own)
        .chain([(Nothing, None, None, Right)])
        .collect();
    place.run(&rows).await;
}
