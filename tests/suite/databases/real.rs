//! Real SQLite databases under the real program: at random moments the database comes
//! back whole, and never an older state than a moment before had.
//!
//! `KEEPWATCH_TEST_SEED=n` does one again; `KEEPWATCH_TEST_STEPS=n` goes on longer.

use crate::harness::{BUCKET, Rig, Running, in_bucket, on_disk, until, write_config};
use crate::raw::versions;
use crate::seed::seed;
use keepwatch::files::Target;
use keepwatch::history::Selector;
use keepwatch::restore::{Options, Request, restore};
use keepwatch::retry::Stop;
use keepwatch::s3::Store;
use keepwatch::types::{Origin, WallMs};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is done in one run.
const STEPS: usize = 110;

/// Moments that are restored: as many of those at which the bucket changed, and as
/// many at random.
const MOMENTS: usize = 40;

/// Each with its way of keeping a journal.
const DATABASES: [(&str, &str); 3] = [
    ("wal.db", "WAL"),
    ("delete.db", "DELETE"),
    ("persist.db", "PERSIST"),
];

fn now_ms() -> WallMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    WallMs(i64::try_from(now.as_millis()).unwrap())
}

/// A Python program that answers each line with one.
struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start(program: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").unwrap();
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "the program ended at: {line}");
        answer.trim().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // What it had to do is done.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One database and what is known of it.
struct Database {
    path: PathBuf,
    mode: &'static str,
    is_open: bool,
    in_transaction: bool,
    /// When how many transactions were committed at the latest.
    committed: Vec<(WallMs, usize)>,
}

impl Database {
    fn tell(&mut self, writer: &mut Python, what: &str) {
        let line = format!("{what} {} {}", self.path.display(), self.mode);
        let begun_ms = now_ms();
        let count: usize = writer.ask(&line).parse().unwrap();
        self.in_transaction = what == "begin";
        self.is_open = what != "close";
        let done = count - usize::from(self.in_transaction);
        // It may have been there as soon as it was asked for.
        self.committed.push((begun_ms, done));
    }

    /// Something that a program might do now.
    fn step(&mut self, writer: &mut Python, rng: &mut fastrand::Rng) {
        if self.in_transaction {
            return self.tell(writer, "end");
        }
        match rng.u32(0..12) {
            0 if self.is_open => self.tell(writer, "close"),
            1 => self.tell(writer, "checkpoint"),
            2..4 => self.tell(writer, "begin"),
            _ => self.tell(writer, "commit"),
        }
    }

    fn by(&self, at_ms: WallMs) -> usize {
        let by_then = self.committed.iter().filter(|(ms, _)| *ms <= at_ms);
        by_then.map(|(_, count)| *count).max().unwrap_or(0)
    }
}

async fn restored(store: &Store, at_ms: Option<WallMs>, to: &Path) {
    let request = Request {
        origin: Origin {
            bucket: BUCKET.to_owned(),
            prefix: String::new(),
        },
        selector: Selector::everything(),
        at_ms,
        target: Arc::new(Target::open(to).unwrap()),
        options: Options::default(),
        preflight: None,
    };
    let restored = restore(store, request, |_| (), &Stop::never())
        .await
        .unwrap();
    assert!(restored.is_all_there(), "{:?}", restored.failed);
}

