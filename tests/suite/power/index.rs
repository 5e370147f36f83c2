//! The index on a disk that forgets: what was flushed is there afterwards, a
//! clean beginning of what was written, or the index says that it is new.

use super::mount::{Disk, Drive};
use super::platter::{Fate, Platter};
use super::{SHORT, Tally, long, seed};
use crate::harness::PATIENCE;
use crate::needs::Need;
use keepwatch::index::{Activity, Change, Index, Opened, SourceId};
use keepwatch::types::{ContentHash, Fingerprint, Kind, Look, Record, RelKey, RelPath, WallMs};
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FOLDER: &str = "KEEPWATCH_TEST_POWER_INDEX";

/// Records that the child writes: several of sled's buffers.
const RECORDS: u64 = 400;
const RECORDS_PER_FLUSH: u64 = 40;

/// The state folder within a disk, as a run of the program makes it.
fn index_in(disk: &Disk) -> std::path::PathBuf {
    disk.folder().join("state").join("index")
}

fn key(n: u64) -> RelKey {
    RelKey::of_file(&RelPath::from_bytes(format!("f{n:08}").as_bytes()).unwrap())
}

fn record(n: u64) -> Record {
    Record {
        fingerprint: Fingerprint {
            kind: Kind::File,
            size_bytes: n * 3,
            mtime_ns: 1_795_000_000_000_000_000,
            ctime_ns: 1_795_000_000_000_000_500,
            inode: n,
            mode: 0o644,
            owner: Some((1000, 1000)),
        },
        content: Some(ContentHash::of(&n.to_le_bytes())),
        version_id: keepwatch::types::VersionId::new(format!("{n:032x}")),
        etag: format!("{n:032x}").into(),
        stored_bytes: n * 2,
        stored_at_ms: WallMs(1_795_000_001_000),
        racy: false,
        look: Look::Plain,
        attributes: None,
    }
}

fn docs(index: &Index) -> SourceId {
    index.source_id("docs", "bucket", "", "aws").unwrap()
}

/// Write records behind those that are there.
fn write(index: &Index, count: u64, mut flushed: impl FnMut(u64)) -> Result<(), String> {
    let source = index.source_id("docs", "bucket", "", "aws");
    let source = source.map_err(|e| e.to_string())?;
    let one = Activity {
        versions: 1,
        ..Activity::default()
    };
    let from = index.range(source, "", None).count() as u64;
    for n in from..from + count {
        let put = Change::Put(record(n));
        let done = index.commit(source, &key(n), put, &one);
        done.map_err(|e| e.to_string())?;
        if (n + 1).is_multiple_of(RECORDS_PER_FLUSH) {
            index.flush().map_err(|e| e.to_string())?;
            flushed(n + 1);
        }
    }
    Ok(())
}

/// Not a test of its own: the process whose power goes.
#[test]
#[ignore = "started by what_the_index_flushed_survives_a_cut_at_any_write"]
fn child_whose_power_goes() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let Ok((index, _)) = Index::open(Path::new(&folder)) else {
        std::process::exit(1);
    };
    let done = write(&index, RECORDS, |n| println!("\nflushed {n}"));
    // sled may try to write for ever on a disk that is gone.
    std::process::exit(i32::from(done.is_err()));
}

/// Run the child until it ends or the power goes; how many records it was
/// told to be on the platter.
fn run(disk: &Disk) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["power::index::child_whose_power_goes", "--exact"])
        .args(["--ignored", "--nocapture"])
        .env(FOLDER, index_in(disk))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let told = lines.map_while(Result::ok);
        let told = told.filter_map(|line| line.strip_prefix("flushed ")?.parse().ok());
        told.max().unwrap_or(0)
    });
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "the child does not end");
        if disk.power.is_cut() {
            child.kill().unwrap();
            child.wait().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    reader.join().unwrap()
}

