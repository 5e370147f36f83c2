//! Faults that are rare by chance, each once for sure.

use super::plan::{Fault, Harshness, Planned};
use super::run::{Report, Run};
use super::wire::Harm;

const ONE: Harshness = Harshness {
    phases: 1,
    operations: 60,
    faults: 0,
    slow: true,
    lies: true,
    big: 0,
};

/// Two phases, this fault in the first; everything must hold.
fn with(seed: u64, fault: Fault) -> Report {
    let mut run = Run::new(seed, ONE);
    assert!(run.rest("before anything"), "it never rested");
    let operations = match fault {
        // Few requests have any.
        Fault::Line(Harm::NoConditions, _) => 4 * ONE.operations,
        _ => ONE.operations,
    };
    let planned = Planned {
        fault,
        begin: operations / 6,
        end: operations * 2 / 3,
    };
    run.phase(operations, &[planned]);
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

/// The fault came to so many requests, and nothing was lost by it.
fn with_lie(seed: u64, harm: Harm) {
    let report = with(seed, Fault::Line(harm, 100));
    let met = report.requests_harmed.get(harm.name()).copied();
    assert!(met.is_some_and(|count| count > 0), "{}", report.journal);
}

#[test]
fn a_portal_answers_with_its_page() {
    with_lie(4, Harm::Page);
}

#[test]
fn something_answers_with_nothing() {
    with_lie(5, Harm::Nothing);
}

#[test]
fn conditions_are_ignored() {
    with_lie(6, Harm::NoConditions);
}