/// Before: `database disk image is malformed`, or rows that were there a moment
/// earlier and were gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_whole_at_every_moment_and_never_goes_back() {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = seed(20_261_130, u64::MAX);
    let steps = set("KEEPWATCH_TEST_STEPS").map_or(STEPS, |steps: u64| steps as usize);
    let mut rng = fastrand::Rng::with_seed(seed);
    let rig = Rig::new();
    let mut databases = DATABASES.map(|(name, mode)| Database {
        path: rig.path(name),
        mode,
        is_open: false,
        in_transaction: false,
        committed: Vec::new(),
    });
    let config = write_config(&rig, "");
    let mut running = Some(Running::start(&config, &[]).await);
    let began_ms = now_ms();
    let mut writer = Python::start(include_str!("writer.py"));
    for step in 0..steps {
        for database in &mut databases {
            if rng.bool() {
                database.step(&mut writer, &mut rng);
            }
        }
        // Most of the time something changes before the files have rested.
        let rests = rng.u32(0..6) == 0;
        let pause_ms = if rests { 900 } else { rng.u64(0..120) };
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        if step % 40 == 39 {
            let old = running.take().unwrap();
            match rng.bool() {
                true => old.kill(),
                false => assert_eq!(old.stop(), Some(0)),
            }
            databases[0].step(&mut writer, &mut rng);
            running = Some(Running::start(&config, &[]).await);
        }
    }
    for database in &mut databases {
        if database.in_transaction {
            database.tell(&mut writer, "end");
        }
        database.tell(&mut writer, "commit");
        database.tell(&mut writer, "close");
    }
    let store = rig.store();
    assert_eq!(running.take().unwrap().stop(), Some(0));
    assert_eq!(
        in_bucket(&store).await,
        on_disk(&rig.root()),
        "the last state"
    );
    let mut moments: BTreeSet<WallMs> = (0..MOMENTS)
        .map(|_| WallMs(rng.i64(began_ms.0..now_ms().0)))
        .collect();
    let mut changes: Vec<WallMs> = versions(&store, BUCKET)
        .await
        .iter()
        .map(|v| v.modified_ms)
        .collect();
    rng.shuffle(&mut changes);
    moments.extend(changes.into_iter().take(MOMENTS));
    let mut reader = Python::start(include_str!("reader.py"));
    let mut before = [0; DATABASES.len()];
    let moments = moments.into_iter().map(Some).chain([None]);
    for at_ms in moments {
        let to = rig.dir.path().join("out");
        restored(&store, at_ms, &to).await;
        for (number, (name, _)) in DATABASES.iter().enumerate() {
            let found = reader.ask(to.join(name).to_str().unwrap());
            let after_ms = at_ms.map(|at_ms| at_ms - began_ms);
            let count: usize = match found.as_str() {
                "absent" => 0,
                found => found
                    .parse()
                    .unwrap_or_else(|_| panic!("{name} {after_ms:?} ms after the start: {found}")),
            };
            assert!(
                count >= before[number],
                "{name} at {after_ms:?}: {count} after {}",
                before[number]
            );
            let most = databases[number].by(at_ms.unwrap_or(WallMs::MAX));
            assert!(count <= most, "{name} at {after_ms:?}: {count} of {most}");
            before[number] = count;
        }
        fs::remove_dir_all(&to).unwrap();
    }
    let want = databases
        .each_ref()
        .map(|database| database.by(WallMs::MAX));
    assert_eq!(before, want);
}

/// The case of the office: the program is closed in the evening, and the computer.
/// Before: the database was stored, its journal's end 4.6 s later or never, and the
/// restored one showed the rows of the morning.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_closed_just_before_a_stop_comes_back_as_it_was_closed() {
    for kills in [false, true] {
        let rig = Rig::new();
        let config = write_config(&rig, "");
        let running = Running::start(&config, &[]).await;
        let mut writer = Python::start(include_str!("writer.py"));
        let mut database = Database {
            path: rig.path("wal.db"),
            mode: "WAL",
            is_open: false,
            in_transaction: false,
            committed: Vec::new(),
        };
        for _ in 0..5 {
            database.tell(&mut writer, "commit");
        }
        let store = rig.store();
        until("database and journal are stored", async || {
            let keys: BTreeSet<String> = versions(&store, BUCKET)
                .await
                .into_iter()
                .map(|v| v.key)
                .collect();
            keys.contains("wal.db") && keys.contains("wal.db-wal")
        })
        .await;
        database.tell(&mut writer, "commit");
        database.tell(&mut writer, "close");
        if kills {
            // As soon as the database is stored, whatever has become of the journal.
            let closed = fs::read(rig.path("wal.db")).unwrap();
            until("the closed database is stored", async || {
                crate::harness::history(&store, "wal.db").await.first()
                    == Some(&Some(closed.clone()))
            })
            .await;
            running.kill();
        } else {
            assert_eq!(running.stop(), Some(0));
            assert_eq!(in_bucket(&store).await, on_disk(&rig.root()));
        }
        let to = rig.dir.path().join("out");
        restored(&store, None, &to).await;
        let mut reader = Python::start(include_str!("reader.py"));
        assert_eq!(
            reader.ask(to.join("wal.db").to_str().unwrap()),
            "6",
            "{kills}"
        );
    }
}
