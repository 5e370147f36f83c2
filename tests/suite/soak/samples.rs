//! What the process costs, read from outside, and whether that stays so.

use super::churn::Latency;
use crate::harness::{Rig, Running};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The table's lines, and never less than the second.
const WINDOW_MAX: Duration = Duration::from_secs(180);
const WINDOW_MIN: Duration = Duration::from_secs(20);

/// Growth of the median from the middle third to the last: what the allocator
/// and sled's cache may still add. A leak of 100 bytes per save would be less
/// than this in half an hour; one of a buffer per save is far more.
const MEMORY_GROWTH_MAX_BYTES: u64 = 12 << 20;
/// Memory beyond which the run fails whatever its shape.
const MEMORY_MAX_BYTES: u64 = 400 << 20;
/// File descriptors and threads come and go with the workers.
const FDS_SLACK: u64 = 8;
const THREADS_SLACK: u64 = 16;
/// The busy machine is not the program.
const LATENCY_MEDIAN_RATIO: f64 = 1.5;
const LATENCY_P99_RATIO: f64 = 3.0;
const LATENCY_SLACK: Duration = Duration::from_secs(1);
const CPU_RATIO: f64 = 1.5;
const CPU_SLACK_S: f64 = 5.0;
/// sled writes a log and collects it as garbage later.
const INDEX_RATIO: f64 = 1.5;
const INDEX_SLACK_BYTES: u64 = 4 << 20;
/// A twentieth of it would do for what these files need.
const INDEX_MAX_BYTES: u64 = 128 << 20;

/// One look.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    at: Duration,
    rss: u64,
    anon: u64,
    fds: u64,
    threads: u64,
    cpu_s: f64,
    index: u64,
    waiting: u64,
    unprotected: u64,
}

impl Sample {
    pub fn take(daemon: &Running, rig: &Rig, began: Instant) -> Self {
        let proc = format!("/proc/{}", daemon.pid());
        let status = fs::read_to_string(format!("{proc}/status")).unwrap();
        let number = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let fds = fs::read_dir(format!("{proc}/fd")).unwrap().count() as u64;
        let cpu_s = cpu_seconds(&fs::read_to_string(format!("{proc}/stat")).unwrap());
        let told = daemon.status().expect("the daemon answers");
        let source = &told["sources"][0];
        Self {
            at: began.elapsed(),
            rss: number("VmRSS:") * 1024,
            anon: number("RssAnon:") * 1024,
            fds,
            threads: number("Threads:"),
            cpu_s,
            index: bytes_beneath(&rig.state_dir().join("index")),
            waiting: source["waiting"].as_u64().unwrap(),
            unprotected: source["unprotected_total"].as_u64().unwrap(),
        }
    }
}

