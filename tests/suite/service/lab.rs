//! A system of its own, started by systemd as PID 1, for one test.

use crate::harness::PATIENCE;
use std::fs::File;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The packages that have what is needed.
const PACKAGES: [&str; 2] = ["systemd", "systemd-container"];

/// Where programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One system at a time: they share a control group.
static ONE: Mutex<()> = Mutex::new(());

/// A running system; it ends with this.
pub struct Lab {
    nspawn: Child,
    leader: u32,
    _folder: tempfile::TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Lab {
    /// Start it, with this configuration.
    pub fn boot(config: &str) -> Self {
        install_packages();
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let said = File::create(folder.path().join("said")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/service/lab.sh");
        let mut nspawn = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "bash", script])
            .arg(folder.path())
            .arg(env!("CARGO_BIN_EXE_keepwatch"))
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let is_up = |leader: u32| {
            let mut ask = enter(leader);
            let output = ask
                .args(["systemctl", "is-active", "basic.target"])
                .output();
            output.is_ok_and(|output| output.stdout == b"active\n")
        };
        let began = Instant::now();
        let leader = loop {
            let leader = only_child(nspawn.id());
            if let Some(leader) = leader.filter(|leader| is_up(*leader)) {
                break leader;
            }
            let said = || std::fs::read_to_string(folder.path().join("said")).unwrap();
            assert!(nspawn.try_wait().unwrap().is_none(), "it ended: {}", said());
            assert!(began.elapsed() < PATIENCE, "it does not start: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        };
        let lab = Self {
            nspawn,
            leader,
            _folder: folder,
            _one: one,
        };
        lab.write("/etc/keepwatch/keepwatch.toml", config);
        lab
    }

    /// Run a program in it.
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = enter(self.leader);
        command.args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// The same, as a line of the shell, which must succeed.
    pub fn shell(&self, line: &str) -> String {
        let output = self.run(&["sh", "-c", line]);
        let said = text(&output);
        assert!(output.status.success(), "{line}: {said}");
        said
    }

    /// `keepwatch` with these words: its exit code, and what it has said.
    pub fn keepwatch(&self, words: &str) -> (Option<i32>, String) {
        let output = self.run(&["sh", "-c", &format!("keepwatch {words}")]);
        (output.status.code(), text(&output))
    }

    /// The same, which must end with 0.
    pub fn well(&self, words: &str) -> String {
        let (code, said) = self.keepwatch(words);
        assert_eq!(code, Some(0), "keepwatch {words}: {said}");
        said
    }

    /// A property of the service, as systemd has it.
    pub fn property(&self, name: &str) -> String {
        let said = self.shell(&format!(
            "systemctl show --value --property {name} keepwatch"
        ));
        said.trim().to_owned()
    }

    /// Write a file in it.
    pub fn write(&self, path: &str, content: &str) {
        let output = self.run(&["sh", "-c", "printf %s \"$0\" > \"$1\"", content, path]);
        assert!(output.status.success(), "{path}: {}", text(&output));
    }

    /// Wait until this holds.
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            let state = || self.shell("systemctl status keepwatch --no-pager --lines 30; true");
            assert!(
                began.elapsed() < PATIENCE,
                "waited too long until {what}: {}",
                state()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Its first process takes all others with it.
        let kill = |id: u32| {
            Command::new("kill")
                .args(["-KILL", &id.to_string()])
                .status()
        };
        let _ = kill(self.leader);
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

/// A command in the namespaces of this process.
fn enter(leader: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &leader.to_string()]);
    command.args(["--mount", "--pid", "--uts", "--ipc", "--net", "--"]);
    // Nothing of the test's own environment.
    command.env_clear().env("PATH", PATH);
    command
}

fn only_child(of: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Once in a test run; other test runs wait for apt's own lock.
fn install_packages() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let is_there = |file: &str| std::path::Path::new(file).exists();
        if is_there("/usr/bin/systemd-nspawn") && is_there("/usr/lib/systemd/systemd") {
            return;
        }
        let script = format!(
            "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get \
             -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends {}",
            PACKAGES.join(" ")
        );
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = text(&output);
        assert!(
            output.status.success(),
            "cannot install {PACKAGES:?}: {said}"
        );
    });
}
