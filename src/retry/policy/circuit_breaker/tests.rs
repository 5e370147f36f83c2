//! The breaker's cases, one by one and at random.

use super::*;
use proptest::prelude::*;

fn fault(class: Class) -> Fault {
    Fault::new(class, "upload", "a.txt", "it failed")
}

/// The longest jitter for delays that are powers of two of the first wait.
fn fail(breaker: &mut CircuitBreaker, class: Class, path: u64, now_ms: i64) -> Option<Transition> {
    breaker.failure(&fault(class), path, WallMs(now_ms), 0)
}

fn opened(class: Class) -> Option<Transition> {
    Some(Transition::Opened {
        fault: fault(class),
    })
}

#[test]
fn what_needs_a_person_opens_it_at_once() {
    for class in [Class::Credentials, Class::Untrusted, Class::NoBucket] {
        let mut breaker = CircuitBreaker::new();
        assert_eq!(fail(&mut breaker, class, 1, 0), opened(class));
        assert_eq!(
            breaker.may_start(2, WallMs(29_999)),
            MayStart::No {
                until_ms: WallMs(30_000)
            }
        );
        assert_eq!(breaker.may_start(2, WallMs(30_000)), MayStart::ProbeOnly);
    }
}

#[test]
fn one_bad_file_does_not_open_it() {
    let mut breaker = CircuitBreaker::new();
    for now_ms in 0..100 {
        assert_eq!(fail(&mut breaker, Class::Transient, 1, now_ms), None);
        assert_eq!(fail(&mut breaker, Class::Transient, 2, now_ms), None);
    }
    assert_eq!(breaker.may_start(3, WallMs(100)), MayStart::Yes);
    for class in [
        Class::Unreadable,
        Class::Refused,
        Class::Changed,
        Class::Local,
    ] {
        for path in 10..20 {
            assert_eq!(fail(&mut breaker, class, path, 100), None, "{class:?}");
        }
    }
}

#[test]
fn three_different_files_in_a_row_open_it_and_a_success_between_does_not() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Transient, 1, 0);
    fail(&mut breaker, Class::Transient, 2, 0);
    assert_eq!(breaker.success(9, WallMs(0)), None);
    assert_eq!(fail(&mut breaker, Class::Transient, 3, 0), None);
    assert_eq!(fail(&mut breaker, Class::SlowDown, 4, 0), None);
    assert_eq!(
        fail(&mut breaker, Class::Transient, 5, 0),
        opened(Class::Transient)
    );
}

fn asking(class: Class) -> Fault {
    Fault::new(class, "look up", "a.txt", "it failed")
}

#[test]
fn a_look_up_does_not_close_it_when_it_only_takes_no_files() {
    for class in [Class::Denied, Class::Transient, Class::SlowDown] {
        let mut breaker = CircuitBreaker::new();
        for path in 1..=3 {
            fail(&mut breaker, class, path, 0);
            assert_eq!(breaker.answered(90 + path, WallMs(0)), None, "{class:?}");
        }
        assert!(breaker.outage().is_some(), "{class:?}");
        assert_eq!(breaker.may_start(7, WallMs(300_000)), MayStart::ProbeOnly);
        assert_eq!(breaker.answered(7, WallMs(300_000)), None);
        // The next path may find out at once.
        assert_eq!(breaker.may_start(8, WallMs(300_000)), MayStart::ProbeOnly);
        assert!(breaker.success(8, WallMs(300_000)).is_some(), "{class:?}");
    }
}

#[test]
fn a_look_up_closes_what_look_ups_opened() {
    let mut breaker = CircuitBreaker::new();
    breaker.failure(&asking(Class::Credentials), 1, WallMs(0), 0);
    assert!(breaker.answered(2, WallMs(60_000)).is_some());
    for path in 1..=2 {
        breaker.failure(&asking(Class::Transient), path, WallMs(0), 0);
    }
    breaker.answered(9, WallMs(0));
    assert_eq!(
        breaker.failure(&asking(Class::Transient), 3, WallMs(0), 0),
        None
    );
}

#[test]
fn when_nothing_waits_an_answer_ends_the_outage() {
    let mut breaker = CircuitBreaker::new();
    assert_eq!(breaker.idle(WallMs(0)), None);
    fail(&mut breaker, Class::Denied, 1, 0);
    assert_eq!(
        breaker.idle(WallMs(5)),
        Some(Transition::Closed { after_ms: 5 })
    );
    assert_eq!(
        fail(&mut breaker, Class::Denied, 1, 9),
        opened(Class::Denied)
    );
}