/// User and system time of `/proc/PID/stat`, whose ticks are 100 to a second.
fn cpu_seconds(stat: &str) -> f64 {
    let after_name = stat.rsplit(") ").next().unwrap();
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Files come and go while this counts.
fn bytes_beneath(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_beneath(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    percentile(values, 50)
}

fn percentile<T: PartialOrd + Copy>(values: impl Iterator<Item = T>, percent: usize) -> T {
    let mut all: Vec<T> = values.collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(!all.is_empty(), "the run was too short to say anything");
    all[(all.len() - 1) * percent / 100]
}

/// All looks of a run.
pub struct Samples {
    length: Duration,
    all: Vec<Sample>,
}

impl Samples {
    pub fn new(length: Duration) -> Self {
        Self {
            length,
            all: Vec::new(),
        }
    }

    pub fn add(&mut self, sample: Sample) {
        self.all.push(sample);
    }

    fn within(&self, from: Duration, to: Duration) -> Vec<Sample> {
        let is_in = |sample: &&Sample| sample.at > from && sample.at <= to;
        self.all.iter().filter(is_in).copied().collect()
    }

    /// CPU seconds that one span of time took.
    fn cpu(&self, from: Duration, to: Duration) -> f64 {
        let before = self.all.iter().rfind(|sample| sample.at <= from);
        let last = self.all.iter().rfind(|sample| sample.at <= to);
        last.map_or(0.0, |s| s.cpu_s) - before.map_or(self.all[0].cpu_s, |s| s.cpu_s)
    }

    /// The run by windows.
    pub fn table(&self, latencies: &[Latency]) -> String {
        let window = (self.length / 10).clamp(WINDOW_MIN, WINDOW_MAX);
        let mut text = String::from(
            "   until   rss MB  anon MB   fds  threads    CPU s  index kB  saves  median ms  p99 ms  queue max  unprotected\n",
        );
        let mut from = Duration::ZERO;
        while from < self.length {
            let to = from + window;
            let samples = self.within(from, to);
            let saves = saves(latencies, from, to);
            if samples.is_empty() || saves.is_empty() {
                from = to;
                continue;
            }
            let mb = |bytes: u64| bytes as f64 / 1e6;
            let worst = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap();
            writeln!(
                text,
                "{:>6} s {:>8.1} {:>8.1} {:>5} {:>8} {:>8.1} {:>9} {:>6} {:>10} {:>7} {:>10} {:>12}",
                to.min(self.length).as_secs(),
                mb(worst(|s| s.rss)),
                mb(worst(|s| s.anon)),
                worst(|s| s.fds),
                worst(|s| s.threads),
                self.cpu(from, to),
                worst(|s| s.index) / 1000,
                saves.len(),
                median(saves.iter()).as_millis(),
                percentile(saves.iter(), 99).as_millis(),
                worst(|s| s.waiting),
                worst(|s| s.unprotected),
            )
            .unwrap();
            from = to;
        }
        text
    }

    /// The last third is like the middle one.
    pub fn assert_flat(&self, latencies: &[Latency]) {
        let third = self.length / 3;
        let (from, to) = (third, third * 2);
        let end = self.length + WINDOW_MAX;
        let (middle, last) = (self.within(from, to), self.within(to, end));
        let pair = |of: fn(&Sample) -> u64| {
            (
                median(middle.iter().map(of)),
                median(last.iter().map(of)),
                last.iter().map(of).max().unwrap(),
            )
        };
        for (name, of) in [
            ("resident memory", (|s| s.rss) as fn(&Sample) -> u64),
            ("anonymous memory", |s| s.anon),
        ] {
            let (before, after, most) = pair(of);
            assert!(
                after <= before + MEMORY_GROWTH_MAX_BYTES && most <= MEMORY_MAX_BYTES,
                "{name} grows: median {before}, then {after}, at most {most}"
            );
        }
        for (name, of, slack) in [
            (
                "file descriptors",
                (|s| s.fds) as fn(&Sample) -> u64,
                FDS_SLACK,
            ),
            ("threads", |s| s.threads, THREADS_SLACK),
        ] {
            let (before, after, _) = pair(of);
            assert!(after <= before + slack, "{name} grow: {before}, {after}");
        }
        let (before, after, most) = pair(|s| s.index);
        let allowed = (before as f64 * INDEX_RATIO) as u64 + INDEX_SLACK_BYTES;
        assert!(
            after <= allowed && most <= INDEX_MAX_BYTES,
            "the index grows: median {before}, then {after}, at most {most}"
        );
        let (before, after) = (self.cpu(from, to), self.cpu(to, end));
        assert!(
            after <= before * CPU_RATIO + CPU_SLACK_S,
            "work costs more and more: {before} s, then {after} s"
        );
        let (middle, last) = (saves(latencies, from, to), saves(latencies, to, end));
        for (name, percent, ratio) in [
            ("median", 50, LATENCY_MEDIAN_RATIO),
            ("99th percentile", 99, LATENCY_P99_RATIO),
        ] {
            let before = percentile(middle.iter().copied(), percent);
            let after = percentile(last.iter().copied(), percent);
            assert!(
                after <= before.mul_f64(ratio) + LATENCY_SLACK,
                "saves take longer and longer, {name}: {before:?}, then {after:?}"
            );
        }
    }
}

fn saves(latencies: &[Latency], from: Duration, to: Duration) -> Vec<Duration> {
    let is_in = |(at, _): &&Latency| *at > from && *at <= to;
    latencies
        .iter()
        .filter(is_in)
        .map(|(_, took)| *took)
        .collect()
}
