//! Many runs at once, and what came of them.

use super::harshness;
use super::run::{Report, Run};
use crate::seed;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Failures of one run that are printed; more are counted.
const SHOWN_MAX: usize = 12;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Run every seed, so many at once; panics when any failed.
pub fn run_all(seeds: &[u64], jobs: usize) {
    let (next, reports) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..jobs.min(seeds.len()) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = one(*seed);
                    tell(&report);
                    reports.lock().unwrap().push(report);
                }
            });
        }
    });
    let reports = reports.into_inner().unwrap();
    table(&reports);
    let failed: Vec<u64> = reports
        .iter()
        .filter(|report| !report.failures.is_empty())
        .map(|report| report.seed)
        .collect();
    assert!(
        failed.is_empty(),
        "failed: {failed:?}; once more with KEEPWATCH_TEST_SEED=<seed>"
    );
}

/// A panic of the test itself is a failure of its seed, not of all.
fn one(seed: u64) -> Report {
    let run = || Run::random(seed, harshness(seed));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Report {
            seed,
            failures: vec![format!("the test itself: {text:?}")],
            ..Report::default()
        }
    })
}

fn tell(report: &Report) {
    let faults: u64 = report.faults.values().sum();
    println!(
        "seed {}: {} operations, {} states, {faults} faults, {} versions ({} torn), {} moments, {:.1} s{}",
        report.seed,
        report.operations,
        report.states,
        report.versions.total,
        report.versions.torn,
        report.moments,
        report.took.as_secs_f64(),
        match report.failures.len() {
            0 => String::new(),
            count => format!(", {count} FAILURES"),
        }
    );
    if report.failures.is_empty() {
        return;
    }
    println!("{}", report.journal);
    for failure in report.failures.iter().take(SHOWN_MAX) {
        println!("seed {} FAILED: {failure}", report.seed);
    }
}

fn table(reports: &[Report]) {
    let sum = |of: fn(&Report) -> u64| -> u64 { reports.iter().map(of).sum() };
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut requests: BTreeMap<&str, u64> = BTreeMap::new();
    for report in reports {
        for (name, count) in &report.faults {
            *faults.entry(name).or_default() += count;
        }
        for (name, count) in &report.requests_harmed {
            *requests.entry(name).or_default() += count;
        }
    }
    println!("\nseeds                {:>9}", reports.len());
    println!("operations           {:>9}", sum(|r| r.operations));
    println!("states of files      {:>9}", sum(|r| r.states));
    println!("versions checked     {:>9}", sum(|r| r.versions.total));
    println!("  of files torn      {:>9}", sum(|r| r.versions.torn));
    println!("delete markers       {:>9}", sum(|r| r.versions.markers));
    println!("requests             {:>9}", sum(|r| r.requests));
    println!("moments restored     {:>9}", sum(|r| r.moments));
    let failed = |report: &Report| u64::from(!report.failures.is_empty());
    println!("failed               {:>9}", sum(failed));
    for (name, count) in faults {
        let harmed = requests.get(name).copied();
        let harmed = harmed.map_or(String::new(), |n| format!("  ({n} requests)"));
        println!("  {name:<18} {count:>9}{harmed}");
    }
}

#[test]
#[ignore = "takes as long as KEEPWATCH_MODEL_SEEDS says"]
fn many_seeds() {
    let count = number("KEEPWATCH_MODEL_SEEDS").unwrap_or(100);
    let first = number("KEEPWATCH_MODEL_FIRST").unwrap_or(1);
    // 8 from a `first % 8 == 7`: the harsh ones alone.
    let step = number("KEEPWATCH_MODEL_STEP").unwrap_or(1);
    let jobs = number("KEEPWATCH_MODEL_JOBS").unwrap_or(4);
    let seeds: Vec<u64> = match seed::given() {
        Some(seed) => vec![seed],
        None => (0..count).map(|n| first + n * step).collect(),
    };
    run_all(&seeds, usize::try_from(jobs).unwrap());
}
