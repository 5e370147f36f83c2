//! Faults that are rare by chance, each once for sure.

use super::plan::{Fault, Harshness, Planned};
use super::run::{Report, Run};

const ONE: Harshness = Harshness {
    phases: 1,
    operations: 60,
    faults: 0,
    slow: true,
    big: 0,
};

/// Two phases, this fault in the first; everything must hold.
fn with(seed: u64, fault: Fault) -> Report {
    let mut run = Run::new(seed, ONE);
    assert!(run.rest("before anything"), "it never rested");
    let planned = Planned {
        fault,
        begin: 10,
        end: 40,
    };
    run.phase(ONE.operations, &[planned]);
    let report = match run.rest("after the fault") {
        true => run.finish(),
        false => panic!("it does not come to rest"),
    };
    assert!(
        report.failures.is_empty(),
        "{}\n{:#?}",
        report.journal,
        report.failures
    );
    report
}

#[test]
fn the_index_is_lost() {
    with(1, Fault::LoseIndex);
}

#[test]
fn the_clock_goes_back_a_month_and_comes_again() {
    with(2, Fault::Clock(-30 * 86_400_000));
}

#[test]
fn the_system_loses_events() {
    with(3, Fault::Overflow);
}