/// Named after the bug: two files at a port that nothing listened on were "two files that
/// cannot be backed up" for ever, and never a bucket that does not answer.
#[test]
fn the_bucket_itself_is_asked_when_too_few_files_fail_to_tell() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Transient, 1, 0);
    fail(&mut breaker, Class::Transient, 2, 30_000);
    let asked: Vec<i64> = (0..200)
        .map(|second| second * 1_000)
        .filter(|now_ms| breaker.is_in_doubt(WallMs(*now_ms)))
        .collect();
    assert_eq!(asked, [60_000, 120_000, 180_000]);
    // It answers: the files are what is wrong.
    assert_eq!(fail(&mut breaker, Class::Transient, 1, 200_000), None);
    let fault = fault(Class::Transient);
    assert_eq!(
        breaker.unreachable(&fault, WallMs(240_000), 0),
        opened(Class::Transient)
    );
    assert_eq!(breaker.unreachable(&fault, WallMs(240_000), 0), None);
    assert!(!breaker.is_in_doubt(WallMs(900_000)));
    breaker.success(1, WallMs(1_000_000));
    assert!(!breaker.is_in_doubt(WallMs(2_000_000)));
}

/// Named after the bug: a server that was switched off while no file changed was never told.
#[test]
fn a_bucket_that_no_path_asks_is_asked_by_itself_after_a_question_without_an_answer() {
    let mut breaker = CircuitBreaker::new();
    assert!(!breaker.is_in_doubt(WallMs(60_000)));
    breaker.doubt(WallMs(60_000));
    breaker.doubt(WallMs(90_000));
    assert!(!breaker.is_in_doubt(WallMs(119_999)));
    assert!(breaker.is_in_doubt(WallMs(120_000)));
    // It answers: there is nothing to doubt any more.
    assert_eq!(breaker.idle(WallMs(120_000)), None);
    assert!(!breaker.is_in_doubt(WallMs(900_000)));
    breaker.doubt(WallMs(1_000_000));
    assert!(breaker.is_in_doubt(WallMs(1_060_000)));
    let fault = fault(Class::Transient);
    assert_eq!(
        breaker.unreachable(&fault, WallMs(1_060_000), 0),
        opened(Class::Transient)
    );
    // It is told already.
    breaker.doubt(WallMs(1_061_000));
    assert!(!breaker.is_in_doubt(WallMs(9_000_000)));
}

#[test]
fn one_probe_at_a_time_and_success_closes() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Credentials, 1, 1_000);
    assert_eq!(breaker.may_start(2, WallMs(31_000)), MayStart::ProbeOnly);
    assert_eq!(
        breaker.may_start(3, WallMs(31_000)),
        MayStart::No {
            until_ms: WallMs(331_000)
        }
    );
    assert_eq!(
        breaker.success(2, WallMs(33_000)),
        Some(Transition::Closed { after_ms: 32_000 })
    );
    assert_eq!(breaker.may_start(3, WallMs(33_000)), MayStart::Yes);
    assert_eq!(breaker.outage(), None);
}

#[test]
fn failed_probes_back_off_and_keep_the_beginning() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Credentials, 1, 0);
    let mut now_ms = 0;
    let mut waits_ms = Vec::new();
    for _ in 0..6 {
        let MayStart::No { until_ms } = breaker.may_start(2, WallMs(now_ms)) else {
            panic!("the breaker let something through while open");
        };
        waits_ms.push(until_ms - WallMs(now_ms));
        now_ms = until_ms.0;
        assert_eq!(breaker.may_start(2, WallMs(now_ms)), MayStart::ProbeOnly);
        assert_eq!(fail(&mut breaker, Class::Credentials, 2, now_ms), None);
    }
    assert_eq!(
        waits_ms,
        [30_000, 60_000, 120_000, 240_000, 450_000, 450_000]
    );
    assert_eq!(breaker.outage().unwrap().0, WallMs(0));
}

#[test]
fn late_failures_of_others_are_no_news() {
    let mut breaker = CircuitBreaker::new();
    for path in 1..=3 {
        fail(&mut breaker, Class::Transient, path, 0);
    }
    let before = breaker.state().clone();
    for path in 4..16 {
        assert_eq!(fail(&mut breaker, Class::Transient, path, 10), None);
    }
    assert_eq!(breaker.state(), &before);
    assert_eq!(breaker.may_start(20, WallMs(500)), MayStart::ProbeOnly);
    fail(&mut breaker, Class::Transient, 4, 600);
    assert!(matches!(breaker.state(), BreakerState::HalfOpen { .. }));
}

