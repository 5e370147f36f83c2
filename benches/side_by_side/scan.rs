//! The scan of a source in which nothing has changed, beside `find`.

use crate::keepwatch_program::Install;
use crate::measure;
use crate::measure::Cost;
use crate::servers::Endpoint;
use crate::table;
use crate::trees;
use keepwatch::files;
use keepwatch::files::Rules;
use keepwatch::index::Index;
use keepwatch::types::{ContentHash, Kind, Look, Record, RelKey, RelPath};
use keepwatch_vault::Vault;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Files per folder.
const PER_FOLDER: u64 = 1_000;

/// Records written to the index at a time.
const IMPORTED_AT_ONCE: usize = 10_000;

/// How long a start with its scan may take.
const SCAN_MAX: Duration = Duration::from_secs(600);

/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(20);

const BUCKET: &str = "bench-bucket";

/// `find` and Keepwatch in turn, the cache warm.
pub fn run(count: u64, repeat: usize) {
    let space = trees::workspace();
    let source = space.path().join("source");
    let home = space.path().join("home");
    let vault = space.path().join("vault");
    plant(&source, count);
    let nowhere = Endpoint {
        url: String::new(),
        access_key: "x".into(),
        secret_key: "x".into(),
    };
    let store = format!("[vault]\npath = \"{}\"", vault.display());
    let more = "sentinel = false";
    let install = Install::with_store(&home, &source, BUCKET, &nowhere, &store, more);
    remember(&source, &home.join("state/index"), &vault, count);
    let (mut finds, mut scans, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=repeat {
        let mut find = Command::new("find");
        find.arg(&source)
            .args(["-printf", "%s %T@\n"])
            .stdout(Stdio::null());
        finds.push(measure::run(&mut find));
        let (start, scan) = scanned(&install, count);
        starts.push(start);
        scans.push(scan);
    }
    // The first of each warmed the cache.
    let median = |costs: &[Cost]| measure::median(&costs[1..]);
    table::costs(
        &format!("Scan of {count} unchanged files"),
        &[
            ("find".into(), median(&finds)),
            ("keepwatch".into(), median(&scans)),
            (
                "keepwatch from its start to the end of its scan".into(),
                median(&starts),
            ),
        ],
    );
}

fn plant(root: &Path, count: u64) {
    for number in 0..count {
        let folder = root.join(format!("folder {:05}", number / PER_FOLDER));
        if number.is_multiple_of(PER_FOLDER) {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::write(folder.join(format!("document {number:07}.txt")), b"x").unwrap();
    }
}

/// An index that knows all of it, as after a first upload: sending a million
/// files would measure something else.
fn remember(source: &Path, folder: &Path, vault: &Path, count: u64) {
    Vault::open(vault).unwrap().ensure_bucket(BUCKET).unwrap();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let (index, _) = Index::open(folder).unwrap();
    let destination = format!("vault:{}", vault.display());
    let id = index.source_id("bench", BUCKET, "", &destination).unwrap();
    let rules = Rules::new(source, &[]).unwrap();
    let mut records: Vec<(RelKey, Record)> = Vec::new();
    let mut number = 0u64;
    for entry in files::walk(source, &RelPath::root(), &rules).map(Result::unwrap) {
        if entry.fingerprint.kind != Kind::File {
            continue;
        }
        number += 1;
        let record = Record {
            fingerprint: entry.fingerprint,
            content: Some(ContentHash::of(&number.to_le_bytes())),
            version_id: keepwatch::types::VersionId::new(format!(
                "{:032x}",
                u128::from(number) << 64 | 0x5eed
            )),
            etag: format!("{:032x}", u128::from(number) * 0x1_0001).into(),
            stored_bytes: entry.fingerprint.size_bytes,
            stored_at_ms: entry.fingerprint.mtime_ms(),
            racy: false,
            look: Look::Plain,
            attributes: None,
        };
        records.push((entry.key, record));
        if records.len() == IMPORTED_AT_ONCE {
            index.import(id, &records).unwrap();
            records.clear();
        }
    }
    index.import(id, &records).unwrap();
    assert_eq!(index.counts(id).files, count);
    // As the daemon leaves it when it ends in order.
    index
        .source_state_set(id, "compared", &true.into())
        .unwrap();
    index.state_set("stopped_cleanly", &true.into()).unwrap();
    index.state_set(&destination, &true.into()).unwrap();
    index.flush().unwrap();
}

/// One start: what it cost up to the end of the scan, and the scan alone, by the
/// program's own clock and by the processor time that the process took since.
fn scanned(install: &Install, count: u64) -> (Cost, Cost) {
    let log = install.home.join("log");
    let before = scan_lines(&log).len();
    let (mut child, began) = measure::spawn(&mut install.daemon());
    let pid = child.id();
    let mut spent: Vec<(f64, f64)> = Vec::new();
    let told = loop {
        spent.push((began.elapsed().as_secs_f64(), measure::cpu_s(pid)));
        if let Some(line) = scan_lines(&log).get(before) {
            break line.clone();
        }
        assert!(began.elapsed() < SCAN_MAX, "no scan within {SCAN_MAX:?}");
        assert!(child.try_wait().unwrap().is_none(), "the daemon has ended");
        std::thread::sleep(LOOK);
    };
    let peak_mib = measure::peak_kib(pid) as f64 / 1024.0;
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let ok = child.wait().unwrap().success()
        && number_in(&told, "files=") == count
        && number_in(&told, "examined=") == 0;
    let (wall_s, cpu_s) = *spent.last().unwrap();
    let scan_s = number_in(&told, "took_ms=") as f64 / 1000.0;
    let at_scan = spent.iter().rfind(|(at, _)| *at <= wall_s - scan_s);
    let start = Cost {
        wall_s,
        cpu_s,
        peak_mib,
        ok,
        ..Cost::default()
    };
    let scan = Cost {
        wall_s: scan_s,
        cpu_s: cpu_s - at_scan.map_or(0.0, |(_, cpu_s)| *cpu_s),
        ..start
    };
    (start, scan)
}

/// What the log says of scans that have ended.
fn scan_lines(log: &Path) -> Vec<String> {
    let files = fs::read_dir(log).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("folder scanned"))
        .collect()
}

/// The number that follows `name` in a line of the log.
fn number_in(line: &str, name: &str) -> u64 {
    let rest = line.split(name).nth(1).unwrap_or_default();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|text| text.parse().ok())
        .unwrap_or(u64::MAX)
}
