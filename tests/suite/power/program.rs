//! The real program, its vault or its index or both on a disk that forgets:
//! after a cut and a new start it comes to rest, the bucket equals the folder,
//! and every version that its log names is there.

use super::mount::{Disk, Drive};
use super::platter::{Fate, Platter};
use super::{SHORT, Tally, long, seed};
use crate::harness::{BUCKET, Rig, Running, in_bucket, on_disk, program, until};
use crate::needs::Need;
use keepwatch::s3::{At, Store};
use keepwatch::types::VersionId;
use keepwatch_vault::Vault;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// More than is sent with one PUT: two parts.
const LARGE_BYTES: usize = (8 << 20) + 1000;

/// Between two pieces of work: about the debounce time.
const STEP: Duration = Duration::from_millis(120);

/// The disk is at rest when nothing was written for this long.
const REST: Duration = Duration::from_millis(1_500);

/// No run to the cut takes longer; one that does is cut then.
const RUN_MAX: Duration = Duration::from_secs(20);

/// Operations among which a cut is drawn in a short run.
const CUTS: u64 = 500;

/// What lies on the disk that forgets.
#[derive(Debug, Clone, Copy)]
enum On {
    Vault,
    State,
    Both,
}

impl On {
    const ALL: [Self; 3] = [Self::Vault, Self::State, Self::Both];

    /// Through a link, so that the next disk is found under the same name.
    fn places(self) -> (&'static str, &'static str) {
        match self {
            Self::Vault => ("disk/vault", "state"),
            Self::State => ("vault", "disk/state"),
            Self::Both => ("disk/vault", "disk/state"),
        }
    }
}