#[test]
fn a_probe_that_tells_nothing_makes_room_for_another() {
    for own_trouble in [true, false] {
        let mut breaker = CircuitBreaker::new();
        fail(&mut breaker, Class::NoBucket, 1, 0);
        breaker.may_start(2, WallMs(30_000));
        if own_trouble {
            fail(&mut breaker, Class::Unreadable, 2, 31_000);
        } else {
            breaker.abandoned(3, WallMs(31_000));
            assert!(matches!(
                breaker.may_start(3, WallMs(31_000)),
                MayStart::No { .. }
            ));
            breaker.abandoned(2, WallMs(31_000));
        }
        assert_eq!(breaker.may_start(3, WallMs(31_000)), MayStart::ProbeOnly);
    }
    // and one that never comes back is not waited for for ever
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::NoBucket, 1, 0);
    breaker.may_start(2, WallMs(30_000));
    assert!(matches!(
        breaker.may_start(3, WallMs(329_999)),
        MayStart::No { .. }
    ));
    assert_eq!(breaker.may_start(3, WallMs(330_000)), MayStart::ProbeOnly);
}

#[test]
fn a_file_that_alone_is_denied_holds_up_the_others_once() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Denied, 1, 0);
    breaker.may_start(2, WallMs(1_000));
    breaker.success(2, WallMs(2_000));
    for now_ms in [60_000, 600_000, 6_000_000] {
        assert_eq!(fail(&mut breaker, Class::Denied, 1, now_ms), None);
    }
    // Once it has passed, its next denial counts again.
    breaker.success(1, WallMs(7_000_000));
    fail(&mut breaker, Class::Denied, 1, 7_000_001);
    assert_eq!(breaker.denials.count(), 1);
}

#[test]
fn a_path_that_passes_by_itself_in_the_end_excuses_nothing() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Denied, 1, 0);
    breaker.may_start(1, WallMs(30_000));
    breaker.success(1, WallMs(31_000));
    assert_eq!(
        fail(&mut breaker, Class::Denied, 1, 120_000),
        opened(Class::Denied)
    );
}

/// Named after the bug: beside 28 files that a policy denied, one that it allowed waited
/// four minutes, and each denied one opened the breaker again.
#[test]
fn a_file_that_is_allowed_waits_seconds_beside_a_folder_of_denied_ones() {
    let mut breaker = CircuitBreaker::new();
    let (denied, allowed) = (1..=28u64, 99);
    let mut now_ms = 0;
    fail(&mut breaker, Class::Denied, 1, now_ms);
    for path in denied.clone() {
        while breaker.may_start(path, WallMs(now_ms)) != MayStart::ProbeOnly {
            now_ms += 100;
        }
        fail(&mut breaker, Class::Denied, path, now_ms);
    }
    while breaker.may_start(allowed, WallMs(now_ms)) != MayStart::ProbeOnly {
        now_ms += 100;
    }
    assert!(now_ms <= 30_000, "{now_ms}");
    assert!(breaker.success(allowed, WallMs(now_ms)).is_some());
    // None of them opens it again, nor do some others.
    for path in denied.chain(200..215) {
        assert_eq!(
            fail(&mut breaker, Class::Denied, path, now_ms),
            None,
            "{path}"
        );
    }
    assert_eq!(
        fail(&mut breaker, Class::Denied, 215, now_ms),
        opened(Class::Denied)
    );
}

#[test]
fn with_a_hole_in_the_policy_few_denied_files_open_it_when_nothing_passes_for_long() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Denied, 1, 0);
    breaker.may_start(2, WallMs(1_000));
    breaker.success(2, WallMs(1_000));
    assert_eq!(fail(&mut breaker, Class::Denied, 3, 2_000), None);
    assert_eq!(fail(&mut breaker, Class::Denied, 3, 62_000), None);
    assert_eq!(
        fail(&mut breaker, Class::Denied, 3, 302_000),
        opened(Class::Denied)
    );
}

#[test]
fn the_wait_for_a_bucket_that_denies_everything_grows_to_a_minute() {
    let mut breaker = CircuitBreaker::new();
    fail(&mut breaker, Class::Denied, 0, 0);
    let mut now_ms = 0;
    let mut waits_ms = Vec::new();
    for path in 1..=80 {
        let MayStart::No { until_ms } = breaker.may_start(path, WallMs(now_ms)) else {
            panic!("the breaker let something through while open");
        };
        waits_ms.push(until_ms - WallMs(now_ms));
        now_ms = until_ms.0;
        assert_eq!(breaker.may_start(path, WallMs(now_ms)), MayStart::ProbeOnly);
        fail(&mut breaker, Class::Denied, path, now_ms);
    }
    assert!(waits_ms[..63].iter().all(|wait_ms| *wait_ms == 1_000));
    assert_eq!(waits_ms[63..68], [5_000, 10_000, 20_000, 30_000, 30_000]);
}

