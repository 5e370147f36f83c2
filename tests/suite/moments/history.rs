//! The random history: renames, swaps, deletions, recreations, large files that
//! are edited, compressed tables, modes, times, links, empty folders, and full
//! comparisons (each with its manifest) in between and in the middle of all that.

use crate::harness::{BUCKET, Rig, at_rest, until};
use crate::manifest;
use crate::model::journal::Journal;
use crate::model::ops::Generator;
use crate::model::tree;
use crate::model::tree::Tree;
use crate::raw::client;
use crate::seed::seed;
use fastrand::Rng;
use keepwatch::daemon::Daemon;
use keepwatch::files;
use keepwatch::files::Target;
use keepwatch::history::Selector;
use keepwatch::manifest::read;
use keepwatch::restore::{Options, Request, restore};
use keepwatch::retry::Stop;
use keepwatch::s3::Store;
use keepwatch::types::{Fingerprint, Kind, Origin, RelKey, RelPath, WallMs};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// It found a file that counted from before its folder was moved in.
const SEED: u64 = 128_183;

/// Moments that are kept; enough that most pairs of operations meet.
const MOMENTS: usize = 50;

/// Operations between two moments at the most.
const OPERATIONS_MAX: usize = 4;

/// Files beyond what goes in one PUT; each is edited a few times.
const BIG: usize = 2;

/// Restores at once: two cores.
const AT_ONCE: usize = 2;

/// One moment in so many has a comparison right before it, and one in so many is
/// followed by operations that meet one.
const COMPARED_ONE_IN: u8 = 5;

/// A moment at which the folder rested, and what stood in it.
struct Moment {
    at_ms: WallMs,
    tree: Tree,
    /// What had been done since the one before.
    done: String,
}

/// What differs between the moment and what comes back of it into `to`, a folder
/// that is not there yet; empty when nothing does. Needs the bucket alone.
async fn differences_of(store: &Store, origin: &Origin, moment: &Moment, to: &Path) -> Vec<String> {
    let request = Request {
        origin: origin.clone(),
        selector: Selector::everything(),
        at_ms: Some(moment.at_ms),
        target: Arc::new(Target::open(to).unwrap()),
        options: Options::default(),
        preflight: None,
    };
    let mut differences = Vec::new();
    match restore(store, request, |_| (), &Stop::never()).await {
        Ok(restored) => {
            let faults = [
                restored.failed,
                restored.already_there,
                restored.left_out,
                restored.remarks,
            ];
            let faults = faults.iter().flat_map(|faults| &faults.items);
            differences.extend(faults.map(ToString::to_string));
        }
        Err(fatal) => differences.push(fatal.to_string()),
    }
    differences.extend(tree::differences(&moment.tree, &tree::read(to)));
    differences
}

