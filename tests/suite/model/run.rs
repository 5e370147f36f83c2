//! One run: operations and harm, rests, and every check at the end.

use super::bucket::Bucket;
use super::check::Histories;
use super::clock::Clock;
use super::journal::Journal;
use super::ops::Generator;
use super::plan::{Fault, Harshness, Planned, draw};
use super::program::Program;
use super::served::{BUCKET, Served};
use super::tree::Tree;
use super::{check, tree};
use fastrand::Rng;
use keepwatch::s3::OpenUpload;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long coming to rest may take: an overflow's new watch a minute, a
/// comparison that failed at the start another, and a very busy machine.
const REST_PATIENCE: Duration = Duration::from_secs(240);

/// How often it is looked whether it rests.
const LOOK: Duration = Duration::from_millis(50);

/// So many quiet looks in a row are rest: longer than events are gathered.
const QUIET_LOOKS: u32 = 8;

/// After an outage the next try waits for a minute of wall clock. So much of it
/// passes per look then; a heartbeat in which a minute passes would be taken
/// for a sleep, and everything scanned.
const HURRY_MS: i64 = 1_000;

/// The wall clock is not hurried further than this: a server refuses requests
/// whose time is 15 minutes off.
const HURRY_MAX_MS: i64 = 800_000;

/// What a run found and did.
#[derive(Debug, Default)]
pub struct Report {
    pub seed: u64,
    pub operations: u64,
    pub states: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub requests_harmed: BTreeMap<&'static str, u64>,
    pub requests: u64,
    pub versions: check::Versions,
    pub moments: u64,
    pub took: Duration,
    /// What was wrong; empty when all is well.
    pub failures: Vec<String>,
    pub journal: String,
}

/// A moment at which bucket and folder were equal.
struct Moment {
    at: jiff::Timestamp,
    tree: Tree,
}

/// One run and all it works with. Dropped from the top: the program first.
pub struct Run {
    program: Program,
    pub generator: Generator,
    served: Served,
    clock: Clock,
    bucket: Bucket,
    rng: Rng,
    journal: Journal,
    moments: Vec<Moment>,
    report: Report,
    began: Instant,
    folder: tempfile::TempDir,
}

