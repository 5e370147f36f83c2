//! Which outage is worth a message, and how often.
//!
//! At most one alert an outage, a reminder a day, and the good news only to
//! those who had the bad. It sends nothing itself: it counts a message only
//! when the caller says that it went out.

use super::Backoff;
use super::times::{between, later, passed};
use crate::types::Class;

/// When to alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertPolicy {
    /// An outage shorter than this passes without a word.
    pub alert_after_ms: u64,
    /// The same for trouble that only a person can end.
    pub person_after_ms: u64,
    /// Time between an alert and its reminder.
    pub repeat_ms: u64,
}

impl AlertPolicy {
    /// Once a day is what people still read.
    pub const REPEAT_MS: u64 = 24 * 60 * 60 * 1_000;

    /// Keys, policies and buckets do not mend themselves, so waiting for
    /// `alert_after` gains nothing. Some minutes are left for a change that is
    /// being made right now, and that AWS takes a while to spread.
    pub const PERSON_MS: u64 = 5 * 60 * 1_000;

    /// Alert after that time, remind each day.
    pub const fn after(alert_after_ms: u64) -> Self {
        Self {
            alert_after_ms,
            person_after_ms: if alert_after_ms < Self::PERSON_MS {
                alert_after_ms
            } else {
                Self::PERSON_MS
            },
            repeat_ms: Self::REPEAT_MS,
        }
    }
}

/// What to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStep {
    /// Nothing.
    None,
    /// The outage is worth a message.
    Alert {
        /// Since when nothing can be stored, milliseconds since 1970.
        since_ms: i64,
        /// It has been reported before.
        reminder: bool,
    },
    /// An outage that was reported is over.
    Recovered {
        /// When it began, milliseconds since 1970.
        since_ms: i64,
        /// When it was seen to be over, milliseconds since 1970.
        until_ms: i64,
    },
}

/// The alerts of one bucket: what is told, and what has been told.
///
/// Each round the caller asks [`step`](Self::step), sends, and reports with
/// [`sent`](Self::sent) or [`not_sent`](Self::not_sent).
#[derive(Debug, Clone)]
pub struct OutageAlert {
    policy: AlertPolicy,
    /// An outage shorter than this passes without a word.
    patience_ms: u64,
    told: Option<Told>,
    /// The outage that is seen now.
    seen: Option<Seen>,
    /// When the outage that was told of was seen to be over.
    over_ms: Option<i64>,
    failures: u32,
    retry_at_ms: i64,
}

/// An outage as it was first seen: a clock that was set back since leaves its
/// beginning in the future, where it would never last long enough.
#[derive(Debug, Clone, Copy)]
struct Seen {
    since_ms: i64,
    first_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    since_ms: i64,
    last_ms: i64,
}

impl OutageAlert {
    /// Nothing told yet.
    pub fn new(policy: AlertPolicy) -> Self {
        Self {
            patience_ms: policy.alert_after_ms,
            policy,
            told: None,
            seen: None,
            over_ms: None,
            failures: 0,
            retry_at_ms: i64::MIN,
        }
    }

    /// The trouble is of that class: it decides how long it may last in silence.
    pub fn is_about(&mut self, class: Class) {
        self.patience_ms = match class {
            Class::Credentials
            | Class::Denied
            | Class::NoBucket
            | Class::Untrusted
            | Class::Full => self.policy.person_after_ms,
            _ => self.policy.alert_after_ms,
        };
    }

    /// What to send, given since when the circuit breaker is open (`None`: closed).
    ///
    /// A second outage that begins before the first one's recovery could be
    /// told continues the first: nobody has heard that it ended.
    pub fn step(&mut self, closed_since_ms: Option<i64>, now_ms: i64) -> AlertStep {
        let closed_since_ms = self.began_ms(closed_since_ms, now_ms);
        if let Some(told) = &mut self.told {
            // Ahead of now: the clock was set back since.
            told.last_ms = told.last_ms.min(now_ms);
        }
        self.over_ms = match (closed_since_ms, self.told) {
            (None, Some(_)) => self.over_ms.or(Some(now_ms)),
            _ => None,
        };
        if closed_since_ms.is_none() && self.told.is_none() {
            // An alert that never got out is not owed any more.
            self.failures = 0;
            self.retry_at_ms = i64::MIN;
            return AlertStep::None;
        }
        if !passed(self.retry_at_ms, now_ms, RETRY.cap_ms) {
            return AlertStep::None;
        }
        match (closed_since_ms, self.told) {
            (None, Some(told)) => AlertStep::Recovered {
                since_ms: told.since_ms,
                until_ms: self.over_ms.unwrap_or(now_ms),
            },
            (Some(since_ms), None) if between(since_ms, now_ms) >= self.patience_ms => {
                AlertStep::Alert {
                    since_ms,
                    reminder: false,
                }
            }
            (Some(_), Some(told)) if between(told.last_ms, now_ms) >= self.policy.repeat_ms => {
                AlertStep::Alert {
                    since_ms: told.since_ms,
                    reminder: true,
                }
            }
            _ => AlertStep::None,
        }
    }

