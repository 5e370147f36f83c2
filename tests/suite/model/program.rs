//! The real program under test, as its own process: started, stopped, killed,
//! held still, asked.

use super::clock::Clock;
use super::journal::Journal;
use super::served::Served;
use crate::harness::{finish, program};
use keepwatch::control::{Line, Request, SourceStatus, ask};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// How long SIGTERM may take: the configured 30 s and a busy machine.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Before this a process that was just made may not have come to listening for
/// signals.
const NOT_LISTENING: Duration = Duration::from_millis(250);

/// The program and where everything of it lies.
pub struct Program {
    folder: PathBuf,
    config: PathBuf,
    child: Option<Child>,
    journal: Journal,
    /// What went wrong with the process itself.
    pub complaints: Vec<String>,
    pub starts: u64,
    started: Instant,
}

impl Program {
    /// Not started yet. The source is `folder`/office.
    pub fn new(folder: &Path, url: &str, journal: Journal) -> Self {
        let config = folder.join("keepwatch.toml");
        let text = format!(
            "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{url}\"\n\n\
             [[source]]\nname = \"office\"\npath = \"office\"\nbucket = \"office\"\ncompress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n\
             [state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n\n\
             [limits]\ndebounce_ms = 60\ndebounce_max_ms = 1000\nworkers = 6\n"
        );
        fs::write(&config, text).unwrap();
        Self {
            folder: folder.to_owned(),
            config,
            child: None,
            journal,
            complaints: Vec::new(),
            starts: 0,
            started: Instant::now(),
        }
    }

    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    fn command(&self, clock: &Clock) -> Command {
        let mut command = program();
        clock.apply(&mut command);
        command
            .args(["--config", self.config.to_str().unwrap()])
            .envs(Served::credentials());
        command
    }

    /// Start it; it is not ready yet.
    pub fn start(&mut self, clock: &Clock) {
        assert!(self.child.is_none());
        self.starts += 1;
        let name = format!("stderr-{}.txt", self.starts);
        let stderr = File::create(self.folder.join(name)).unwrap();
        let mut command = self.command(clock);
        command.stdout(stderr.try_clone().unwrap()).stderr(stderr);
        self.started = Instant::now();
        self.child = Some(command.spawn().unwrap());
        self.journal.note("start the program");
    }

    /// Complain when it has ended by itself.
    pub fn look(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Some(status) = child.try_wait().unwrap() {
            self.child = None;
            self.journal.note(format!("THE PROGRAM ENDED: {status}"));
            self.complaints.push(format!(
                "the program ended by itself: {status}\n{}",
                self.last_words()
            ));
        }
    }

    fn last_words(&self) -> String {
        let name = format!("stderr-{}.txt", self.starts);
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.look();
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
            self.journal.note("KILL -9");
        }
    }

    /// SIGTERM, and wait; anything but exit code 0 is complained of.
    pub fn stop(&mut self) {
        self.look();
        self.signal(Signal::TERM);
        let Some(mut child) = self.child.take() else {
            return;
        };
        self.journal.note("SIGTERM");
        let asked = Instant::now();
        let young = self.started.elapsed() < NOT_LISTENING;
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                // Asked before its first instruction: it had done nothing.
                let had_not_begun = young && status.signal() == Some(Signal::TERM.as_raw());
                break if had_not_begun {
                    Some(0)
                } else {
                    status.code()
                };
            }
            if asked.elapsed() > STOP_PATIENCE {
                self.complaints.push("it does not stop".into());
                child.kill().unwrap();
                child.wait().unwrap();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.journal.note("it has stopped");
        if code != Some(0) {
            let said = self.last_words();
            self.complaints
                .push(format!("SIGTERM: exit code {code:?}\n{said}"));
        }
    }

    /// SIGSTOP and SIGCONT.
    pub fn hold_still(&self, still: bool) {
        self.signal(if still { Signal::STOP } else { Signal::CONT });
        self.journal.note(if still { "SIGSTOP" } else { "SIGCONT" });
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }

    /// What `keepwatch status` would show; `None` while it does not answer.
    pub async fn status(&self) -> Option<SourceStatus> {
        let answer = ask(&self.state_dir(), &Request::Status, |_| ()).await;
        match answer {
            Ok(Some(Line::Status(mut status))) => status.sources.pop(),
            _ => None,
        }
    }

    /// Restore into a new folder, as of then.
    pub fn restore(&self, clock: &Clock, at: &str, to: &Path) -> Output {
        let mut command = self.command(clock);
        finish(command.args(["restore", "--at", at, "--to", to.to_str().unwrap()]))
    }

    /// What it said and should not have: panics, in its log and on its terminal.
    pub fn panics(&self) -> Vec<String> {
        let mut files: Vec<PathBuf> = (1..=self.starts)
            .map(|number| self.folder.join(format!("stderr-{number}.txt")))
            .collect();
        let logs = fs::read_dir(self.folder.join("log"));
        files.extend(
            logs.into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path()),
        );
        let mut found = Vec::new();
        for file in files {
            let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
            let lines = text.lines().filter(|line| line.contains("panic"));
            found.extend(lines.map(str::to_owned));
        }
        found
    }

    /// The index is gone, as after a lost or exchanged disk. Not while it runs.
    pub fn lose_index(&self) {
        assert!(self.child.is_none());
        // There may be none yet.
        let _ = fs::remove_dir_all(self.state_dir().join("index"));
        self.journal.note("THE INDEX IS LOST");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already ended: nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