impl Run {
    /// Everything made, the program started.
    pub fn new(seed: u64, harshness: Harshness) -> Self {
        let mut rng = Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["office", "outside", "vault"] {
            fs::create_dir(path(name)).unwrap();
        }
        let journal = Journal::new();
        let served = Served::new(&path("vault"), rng.fork(), journal.clone());
        let url = served.wire.url();
        let clock = Clock::new(folder.path());
        let generator = Generator::new(
            path("office"),
            path("outside"),
            rng.fork(),
            harshness.big,
            journal.clone(),
        );
        let mut program = Program::new(folder.path(), &url, journal.clone());
        program.start(&clock);
        Self {
            program,
            generator,
            served,
            clock,
            bucket: Bucket::default(),
            rng,
            journal,
            moments: Vec::new(),
            report: Report {
                seed,
                ..Report::default()
            },
            began: Instant::now(),
            folder,
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("office")
    }

    /// A whole random run.
    pub fn random(seed: u64, harshness: Harshness) -> Report {
        let mut run = Self::new(seed, harshness);
        for phase in 0..harshness.phases {
            let faults = draw(&mut run.rng, harshness);
            run.phase(harshness.operations, &faults);
            if !run.rest(&format!("after phase {phase}")) {
                return run.end();
            }
        }
        run.finish()
    }

    /// Operations, with these faults among them.
    pub fn phase(&mut self, operations: usize, faults: &[Planned]) {
        for number in 0..operations {
            for planned in faults {
                if planned.end == number {
                    self.over(planned.fault);
                }
            }
            for planned in faults {
                if planned.begin == number {
                    self.begin(planned.fault);
                }
            }
            self.generator.step();
            self.report.operations += 1;
            let pause_ms = match self.rng.u8(0..100) {
                0..=59 => 0,
                60..=89 => self.rng.u64(1..15),
                90..=97 => self.rng.u64(15..60),
                _ => self.rng.u64(60..200),
            };
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
    }

    pub fn begin(&mut self, fault: Fault) {
        *self.report.faults.entry(fault.name()).or_default() += 1;
        match fault {
            Fault::Line(harm, share) => self.served.wire.set(Some(harm), share),
            Fault::Kill => self.program.kill(),
            Fault::Stop => self.program.stop(),
            Fault::LoseIndex => {
                self.program.kill();
                self.program.lose_index();
            }
            Fault::Clock(ms) => {
                self.journal.note(format!("THE CLOCK JUMPS to {ms} ms off"));
                self.clock.set(ms);
            }
            Fault::Overflow => {
                self.program.hold_still(true);
                self.generator.flood(queue_events() + 2_000);
            }
        }
    }

    pub fn over(&mut self, fault: Fault) {
        match fault {
            Fault::Line(..) => self.served.wire.set(None, 0),
            Fault::Kill | Fault::Stop | Fault::LoseIndex => self.program.start(&self.clock),
            Fault::Clock(_) => {
                self.journal.note("the clock is true again");
                self.clock.set(0);
            }
            Fault::Overflow => self.program.hold_still(false),
        }
    }

    /// Wait until bucket and folder are equal and the program says that all is
    /// well, by itself, and record the moment. False when it does not come.
    pub fn rest(&mut self, when: &str) -> bool {
        let tree = tree::read(&self.root());
        let began = Instant::now();
        let mut quiet = 0;
        let mut wrong = vec!["it was never looked".to_owned()];
        while began.elapsed() < REST_PATIENCE {
            std::thread::sleep(LOOK);
            self.program.look();
            if !self.program.is_running() {
                break;
            }
            match self.restless(&tree) {
                None => quiet += 1,
                Some(why) => {
                    (quiet, wrong) = (0, vec![why]);
                    continue;
                }
            }
            if quiet < QUIET_LOOKS {
                continue;
            }
            wrong = match self.histories() {
                Ok(histories) => check::current(&tree, &histories),
                Err(why) => vec![why],
            };
            if wrong.is_empty() {
                self.rested(tree);
                return true;
            }
        }
        self.journal.note("IT DID NOT COME TO REST");
        self.fail(when, wrong);
        let differs = match self.histories() {
            Ok(histories) => check::current(&tree, &histories),
            Err(why) => vec![why],
        };
        self.fail(when, differs);
        false
    }

    fn rested(&mut self, tree: Tree) {
        self.clock.set(0);
        self.generator.rested();
        self.journal.note("at rest, a moment recorded");
        self.moments.push(Moment {
            at: jiff::Timestamp::now(),
            tree,
        });
        // What comes next is of a later millisecond.
        std::thread::sleep(Duration::from_millis(3));
    }

    /// Why it does not rest, by its own status.
    fn restless(&mut self, tree: &Tree) -> Option<String> {
        let status = self.served.runtime.block_on(self.program.status());
        let Some(status) = status else {
            return Some("it does not answer".into());
        };
        let is_waiting_for_the_clock =
            status.board.outage.is_some() || status.unprotected_total > 0;
        if is_waiting_for_the_clock && self.clock.offset_ms() < HURRY_MAX_MS {
            self.clock.set(self.clock.offset_ms() + HURRY_MS);
        }
        let files = tree.things.len() - tree.things.keys().filter(|k| k.ends_with('/')).count();
        let is_idle = status.waiting == 0
            && status.board.scanning.is_none()
            && status.board.last_scan.is_some()
            && status.board.outage.is_none()
            && status.board.warnings.keys().all(|topic| topic == "clock")
            && status.unverified == 0
            && status.unprotected_total == 0;
        let sentinel = u64::from(self.root().join(tree::SENTINEL).exists());
        let protected = status.files_protected;
        let is_all = protected == files as u64 || protected == files as u64 + sentinel;
        (!is_idle || !is_all).then(|| format!("{files} files, status {status:?}"))
    }

    fn histories(&mut self) -> Result<Histories, String> {
        let read = self.bucket.histories(&self.served.store);
        self.served.runtime.block_on(read)
    }

    fn fail(&mut self, when: &str, wrong: Vec<String>) {
        let wrong = wrong.into_iter().map(|what| format!("{when}: {what}"));
        self.report.failures.extend(wrong);
    }

    /// Everything that must hold at the end.
    pub fn finish(mut self) -> Report {
        let tree = tree::read(&self.root());
        let histories = match self.histories() {
            Ok(histories) => histories,
            Err(why) => {
                self.fail("at the end", vec![why]);
                return self.end();
            }
        };
        let (versions, wrong) = check::versions(&self.generator.truth, &histories);
        self.report.versions = versions;
        self.fail("versions", wrong);
        self.wait_for_uploads();
        self.program.stop();
        self.check_index(&tree, &histories, "after the first stop");
        self.check_second_run(&tree, &histories);
        self.check_moments(&histories);
        self.end()
    }

    /// Parts whose owner was killed, or never heard of them, are cleared away on
    /// a period of a minute.
    fn wait_for_uploads(&mut self) {
        let began = Instant::now();
        while !self.open_uploads().is_ok_and(|open| open.is_empty()) {
            if began.elapsed() >= REST_PATIENCE {
                return self.check_uploads("while running");
            }
            std::thread::sleep(LOOK);
            if self.clock.offset_ms() < HURRY_MAX_MS {
                self.clock.set(self.clock.offset_ms() + HURRY_MS);
            }
        }
    }

    fn open_uploads(&self) -> Result<Vec<OpenUpload>, keepwatch::types::Fault> {
        let open = self.served.store.open_uploads(BUCKET, "");
        self.served.runtime.block_on(open)
    }

    fn check_uploads(&mut self, when: &str) {
        match self.open_uploads() {
            Ok(open) if open.is_empty() => {}
            other => self.fail(when, vec![format!("uploads left behind: {other:?}")]),
        }
    }

    fn check_index(&mut self, tree: &Tree, histories: &Histories, when: &str) {
        let (state_dir, url) = (self.program.state_dir(), self.served.wire.url());
        let wrong = check::index(&state_dir, &url, tree, histories);
        self.fail(when, wrong);
    }

    /// Another run, with nothing changed, makes no version and leaves no parts.
    fn check_second_run(&mut self, tree: &Tree, before: &Histories) {
        self.program.start(&self.clock);
        if !self.rest("in the second run") {
            return;
        }
        // That rest is no new moment.
        self.moments.pop();
        self.program.stop();
        match self.histories() {
            Ok(after) => {
                let count = |all: &Histories| -> usize {
                    all.values().map(|history| history.versions.len()).sum()
                };
                if count(&after) != count(before) {
                    let wrong = format!("{} versions became {}", count(before), count(&after));
                    self.fail("second run", vec![wrong]);
                }
                self.check_index(tree, &after, "after the second stop");
            }
            Err(why) => self.fail("second run", vec![why]),
        }
        self.check_uploads("at the end");
        let left = check::notes(&self.program.state_dir());
        self.fail("after the second stop", left);
    }

    /// Restoring as of a recorded moment gives what was there then.
    fn check_moments(&mut self, histories: &Histories) {
        for (number, moment) in std::mem::take(&mut self.moments).into_iter().enumerate() {
            let to = self.folder.path().join(format!("restored {number}"));
            let at = moment.at.to_string();
            let output = self.program.restore(&self.clock, &at, &to);
            let when = format!("restore --at {at}");
            let said = String::from_utf8_lossy(&output.stderr);
            let mut wrong = match output.status.code() {
                Some(0) => tree::differences(&moment.tree, &tree::read(&to)),
                _ => vec![format!("{}: {said}", output.status)],
            };
            if !wrong.is_empty() {
                let is_named = |key: &str| {
                    let quoted = format!("{key:?}:");
                    said.contains(key) || wrong.iter().any(|what| what.starts_with(&quoted))
                };
                let of_wrong = histories.iter().filter(|(key, _)| is_named(key));
                let versions: Vec<String> = of_wrong.map(|it| format!("{it:?}")).collect();
                wrong.extend(versions);
                self.fail(&when, wrong);
                continue;
            }
            self.report.moments += 1;
        }
    }

    fn end(mut self) -> Report {
        self.program.look();
        let complaints = std::mem::take(&mut self.program.complaints);
        self.fail("the process", complaints);
        let panics = self.program.panics();
        self.fail("panic", panics);
        self.report.states = self.generator.truth.states_total() as u64;
        self.report.requests = self.served.wire.requests();
        self.report.requests_harmed = self.served.wire.harmed();
        self.report.took = self.began.elapsed();
        self.report.journal = self.journal.text();
        if !self.report.failures.is_empty() && std::env::var_os("KEEPWATCH_MODEL_KEEP").is_some() {
            self.folder.disable_cleanup(true);
            println!("kept: {}", self.folder.path().display());
        }
        self.report
    }
}

/// How many events the system keeps for one program.
fn queue_events() -> usize {
    let text = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    text.trim().parse().unwrap()
}