    /// When the outage began by the clock as it is now: never after it was first
    /// seen. Another beginning is another outage, and is seen anew.
    fn began_ms(&mut self, since_ms: Option<i64>, now_ms: i64) -> Option<i64> {
        self.seen = since_ms.map(|since_ms| {
            let known = self.seen.filter(|seen| seen.since_ms == since_ms);
            Seen {
                since_ms,
                first_ms: known.map_or(now_ms, |seen| seen.first_ms.min(now_ms)),
            }
        });
        self.seen.map(|seen| seen.since_ms.min(seen.first_ms))
    }

    /// The message of that step has gone out, or is safely in the outbox.
    pub fn sent(&mut self, step: AlertStep, now_ms: i64) {
        self.failures = 0;
        self.retry_at_ms = i64::MIN;
        match step {
            AlertStep::None => {}
            AlertStep::Alert { since_ms, .. } => {
                self.told = Some(Told {
                    since_ms,
                    last_ms: now_ms,
                });
            }
            AlertStep::Recovered { .. } => {
                self.told = None;
                self.over_ms = None;
            }
        }
    }

    /// It could not be sent: the same step comes again after a while.
    pub fn not_sent(&mut self, now_ms: i64, random: u64) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at_ms = later(now_ms, RETRY.delay_ms(self.failures, random));
    }
}

