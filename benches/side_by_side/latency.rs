//! From a save to the object in the bucket, beyond the debounce: when nothing
//! else happens, and while a backlog is being sent.

use crate::keepwatch_program::Install;
use crate::measure;
use crate::servers::Server;
use crate::table;
use crate::trees;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Long enough that saves overlap, short enough that they do not all.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Saves that are measured, and the time between two of them.
const SAVES: usize = 200;
const SAVE_EVERY: Duration = Duration::from_millis(100);

/// How often it is looked whether an object is there.
const LOOK: Duration = Duration::from_millis(1);

/// A save that takes longer has been lost.
const LOST: Duration = Duration::from_secs(120);

/// How long the daemon may take until it answers.
const START: Duration = Duration::from_secs(60);

const BUCKET: &str = "bench-bucket";

/// Both tables, with and without a backlog of `backlog` files.
pub fn run(backlog: u64) {
    println!("\nFrom a save to the object in the bucket, less the debounce of {DEBOUNCE:?}\n");
    println!("| | median ms | p90 | p99 | most | lost | sent meanwhile | load |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for backlog in [0, backlog] {
        one(backlog);
    }
}

fn one(backlog: u64) {
    let space = trees::workspace();
    let source = space.path().join("source");
    fs::create_dir_all(source.join("saved")).unwrap();
    trees::plant(&source, backlog, 512, 4_096);
    let server = Server::fastest(&space.path().join("server"), &[BUCKET.to_owned()]);
    let more = format!("\n[limits]\ndebounce_ms = {}", DEBOUNCE.as_millis());
    let home = space.path().join("home");
    let install = Install::new(&home, &source, BUCKET, &server.at, &more);
    let (mut child, began) = measure::spawn(&mut install.daemon());
    let bucket = server.folder.join(BUCKET);
    while install.status().is_none() {
        assert!(began.elapsed() < START, "the daemon does not answer");
    }
    // The watch is set up, and of a backlog something is on its way.
    std::thread::sleep(Duration::from_secs(2));
    let before = stored(&install);
    let (mut found, lost) = saves(&source, &bucket);
    let sent = stored(&install).saturating_sub(before);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    found.sort();
    let at = |percent: usize| {
        let after = found[(found.len() - 1) * percent / 100].saturating_sub(DEBOUNCE);
        format!("{:.0}", after.as_secs_f64() * 1000.0)
    };
    println!(
        "| {} | {} | {} | {} | {} | {lost} | {sent} | {} |",
        match backlog {
            0 => "idle".to_owned(),
            _ => format!("backlog of {backlog}"),
        },
        at(50),
        at(90),
        at(99),
        at(100),
        table::load()
    );
}

/// Files known to be in the bucket.
fn stored(install: &Install) -> u64 {
    let told = install.status().unwrap_or_default();
    told["sources"][0]["files_protected"].as_u64().unwrap_or(0)
}

/// Save new files one after the other, and see when each is there.
fn saves(source: &Path, bucket: &Path) -> (Vec<Duration>, usize) {
    let began = Instant::now();
    let mut waiting: Vec<(PathBuf, Instant)> = Vec::new();
    let mut found = Vec::new();
    let (mut saved, mut lost) = (0, 0);
    while saved < SAVES || !waiting.is_empty() {
        if saved < SAVES && began.elapsed() >= SAVE_EVERY * u32::try_from(saved).unwrap() {
            let name = format!("saved/report {saved:04}.txt");
            fs::write(source.join(&name), trees::noise(saved as u64, 20_000)).unwrap();
            waiting.push((bucket.join(&name), Instant::now()));
            saved += 1;
        }
        waiting.retain(|(object, since)| {
            if object.exists() {
                found.push(since.elapsed());
            } else if since.elapsed() > LOST {
                lost += 1;
            } else {
                return true;
            }
            false
        });
        std::thread::sleep(LOOK);
    }
    (found, lost)
}
