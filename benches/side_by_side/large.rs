//! One large file and what happens to it: how many bytes go over the wire, and
//! how long that takes, beside the bytes that have changed.

use crate::keepwatch_program::Install;
use crate::measure;
use crate::measure::Cost;
use crate::others::Other;
use crate::proxy::Proxy;
use crate::servers::Server;
use crate::table;
use crate::trees;
use crate::trees::Content;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

const MIB: u64 = 1 << 20;

/// A file is left alone for so long before it is looked at; longer than the
/// debounce below, and than the clock's grain.
const REST: Duration = Duration::from_millis(1_500);

/// The kill comes when so many of a hundred bytes are on the wire.
const KILL_AT_PERCENT: u64 = 70;

/// After that long without the bytes for the kill, the run has ended or hangs.
const KILL_WAIT: Duration = Duration::from_secs(1_800);

/// What is done to the file. Order counts: each step starts from the last one.
const STEPS: [Step; 8] = [
    Step::First,
    Step::Edit,
    Step::Insert,
    Step::Append,
    Step::Touch,
    Step::Rename,
    Step::Killed,
    Step::Resumed,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    Edit,
    Insert,
    Append,
    Touch,
    Rename,
    Killed,
    Resumed,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::First => "first upload",
            Self::Edit => "1 MiB overwritten in the middle",
            Self::Insert => "1 MiB inserted in the middle",
            Self::Append => "1 MiB appended",
            Self::Touch => "touched",
            Self::Rename => "renamed",
            Self::Killed => "new content, killed at 70 % of it",
            Self::Resumed => "begun again after the kill",
        }
    }

    /// Bytes that have changed or are still missing.
    fn floor(self, mib: u64) -> u64 {
        match self {
            Self::First => mib * MIB,
            Self::Edit | Self::Insert | Self::Append => MIB,
            Self::Touch | Self::Rename => 0,
            Self::Killed => mib * MIB * KILL_AT_PERCENT / 100,
            Self::Resumed => mib * MIB * (100 - KILL_AT_PERCENT) / 100,
        }
    }
}

/// Every size, as noise and as CSV (which Keepwatch compresses).
pub fn run(sizes_mib: &[u64]) {
    for &mib in sizes_mib {
        for what in [Content::Noise, Content::Csv] {
            one(mib, what);
        }
    }
}

fn one(mib: u64, what: Content) {
    let mut table: Vec<Vec<(String, Cost)>> = STEPS
        .iter()
        .map(|step| {
            let floor = Cost {
                wire: step.floor(mib),
                ok: true,
                ..Cost::default()
            };
            vec![("(the changed bytes)".to_owned(), floor)]
        })
        .collect();
    let mut programs = vec![None];
    programs.extend(Other::ALL.map(Some));
    for program in programs {
        if program.is_some_and(|other| other.program().is_none()) {
            continue;
        }
        let name = program.map_or("keepwatch", Other::name);
        for (rows, cost) in table.iter_mut().zip(steps_of(program, mib, what)) {
            rows.push((name.to_owned(), cost));
        }
    }
    for (step, rows) in STEPS.iter().zip(table) {
        table::costs(&format!("{mib} MiB of {what:?}: {}", step.name()), &rows);
    }
}

/// All steps by one program, on a vault of its own.
fn steps_of(program: Option<Other>, mib: u64, what: Content) -> Vec<Cost> {
    let space = trees::workspace();
    let home = space.path().join("home");
    let source = space.path().join("source");
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(&source).unwrap();
    let bucket = "bench-bucket".to_owned();
    let server = Server::vault(&space.path().join("vault"), std::slice::from_ref(&bucket));
    let proxy = Proxy::start(&server.at);
    let more = "compress = [\"*.csv\"]\nsentinel = false\n\n[limits]\ndebounce_ms = 100";
    let install = Install::new(&home, &source, &bucket, &proxy.at, more);
    let command = || match program {
        None => install.reconcile(),
        Some(other) => other.sync(&source, &bucket, &proxy.at, &home),
    };
    let mut file = source.join(match what {
        Content::Noise => "large.bin",
        Content::Csv => "large.csv",
    });
    STEPS
        .iter()
        .map(|&step| {
            change(step, &mut file, mib, what);
            std::thread::sleep(REST);
            let before = proxy.sent();
            let cost = match step {
                Step::Killed => killed(command(), &proxy, mib),
                _ => measure::run(&mut command()),
            };
            Cost {
                wire: proxy.sent() - before,
                ..cost
            }
        })
        .collect()
}

/// Do to the file what the step says, as programs do that save files.
fn change(step: Step, file: &mut PathBuf, mib: u64, what: Content) {
    let middle = mib / 2 * MIB;
    let seed = 7_000 + step as u64;
    match step {
        Step::First => trees::plant_large(file, what, 1, mib),
        Step::Edit => {
            let mut open = File::options().write(true).open(&file).unwrap();
            open.seek(SeekFrom::Start(middle)).unwrap();
            open.write_all(&trees::content(what, seed, MIB as usize))
                .unwrap();
        }
        Step::Insert => {
            let next = file.with_extension("next");
            let mut from = File::open(&file).unwrap();
            let mut to = File::create(&next).unwrap();
            io::copy(&mut Read::by_ref(&mut from).take(middle), &mut to).unwrap();
            to.write_all(&trees::content(what, seed, MIB as usize))
                .unwrap();
            io::copy(&mut from, &mut to).unwrap();
            fs::rename(next, &file).unwrap();
        }
        Step::Append => {
            let mut open = File::options().append(true).open(&file).unwrap();
            open.write_all(&trees::content(what, seed, MIB as usize))
                .unwrap();
        }
        Step::Touch => {
            let open = File::options().write(true).open(&file).unwrap();
            open.set_modified(std::time::SystemTime::now()).unwrap();
        }
        Step::Rename => {
            let to = renamed(file);
            fs::rename(&file, &to).unwrap();
            *file = to;
        }
        Step::Killed => trees::plant_large(file, what, 2, mib),
        Step::Resumed => {}
    }
}

fn renamed(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    file.with_file_name(format!("renamed {name}"))
}

/// Kill it once enough has gone over the wire; one that ends before (because it
/// sends less) is measured to its end.
fn killed(mut command: Command, proxy: &Proxy, mib: u64) -> Cost {
    let limit = proxy.sent() + Step::Killed.floor(mib);
    let running = measure::spawn(&mut command);
    let pid = Pid::from_child(&running.0);
    let watched = proxy.at.url.clone();
    let (ended, has_ended) = std::sync::mpsc::channel::<()>();
    let cost = std::thread::scope(|scope| {
        scope.spawn(move || {
            let began = std::time::Instant::now();
            while proxy.sent() < limit && began.elapsed() < KILL_WAIT {
                if has_ended.recv_timeout(Duration::from_millis(2))
                    != Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    return;
                }
            }
            // Not reaped before this thread has ended, so it is ours still.
            kill_process(pid, Signal::KILL).unwrap_or_else(|e| println!("{watched}: {e}"));
        });
        let cost = measure::finish(running);
        drop(ended);
        cost
    });
    // Killed is how it was meant to end.
    Cost { ok: true, ..cost }
}
