//! The random history: renames, swaps, deletions, recreations, large files that
//! are edited, compressed tables, modes, times, links, empty folders.

use super::{Moment, differences_of};
use crate::harness::{BUCKET, Rig, at_rest, until};
use crate::model::journal::Journal;
use crate::model::ops::Generator;
use crate::model::tree;
use fastrand::Rng;
use keepwatch::daemon::Daemon;
use keepwatch::files;
use keepwatch::model::{Fingerprint, Kind, RelKey, RelPath};
use keepwatch::recovery::Origin;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Moments that are kept; enough that most pairs of operations meet.
const MOMENTS: usize = 50;

/// Operations between two moments at the most.
const OPERATIONS_MAX: usize = 4;

/// Files beyond what goes in one PUT; each is edited a few times.
const BIG: usize = 2;

/// Restores at once: two cores.
const AT_ONCE: usize = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Index and disk agree on every path, and nothing is under way.
fn rests(daemon: &Daemon, root: &Path) -> bool {
    if !at_rest(daemon) {
        return false;
    }
    let ctx = daemon.context();
    let rules = &ctx.sources[0].rules;
    let mut on_disk = std::collections::BTreeMap::new();
    for entry in files::walk(root, &RelPath::root(), rules) {
        let Ok(entry) = entry else { return false };
        let needs_object = entry.fingerprint.kind != Kind::Folder || entry.empty;
        on_disk.insert(entry.key, (entry.fingerprint, needs_object));
    }
    let mut stored = std::collections::BTreeMap::new();
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
    on_disk
        .iter()
        .all(|(key, (seen, needs_object))| !needs_object || is_like(key, seen))
        && stored.keys().all(|key| on_disk.contains_key(key))
}

#[tokio::test(flavor = "multi_thread")]
async fn any_moment_of_a_random_history_comes_back_from_the_bucket_alone() {
    let seed = number("KEEPWATCH_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("KEEPWATCH_TEST_SEED={seed}");
    let count = number("KEEPWATCH_TEST_MOMENTS").map_or(MOMENTS, |count| count as usize);
    let began = Instant::now();
    let rig = Rig::new();
    let mut rng = Rng::with_seed(seed);
    let moments = live(&rig, &mut rng, count).await;
    println!("{count} moments lived in {:?}", began.elapsed());
    let wrong = go_back(&rig, &mut rng, &moments).await;
    println!("and gone back to after {:?}", began.elapsed());
    assert!(
        wrong.is_empty(),
        "KEEPWATCH_TEST_SEED={seed}\n{}",
        wrong.join("\n")
    );
}

/// The history itself, and the true tree at each moment of rest.
async fn live(rig: &Rig, rng: &mut Rng, count: usize) -> Vec<Moment> {
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
        let text = journal.text();
        moments.push(Moment {
            at_ms: now_ms(),
            tree: tree::read(&rig.root()),
            done: text[told..].to_owned(),
        });
        told = text.len();
        // Later than the moment by the clock, too.
        until("the clock goes on", async || {
            now_ms() > moments[moments.len() - 1].at_ms
        })
        .await;
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
    }
    daemon.stop().await.unwrap();
    moments
}

async fn go_back(rig: &Rig, rng: &mut Rng, moments: &[Moment]) -> Vec<String> {
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
        let moment = &moments[number];
        let to = rig.dir.path().join(format!("moment {number}"));
        let mut wrong = differences_of(store, origin, moment, &to).await;
        let since = &moments[(number + 1).min(moments.len() - 1)].done;
        if !wrong.is_empty() {
            let (before, after) = (&moment.done, since);
            wrong.insert(
                0,
                format!(
                    "moment {number} ({}), after:\n{before}and before:\n{after}",
                    moment.at_ms
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

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
