//! Keepwatch beside rclone and s5cmd: the same folders, the same servers, in
//! the same run.
//!
//! ```text
//! cargo bench --profile dist -- small                   5,000 small files: first upload, and nothing changed
//! cargo bench --profile dist -- large [MIB ...]         one large file: edits, renames, kills, bytes on the wire
//! cargo bench --profile dist -- scan [FILES]            unchanged files against `find`
//! cargo bench --profile dist -- restore [FILES] [MIB]   the same tree downloaded: small files, and one large
//! cargo bench --profile dist -- latency [FILES]         from a save to the bucket, idle and beside a backlog
//! ```
//!
//! `--repeat N` takes the median of N (3). Programs are found by `PATH` or by
//! `BENCH_RCLONE`, `BENCH_S5CMD`, `BENCH_S3S_FS` and `BENCH_KEEPWATCH` (the
//! program to measure, instead of the one just built); what is missing is said
//! and left out. Everything happens in a folder of its own below `BENCH_DIR` or
//! the system's temporary folder, on loopback addresses, and only what was
//! started here is ended. It measures and never judges: no figure fails it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on ends with the reason"
)]

#[cfg(target_os = "linux")]
mod keepwatch_program;
#[cfg(target_os = "linux")]
mod large;
#[cfg(target_os = "linux")]
mod latency;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod others;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(target_os = "linux")]
mod restore;
#[cfg(target_os = "linux")]
mod scan;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod small;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod trees;

/// Runs per figure without `--repeat`: odd, so that the median is one of them.
#[cfg(target_os = "linux")]
const REPEAT: usize = 3;

#[cfg(target_os = "linux")]
fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    // cargo test runs benchmarks too, without this word: then nothing is measured.
    if !args.iter().any(|arg| arg == "--bench") {
        println!(
            "a benchmark, not a test: cargo bench --profile dist -- small|large|restore|scan|latency"
        );
        return;
    }
    args.retain(|arg| arg != "--bench");
    let mut repeat = REPEAT;
    if let Some(at) = args.iter().position(|arg| arg == "--repeat") {
        repeat = args[at + 1].parse().expect("--repeat takes a number");
        args.drain(at..at + 2);
    }
    let numbers: Vec<u64> = args
        .iter()
        .skip(1)
        .map(|arg| arg.parse().expect("a number is wanted"))
        .collect();
    let first = numbers.first().copied();
    table::heading();
    match args.first().map(String::as_str) {
        Some("small") => small::run(first.unwrap_or(5_000), repeat),
        Some("large") if numbers.is_empty() => large::run(&[64, 1024]),
        Some("large") => large::run(&numbers),
        Some("restore") => restore::run(
            first.unwrap_or(5_000),
            numbers.get(1).copied().unwrap_or(1024),
            repeat,
        ),
        Some("scan") => scan::run(first.unwrap_or(1_000_000), repeat),
        Some("latency") => latency::run(first.unwrap_or(100_000)),
        _ => println!(
            "cargo bench --profile dist -- small|large|restore|scan|latency, see benches/side_by_side/main.rs"
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("these figures are read from /proc: run them on Linux");
}