fn config(rig: &Rig, on: On) -> PathBuf {
    let (vault, state) = on.places();
    let text = format!(
        "[vault]\npath = \"{vault}\"\n\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\ncompress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n[state]\ndir = \"{state}\"\n\n[log]\ndir = \"log\"\njson = true\n\n[limits]\ndebounce_ms = 100\ndebounce_max_ms = 500\n"
    );
    let file = rig.dir.path().join("keepwatch.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// Put the disk where the configuration looks for it.
fn connect(rig: &Rig, disk: &Disk) {
    let link = rig.dir.path().join("disk");
    let _ = fs::remove_file(&link);
    symlink(disk.folder(), link).unwrap();
}

fn fill(rig: &Rig) {
    for number in 0..6 {
        rig.write(&format!("ordner/{number}.txt"), format!("Brief {number}"));
    }
    rig.write("liste.csv", "Nummer;Betrag\n".repeat(900));
    rig.write("gross.bak", vec![b'x'; LARGE_BYTES]);
}

/// The work of a day, one piece for each number.
fn one_piece(rig: &Rig, number: u32) -> bool {
    match number {
        0 => rig.write("ordner/0.txt", "neuer Brief"),
        1 => fs::rename(rig.path("ordner/1.txt"), rig.path("umbenannt.txt")).unwrap(),
        2 => rig.write("liste.csv", "Nummer;Betrag\n".repeat(901)),
        3 => fs::remove_file(rig.path("ordner/2.txt")).unwrap(),
        4 => rig.write("neu/tief/drin.txt", "drin"),
        5 => rig.write("ordner/0.txt", "noch ein neuer Brief"),
        6 => rig.write("gross.bak", vec![b'y'; LARGE_BYTES]),
        _ => return false,
    }
    true
}

/// kill -9 when dropped.
struct Doomed(Child);

impl Drop for Doomed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Work until the power goes, or until all is done and at rest.
async fn until_cut(rig: &Rig, config: &Path, disk: &Disk) {
    let mut command = program();
    command.args(["--config", config.to_str().unwrap()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _doomed = Doomed(command.spawn().unwrap());
    let (began, mut number) = (Instant::now(), 0);
    let mut quiet = (disk.power.operations(), Instant::now());
    while !disk.power.is_cut() && began.elapsed() < RUN_MAX {
        if quiet.0 > 0 && one_piece(rig, number) {
            number += 1;
        }
        sleep(STEP).await;
        let operations = disk.power.operations();
        if operations != quiet.0 {
            quiet = (operations, Instant::now());
        } else if quiet.0 > 0 && quiet.1.elapsed() > REST {
            break;
        }
    }
    disk.power.cut_now();
}

/// Path and version of everything that the log says is stored.
fn told(rig: &Rig) -> Vec<(String, Option<VersionId>)> {
    let files = fs::read_dir(rig.dir.path().join("log"))
        .into_iter()
        .flatten();
    let text = files
        .flatten()
        .map(|file| fs::read_to_string(file.path()).unwrap());
    let mut all = Vec::new();
    for text in text {
        for line in text.lines() {
            // The last line may be cut off.
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            if let (Some(path), Some(id)) = (line["path"].as_str(), line["version_id"].as_str()) {
                all.push((path.to_owned(), VersionId::new(id)));
            }
        }
    }
    all
}

/// After the cut: start again, come to rest, and miss nothing.
async fn found_again(rig: &Rig, config: &Path, when: &str, tally: &mut Tally) {
    let told = told(rig);
    // Life went on while the computer was off.
    rig.write("ordner/3.txt", "inzwischen geändert");
    let vault = rig.dir.path().join(vault_of(config));
    let daemon = Running::start(config, &[]).await;
    let open = Vault::open(&vault).unwrap();
    let store = Store::vault(open.http_client(), "the test vault");
    until(
        &format!("bucket and folder are equal: {when}"),
        async || in_bucket(&store).await == on_disk(&rig.root()),
    )
    .await;
    for (path, id) in &told {
        let at = At {
            bucket: BUCKET,
            key: path,
        };
        let got = store.head(at, id.as_ref()).await;
        let head = got.unwrap_or_else(|e| panic!("{when}: {path} {id:?}: {e}"));
        assert!(head.is_some(), "{when}: {path} {id:?} was told and is gone");
        let body = store.get(at, id.as_ref()).await;
        body.unwrap_or_else(|e| panic!("{when}: {path} {id:?}: {e}"));
    }
    until(&format!("nothing is unprotected: {when}"), async || {
        daemon.status().is_some_and(|status| {
            let source = &status["sources"][0];
            source["unprotected_total"] == 0 && source["waiting"] == 0
        })
    })
    .await;
    assert_eq!(daemon.stop(), Some(0), "{when}");
    tally.versions += told.len() as u64;
    tally.states += 1;
}

fn vault_of(config: &Path) -> &'static str {
    let text = fs::read_to_string(config).unwrap();
    match text.contains("path = \"disk/vault\"") {
        true => "disk/vault",
        false => "vault",
    }
}

/// A disk on which somebody has made the vault's folder.
fn formatted(drive: &Drive) -> Platter {
    let disk = drive.insert(Platter::new());
    fs::create_dir(disk.folder().join("vault")).unwrap();
    let mut platter = disk.take_out();
    platter.sync_all();
    platter
}

async fn cut_at(
    drive: &Drive,
    on: On,
    cut: u64,
    random: &mut fastrand::Rng,
    tally: &mut Tally,
) -> bool {
    let rig = Rig::new();
    fill(&rig);
    fs::create_dir(rig.vault_dir()).unwrap();
    let config = config(&rig, on);
    let disk = drive.insert(formatted(drive));
    connect(&rig, &disk);
    disk.power.cut_after(cut);
    until_cut(&rig, &config, &disk).await;
    let was_cut = disk.power.operations() > cut;
    let fate = random.choice(Fate::ALL).unwrap_or(Fate::Mixed);
    let left = disk.after_cut(fate, random);
    let disk = drive.insert(left);
    connect(&rig, &disk);
    let when = format!("{on:?} on the disk, cut at operation {cut}, {fate:?}");
    found_again(&rig, &config, &when, tally).await;
    tally.cuts += u64::from(was_cut);
    was_cut
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_comes_to_rest_after_a_cut_and_misses_nothing() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let mut random = fastrand::Rng::with_seed(seed("program"));
    let (mut tally, deadline) = (Tally::default(), Instant::now() + SHORT);
    let mut turn = random.usize(..On::ALL.len());
    while tally.states == 0 || Instant::now() < deadline {
        let cut = random.u64(..CUTS);
        cut_at(&drive, On::ALL[turn % 3], cut, &mut random, &mut tally).await;
        turn += 1;
    }
    println!("program: {tally}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as told: KEEPWATCH_POWER_MINUTES=10 cargo test --test suite power -- --ignored --nocapture"]
async fn the_program_survives_many_cuts() {
    if !Need::Mounts.is_met() {
        return;
    }
    let drive = Drive::new();
    let mut random = fastrand::Rng::with_seed(seed("program, long"));
    let (mut tally, deadline) = (Tally::default(), long());
    let mut most = CUTS;
    while tally.states < 3 || Instant::now() < deadline {
        for on in On::ALL {
            let cut = random.u64(..most);
            // What ended before its cut shows how far the work goes.
            if !cut_at(&drive, on, cut, &mut random, &mut tally).await {
                most = most.min(cut.max(CUTS));
            } else if cut + 50 > most {
                most += 100;
            }
        }
    }
    println!("program, long: {tally}");
}