/// A moment, and what its folders were like.
struct Kept {
    moment: Moment,
    /// The modes of all folders.
    folder_modes: BTreeMap<String, u32>,
    /// Folders with an object of their own: it may stay when the folder fills.
    with_object: BTreeSet<String>,
    /// A manifest was drawn right before.
    is_compared: bool,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Index and disk agree on every path, and nothing is under way.
fn rests(daemon: &Daemon, root: &Path) -> bool {
    if !at_rest(daemon) {
        return false;
    }
    let ctx = daemon.components();
    let rules = &ctx.sources[0].rules;
    let mut on_disk = BTreeMap::new();
    for entry in files::walk(root, &RelPath::root(), rules) {
        let Ok(entry) = entry else { return false };
        let needs_object = entry.fingerprint.kind != Kind::Folder || entry.empty;
        on_disk.insert(entry.key, (entry.fingerprint, needs_object));
    }
    let mut stored = BTreeMap::new();
    for entry in ctx.index.range(ctx.sources[0].id, "", None) {
        let (key, record) = entry.unwrap();
        stored.insert(key, record);
    }
    let is_like = |key: &RelKey, seen: &Fingerprint| {
        stored.get(key).is_some_and(|record| {
            let same = match seen.kind {
                Kind::Folder => record.fingerprint.mode == seen.mode,
                _ => record.fingerprint == *seen,
            };
            record.content.is_some() && same
        })
    };
    on_disk.iter().all(|(key, (seen, needs_object))| {
        !(*needs_object || stored.contains_key(key)) || is_like(key, seen)
    }) && stored.keys().all(|key| on_disk.contains_key(key))
}

#[tokio::test(flavor = "multi_thread")]
async fn any_moment_of_a_random_history_comes_back_from_the_bucket_alone() {
    let seed = seed(SEED, 1_000_000);
    let count = number("KEEPWATCH_TEST_MOMENTS").map_or(MOMENTS, |count| count as usize);
    let began = Instant::now();
    let rig = Rig::new();
    let mut rng = Rng::with_seed(seed);
    let moments = live(&rig, &mut rng, count).await;
    println!("{count} moments lived in {:?}", began.elapsed());
    let manifests = manifest::listed(&rig.store()).await.len();
    assert!(manifests > count / 10, "{manifests} manifests");
    let mut wrong = go_back(&rig, &mut rng, &moments, true).await;
    println!(
        "and gone back to with {manifests} manifests after {:?}",
        began.elapsed()
    );
    remove_manifests(&rig).await;
    assert_eq!(manifest::listed(&rig.store()).await, []);
    wrong.extend(go_back(&rig, &mut rng, &moments, false).await);
    println!("and without any after {:?}", began.elapsed());
    assert!(
        wrong.is_empty(),
        "KEEPWATCH_TEST_SEED={seed}\n{}",
        wrong.join("\n")
    );
}

/// All of them, and every version.
async fn remove_manifests(rig: &Rig) {
    let (store, sdk) = (rig.store(), client(&rig.vault()));
    let folder = keepwatch::manifest::folder("");
    let page = store.list_versions(BUCKET, &folder, None).await.unwrap();
    assert!(page.next.is_none());
    for version in page.items {
        let delete = sdk.delete_object().bucket(BUCKET).key(version.key);
        let delete = delete.version_id(keepwatch::types::id_text(&version.version_id));
        delete.send().await.unwrap();
    }
}

/// The history itself, and the true tree at each moment of rest.
async fn live(rig: &Rig, rng: &mut Rng, count: usize) -> Vec<Kept> {
    let outside = rig.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let journal = Journal::new();
    let mut generator = Generator::new(rig.root(), outside, rng.fork(), BIG, journal.clone());
    let mut config = rig.config();
    config.limits.debounce_ms = 20;
    config.sources[0].compress = vec!["*.csv".into()];
    let daemon = rig.start_with(config, None).await;
    let mut moments = Vec::new();
    let mut told = 0;
    while moments.len() < count {
        until("the folder rests", async || rests(&daemon, &rig.root())).await;
        generator.rested();
        let is_compared = rng.u8(..COMPARED_ONE_IN) == 0;
        if is_compared {
            assert!(manifest::compare(&daemon).await.complete());
            until("it rests again", async || rests(&daemon, &rig.root())).await;
            journal.note("compared, and a manifest written");
        }
        let text = journal.text();
        let tree = tree::read(&rig.root());
        moments.push(Kept {
            folder_modes: modes(&rig.root(), &tree),
            with_object: with_object(&daemon),
            is_compared,
            moment: Moment {
                at_ms: now_ms(),
                tree,
                done: text[told..].to_owned(),
            },
        });
        told = text.len();
        // Later than the moment by the clock, too.
        until("the clock goes on", async || {
            now_ms() > moments[moments.len() - 1].moment.at_ms
        })
        .await;
        // Meets whatever is done now.
        let comparing = (rng.u8(..COMPARED_ONE_IN) == 0).then(|| {
            journal.note("a comparison begins");
            let ctx = daemon.components().clone();
            tokio::spawn(async move {
                ctx.comparison().run(false, std::future::ready(())).await;
            })
        });
        for _ in 0..rng.usize(1..=OPERATIONS_MAX) {
            match rng.u8(0..12) {
                0 => generator.swap_folders(),
                1 => generator.swap_files(),
                2 => generator.edit_big(),
                _ => generator.step(),
            }
            if rng.u8(0..4) == 0 {
                // Long enough that some of it may be stored before the rest comes.
                tokio::time::sleep(Duration::from_millis(rng.u64(0..120))).await;
            }
        }
        if let Some(comparing) = comparing {
            comparing.await.unwrap();
            journal.note("and has ended");
        }
    }
    daemon.stop().await.unwrap();
    moments
}

/// The folders that have an object of their own. The folder rests.
fn with_object(daemon: &Daemon) -> BTreeSet<String> {
    let ctx = daemon.components();
    let all = ctx.index.range(ctx.sources[0].id, "", None);
    let all = all.map(|entry| entry.unwrap().0);
    let folders = all.filter(RelKey::is_folder);
    folders.map(|key| key.as_str().to_owned()).collect()
}

/// The modes of a tree's folders.
fn modes(root: &Path, tree: &Tree) -> BTreeMap<String, u32> {
    let mode = |key: &String| {
        let path = RelKey::parse_full(key).unwrap().path();
        let path = root.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        (key.clone(), mode)
    };
    tree.folders.iter().map(mode).collect()
}

/// What the manifest that serves a moment says of the folders' modes.
async fn noted_modes(store: &Store, origin: &Origin, at_ms: WallMs) -> BTreeMap<String, u32> {
    let mut stop = Stop::never();
    let found = read::nearest(store, origin, Some(at_ms), u64::MAX, &mut stop);
    let found = found.await.unwrap();
    assert_eq!(found.damaged, []);
    let mut modes = BTreeMap::new();
    let Some(manifest) = found.manifest else {
        return modes;
    };
    let mut lines = manifest.lines(store, &Stop::never()).await.unwrap();
    while let Some(line) = lines.next().await.unwrap() {
        if line.kind == "folder" {
            modes.insert(line.path.clone(), line.fingerprint().unwrap().mode);
        }
    }
    modes
}

/// Which folders have another mode than docs/FORMAT.md promises: exactly theirs
/// where they have an object or a manifest was drawn right before, else that of
/// the newest manifest, else the one that lets nobody else in.
fn wrong_modes(kept: &Kept, to: &Path, noted: Option<&BTreeMap<String, u32>>) -> Vec<String> {
    let tree = &kept.moment.tree;
    let found = modes(to, &tree::read(to));
    let folders = tree.folders.iter();
    folders
        .filter_map(|key| {
            let exact = kept.folder_modes[key];
            let is_exact = noted.is_some() && kept.is_compared || kept.with_object.contains(key);
            let noted = noted.and_then(|noted| noted.get(key)).copied();
            let wanted = if is_exact {
                exact
            } else {
                noted.unwrap_or(0o700)
            };
            let mode = found.get(key).copied();
            (mode != Some(wanted)).then(|| {
                let found = mode.map(|mode| format!("{mode:o}"));
                format!(
                    "folder {key:?}: expected mode {wanted:o} (it was {exact:o}), found {found:?}"
                )
            })
        })
        .collect()
}

async fn go_back(rig: &Rig, rng: &mut Rng, moments: &[Kept], with_manifests: bool) -> Vec<String> {
    use futures::StreamExt as _;
    let store = rig.store();
    let origin = Origin {
        bucket: BUCKET.into(),
        prefix: String::new(),
    };
    let mut order: Vec<usize> = (0..moments.len()).collect();
    rng.shuffle(&mut order);
    let (store, origin) = (&store, &origin);
    let all = order.into_iter().map(|number| async move {
        let kept = &moments[number];
        let moment = &kept.moment;
        let to = rig.dir.path().join(format!("moment {number}"));
        let mut wrong = differences_of(store, origin, moment, &to).await;
        let noted = match with_manifests {
            true => Some(noted_modes(store, origin, moment.at_ms).await),
            false => None,
        };
        wrong.extend(wrong_modes(kept, &to, noted.as_ref()));
        let since = &moments[(number + 1).min(moments.len() - 1)].moment.done;
        if !wrong.is_empty() {
            let (before, after) = (&moment.done, since);
            wrong.insert(
                0,
                format!(
                    "moment {number} ({}), with manifests: {with_manifests}, after:\n{before}and before:\n{after}",
                    moment.at_ms.0
                ),
            );
        }
        fs::remove_dir_all(&to).unwrap();
        wrong
    });
    let wrong: Vec<Vec<String>> = futures::stream::iter(all)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    wrong.into_iter().flatten().collect()
}

fn now_ms() -> WallMs {
    jiff::Timestamp::now().into()
}