#[test]
fn a_probe_that_is_asked_for_waits_for_nothing_and_its_failure_backs_off() {
    let mut breaker = CircuitBreaker::new();
    breaker.probe_now(WallMs(0));
    assert!(breaker.is_passing(WallMs(0)));
    fail(&mut breaker, Class::Credentials, 1, 0);
    assert!(!breaker.is_passing(WallMs(10)));
    breaker.probe_now(WallMs(10));
    assert!(breaker.is_passing(WallMs(10)));
    assert_eq!(breaker.may_start(2, WallMs(10)), MayStart::ProbeOnly);
    breaker.probe_now(WallMs(11));
    assert!(breaker.is_passing(WallMs(11)));
    assert!(matches!(
        breaker.may_start(3, WallMs(11)),
        MayStart::No { .. }
    ));
    fail(&mut breaker, Class::Credentials, 2, 20);
    assert!(!breaker.is_passing(WallMs(21)));
}

#[test]
fn a_clock_set_back_does_not_keep_it_open() {
    let mut breaker = CircuitBreaker::new();
    let day_ms = 86_400_000;
    fail(&mut breaker, Class::Credentials, 1, 10 * day_ms);
    assert_eq!(breaker.may_start(2, WallMs(0)), MayStart::ProbeOnly);
    assert_eq!(
        breaker.success(2, WallMs(5)),
        Some(Transition::Closed { after_ms: 0 })
    );
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u64),
    Success(u64),
    Failure(Class, u64),
    Abandon(u64),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let class = proptest::sample::select(vec![
        Class::Transient,
        Class::SlowDown,
        Class::Credentials,
        Class::Denied,
        Class::Unreadable,
    ]);
    prop_oneof![
        (0..6u64).prop_map(Step::Ask),
        (0..6u64).prop_map(Step::Success),
        (class, 0..6u64).prop_map(|(class, path)| Step::Failure(class, path)),
        (0..6u64).prop_map(Step::Abandon),
        (0..400_000i64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: it opens and closes in turn, never lets two probes
    /// run within its patience, and is never open for good.
    #[test]
    fn it_opens_and_closes_in_turn_and_never_for_good(
        steps in proptest::collection::vec(step(), 1..200),
        random: u64,
    ) {
        let mut breaker = CircuitBreaker::new();
        let mut now_ms = WallMs(0);
        let mut is_closed = true;
        for step in steps {
            let transition = match step {
                Step::Ask(path) => {
                    let probing = matches!(breaker.state(), BreakerState::HalfOpen { started_ms, .. }
                        if now_ms - *started_ms < 300_000);
                    let answer = breaker.may_start(path, now_ms);
                    prop_assert_eq!(answer == MayStart::Yes, is_closed);
                    prop_assert!(!(probing && answer == MayStart::ProbeOnly));
                    if let MayStart::No { until_ms } = answer {
                        prop_assert!(until_ms > now_ms && until_ms - now_ms <= 900_000);
                    }
                    None
                }
                Step::Success(path) => breaker.success(path, now_ms),
                Step::Failure(class, path) => breaker.failure(&fault(class), path, now_ms, random),
                Step::Abandon(path) => {
                    breaker.abandoned(path, now_ms);
                    None
                }
                Step::Wait(ms) => {
                    now_ms += ms;
                    None
                }
            };
            match transition {
                Some(Transition::Closed { .. }) => {
                    prop_assert!(!is_closed);
                    is_closed = true;
                }
                Some(Transition::Opened { .. }) => {
                    prop_assert!(is_closed);
                    is_closed = false;
                }
                None => {}
            }
            prop_assert_eq!(breaker.outage().is_none(), is_closed);
        }
        now_ms += 900_000;
        let held_back = matches!(breaker.may_start(99, now_ms), MayStart::No { .. });
        prop_assert!(!held_back);
    }
}

#[test]
fn a_destination_without_room_opens_it_unless_small_things_fit() {
    let mut breaker = CircuitBreaker::new();
    for path in 1..=2 {
        assert_eq!(fail(&mut breaker, Class::Full, path, 0), None);
    }
    // Something fitted: what did not was large.
    breaker.success(3, WallMs(0));
    assert_eq!(fail(&mut breaker, Class::Full, 4, 0), None);
    assert_eq!(fail(&mut breaker, Class::Full, 5, 0), None);
    assert!(fail(&mut breaker, Class::Full, 6, 0).is_some());
    // Long enough to be seen by whoever waits for it.
    assert!(matches!(
        breaker.may_start(7, WallMs(10_000)),
        MayStart::No { .. }
    ));
}