/// What a run has seen.
#[derive(Default)]
struct Indexes {
    disks: Tally,
    /// Indexes that were opened as they were, and ones made anew although
    /// something had been flushed.
    kept: u64,
    rebuilt: u64,
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, rebuilt) = (self.kept, self.rebuilt);
        write!(f, "{}; indexes kept {kept}, rebuilt {rebuilt}", self.disks)
    }
}

/// Open what is left, check it, use it.
fn found_again(drive: &Drive, left: Platter, flushed: u64, when: &str, tally: &mut Indexes) {
    let disk = drive.insert(left);
    let opened = Index::open(&index_in(&disk));
    let (index, opened) = opened.unwrap_or_else(|e| panic!("{when}: {e}"));
    let source = docs(&index);
    let records: Vec<(RelKey, Record)> =
        index.range(source, "", None).map(Result::unwrap).collect();
    for (n, found) in records.iter().enumerate() {
        let n = n as u64;
        assert_eq!(found, &(key(n), record(n)), "{when}: not a clean beginning");
    }
    let count = records.len() as u64;
    assert_eq!(
        index.activity(source).versions,
        count,
        "{when}: the numbers"
    );
    match opened {
        Opened::Existing => {
            assert!(
                count >= flushed,
                "{when}: {count} of {flushed} flushed ones"
            );
            tally.kept += 1;
            tally.disks.versions += count;
        }
        // A new one is compared with the bucket; it must not pretend to know.
        _ if flushed == 0 => assert_eq!(count, 0, "{when}: {opened:?}"),
        _ => {
            assert_eq!(count, 0, "{when}: {opened:?}");
            println!("{when}, {flushed} flushed: {opened:?}");
            tally.rebuilt += 1;
        }
    }
    write(&index, 3, |_| ()).unwrap_or_else(|e| panic!("{when}: {e}"));
    index.flush().unwrap();
    tally.disks.states += 1;
}

fn cut_at(
    drive: &Drive,
    cut: u64,
    fates: &[Fate],
    random: &mut fastrand::Rng,
    tally: &mut Indexes,
) {
    let disk = drive.insert(Platter::new());
    disk.power.cut_after(cut);
    let flushed = run(&disk);
    tally.disks.cuts += u64::from(disk.power.is_cut());
    let platter = disk.take_out();
    for &fate in fates {
        let left = platter.clone().after_cut(fate, random);
        let when = format!("index, cut at operation {cut}, {fate:?}");
        found_again(drive, left, flushed, &when, tally);
    }
}

fn operations(drive: &Drive) -> u64 {
    let disk = drive.insert(Platter::new());
    assert_eq!(run(&disk), RECORDS, "the child without a cut");
    disk.power.operations()
}

#[test]
fn what_the_index_flushed_survives_a_cut_at_any_write() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let mut random = fastrand::Rng::with_seed(seed("index"));
    let (mut tally, deadline) = (Indexes::default(), Instant::now() + SHORT);
    let total = operations(&drive);
    while tally.disks.goes_on(deadline) {
        let cut = random.u64(..total);
        let fates = [Fate::Lost, Fate::NamesOnly, Fate::Journal, Fate::Mixed];
        cut_at(&drive, cut, &fates, &mut random, &mut tally);
    }
    println!("index: {total} operations, {tally}");
}

#[test]
#[ignore = "every operation and every fate: KEEPWATCH_POWER_MINUTES=10 cargo test --test suite power -- --ignored --nocapture"]
fn the_index_survives_cuts_at_every_write_in_every_way() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let mut random = fastrand::Rng::with_seed(seed("index, long"));
    let (mut tally, deadline) = (Indexes::default(), long());
    let total = operations(&drive);
    for cut in 0..total {
        cut_at(&drive, cut, &Fate::ALL, &mut random, &mut tally);
    }
    println!("index, every operation ({total}): {tally}");
    while Instant::now() < deadline {
        let cut = random.u64(..total);
        cut_at(&drive, cut, &Fate::ALL, &mut random, &mut tally);
    }
    println!("index, long: {tally}");
}
