//! The scan of a source in which nothing has changed, beside `find`.

use crate::keepwatch_program::Install;
use crate::measure::{self, Cost};
use crate::servers::Endpoint;
use crate::{table, trees};
use keepwatch::files::{self, Rules};
use keepwatch::index::Index;
use keepwatch::model::{ContentHash, Kind, Look, Record, RelKey, RelPath};
use keepwatch::store::vault::Vault;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Files per folder.
const PER_FOLDER: u64 = 1_000;

/// Records written to the index at a time.
const IMPORTED_AT_ONCE: usize = 10_000;

/// How long a start with its scan may take.
const SCAN_MAX: Duration = Duration::from_secs(600);

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
            version_id: format!("{:032x}", u128::from(number) << 64 | 0x5eed),
            etag: format!("{:032x}", u128::from(number) * 0x1_0001),
            stored_bytes: entry.fingerprint.size_bytes,
            stored_at_ms: entry.fingerprint.mtime_ns / 1_000_000,
            racy: false,
            look: Look::Plain,
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

/// One start: what it cost up to the end of the scan, and the scan alone (by
/// its own clock; its processor time is what the process took meanwhile).
fn scanned(install: &Install, count: u64) -> (Cost, Cost) {
    let (mut child, began) = measure::spawn(&mut install.daemon());
    let pid = child.id();
    let mut cpu_at_scan = None;
    let scan = loop {
        assert!(began.elapsed() < SCAN_MAX, "no scan within {SCAN_MAX:?}");
        assert!(child.try_wait().unwrap().is_none(), "the daemon has ended");
        let told = install.status().map(|told| told["sources"][0].clone());
        if let Some(source) = told {
            cpu_at_scan.get_or_insert_with(|| measure::cpu_s(pid));
            if source["board"]["last_scan"].is_object() {
                break source["board"]["last_scan"].clone();
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let wall_s = began.elapsed().as_secs_f64();
    let cpu_s = measure::cpu_s(pid);
    let peak_mib = measure::peak_kib(pid) as f64 / 1024.0;
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let stop = Instant::now();
    let ok = child.wait().unwrap().success()
        && scan["files"].as_u64() == Some(count)
        && scan["examined"].as_u64() == Some(0);
    assert!(stop.elapsed() < SCAN_MAX);
    let start = Cost {
        wall_s,
        cpu_s,
        peak_mib,
        wire: 0,
        server_s: 0.0,
        ok,
    };
    let scan = Cost {
        wall_s: scan["took_ms"].as_f64().unwrap_or(f64::NAN) / 1000.0,
        cpu_s: cpu_s - cpu_at_scan.unwrap_or(0.0),
        ..start
    };
    (start, scan)
}