/// What keeps a message back is mostly the outage it tells of.
const RETRY: Backoff = Backoff::of(Class::Transient);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const HOUR_MS: i64 = 60 * MINUTE_MS;

    fn alerts() -> OutageAlert {
        OutageAlert::new(AlertPolicy::after(30 * 60_000))
    }

    /// Ask each minute, every message goes out; what was sent, and when.
    fn run(
        alerts: &mut OutageAlert,
        closed: impl Fn(i64) -> Option<i64>,
        to_ms: i64,
    ) -> Vec<(i64, AlertStep)> {
        let mut told = Vec::new();
        for now_ms in (0..=to_ms).step_by(60_000) {
            let step = alerts.step(closed(now_ms), now_ms);
            if step != AlertStep::None {
                alerts.sent(step, now_ms);
                told.push((now_ms, step));
            }
        }
        told
    }

    #[test]
    fn a_short_outage_passes_without_a_word() {
        let closed = |now_ms| (now_ms < 29 * MINUTE_MS).then_some(0);
        assert_eq!(run(&mut alerts(), closed, 5 * HOUR_MS), []);
    }

    #[test]
    fn one_alert_a_reminder_a_day_and_one_recovery() {
        let closed = |now_ms| (now_ms < 50 * HOUR_MS).then_some(0);
        let alert = |reminder| AlertStep::Alert {
            since_ms: 0,
            reminder,
        };
        let half_ms = 30 * MINUTE_MS;
        assert_eq!(
            run(&mut alerts(), closed, 200 * HOUR_MS),
            [
                (half_ms, alert(false)),
                (24 * HOUR_MS + half_ms, alert(true)),
                (48 * HOUR_MS + half_ms, alert(true)),
                (
                    50 * HOUR_MS,
                    AlertStep::Recovered {
                        since_ms: 0,
                        until_ms: 50 * HOUR_MS
                    }
                ),
            ]
        );
    }

    #[test]
    fn a_clock_set_back_silences_no_alert_and_no_reminder() {
        let (since_ms, half_ms) = (1000 * HOUR_MS, 30 * MINUTE_MS);
        // Seen before the clock went back, and only after.
        for seen_before in [true, false] {
            let mut alerts = alerts();
            if seen_before {
                assert_eq!(alerts.step(Some(since_ms), since_ms), AlertStep::None);
            }
            let alert = |reminder| AlertStep::Alert {
                since_ms: 0,
                reminder,
            };
            let told = run(&mut alerts, |_| Some(since_ms), 25 * HOUR_MS);
            let want = [
                (half_ms, alert(false)),
                (24 * HOUR_MS + half_ms, alert(true)),
            ];
            assert_eq!(told, want, "seen before: {seen_before}");
        }
        // Told before the clock went back: a reminder a day after.
        let mut alerts = alerts();
        let first = alerts.step(Some(since_ms), since_ms + half_ms);
        assert_ne!(first, AlertStep::None);
        alerts.sent(first, since_ms + half_ms);
        let reminders = run(&mut alerts, |_| Some(since_ms), 25 * HOUR_MS);
        assert!(
            matches!(reminders[..], [(at_ms, AlertStep::Alert { reminder: true, .. })] if at_ms == 24 * HOUR_MS),
            "{reminders:?}"
        );
    }

    #[test]
    fn outages_that_follow_each_other_between_two_looks_are_not_added_up() {
        // Another file each ten minutes: none fails for long.
        let closed = |now_ms| Some(now_ms - now_ms % (10 * MINUTE_MS));
        assert_eq!(run(&mut alerts(), closed, 5 * HOUR_MS), []);
    }

    #[test]
    fn what_needs_a_person_is_told_sooner_and_once() {
        for (class, alert_after_ms, told_ms) in [
            (Class::Denied, 30 * MINUTE_MS, 5 * MINUTE_MS),
            (Class::Credentials, 30 * MINUTE_MS, 5 * MINUTE_MS),
            (Class::NoBucket, 2 * MINUTE_MS, 2 * MINUTE_MS),
            (Class::Full, 30 * MINUTE_MS, 5 * MINUTE_MS),
            (Class::Transient, 30 * MINUTE_MS, 30 * MINUTE_MS),
            (Class::SlowDown, 30 * MINUTE_MS, 30 * MINUTE_MS),
        ] {
            let policy = AlertPolicy::after(alert_after_ms.unsigned_abs());
            let mut alerts = OutageAlert::new(policy);
            alerts.is_about(class);
            let told = run(&mut alerts, |_| Some(0), 20 * HOUR_MS);
            let [(at_ms, _)] = told[..] else {
                panic!("{class:?}: {told:?}");
            };
            assert_eq!(at_ms, told_ms, "{class:?}");
        }
    }

    #[test]
    fn what_could_not_be_sent_is_tried_again_less_and_less() {
        let mut alerts = alerts();
        let mut tries_ms = Vec::new();
        for now_ms in (0..2 * HOUR_MS).step_by(1_000) {
            if alerts.step(Some(0), now_ms) != AlertStep::None {
                tries_ms.push(now_ms);
                alerts.not_sent(now_ms, u64::MAX);
            }
        }
        assert_eq!(tries_ms[0], 30 * MINUTE_MS);
        assert!((20..60).contains(&tries_ms.len()), "{}", tries_ms.len());
        // over before anybody could be told: nobody needs to be told
        assert_eq!(alerts.step(None, 2 * HOUR_MS), AlertStep::None);
        assert_eq!(
            alerts.step(Some(2 * HOUR_MS), 2 * HOUR_MS + 1),
            AlertStep::None
        );
    }

    #[test]
    fn an_outage_before_the_recovery_was_told_continues_the_first() {
        let mut alerts = alerts();
        let alert = alerts.step(Some(0), HOUR_MS);
        alerts.sent(alert, HOUR_MS);
        let recovered = AlertStep::Recovered {
            since_ms: 0,
            until_ms: 2 * HOUR_MS,
        };
        assert_eq!(alerts.step(None, 2 * HOUR_MS), recovered);
        alerts.not_sent(2 * HOUR_MS, 0);
        assert_eq!(alerts.step(Some(2 * HOUR_MS), 3 * HOUR_MS), AlertStep::None);
        // the end is when it was first seen, not when the message went out
        assert!(matches!(
            alerts.step(None, 4 * HOUR_MS),
            AlertStep::Recovered { since_ms: 0, until_ms } if until_ms == 4 * HOUR_MS
        ));
        assert!(matches!(
            alerts.step(None, 5 * HOUR_MS),
            AlertStep::Recovered { until_ms, .. } if until_ms == 4 * HOUR_MS
        ));
    }
}
